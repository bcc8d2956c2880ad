// Convolutions by oneDNN, versions 2 and 3. Functions that return text return
// NULL when all went well. What computes is called on the executor's thread
// only, since oneDNN divides work by that thread's OpenMP settings.
#pragma once
#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// What all convolutions of a device share: oneDNN's engine and scratch memory.
typedef struct library library;
typedef struct convolution convolution;

struct library_arguments {
	library **library;
};
const char *library_new(const void *library_arguments);
void library_free(library *);

// E.g. "oneDNN 2.6.3".
const char *library_version(void);

struct convolution_new_arguments {
	library *library;
	convolution **convolution;
	int batch, height, width, in, out, kernel, stride, padding;
	int block;
	int input_gradient, inference;
	// x has up to three channels and is plain, and weights lie as height, width,
	// in, out padded to blocks.
	int plain;
	int direct; // without Winograd's algorithm
	int bfloat16; // multiplies rounded values
	operation add; // of kernels
	int threads;
};
const char *convolution_new(const void *convolution_new_arguments);
void convolution_free(convolution *);

struct convolution_arguments {
	convolution *convolution;
	float *x, *w, *y; // or their gradients
	const float *addend;
};
const char *convolution_forward(const void *convolution_arguments);
const char *convolution_backward_input(const void *convolution_arguments);
const char *convolution_backward_weights(const void *convolution_arguments);

#ifdef __cplusplus
}
#endif
