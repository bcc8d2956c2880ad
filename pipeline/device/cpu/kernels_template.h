// One instruction set's kernels. The including file says which: BLOCK is the
// number of channels in a block, KERNELS the table's name.
#include "executor.h"
#include "kernels.h"

// So that square roots become instructions, and inputs that neighbouring pixels
// share do not fill the registers (cgo lets neither flag pass).
#pragma GCC optimize("no-math-errno", "no-predictive-commoning")

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

// Internal linkage: each instruction set has its own copy of everything.
namespace {

typedef float vec __attribute__((vector_size(BLOCK * sizeof(float)), may_alias));
typedef double wide __attribute__((vector_size(BLOCK * sizeof(double)), may_alias));
typedef int32_t mask __attribute__((vector_size(BLOCK * sizeof(float)), may_alias));
typedef uint32_t words __attribute__((vector_size(BLOCK * sizeof(float)), may_alias));

inline vec load(const float *p) { return *(const vec *)p; }
inline void store(float *p, vec v) { *(vec *)p = v; }
inline vec fill(float x) { return vec{} + x; }
inline vec larger(vec a, vec b) { return a > b ? a : b; }
// A NaN stays one, so that a training that has come to nothing is seen to.
inline vec rectified(vec v) { return larger(vec{}, v); }

// How many parts of at most `of` make n.
inline size_t parts(size_t n, size_t of) { return (n + of - 1) / of; }

inline int blocks_of(int channels) { return parts(channels, BLOCK); }

// The sum of a vector's lanes, always in the same order.
inline float lanes(vec v) {
	float sum = 0;
	for (int i = 0; i < BLOCK; i++) sum += v[i];
	return sum;
}

// Sums over a block of channels of two things at once: of a piece of the work,
// and of many.
struct piece_sums {
	vec first, second;
};
struct sums {
	wide first, second;
	void add(vec a, vec b) {
		first += __builtin_convertvector(a, wide);
		second += __builtin_convertvector(b, wide);
	}
	void add(const piece_sums &p) { add(p.first, p.second); }
	void add(const sums &s) { first += s.first, second += s.second; }
};

// The sum over pieces, each `step` behind the one before: those before the
// middle in order, those from it on, then both.
template <typename Piece>
sums total(const Piece *pieces, size_t step, size_t middle, size_t count) {
	sums halves[2] = {};
	for (size_t i = 0; i < count; i++) halves[i >= middle].add(pieces[i * step]);
	halves[0].add(halves[1]);
	return halves[0];
}

// How many of n small pieces a thread takes at a time: so few that the threads
// end together, so many that taking them costs nothing.
inline int grain(size_t n, int threads) { return 1 + n / (32 * threads); }

// part's bounds when n items are divided among parts.
inline size_t bound(size_t n, int part, int parts) { return n * part / parts; }

// The workspace with room for length floats; NULL where there is no memory.
inline float *reserve(workspace *w, size_t length) {
	if (w->length < length) {
		free(w->data);
		w->data = (float *)memory_new(length * sizeof(float));
		w->length = w->data ? length : 0;
	}
	return w->data;
}

// The same for so many sums.
template <typename Sums>
Sums *reserve_sums(workspace *w, size_t count) {
	return (Sums *)reserve(w, count * sizeof(Sums) / sizeof(float));
}

#include "layout_template.h"
#include "normalization_template.h"
#include "pool_template.h"
#include "dropout_template.h"
#include "dense_template.h"
#include "optimizer_template.h"
#include "image_template.h"
#include "winograd_template.h"

const struct kernels table = {
	BLOCK,
	to_blocked, from_blocked,
	normalization_forward, normalization_infer, normalization_fold, normalization_backward,
	global_pool_forward, global_pool_backward,
	dropout,
	dense_forward, dense_backward,
	cross_entropy_loss, cross_entropy_backward,
	optimizer_sgd, optimizer_adamw,
	add,
	image_forward, image_fold, image_infer, image_backward_weights,
	winograd_forward, winograd_fold, winograd_infer, winograd_backward_weights,
};

} // namespace

extern const struct kernels *const KERNELS;
const struct kernels *const KERNELS = &table;
