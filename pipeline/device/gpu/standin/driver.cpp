// A libcuda.so.1 that computes on the CPU: it runs the kernels' own source,
// records a stream while it captures, counts, and refuses what a driver
// refuses (no context, an unknown address, a kernel that the PTX lacks).
#include <cuda.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#define ENTRY extern "C" __attribute__((visibility("default"))) CUresult

struct extent {
	unsigned x, y, z;
};
typedef void (*kernel)(extent, extent, void **);
struct function {
	kernel run;
	size_t parameters;
};
typedef std::vector<std::function<void()>> work;
struct stream {
	work *capture = nullptr;
};

// What has happened in the current context. When it ends, the counts are
// written to the file that STANDIN_REPORT names.
enum { ALLOCATIONS, FREES, LIVE, LAUNCHES, COPIES, REPLAYS, KINDS };
static long counts[KINDS];
static thread_local CUcontext current;
static std::map<CUdeviceptr, size_t> memory;

static bool known(CUdeviceptr p, size_t size) {
	auto after = memory.upper_bound(p);
	if (after == memory.begin()) return false;
	--after;
	return p + size <= after->first + after->second;
}

static CUresult submit(CUstream s, std::function<void()> f) {
	work *capture = s ? ((stream *)s)->capture : nullptr;
	if (capture) capture->push_back(f);
	else f();
	return CUDA_SUCCESS;
}

#define NEED_CONTEXT \
	if (!current) return CUDA_ERROR_INVALID_CONTEXT
#define NEED_MEMORY(p, n) \
	if (!known(p, n)) return CUDA_ERROR_INVALID_VALUE

ENTRY cuInit(unsigned) { return CUDA_SUCCESS; }
ENTRY cuDriverGetVersion(int *version) { return *version = 12000, CUDA_SUCCESS; }
ENTRY cuDeviceGetCount(int *count) { return *count = 1, CUDA_SUCCESS; }
ENTRY cuDeviceGet(CUdevice *device, int i) { return *device = i, i ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS; }
ENTRY cuDeviceGetName(char *name, int length, CUdevice) { return strncpy(name, "stand-in", length), CUDA_SUCCESS; }
ENTRY cuDeviceTotalMem_v2(size_t *bytes, CUdevice) { return *bytes = size_t(1) << 30, CUDA_SUCCESS; }
ENTRY cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
	*value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 8 : attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT ? 4 : 0;
	return CUDA_SUCCESS;
}
static CUcontext primary;
static int retained;
ENTRY cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
	if (!retained++) {
		memset(counts, 0, sizeof counts);
		primary = (CUcontext)malloc(8);
	}
	return *context = primary, CUDA_SUCCESS;
}
ENTRY cuDevicePrimaryCtxRelease_v2(CUdevice) {
	if (!retained) return CUDA_ERROR_INVALID_CONTEXT;
	if (--retained) return CUDA_SUCCESS;
	if (const char *path = getenv("STANDIN_REPORT"))
		if (FILE *file = fopen(path, "w")) {
			for (long count : counts) fprintf(file, "%ld ", count);
			fclose(file);
		}
	free(primary);
	current = nullptr;
	return CUDA_SUCCESS;
}
ENTRY cuCtxSetCurrent(CUcontext context) { return current = context, CUDA_SUCCESS; }
ENTRY cuCtxGetCurrent(CUcontext *context) { return *context = current, CUDA_SUCCESS; }
ENTRY cuMemGetInfo_v2(size_t *available, size_t *total) {
	NEED_CONTEXT;
	*total = size_t(1) << 30;
	*available = *total;
	for (auto &m : memory) *available -= m.second;
	return CUDA_SUCCESS;
}
ENTRY cuMemAlloc_v2(CUdeviceptr *p, size_t bytes) {
	NEED_CONTEXT;
	size_t available, total;
	cuMemGetInfo_v2(&available, &total);
	if (bytes > available) return CUDA_ERROR_OUT_OF_MEMORY;
	void *block;  // of just this size, so that AddressSanitizer sees the first byte beyond
	if (posix_memalign(&block, 256, bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
	memset(block, 0xCD, bytes);
	memory[*p = (CUdeviceptr)block] = bytes;
	counts[ALLOCATIONS]++;
	counts[LIVE]++;
	return CUDA_SUCCESS;
}
ENTRY cuMemFree_v2(CUdeviceptr p) {
	NEED_CONTEXT;
	if (!memory.erase(p)) return CUDA_ERROR_INVALID_VALUE;
	free((void *)p);
	counts[FREES]++;
	counts[LIVE]--;
	return CUDA_SUCCESS;
}
ENTRY cuMemAllocHost_v2(void **p, size_t bytes) {
	NEED_CONTEXT;
	return *p = malloc(bytes), CUDA_SUCCESS;
}
ENTRY cuMemFreeHost(void *p) {
	NEED_CONTEXT;
	return free(p), CUDA_SUCCESS;
}
ENTRY cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream s) {
	NEED_CONTEXT;
	NEED_MEMORY(to, bytes);
	counts[COPIES]++;
	return submit(s, [=] { memcpy((void *)to, from, bytes); });
}
ENTRY cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream s) {
	NEED_CONTEXT;
	NEED_MEMORY(from, bytes);
	counts[COPIES]++;
	return submit(s, [=] { memcpy(to, (void *)from, bytes); });
}
ENTRY cuMemsetD8Async(CUdeviceptr p, unsigned char value, size_t bytes, CUstream s) {
	NEED_CONTEXT;
	NEED_MEMORY(p, bytes);
	return submit(s, [=] { memset((void *)p, value, bytes); });
}
ENTRY cuModuleLoadData(CUmodule *module, const void *image) {
	NEED_CONTEXT;
	return *module = (CUmodule) new std::string((const char *)image), CUDA_SUCCESS;
}
ENTRY cuModuleUnload(CUmodule module) { return delete (std::string *)module, CUDA_SUCCESS; }
ENTRY cuModuleGetFunction(CUfunction *f, CUmodule module, const char *name) {
	NEED_CONTEXT;
	const std::string &ptx = *(std::string *)module;
	size_t start = ptx.find(".entry " + std::string(name) + "("), end = ptx.find("{", start);
	Dl_info here;
	dladdr((void *)cuInit, &here);
	kernel run = (kernel)dlsym(dlopen(here.dli_fname, RTLD_NOW), ("standin_" + std::string(name)).c_str());
	if (start == std::string::npos || !run) return CUDA_ERROR_NOT_FOUND;
	size_t parameters = 0;
	for (size_t i = start; (i = ptx.find(".param ", i)) < end; i++) parameters++;
	return *f = (CUfunction) new function{run, parameters}, CUDA_SUCCESS;
}
ENTRY cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, CUstream s,
                     void **parameters, void **) {
	NEED_CONTEXT;
	if (!gx || !gy || !gz || !bx || !by || !bz || gy > 65535 || bx * by * bz > 1024) return CUDA_ERROR_INVALID_VALUE;
	counts[LAUNCHES]++;
	std::vector<uint64_t> values(((function *)f)->parameters);
	for (size_t i = 0; i < values.size(); i++) memcpy(&values[i], parameters[i], 8);
	kernel run = ((function *)f)->run;
	return submit(s, [=]() mutable {
		std::vector<void *> pointers;
		for (auto &v : values) pointers.push_back(&v);
		run({gx, gy, gz}, {bx, by, bz}, pointers.data());
	});
}
ENTRY cuStreamCreate(CUstream *s, unsigned) {
	NEED_CONTEXT;
	return *s = (CUstream) new stream, CUDA_SUCCESS;
}
ENTRY cuStreamDestroy_v2(CUstream s) { return delete (stream *)s, CUDA_SUCCESS; }
ENTRY cuStreamSynchronize(CUstream s) {
	NEED_CONTEXT;
	return s && ((stream *)s)->capture ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}
ENTRY cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream s) {
	NEED_CONTEXT;
	NEED_MEMORY(to, bytes);
	NEED_MEMORY(from, bytes);
	counts[COPIES]++;
	return submit(s, [=] { memcpy((void *)to, (void *)from, bytes); });
}
ENTRY cuEventCreate(CUevent *event, unsigned) {
	NEED_CONTEXT;
	return *event = (CUevent)malloc(1), CUDA_SUCCESS;
}
ENTRY cuEventDestroy_v2(CUevent event) { return free(event), CUDA_SUCCESS; }
ENTRY cuEventRecord(CUevent, CUstream) {
	NEED_CONTEXT;
	return CUDA_SUCCESS;
}
ENTRY cuStreamWaitEvent(CUstream, CUevent, unsigned) {
	NEED_CONTEXT;
	return CUDA_SUCCESS;
}
ENTRY cuEventSynchronize(CUevent) {
	NEED_CONTEXT;
	return CUDA_SUCCESS;
}
ENTRY cuEventElapsedTime(float *milliseconds, CUevent, CUevent) {
	NEED_CONTEXT;
	return *milliseconds = 0.001f, CUDA_SUCCESS;
}

// For the stand-in cuDNN: whether there is a context, whether memory is the
// GPU's, and work to queue.
extern "C" bool standin_context() { return current != nullptr; }
extern "C" bool standin_known(const void *p, size_t bytes) { return known((CUdeviceptr)p, bytes); }
extern "C" void standin_submit(void *s, void (*work)(void *), void *argument) {
	counts[LAUNCHES]++;
	submit((CUstream)s, [=] { work(argument); });
}

ENTRY cuStreamBeginCapture_v2(CUstream s, CUstreamCaptureMode) {
	NEED_CONTEXT;
	return ((stream *)s)->capture = new work, CUDA_SUCCESS;
}
ENTRY cuStreamEndCapture(CUstream s, CUgraph *graph) {
	*graph = (CUgraph)((stream *)s)->capture;
	return ((stream *)s)->capture = nullptr, CUDA_SUCCESS;
}
ENTRY cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long) {
	return *exec = (CUgraphExec) new work(*(work *)graph), CUDA_SUCCESS;
}
ENTRY cuGraphLaunch(CUgraphExec exec, CUstream) {
	NEED_CONTEXT;
	counts[REPLAYS]++;
	for (auto &f : *(work *)exec) f();
	return CUDA_SUCCESS;
}
ENTRY cuGraphExecDestroy(CUgraphExec exec) { return delete (work *)exec, CUDA_SUCCESS; }
ENTRY cuGraphDestroy(CUgraph graph) { return delete (work *)graph, CUDA_SUCCESS; }
