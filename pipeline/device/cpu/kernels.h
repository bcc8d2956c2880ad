// The kernels: what this package computes without oneDNN.
//
// Feature maps lie in memory "blocked": batch, blocks of channels, height,
// width, channels of one block (oneDNN calls it nChw16c or nChw8c). A block
// fills one vector register. Channels are padded with zeros to whole blocks,
// and every kernel leaves them zero.
//
// The same source, kernels_template.h, is compiled once for each instruction
// set; a table holds the pointers. Each kernel takes a pointer to its arguments
// and returns NULL, or the text of an error. What is summed together, and in
// which order, depends on the shape alone, so that results depend neither on
// timing nor on how many threads there are. Large work is cut into many pieces,
// which threads take as they come to them.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef const char *(*operation)(const void *arguments);

// Between the plain order (batch, height, width, channels) and the blocked one.
struct layout_arguments {
	const float *from;
	float *to;
	int batch, height, width, channels;
	int threads;
};

// Memory that operations share, since they run one after another; it grows to
// what the largest needs.
struct workspace {
	float *data;
	size_t length;
};

// y = pool(relu(scale·(x−mean)/√(variance+epsilon) + shift)) + skip, see
// device.NormalizationSpec.
struct normalization_arguments {
	const float *x, *skip, *dy;
	float *y;
	float *dx;
	const float *scale, *shift;
	float *running_mean, *running_variance;
	float *dscale, *dshift;
	// Of the operation itself, kept from forward to backward: channels padded
	// to whole blocks each.
	float *mean, *inverse; // inverse is 1/√(variance+epsilon)
	float *slope, *offset, *tilt, *constant; // coefficients of the pass under way
	// By the convolution that made x, the sums of a block of channels of x, then
	// those of x², and so on; NULL: nobody has taken them.
	const double *sums;
	struct workspace *workspace;
	int parameters;        // length of scale, shift and their gradients
	int batch, height, width, channels;
	int pool, relu;
	float epsilon, momentum;
	int threads;
};

struct global_pool_arguments {
	const float *x, *dy;
	float *y, *dx;
	int batch, height, width, channels;
	int average;
	int threads;
};

struct dropout_arguments {
	const float *x;
	float *y;
	uint32_t keys[2], threshold;
	float scale;
	int batch, height, width, channels;
	int threads;
};

// Weights: a row of `features` (blocked height, width, channels) an output.
struct dense_arguments {
	const float *x, *w, *bias, *dy;
	float *y, *dx, *dw, *dbias;
	int batch, features, out;
	int threads;
};

struct cross_entropy_arguments {
	const float *logits, *targets;
	float *dlogits;
	float *loss;
	int batch, classes;
};

struct optimizer_arguments {
	float *weights;
	const float *gradients;
	float *moment1, *moment2; // sgd uses the first only
	float *average;           // NULL: none
	const uint8_t *decayed;   // one a group of 16
	size_t length;
	float rate, decay;
	float momentum;
	float beta1, beta2, epsilon;
	float correction1, correction2; // 1/(1−β^step)
	float average_decay;
	int threads;
};

// y += x
struct add_arguments {
	const float *x;
	float *y;
	size_t length;
	int threads;
};

// A 3×3 convolution, stride 1, padding 1, from a plain image with three
// channels. Weights lie as height, width, in, out; `out` is padded to blocks.
struct image_convolution_arguments {
	const float *x;
	const float *w, *dy;
	float *y, *dw;
	float *padded; // see image_pad
	int pad;       // x has changed since it was last padded
	double *sums;  // of y and y², see normalization_arguments
	// For inference, as in winograd_arguments.
	const float *slope, *offset;
	struct workspace *workspace;
	int pool, relu;
	int batch, height, width, out;
	int threads;
};

// A 3×3 convolution, stride 1, padding 1, of blocked feature maps, or the
// gradient of its input, a convolution of dy with the weights turned: then x
// is dy, y is dx, and in and out are exchanged. Weights lie as blocks of out,
// blocks of in, height, width, in, out.
struct winograd_arguments {
	const float *x, *w, *dy;
	const float *addend; // is added to y; NULL: none
	float *y, *dw;
	double *sums; // of y and y², see normalization_arguments; NULL: not wanted
	struct workspace *workspace;
	// For inference, with the normalisation that follows folded in: what it
	// multiplies each output channel by (NULL: 1) and adds, the weights as
	// transformed by winograd_fold, and the rest of what it does.
	const float *slope, *offset;
	float *u;
	int pool, relu;
	int batch, height, width, in, out;
	int turn;
	int threads;
};

struct kernels {
	int block;
	operation to_blocked, from_blocked;
	operation normalization_forward, normalization_infer, normalization_fold, normalization_backward;
	operation global_pool_forward, global_pool_backward;
	operation dropout;
	operation dense_forward, dense_backward;
	operation cross_entropy_loss, cross_entropy_backward;
	operation optimizer_sgd, optimizer_adamw;
	operation add;
	operation image_forward, image_fold, image_infer, image_backward_weights;
	operation winograd_forward, winograd_fold, winograd_infer, winograd_backward_weights;
};

// NULL where the compiler's target has no such instruction set.
extern const struct kernels *const kernels_avx512;
extern const struct kernels *const kernels_avx2;
extern const struct kernels *const kernels_portable;

#ifdef __cplusplus
}
#endif
