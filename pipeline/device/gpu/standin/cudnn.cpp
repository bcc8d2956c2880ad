// A libcudnn.so.9 that computes convolutions on the CPU, by their definition,
// with sums in double. It takes the calls that package cudnn makes, checks
// descriptors, memory and workspaces as cuDNN does or more strictly, and
// refuses what cuDNN refuses. Its work goes through the stand-in driver, which
// records it while a stream captures.
//
// STANDIN_CUDNN_ADDS=0 makes it refuse to add a gradient to what is there.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "driver.h"

#define ENTRY extern "C" __attribute__((visibility("default")))

enum { SUCCESS = 0, NOT_INITIALIZED = 1001, BAD_PARAM = 2000, NOT_SUPPORTED = 3000, EXECUTION_FAILED = 5000 };
enum { FLOAT = 0, BFLOAT16 = 9, NHWC = 1 };

static char last_error[256];
static int fail(int status, const char *why) {
	snprintf(last_error, sizeof last_error, "stand-in: %s", why);
	return status;
}

// A status that STANDIN_FAIL asks a call for.
#define ENTER \
	if (int asked = standin_enter(__func__, "")) return fail(asked, "asked for")

struct handle {
	void *stream;
};
struct descriptor {
	char kind;  // t, f, c
	int type = -1, n = 0, c = 0, h = 0, w = 0;             // tensor, filter (k, c, h, w)
	int padding = 0, stride = 0, compute = -1, math = 0;   // convolution
	size_t count() const { return (size_t)n * c * h * w; }
	size_t bytes() const { return count() * (type == BFLOAT16 ? 2 : 4); }
};

ENTRY size_t cudnnGetVersion() { return 90100; }
ENTRY const char *cudnnGetErrorString(int status) {
	switch (status) {
	case SUCCESS: return "CUDNN_STATUS_SUCCESS";
	case NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
	case BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
	case NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
	case EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
	}
	return "CUDNN_STATUS_INTERNAL_ERROR";
}
ENTRY void cudnnGetLastErrorString(char *message, size_t size) { snprintf(message, size, "%s", last_error); }
ENTRY int cudnnCreate(handle **h) {
	ENTER;
	if (!standin_context()) return fail(NOT_INITIALIZED, "no context");
	return *h = new handle{nullptr}, SUCCESS;
}
ENTRY int cudnnDestroy(handle *h) { ENTER; return delete h, SUCCESS; }
ENTRY int cudnnSetStream(handle *h, void *stream) { ENTER; return h->stream = stream, SUCCESS; }
ENTRY int cudnnCreateTensorDescriptor(descriptor **d) { ENTER; return *d = new descriptor{'t'}, SUCCESS; }
ENTRY int cudnnCreateFilterDescriptor(descriptor **d) { ENTER; return *d = new descriptor{'f'}, SUCCESS; }
ENTRY int cudnnCreateConvolutionDescriptor(descriptor **d) { ENTER; return *d = new descriptor{'c'}, SUCCESS; }
static int destroy(descriptor *d, char kind) {
	if (!d || d->kind != kind) return fail(BAD_PARAM, "not such a descriptor");
	return delete d, SUCCESS;
}
ENTRY int cudnnDestroyTensorDescriptor(descriptor *d) { ENTER; return destroy(d, 't'); }
ENTRY int cudnnDestroyFilterDescriptor(descriptor *d) { ENTER; return destroy(d, 'f'); }
ENTRY int cudnnDestroyConvolutionDescriptor(descriptor *d) { ENTER; return destroy(d, 'c'); }

ENTRY int cudnnSetTensor4dDescriptorEx(descriptor *d, int type, int n, int c, int h, int w, int sn, int sc, int sh, int sw) {
	ENTER;
	if (d->kind != 't' || (type != FLOAT && type != BFLOAT16) || n < 1 || c < 1 || h < 1 || w < 1)
		return fail(BAD_PARAM, "a tensor's type or sides");
	if (sc != 1 || sw != c || sh != w * c || sn != h * w * c) return fail(NOT_SUPPORTED, "a tensor that is not NHWC without gaps");
	d->type = type, d->n = n, d->c = c, d->h = h, d->w = w;
	return SUCCESS;
}
ENTRY int cudnnSetFilter4dDescriptor(descriptor *d, int type, int format, int k, int c, int h, int w) {
	ENTER;
	if (d->kind != 'f' || (type != FLOAT && type != BFLOAT16) || format != NHWC || k < 1 || c < 1 || h < 1 || w < 1)
		return fail(BAD_PARAM, "a filter's type, format or sides");
	d->type = type, d->n = k, d->c = c, d->h = h, d->w = w;
	return SUCCESS;
}
ENTRY int cudnnSetConvolution2dDescriptor(descriptor *d, int ph, int pw, int sh, int sw, int dh, int dw, int mode, int compute) {
	ENTER;
	if (d->kind != 'c' || ph != pw || sh != sw || dh != 1 || dw != 1 || mode != 1 || compute != FLOAT || ph < 0 || sh < 1)
		return fail(BAD_PARAM, "a convolution's padding, stride, dilation, mode or type");
	d->padding = ph, d->stride = sh, d->compute = compute;
	return SUCCESS;
}
ENTRY int cudnnSetConvolutionMathType(descriptor *d, int math) {
	ENTER;
	if (d->kind != 'c') return fail(BAD_PARAM, "not a convolution");
	return d->math = math, SUCCESS;
}

// Whether the descriptors describe one convolution that cuDNN computes with an
// algorithm.
static int check(handle *h, descriptor *x, descriptor *w, descriptor *c, descriptor *y, int algorithm) {
	if (!h || !standin_context()) return fail(NOT_INITIALIZED, "no handle or no context");
	if (!x || !w || !c || !y || x->kind != 't' || y->kind != 't' || w->kind != 'f' || c->kind != 'c' || c->compute != FLOAT)
		return fail(BAD_PARAM, "descriptors");
	if (x->type != w->type || x->type != y->type || x->c != w->c || y->c != w->n || x->n != y->n || w->h != w->w ||
	    y->h != (x->h + 2 * c->padding - w->h) / c->stride + 1 || y->w != (x->w + 2 * c->padding - w->w) / c->stride + 1)
		return fail(BAD_PARAM, "sides or types that do not fit each other");
	if (algorithm != 1) return fail(NOT_SUPPORTED, "only algorithm 1 takes NHWC");
	if (x->type == BFLOAT16 && (x->c % 8 || y->c % 8 || c->math != 1)) return fail(NOT_SUPPORTED, "tensor cores take channels in eights");
	return SUCCESS;
}

static const size_t WORKSPACE = 1024;
#define SIZE_OF(name, first, second, third, fourth, x, w, c, y) \
	ENTRY int name(handle *h, descriptor *first, descriptor *second, descriptor *third, descriptor *fourth, int algorithm, size_t *bytes) { \
		ENTER; \
		*bytes = WORKSPACE; \
		return check(h, x, w, c, y, algorithm); \
	}
SIZE_OF(cudnnGetConvolutionForwardWorkspaceSize, x, w, c, y, x, w, c, y)
SIZE_OF(cudnnGetConvolutionBackwardDataWorkspaceSize, w, dy, c, dx, dx, w, c, dy)
SIZE_OF(cudnnGetConvolutionBackwardFilterWorkspaceSize, x, dy, c, dw, x, dw, c, dy)

static float get(const void *p, int type, size_t i) {
	if (type == FLOAT) return ((const float *)p)[i];
	uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
	float v;
	memcpy(&v, &bits, sizeof v);
	return v;
}
static void put(void *p, int type, size_t i, float v) {
	if (type == FLOAT) {
		((float *)p)[i] = v;
		return;
	}
	uint32_t bits;
	memcpy(&bits, &v, sizeof bits);
	((uint16_t *)p)[i] = (bits & 0x7fffffff) > 0x7f800000 ? 0x7fff : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

enum { FORWARD, BACKWARD_DATA, BACKWARD_FILTER };
struct call {
	int operation;
	descriptor x, w, c, y;
	const void *a, *b;
	void *result;
	float keep;
};

static void compute(const call &k) {
	const descriptor &x = k.x, &w = k.w, &y = k.y, &out = k.operation == FORWARD ? y : k.operation == BACKWARD_DATA ? x : w;
	std::vector<double> sums(out.count());
	std::vector<float> a, b;
	const descriptor &first = k.operation == BACKWARD_DATA ? w : x, &second = k.operation == FORWARD ? w : y;
	for (size_t i = 0; i < first.count(); i++) a.push_back(get(k.a, first.type, i));
	for (size_t i = 0; i < second.count(); i++) b.push_back(get(k.b, second.type, i));
	for (int n = 0; n < y.n; n++)
		for (int row = 0; row < y.h; row++)
			for (int column = 0; column < y.w; column++)
				for (int i = 0; i < w.h; i++)
					for (int j = 0; j < w.w; j++) {
						int r = row * k.c.stride + i - k.c.padding, s = column * k.c.stride + j - k.c.padding;
						if (r < 0 || s < 0 || r >= x.h || s >= x.w) continue;
						size_t ix = (((size_t)n * x.h + r) * x.w + s) * x.c, iy = (((size_t)n * y.h + row) * y.w + column) * y.c;
						for (int o = 0; o < y.c; o++) {
							size_t iw = (((size_t)o * w.h + i) * w.w + j) * w.c;
							for (int c = 0; c < x.c; c++) switch (k.operation) {
								case FORWARD: sums[iy + o] += (double)a[ix + c] * b[iw + c]; break;
								case BACKWARD_DATA: sums[ix + c] += (double)a[iw + c] * b[iy + o]; break;
								default: sums[iw + c] += (double)a[ix + c] * b[iy + o];
								}
						}
					}
	for (size_t i = 0; i < sums.size(); i++)
		put(k.result, out.type, i, (float)(k.keep != 0 ? sums[i] + k.keep * get(k.result, out.type, i) : sums[i]));
}

static int run(handle *h, int operation, descriptor *x, descriptor *w, descriptor *c, descriptor *y, int algorithm, const void *a,
               const void *b, void *result, const void *alpha, const void *beta, void *workspace, size_t bytes) {
	if (int status = check(h, x, w, c, y, algorithm)) return status;
	float keep = *(const float *)beta;
	const char *adds = getenv("STANDIN_CUDNN_ADDS");
	if (*(const float *)alpha != 1 || (keep != 0 && adds && !strcmp(adds, "0"))) return fail(NOT_SUPPORTED, "such a sum");
	const descriptor *first = operation == BACKWARD_DATA ? w : x, *second = operation == FORWARD ? w : y;
	const descriptor *out = operation == FORWARD ? y : operation == BACKWARD_DATA ? x : w;
	if (!standin_known(a, first->bytes()) || !standin_known(b, second->bytes()) || !standin_known(result, out->bytes()) ||
	    bytes < WORKSPACE || !standin_known(workspace, bytes))
		return fail(BAD_PARAM, "memory that is not the GPU's, or a short workspace");
	if (((uintptr_t)a | (uintptr_t)b | (uintptr_t)result | (uintptr_t)workspace) % 16) return fail(BAD_PARAM, "memory that is not aligned");
	const standin_range ranges[] = {
		{(CUdeviceptr)a, first->bytes(), false}, {(CUdeviceptr)b, second->bytes(), false},
		{(CUdeviceptr)result, out->bytes(), true}, {(CUdeviceptr)workspace, bytes, true}};
	call work{operation, *x, *w, *c, *y, a, b, result, keep};
	const char *names[] = {"cudnn forward", "cudnn backward data", "cudnn backward filter"};
	return standin_submit((CUstream)h->stream, names[operation], ranges, 4, [work] { compute(work); }) ? fail(EXECUTION_FAILED, "not queued") : SUCCESS;
}

ENTRY int cudnnConvolutionForward(handle *h, const void *alpha, descriptor *xd, const void *x, descriptor *wd, const void *w, descriptor *c,
                                  int algorithm, void *workspace, size_t bytes, const void *beta, descriptor *yd, void *y) {
	ENTER;
	return run(h, FORWARD, xd, wd, c, yd, algorithm, x, w, y, alpha, beta, workspace, bytes);
}
ENTRY int cudnnConvolutionBackwardData(handle *h, const void *alpha, descriptor *wd, const void *w, descriptor *yd, const void *dy,
                                       descriptor *c, int algorithm, void *workspace, size_t bytes, const void *beta, descriptor *xd,
                                       void *dx) {
	ENTER;
	return run(h, BACKWARD_DATA, xd, wd, c, yd, algorithm, w, dy, dx, alpha, beta, workspace, bytes);
}
ENTRY int cudnnConvolutionBackwardFilter(handle *h, const void *alpha, descriptor *xd, const void *x, descriptor *yd, const void *dy,
                                         descriptor *c, int algorithm, void *workspace, size_t bytes, const void *beta, descriptor *wd,
                                         void *dw) {
	ENTER;
	return run(h, BACKWARD_FILTER, xd, wd, c, yd, algorithm, x, dy, dw, alpha, beta, workspace, bytes);
}
