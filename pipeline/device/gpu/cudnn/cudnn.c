//go:build gpu

#include "cudnn.h"

#include <dlfcn.h>
#include <string.h>

static void *library;

/* Each function of cuDNN that is used, with its type. */
#define FUNCTIONS(F) \
	F(size_t, cudnnGetVersion, (void)) \
	F(const char *, cudnnGetErrorString, (int)) \
	F(void, cudnnGetLastErrorString, (char *, size_t)) \
	F(int, cudnnCreate, (cudnn_handle *)) \
	F(int, cudnnDestroy, (cudnn_handle)) \
	F(int, cudnnSetStream, (cudnn_handle, void *)) \
	F(int, cudnnCreateTensorDescriptor, (cudnn_descriptor *)) \
	F(int, cudnnSetTensor4dDescriptorEx, (cudnn_descriptor, int, int, int, int, int, int, int, int, int)) \
	F(int, cudnnDestroyTensorDescriptor, (cudnn_descriptor)) \
	F(int, cudnnCreateFilterDescriptor, (cudnn_descriptor *)) \
	F(int, cudnnSetFilter4dDescriptor, (cudnn_descriptor, int, int, int, int, int, int)) \
	F(int, cudnnDestroyFilterDescriptor, (cudnn_descriptor)) \
	F(int, cudnnCreateConvolutionDescriptor, (cudnn_descriptor *)) \
	F(int, cudnnSetConvolution2dDescriptor, (cudnn_descriptor, int, int, int, int, int, int, int, int)) \
	F(int, cudnnSetConvolutionMathType, (cudnn_descriptor, int)) \
	F(int, cudnnDestroyConvolutionDescriptor, (cudnn_descriptor)) \
	F(int, cudnnGetConvolutionForwardWorkspaceSize, \
	  (cudnn_handle, cudnn_descriptor, cudnn_descriptor, cudnn_descriptor, cudnn_descriptor, int, size_t *)) \
	F(int, cudnnGetConvolutionBackwardDataWorkspaceSize, \
	  (cudnn_handle, cudnn_descriptor, cudnn_descriptor, cudnn_descriptor, cudnn_descriptor, int, size_t *)) \
	F(int, cudnnGetConvolutionBackwardFilterWorkspaceSize, \
	  (cudnn_handle, cudnn_descriptor, cudnn_descriptor, cudnn_descriptor, cudnn_descriptor, int, size_t *)) \
	F(int, cudnnConvolutionForward, \
	  (cudnn_handle, const void *, cudnn_descriptor, const void *, cudnn_descriptor, const void *, cudnn_descriptor, int, void *, \
	   size_t, const void *, cudnn_descriptor, void *)) \
	F(int, cudnnConvolutionBackwardData, \
	  (cudnn_handle, const void *, cudnn_descriptor, const void *, cudnn_descriptor, const void *, cudnn_descriptor, int, void *, \
	   size_t, const void *, cudnn_descriptor, void *)) \
	F(int, cudnnConvolutionBackwardFilter, \
	  (cudnn_handle, const void *, cudnn_descriptor, const void *, cudnn_descriptor, const void *, cudnn_descriptor, int, void *, \
	   size_t, const void *, cudnn_descriptor, void *))

#define DECLARE(result, name, arguments) static result(*name) arguments;
FUNCTIONS(DECLARE)

const char *open_cudnn(const char *path) {
	void *opened = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	if (!opened) return dlerror();
#define FIND(result, name, arguments) \
	if (!(name = (result(*) arguments)dlsym(opened, #name))) return "it has no " #name;
	FUNCTIONS(FIND)
	library = opened;
	return 0;
}

int open_beside(const char *path) { return dlopen(path, RTLD_LAZY | RTLD_GLOBAL) != 0; }

size_t cudnn_version(void) { return library ? cudnnGetVersion() : 0; }
const char *cudnn_status(int status) { return cudnnGetErrorString(status); }
void cudnn_last_error(char *message, size_t size) { cudnnGetLastErrorString(message, size); }

/* TRY returns the first status that is not success. */
#define TRY(function, ...) \
	do { \
		*call = #function; \
		int status = function(__VA_ARGS__); \
		if (status) return status; \
	} while (0)

int open_handle(cudnn_handle *handle, void *stream, const char **call) {
	TRY(cudnnCreate, handle);
	TRY(cudnnSetStream, *handle, stream);
	return 0;
}

int close_handle(cudnn_handle handle, const char **call) {
	TRY(cudnnDestroy, handle);
	return 0;
}

int make_convolution(struct convolution *c, const struct shape *s, const char **call) {
	int type = s->bfloat16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
	TRY(cudnnCreateTensorDescriptor, &c->input);
	TRY(cudnnSetTensor4dDescriptorEx, c->input, type, s->batch, s->in, s->height, s->width,
	    s->height * s->width * s->in, 1, s->width * s->in, s->in);
	TRY(cudnnCreateTensorDescriptor, &c->output);
	TRY(cudnnSetTensor4dDescriptorEx, c->output, type, s->batch, s->out, s->rows, s->columns,
	    s->rows * s->columns * s->out, 1, s->columns * s->out, s->out);
	TRY(cudnnCreateFilterDescriptor, &c->weights);
	TRY(cudnnSetFilter4dDescriptor, c->weights, type, CUDNN_TENSOR_NHWC, s->out, s->in, s->kernel, s->kernel);
	TRY(cudnnCreateConvolutionDescriptor, &c->convolution);
	TRY(cudnnSetConvolution2dDescriptor, c->convolution, s->padding, s->padding, s->stride, s->stride, 1, 1,
	    CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
	TRY(cudnnSetConvolutionMathType, c->convolution, s->bfloat16 ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH);
	return 0;
}

int free_convolution(struct convolution *c, const char **call) {
	if (c->input) TRY(cudnnDestroyTensorDescriptor, c->input);
	if (c->output) TRY(cudnnDestroyTensorDescriptor, c->output);
	if (c->weights) TRY(cudnnDestroyFilterDescriptor, c->weights);
	if (c->convolution) TRY(cudnnDestroyConvolutionDescriptor, c->convolution);
	memset(c, 0, sizeof *c);
	return 0;
}

int workspace_of(cudnn_handle handle, const struct convolution *c, int operation, int algorithm, size_t *bytes, const char **call) {
	switch (operation) {
	case CONVOLUTION_FORWARD:
		TRY(cudnnGetConvolutionForwardWorkspaceSize, handle, c->input, c->weights, c->convolution, c->output, algorithm, bytes);
		return 0;
	case CONVOLUTION_BACKWARD_INPUT:
		TRY(cudnnGetConvolutionBackwardDataWorkspaceSize, handle, c->weights, c->output, c->convolution, c->input, algorithm, bytes);
		return 0;
	}
	TRY(cudnnGetConvolutionBackwardFilterWorkspaceSize, handle, c->input, c->output, c->convolution, c->weights, algorithm, bytes);
	return 0;
}

int run_convolution(cudnn_handle handle, const struct convolution *c, int operation, int algorithm, const void *a, const void *b,
                    void *result, float keep, void *workspace, size_t bytes, const char **call) {
	const float one = 1;
	switch (operation) {
	case CONVOLUTION_FORWARD:
		TRY(cudnnConvolutionForward, handle, &one, c->input, a, c->weights, b, c->convolution, algorithm, workspace, bytes, &keep,
		    c->output, result);
		return 0;
	case CONVOLUTION_BACKWARD_INPUT:
		TRY(cudnnConvolutionBackwardData, handle, &one, c->weights, a, c->output, b, c->convolution, algorithm, workspace, bytes, &keep,
		    c->input, result);
		return 0;
	}
	TRY(cudnnConvolutionBackwardFilter, handle, &one, c->input, a, c->output, b, c->convolution, algorithm, workspace, bytes, &keep,
	    c->weights, result);
	return 0;
}
