// Runs CUDA C on the CPU: a fiber for each thread of a block, blocks one after
// another. Threads run in an order that is shuffled between any two barriers,
// so that what relies on an order gives other results. One OS thread only.
#ifndef SHIM_H
#define SHIM_H
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static

struct dim3 {
	unsigned x = 1, y = 1, z = 1;
};

struct alignas(16) float4 {
	float x, y, z, w;
};
struct alignas(16) uint4 {
	uint32_t x, y, z, w;
};

struct alignas(8) uint2 {
	uint32_t x, y;
};

inline uint32_t __float_as_uint(float x) {
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	return bits;
}
inline float __uint_as_float(uint32_t bits) {
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

// One OS thread runs everything: its own order is the only one.
inline void __threadfence() {}
inline uint32_t atomicAdd(uint32_t *at, uint32_t more) {
	uint32_t was = *at;
	*at += more;
	return was;
}
template <class T>
T __ldcg(const T *from) {
	return *from;
}

namespace shim {
enum state { READY, AT_BLOCK_BARRIER, AT_WARP_EXCHANGE, DONE };
struct fiber {
	ucontext_t context;
	state now;
	uint64_t given;
	uint32_t fragments[6];  // of a matrix product's two factors
};
inline std::vector<fiber> fibers;
inline std::vector<char> stacks;
inline ucontext_t scheduler;
inline const std::function<void()> *body;
inline dim3 block_index, block_size, grid_size, thread_index;
inline unsigned current;
inline uint32_t random = getenv("STANDIN_SEED") ? 2 * atoi(getenv("STANDIN_SEED")) + 1 : 1;  // another seed gives other orders
const size_t STACK = 64 << 10;

// Whether the threads of the running kernel may wait for each other.
inline bool with_fibers;

inline void wait(state reason) {
	if (!with_fibers) {
		fprintf(stderr, "shim: a kernel that is exported as one without barriers waits\n");
		abort();
	}
	fibers[current].now = reason;
	unsigned me = current;
	swapcontext(&fibers[me].context, &scheduler);
}

inline void enter() {
	(*body)();
	fibers[current].now = DONE;
}

inline void shuffle(std::vector<unsigned> &order) {
	for (size_t i = order.size(); i > 1; i--) {
		random ^= random << 13;
		random ^= random >> 17;
		random ^= random << 5;
		std::swap(order[i - 1], order[random % i]);
	}
}

// Lets all threads among [from, to) that wait for a reason go on, if none of
// the others still runs.
inline bool release(state reason, size_t from, size_t to) {
	bool any = false;
	for (size_t i = from; i < to; i++) {
		if (fibers[i].now != reason && fibers[i].now != DONE) return false;
		any |= fibers[i].now == reason;
	}
	for (size_t i = from; i < to; i++)
		if (fibers[i].now == reason) fibers[i].now = READY;
	return any;
}

inline void run_block(std::vector<unsigned> &order) {
	size_t count = order.size();
	if (!with_fibers) {
		shuffle(order);
		for (unsigned i : order) {
			thread_index.x = i;
			(*body)();
		}
		return;
	}
	for (size_t i = 0; i < count; i++) {
		fiber &f = fibers[i];
		f.now = READY;
		getcontext(&f.context);
		f.context.uc_link = &scheduler;
		f.context.uc_stack.ss_sp = &stacks[i * STACK];
		f.context.uc_stack.ss_size = STACK;
		makecontext(&f.context, enter, 0);
	}
	for (;;) {
		shuffle(order);
		size_t done = 0;
		for (unsigned i : order) {
			if (fibers[i].now == READY) {
				current = thread_index.x = i;
				swapcontext(&scheduler, &fibers[i].context);
			}
			done += fibers[i].now == DONE;
		}
		if (done == count) return;
		bool moved = false;
		for (size_t warp = 0; warp < count; warp += 32) moved |= release(AT_WARP_EXCHANGE, warp, std::min(warp + 32, count));
		if (!moved && !release(AT_BLOCK_BARRIER, 0, count)) {
			fprintf(stderr, "shim: only a part of the block reaches a barrier\n");
			abort();
		}
	}
}

inline void launch(bool fibered, dim3 grid, dim3 block, const std::function<void()> &run) {
	if (block.y != 1 || block.z != 1) abort();
	with_fibers = fibered;
	grid_size = grid;
	block_size = block;
	body = &run;
	std::vector<unsigned> order(block.x);
	for (unsigned i = 0; i < block.x; i++) order[i] = i;
	if (fibered) {
		fibers.resize(block.x);
		stacks.resize(block.x * STACK);
	}
	for (block_index.z = 0; block_index.z < grid.z; block_index.z++)
		for (block_index.y = 0; block_index.y < grid.y; block_index.y++)
			for (block_index.x = 0; block_index.x < grid.x; block_index.x++) run_block(order);
}

template <class... A, size_t... I>
void unpack(void (*kernel)(A...), void **parameters, std::index_sequence<I...>) {
	kernel(*(A *)parameters[I]...);
}

template <class... A>
void call(bool fibered, void (*kernel)(A...), dim3 grid, dim3 block, void **parameters) {
	launch(fibered, grid, block, [=] { unpack(kernel, parameters, std::index_sequence_for<A...>{}); });
}

// A bit for each parameter that is a pointer, or one through which is written.
template <class... A>
unsigned long long pointers(void (*)(A...)) {
	unsigned long long bits = 0, bit = 1;
	((bits |= std::is_pointer_v<A> ? bit : 0, bit <<= 1), ...);
	return bits;
}
template <class... A>
unsigned long long written(void (*)(A...)) {
	unsigned long long bits = 0, bit = 1;
	((bits |= std::is_pointer_v<A> && !std::is_const_v<std::remove_pointer_t<A>> ? bit : 0, bit <<= 1), ...);
	return bits;
}
}  // namespace shim

#define threadIdx shim::thread_index_of()
namespace shim {
inline dim3 thread_index_of() { return with_fibers ? dim3{current, 0, 0} : dim3{thread_index.x, 0, 0}; }
}
#define blockIdx shim::block_index
#define blockDim shim::block_size
#define gridDim shim::grid_size

inline void __syncthreads() { shim::wait(shim::AT_BLOCK_BARRIER); }

// Two waits: all have given before any takes, all have taken before any gives
// again.
inline float __shfl_down_sync(unsigned mask, float v, unsigned distance) {
	if (mask != 0xffffffffu) abort();
	unsigned me = shim::current, lane = me % 32;
	memcpy(&shim::fibers[me].given, &v, sizeof v);
	shim::wait(shim::AT_WARP_EXCHANGE);
	if (lane + distance < 32) memcpy(&v, &shim::fibers[me + distance].given, sizeof v);
	shim::wait(shim::AT_WARP_EXCHANGE);
	return v;
}

// The tensor cores' mma.m16n8k16 of bfloat16, as PTX's documentation lays out
// its fragments: c += a·b, a 16×16, b 16×8.
inline void shim_mma(float *c, const uint32_t *a, const uint32_t *b) {
	unsigned me = shim::current, warp = me / 32 * 32, group = me % 32 / 4, place = me % 4;
	memcpy(shim::fibers[me].fragments, a, 16);
	memcpy(shim::fibers[me].fragments + 4, b, 8);
	shim::wait(shim::AT_WARP_EXCHANGE);
	auto half = [](uint32_t pair, unsigned which) { return __uint_as_float(which ? pair & 0xffff0000u : pair << 16); };
	for (unsigned i = 0; i < 4; i++) {
		unsigned row = group + i / 2 * 8, column = 2 * place + i % 2;
		for (unsigned k = 0; k < 16; k++) {
			const uint32_t *left = shim::fibers[warp + row % 8 * 4 + k % 8 / 2].fragments;
			const uint32_t *right = shim::fibers[warp + column * 4 + k % 8 / 2].fragments + 4;
			c[i] += half(left[row / 8 + k / 8 * 2], k % 2) * half(right[k / 8], k % 2);
		}
	}
	shim::wait(shim::AT_WARP_EXCHANGE);
}
#endif
