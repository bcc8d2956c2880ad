// The kernels as functions that the stand-in driver finds by name.
#include "shim.h"

#include "../kernels/kernels.cu"

#define EXPORT(name, barriers)                                                                                                        \
	extern "C" void standin_##name(dim3 grid, dim3 block, void **parameters) { shim::call(barriers, name, grid, block, parameters); } \
	extern "C" const unsigned long long standin_pointers_##name = shim::pointers(name);
#define THREADS_APART(name) EXPORT(name, false)
#define THREADS_TOGETHER(name) EXPORT(name, true)

THREADS_APART(convolution_forward)
THREADS_APART(convolution_backward_input)
THREADS_APART(convolution_backward_weights)
THREADS_TOGETHER(crossentropy_loss)
THREADS_APART(crossentropy_backward)
THREADS_TOGETHER(dense_forward)
THREADS_APART(dense_backward_input)
THREADS_APART(dense_backward_weights)
THREADS_APART(dropout)
THREADS_TOGETHER(normalization_sums)
THREADS_APART(normalization_statistics)
THREADS_APART(normalization_inverse)
THREADS_APART(normalization_forward)
THREADS_TOGETHER(normalization_gradient_sums)
THREADS_APART(normalization_gradients)
THREADS_APART(normalization_backward)
THREADS_APART(optimizer_sgd)
THREADS_APART(optimizer_adamw)
THREADS_APART(pool_forward)
THREADS_APART(pool_backward)
