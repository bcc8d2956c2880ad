/* The part of cuDNN 9 that convolutions need, declared by hand after its
   documentation, and opened when it is asked for: no NVIDIA header is needed
   to build, and no library to start. */
#ifndef CATDOG_CUDNN_H
#define CATDOG_CUDNN_H
#include <stddef.h>

typedef struct cudnnContext *cudnn_handle;
typedef void *cudnn_descriptor;

/* Of cuDNN's enumerations. */
enum { CUDNN_STATUS_SUCCESS = 0 };
enum { CUDNN_DATA_FLOAT = 0, CUDNN_DATA_BFLOAT16 = 9 };
enum { CUDNN_TENSOR_NHWC = 1 };
enum { CUDNN_CROSS_CORRELATION = 1 };
enum { CUDNN_TENSOR_OP_MATH = 1, CUDNN_FMA_MATH = 3 };

enum { CONVOLUTION_FORWARD, CONVOLUTION_BACKWARD_INPUT, CONVOLUTION_BACKWARD_WEIGHTS };

/* A convolution's descriptors, and a run of one of its three operations. */
struct convolution {
	cudnn_descriptor input, weights, output, convolution;
};
struct shape {
	int batch, height, width, in, out, rows, columns, kernel, stride, padding, bfloat16;
};

/* open_cudnn opens the library at a path; NULL if that went well, else why
   not, valid until the next call. */
const char *open_cudnn(const char *path);
/* open_beside opens a library that cuDNN will look for by its name alone. */
int open_beside(const char *path);
size_t cudnn_version(void);
const char *cudnn_status(int status);
/* cudnn_last_error is cuDNN's own words about the last failure. */
void cudnn_last_error(char *message, size_t size);

/* These return cuDNN's status, and leave in call the name of what gave it. */
int open_handle(cudnn_handle *handle, void *stream, const char **call);
int close_handle(cudnn_handle handle, const char **call);
int make_convolution(struct convolution *c, const struct shape *s, const char **call);
int free_convolution(struct convolution *c, const char **call);
int workspace_of(cudnn_handle handle, const struct convolution *c, int operation, int algorithm, size_t *bytes, const char **call);
int run_convolution(cudnn_handle handle, const struct convolution *c, int operation, int algorithm, const void *a, const void *b,
                    void *result, float keep, void *workspace, size_t bytes, const char **call);
#endif
