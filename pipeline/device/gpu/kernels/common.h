// What all kernels share. Sums, parameters and statistics are float32. Kernels
// use a·b+c only through fmaf, and are compiled without contraction, so that
// any compiler's code rounds alike. No kernel adds floating-point numbers
// atomically: the order of sums is fixed.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define KERNEL extern "C" __global__ void __launch_bounds__(256)
// With so few registers that so many blocks run at once on a multiprocessor.
#define KERNEL_RESIDENT(blocks) extern "C" __global__ void __launch_bounds__(256, blocks)

__device__ inline u64 first_index() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline u64 stride() { return (u64)gridDim.x * blockDim.x; }

// Wellons' "lowbias32", https://nullprogram.com/blog/2018/07/31/.
__device__ inline u32 mix(u32 x) {
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

// device.DropoutKeys, as one number.
__device__ inline u64 dropout_keys(u64 seed) {
	u64 z = seed + 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

// The upper half of a float32.
struct bfloat16 {
	u16 bits;
};

// To the nearest, ties to even; a NaN becomes 0x7fff. The GPU has one
// instruction for it, from compute capability 8.0 on.
__device__ inline u16 bfloat16_bits(float x) {
#ifdef __CUDACC_RTC__
	u16 rounded;
	asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded) : "f"(x));
	return rounded;
#else
	u32 bits = __float_as_uint(x);
	if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
	return (u16)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
#endif
}

// Two at once, the first in the lower half.
__device__ inline u32 bfloat16_pair(float first, float second) {
#ifdef __CUDACC_RTC__
	u32 pair;
	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
	return pair;
#else
	return (u32)bfloat16_bits(first) | (u32)bfloat16_bits(second) << 16;
#endif
}

// One of the two.
__device__ inline float half_of(u32 pair, u32 which) { return __uint_as_float(which ? pair & 0xffff0000u : pair << 16); }

__device__ inline float load(float x) { return x; }
__device__ inline float load(bfloat16 x) { return __uint_as_float((u32)x.bits << 16); }
__device__ inline void store(float *to, float x) { *to = x; }
__device__ inline void store(bfloat16 *to, float x) { to->bits = bfloat16_bits(x); }

// Activations lie in NHWC order, their channels padded with zeros to a multiple
// of OCTET: a thread moves 16 or 32 bytes at once.
const u32 OCTET = 8;

struct octet {
	float v[OCTET];
};

// An octet as it lies in memory. Where a thread needs several, it loads all
// before it unpacks any: then they are on their way at the same time.
struct float_octet {
	float4 a, b;
};

__device__ inline float_octet load_packed(const float *from) { return {((const float4 *)from)[0], ((const float4 *)from)[1]}; }
__device__ inline uint4 load_packed(const bfloat16 *from) { return *(const uint4 *)from; }

__device__ inline octet unpack(const float_octet &from) {
	float4 a = from.a, b = from.b;
	return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}

__device__ inline octet unpack(const uint4 &from) {
	u32 pairs[4] = {from.x, from.y, from.z, from.w};
	octet o;
	for (u32 i = 0; i < OCTET; i++) o.v[i] = half_of(pairs[i / 2], i % 2);
	return o;
}

// One of its elements.
__device__ inline float unpack(const float_octet &from, u32 i) {
	float4 quad = i < 4 ? from.a : from.b;
	return i % 4 == 0 ? quad.x : i % 4 == 1 ? quad.y : i % 4 == 2 ? quad.z : quad.w;
}

__device__ inline float unpack(const uint4 &from, u32 i) {
	u32 pair = i < 2 ? from.x : i < 4 ? from.y : i < 6 ? from.z : from.w;
	return half_of(pair, i % 2);
}

// Replaces elements i and i+1; i is even.
__device__ inline void pack(float_octet *to, u32 i, float first, float second) {
	float4 *quad = i < 4 ? &to->a : &to->b;
	(i % 4 ? quad->z : quad->x) = first;
	(i % 4 ? quad->w : quad->y) = second;
}

__device__ inline void pack(uint4 *to, u32 i, float first, float second) {
	(i < 2 ? to->x : i < 4 ? to->y : i < 6 ? to->z : to->w) = bfloat16_pair(first, second);
}

__device__ inline octet load_octet(const float *from) { return unpack(load_packed(from)); }
__device__ inline octet load_octet(const bfloat16 *from) { return unpack(load_packed(from)); }

__device__ inline void store_octet(float *to, const octet &o) {
	float4 a = {o.v[0], o.v[1], o.v[2], o.v[3]}, b = {o.v[4], o.v[5], o.v[6], o.v[7]};
	((float4 *)to)[0] = a;
	((float4 *)to)[1] = b;
}

__device__ inline void store_octet(bfloat16 *to, const octet &o) {
	u32 pairs[4];
	for (u32 i = 0; i < 4; i++) pairs[i] = bfloat16_pair(o.v[2 * i], o.v[2 * i + 1]);
	uint4 a = {pairs[0], pairs[1], pairs[2], pairs[3]};
	*(uint4 *)to = a;
}

// What a warp's lanes hold, added up in the first.
__device__ inline float add_lanes(float v) {
	for (u32 d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
	return v;
}

// Sums by channel: a block of 256 threads takes 32 neighbouring channels, an
// octet a thread, in 64 rows at a time (threadIdx.x = row·4 + octet).
const u32 SUM_CHANNELS = 32, SUM_OCTETS = SUM_CHANNELS / OCTET, SUM_ROWS = 256 / SUM_OCTETS;

// Adds up a block's octets for each channel: the sum of channel threadIdx.x %
// SUM_CHANNELS, in the threads below SUM_CHANNELS.
__device__ inline float add_rows(const octet &v) {
	const u32 slices = 256 / SUM_CHANNELS, height = SUM_ROWS / slices;
	alignas(16) __shared__ float rows[SUM_ROWS][SUM_CHANNELS];
	__shared__ float sums[slices][SUM_CHANNELS];
	store_octet(&rows[threadIdx.x / SUM_OCTETS][threadIdx.x % SUM_OCTETS * OCTET], v);
	__syncthreads();
	u32 slice = threadIdx.x / SUM_CHANNELS, column = threadIdx.x % SUM_CHANNELS;
	float sum = 0.f;
	for (u32 r = 0; r < height; r++) sum += rows[slice * height + r][column];
	sums[slice][column] = sum;
	__syncthreads();
	sum = 0.f;
	for (u32 s = 0; s < slices && slice == 0; s++) sum += sums[s][column];
	return sum;
}

// Says whether this block is the last of those that share its channels to come
// here: then all has been written that the others wrote before they came.
// tickets has a number for each blockIdx.x, zero before and after.
__device__ inline bool last_to_leave(u32 *tickets) {
	__shared__ u32 last;
	__threadfence();
	__syncthreads();
	if (threadIdx.x == 0) {
		last = atomicAdd(&tickets[blockIdx.x], 1u) + 1 == gridDim.y;
		if (last) tickets[blockIdx.x] = 0;
	}
	__syncthreads();
	if (last) __threadfence();
	return last;
}

// Leaves a block's two sums for each channel, those of channel threadIdx.x in
// the threads below SUM_CHANNELS, in
// partial[blockIdx.x][blockIdx.y][2][SUM_CHANNELS], and says whether this block
// is the last.
__device__ inline bool leave_partial(float first, float second, float *partial, u32 *tickets) {
	if (threadIdx.x < SUM_CHANNELS) {
		float *to = partial + ((u64)blockIdx.x * gridDim.y + blockIdx.y) * 2 * SUM_CHANNELS + threadIdx.x;
		to[0] = first;
		to[SUM_CHANNELS] = second;
	}
	return last_to_leave(tickets);
}

// For the last block: the sums over all parts of channel threadIdx.x %
// SUM_CHANNELS, in the threads below SUM_CHANNELS. A thread reads four
// channels of several parts at once, past the first cache, which may be stale.
__device__ inline void add_partial(const float *partial, double *a, double *b) {
	const u32 quads = 2 * SUM_CHANNELS / 4, slices = 256 / quads, at_once = 8;
	__shared__ double sums[slices][2 * SUM_CHANNELS];
	u32 slice = threadIdx.x / quads, quad = threadIdx.x % quads, column = threadIdx.x % SUM_CHANNELS;
	const float4 *from = (const float4 *)partial + (u64)blockIdx.x * gridDim.y * quads + quad;
	double sum[4] = {};
	for (u32 p = slice; p < gridDim.y; p += at_once * slices) {
		float4 v[at_once];
		for (u32 j = 0; j < at_once; j++) {
			u32 part = p + j * slices;
			v[j] = __ldcg(&from[(part < gridDim.y ? part : p) * quads]);
		}
		for (u32 j = 0; j < at_once; j++) {
			if (p + j * slices >= gridDim.y) continue;
			sum[0] += v[j].x;
			sum[1] += v[j].y;
			sum[2] += v[j].z;
			sum[3] += v[j].w;
		}
	}
	for (u32 i = 0; i < 4; i++) sums[slice][quad * 4 + i] = sum[i];
	__syncthreads();
	*a = *b = 0;
	for (u32 s = 0; s < slices && threadIdx.x < SUM_CHANNELS; s++) {
		*a += sums[s][column];
		*b += sums[s][SUM_CHANNELS + column];
	}
}
