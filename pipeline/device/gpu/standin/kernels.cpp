// The kernels as functions that the stand-in driver finds by name.
#include "shim.h"

#include "../kernels/kernels.cu"

#define EXPORT(name, barriers)                                                                                                        \
	extern "C" void standin_##name(dim3 grid, dim3 block, void **parameters) { shim::call(barriers, name, grid, block, parameters); } \
	extern "C" const unsigned long long standin_pointers_##name = shim::pointers(name);                                               \
	extern "C" const unsigned long long standin_written_##name = shim::written(name);
#define THREADS_APART(name) EXPORT(name, false)
#define THREADS_TOGETHER(name) EXPORT(name, true)

using namespace on_float32;
using namespace on_bfloat16;
#define ON_BOTH(kind, name) kind(name##_float32) kind(name##_bfloat16)

THREADS_TOGETHER(crossentropy_loss)
THREADS_APART(crossentropy_backward)
THREADS_TOGETHER(loop_score)
THREADS_APART(optimizer_schedule)
THREADS_APART(optimizer_sgd)
THREADS_APART(optimizer_adamw)
ON_BOTH(THREADS_APART, convolution_forward)
ON_BOTH(THREADS_APART, convolution_backward_input)
ON_BOTH(THREADS_APART, convolution_backward_weights)
ON_BOTH(THREADS_APART, convolution_weights)
ON_BOTH(THREADS_APART, convolution_gradient)
ON_BOTH(THREADS_APART, convolution_add)
ON_BOTH(THREADS_TOGETHER, dense_forward)
ON_BOTH(THREADS_APART, dense_backward_input)
ON_BOTH(THREADS_TOGETHER, dense_backward_weights)
ON_BOTH(THREADS_APART, dropout)
ON_BOTH(THREADS_TOGETHER, normalization_statistics)
ON_BOTH(THREADS_APART, normalization_coefficients)
ON_BOTH(THREADS_APART, normalization_forward)
ON_BOTH(THREADS_APART, normalization_forward_pool1)
ON_BOTH(THREADS_APART, normalization_forward_pool2)
ON_BOTH(THREADS_APART, normalization_forward_skip)
ON_BOTH(THREADS_TOGETHER, normalization_gradients)
ON_BOTH(THREADS_TOGETHER, normalization_gradients_pool1)
ON_BOTH(THREADS_TOGETHER, normalization_gradients_pool2)
ON_BOTH(THREADS_APART, normalization_backward)
ON_BOTH(THREADS_APART, normalization_backward_pool1)
ON_BOTH(THREADS_APART, normalization_backward_pool2)
ON_BOTH(THREADS_APART, pool_forward)
ON_BOTH(THREADS_APART, pool_backward)
ON_BOTH(THREADS_APART, render_batch)
THREADS_TOGETHER(joined_forward)
THREADS_TOGETHER(joined_backward)
THREADS_TOGETHER(joined_weights)
