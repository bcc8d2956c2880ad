// A libcuda.so.1 that computes on the CPU: it runs the kernels' own source. It
// refuses what a driver refuses, and notes what no program should do (see
// ledger.h), though a driver might let it pass. Work that is queued runs as
// late as it may: when the host waits for it.
#include "driver.h"

#include <dlfcn.h>
#include <pthread.h>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <set>

#include "ledger.h"
#include "memory.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))
#define ENTRY EXPORTED CUresult

namespace {
struct extent {
	unsigned x, y, z;
};
typedef void (*kernel)(extent, extent, void **);

struct function {
	std::string name;
	kernel run;
	size_t parameters;
	unsigned long long pointers;  // a bit for each parameter that is one
};

// A piece of work: its name, the memory that it touches, what it does.
struct operation {
	std::string name;
	std::vector<standin_range> ranges;
	std::function<void()> run;
};
typedef std::vector<operation> graph;

struct stream;
// The place in a stream at which an event was recorded.
struct marker {
	stream *on;
	bool reached = false;
	double at = 0;  // seconds
};
struct stream {
	pthread_t maker = pthread_self();  // work comes from this thread only
	bool blocking = true;
	std::deque<operation> queue;
	graph *capture = nullptr;
	pthread_t capturer;
	bool forked = false;   // joined a capture that another stream began
	bool pending = false;  // forked, with work that its origin does not wait for yet
};
struct event {
	bool timed = true;
	std::shared_ptr<marker> last;
	graph *capture = nullptr;  // recorded in a stream that was captured
	stream *captured = nullptr;
};

struct context {
	standin::ledger ledger;
	standin::device_memory memory;
	std::map<void *, size_t> pinned;
	std::map<void *, const char *> handles;  // live ones, and their kind
	stream main;
	CUresult lost = CUDA_SUCCESS;  // an error after which a context is of no use
};

thread_local context *current;
std::set<context *> contexts;

size_t capacity() {
	const char *bytes = getenv("STANDIN_MEMORY");
	return bytes ? strtoull(bytes, nullptr, 10) : size_t(1) << 30;
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Statuses that, once given, every later call gives as well.
bool sticks(CUresult status) {
	return status == CUDA_ERROR_ECC_UNCORRECTABLE || status == CUDA_ERROR_ILLEGAL_ADDRESS || status == CUDA_ERROR_LAUNCH_TIMEOUT ||
	       (status >= CUDA_ERROR_ASSERT && status <= CUDA_ERROR_LAUNCH_FAILED && status != CUDA_ERROR_TOO_MANY_PEERS &&
	        status != CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED && status != CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

CUresult fault(CUresult status, const std::string &what) {
	if (current) current->ledger.fault(what);
	else fprintf(stderr, "stand-in driver: %s\n", what.c_str());
	return status;
}

// begin is at the head of each call.
CUresult begin(const char *call, const std::string &detail, bool needs_context = true) {
	if (int status = standin::enter(call, detail.c_str())) {
		if (current && sticks((CUresult)status)) current->lost = (CUresult)status;
		return (CUresult)status;
	}
	if (!needs_context) return CUDA_SUCCESS;
	if (!current) return fault(CUDA_ERROR_INVALID_CONTEXT, std::string(call) + " without a context");
	return current->lost;
}
// Threads that share a context call one after another.
std::recursive_mutex calls;
#define BEGIN(...)                                      \
	std::lock_guard<std::recursive_mutex> alone(calls); \
	if (CUresult status = begin(__func__, __VA_ARGS__)) return status

void add(const void *handle, const char *kind) { current->handles[(void *)handle] = kind; }
bool is(const void *handle, const char *kind) {
	auto found = current->handles.find((void *)handle);
	return found != current->handles.end() && !strcmp(found->second, kind);
}
#define NEED(handle, kind) \
	if (!is(handle, kind)) return fault(CUDA_ERROR_INVALID_HANDLE, std::string(__func__) + ": no such " kind " in this context")

// stream_of is null for a handle that is none.
stream *stream_of(CUstream s) {
	if (!s) return &current->main;
	return is(s, "stream") ? (stream *)s : nullptr;
}
#define STREAM(variable, handle)                    \
	stream *variable = stream_of(handle);           \
	if (!variable) return fault(CUDA_ERROR_INVALID_HANDLE, std::string(__func__) + ": no such stream in this context")

// Kernels read pinned memory too: it has the same address there.
bool pinned(const void *p, size_t bytes) {
	auto after = current->pinned.upper_bound((void *)p);
	if (after == current->pinned.begin()) return false;
	--after;
	return (char *)p + bytes <= (char *)after->first + after->second;
}

std::string wrong(const operation &o) {
	for (auto &r : o.ranges)
		if (r.at || r.bytes)
			if (std::string why = current->memory.wrong(r.at, r.bytes); !why.empty() && !pinned((void *)r.at, r.bytes)) return o.name + ": memory " + why;
	return "";
}

CUresult perform(const operation &o) {
	if (current->lost) return current->lost;
	if (std::string why = wrong(o); !why.empty()) {
		current->ledger.fault(why + " (when it runs)");
		return current->lost = CUDA_ERROR_ILLEGAL_ADDRESS;
	}
	o.run();
	return current->lost;
}

CUresult run(stream *s) {
	while (!s->queue.empty()) {
		operation o = std::move(s->queue.front());
		s->queue.pop_front();
		if (CUresult status = perform(o)) return status;
	}
	return CUDA_SUCCESS;
}

CUresult run_all() {
	run(&current->main);
	for (auto &h : current->handles)
		if (!strcmp(h.second, "stream")) run((stream *)h.first);
	return current->lost;
}

// Memory that an operation touches is looked at when it is queued as well:
// what was freed by then is the caller's fault at this call.
CUresult submit(stream *s, operation o, standin::count kind) {
	if (std::string why = wrong(o); !why.empty()) return fault(CUDA_ERROR_INVALID_VALUE, why);
	if (!pthread_equal(s->maker, pthread_self())) current->ledger.fault(o.name + " into a stream that another thread made");
	if (s->capture) {
		if (!pthread_equal(s->capturer, pthread_self())) return fault(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, o.name + " into another thread's capture");
		current->ledger.counts[standin::GRAPH_NODES]++;
		s->capture->push_back(o);
		s->pending = s->forked;
		return CUDA_SUCCESS;
	}
	current->ledger.counts[kind]++;
	if (kind == standin::LAUNCHES) current->ledger.kernels[o.name]++;
	s->queue.push_back(o);
	return CUDA_SUCCESS;
}

bool capturing() {
	for (auto &h : current->handles)
		if (!strcmp(h.second, "stream") && ((stream *)h.first)->capture) return true;
	return false;
}
// What a driver refuses to a thread that captures.
#define NOT_WHILE_CAPTURING \
	if (capturing()) return fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, std::string(__func__) + " while a stream is captured")

std::string bytes_of(size_t bytes) { return std::to_string(bytes) + " bytes"; }

CUresult copy_in(const char *call, CUdeviceptr to, const void *from, size_t bytes, CUstream handle) {
	stream *s = stream_of(handle);
	if (!s) return fault(CUDA_ERROR_INVALID_HANDLE, std::string(call) + ": no such stream in this context");
	std::function<void()> copy = [=] { memcpy((void *)to, from, bytes); };
	if (!pinned(from, bytes)) {
		current->ledger.counts[standin::PAGEABLE]++;
		if (!s->capture) {  // a driver takes such memory's content at once
			auto content = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + bytes);
			copy = [=] { memcpy((void *)to, content->data(), bytes); };
		}
	}
	return submit(s, {call, {{to, bytes}}, copy}, standin::COPIES_IN);
}

CUresult copy_out(const char *call, void *to, CUdeviceptr from, size_t bytes, CUstream handle) {
	stream *s = stream_of(handle);
	if (!s) return fault(CUDA_ERROR_INVALID_HANDLE, std::string(call) + ": no such stream in this context");
	CUresult status = submit(s, {call, {{from, bytes}}, [=] { memcpy(to, (void *)from, bytes); }}, standin::COPIES_OUT);
	if (status || pinned(to, bytes)) return status;
	current->ledger.counts[standin::PAGEABLE]++;
	return s->capture ? status : run(s);  // a driver waits for such memory
}

CUresult fill(const char *call, CUdeviceptr p, unsigned value, size_t count, size_t width, CUstream handle) {
	stream *s = stream_of(handle);
	if (!s) return fault(CUDA_ERROR_INVALID_HANDLE, std::string(call) + ": no such stream in this context");
	return submit(s, {call, {{p, count * width}}, [=] {
		for (size_t i = 0; i < count; i++) memcpy((char *)p + i * width, &value, width);
	}}, standin::SETS);
}

// Everything in a context that was not given back, for its report.
std::vector<std::string> left(context *c) {
	std::vector<std::string> what;
	c->memory.each_live([&](CUdeviceptr, size_t bytes) { what.push_back("memory of " + bytes_of(bytes)); });
	for (auto &p : c->pinned) what.push_back("pinned memory of " + bytes_of(p.second));
	for (auto &h : c->handles) what.push_back(h.second);
	return what;
}
}  // namespace

EXPORTED int standin_enter(const char *call, const char *detail) { return standin::enter(call, detail); }
EXPORTED bool standin_context() { return current; }
EXPORTED bool standin_known(const void *at, size_t bytes) {
	std::lock_guard<std::recursive_mutex> alone(calls);
	return current->memory.wrong((CUdeviceptr)at, bytes).empty();
}
EXPORTED CUresult standin_submit(CUstream handle, const char *name, const standin_range *ranges, int count, const std::function<void()> &work) {
	std::lock_guard<std::recursive_mutex> alone(calls);
	if (!current) return fault(CUDA_ERROR_INVALID_CONTEXT, std::string(name) + " without a context");
	STREAM(s, handle);
	return submit(s, {name, std::vector<standin_range>(ranges, ranges + count), work}, standin::LAUNCHES);
}

// --- the device ---

ENTRY cuInit(unsigned) { return begin(__func__, "", false); }
ENTRY cuDriverGetVersion(int *version) {
	BEGIN("", false);
	const char *stated = getenv("STANDIN_VERSION");
	return *version = stated ? atoi(stated) : 12000, CUDA_SUCCESS;
}
ENTRY cuDeviceGetCount(int *count) {
	BEGIN("", false);
	const char *stated = getenv("STANDIN_DEVICES");
	return *count = stated ? atoi(stated) : 1, CUDA_SUCCESS;
}
ENTRY cuDeviceGet(CUdevice *device, int i) {
	BEGIN("", false);
	return *device = i, i ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}
ENTRY cuDeviceGetName(char *name, int length, CUdevice) {
	BEGIN("", false);
	return snprintf(name, length, "stand-in"), CUDA_SUCCESS;
}
ENTRY cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
	BEGIN("", false);
	return *bytes = capacity(), CUDA_SUCCESS;
}
ENTRY cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
	BEGIN(std::to_string(attribute), false);
	switch (attribute) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 8; break;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 4; break;
	case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *value = 1000000; break;         // kHz
	case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *value = 1000000; break;  // kHz
	case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = 64; break;
	default: *value = 0;
	}
	return CUDA_SUCCESS;
}

ENTRY cuDeviceComputeCapability(int *major, int *minor, CUdevice) {
	BEGIN("", false);
	return *major = 8, *minor = 0, CUDA_SUCCESS;
}

// --- contexts ---

static context *new_context() {
	context *c = new context;
	contexts.insert(c);
	return c;
}
// What is left when a context ends is written down. The context itself stays:
// its addresses shall not come again.
static void end(context *c) {
	if (c == current) run_all();
	if (!c->lost)  // a lost context takes nothing back
		for (auto &what : left(c)) c->ledger.fault("left when the context ends: " + what);
	c->ledger.write(left(c));
	contexts.erase(c);
	if (c == current) current = nullptr;
}
ENTRY cuCtxCreate_v2(CUcontext *made, unsigned, CUdevice) {
	BEGIN("", false);
	return *made = (CUcontext)(current = new_context()), CUDA_SUCCESS;
}
ENTRY cuCtxDestroy_v2(CUcontext handle) {
	BEGIN("", false);
	if (!contexts.count((context *)handle)) return fault(CUDA_ERROR_INVALID_CONTEXT, "cuCtxDestroy of what is no context");
	return end((context *)handle), CUDA_SUCCESS;
}
// The primary context ends when as many give it back as took it.
static context *primary;
static int primary_users;
ENTRY cuDevicePrimaryCtxRetain(CUcontext *taken, CUdevice) {
	BEGIN("", false);
	if (!primary_users++) primary = new_context();
	return *taken = (CUcontext)primary, CUDA_SUCCESS;
}
ENTRY cuDevicePrimaryCtxRelease_v2(CUdevice) {
	BEGIN("", false);
	if (!primary_users) return fault(CUDA_ERROR_INVALID_CONTEXT, "cuDevicePrimaryCtxRelease of a context that nobody has");
	if (!--primary_users) end(primary);
	return CUDA_SUCCESS;
}
ENTRY cuCtxSetCurrent(CUcontext handle) {
	BEGIN("", false);
	if (handle && !contexts.count((context *)handle)) return fault(CUDA_ERROR_INVALID_CONTEXT, "cuCtxSetCurrent to what is no context");
	return current = (context *)handle, CUDA_SUCCESS;
}
ENTRY cuCtxGetCurrent(CUcontext *handle) {
	BEGIN("", false);
	return *handle = (CUcontext)current, CUDA_SUCCESS;
}
ENTRY cuCtxSynchronize() {
	BEGIN("");
	NOT_WHILE_CAPTURING;
	current->ledger.counts[standin::WAITS]++;
	return run_all();
}

// --- memory ---

ENTRY cuMemGetInfo_v2(size_t *available, size_t *total) {
	BEGIN("");
	*total = capacity();
	*available = *total - std::min(*total, current->ledger.bytes);
	return CUDA_SUCCESS;
}
ENTRY cuMemAlloc_v2(CUdeviceptr *p, size_t bytes) {
	BEGIN(bytes_of(bytes));
	NOT_WHILE_CAPTURING;
	if (!bytes) return CUDA_ERROR_INVALID_VALUE;
	size_t left = capacity() - std::min(capacity(), current->ledger.bytes);
	if (bytes > left || !(*p = current->memory.allocate(bytes))) return CUDA_ERROR_OUT_OF_MEMORY;
	current->ledger.counts[standin::ALLOCATIONS]++;
	current->ledger.bytes += bytes;
	current->ledger.peak_bytes = std::max(current->ledger.peak_bytes, current->ledger.bytes);
	return CUDA_SUCCESS;
}
ENTRY cuMemFree_v2(CUdeviceptr p) {
	BEGIN("");
	NOT_WHILE_CAPTURING;
	CUresult status = run_all();  // as a driver does
	size_t bytes = current->memory.release(p);
	if (!bytes) return fault(CUDA_ERROR_INVALID_VALUE, "cuMemFree of an address at which nothing live begins");
	current->ledger.counts[standin::FREES]++;
	current->ledger.bytes -= bytes;
	return status;
}
ENTRY cuMemAllocHost_v2(void **p, size_t bytes) {
	BEGIN(bytes_of(bytes));
	NOT_WHILE_CAPTURING;
	if (!(*p = malloc(bytes))) return CUDA_ERROR_OUT_OF_MEMORY;
	memset(*p, 0xCD, bytes);
	current->pinned[*p] = bytes;
	return CUDA_SUCCESS;
}
ENTRY cuMemHostAlloc(void **p, size_t bytes, unsigned) { return cuMemAllocHost_v2(p, bytes); }
ENTRY cuMemFreeHost(void *p) {
	BEGIN("");
	NOT_WHILE_CAPTURING;
	CUresult status = run_all();
	if (!current->pinned.erase(p)) return fault(CUDA_ERROR_INVALID_VALUE, "cuMemFreeHost of an address at which nothing pinned begins");
	return free(p), status;
}
ENTRY cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream s) {
	BEGIN(bytes_of(bytes));
	return copy_in("cuMemcpyHtoDAsync", to, from, bytes, s);
}
ENTRY cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream s) {
	BEGIN(bytes_of(bytes));
	return copy_out("cuMemcpyDtoHAsync", to, from, bytes, s);
}
ENTRY cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream handle) {
	BEGIN(bytes_of(bytes));
	STREAM(s, handle);
	return submit(s, {"cuMemcpyDtoDAsync", {{to, bytes}, {from, bytes}}, [=] { memmove((void *)to, (void *)from, bytes); }}, standin::COPIES_WITHIN);
}
// Copies that wait: on the main stream, which streams made with
// CU_STREAM_NON_BLOCKING do not wait for, nor it for them.
ENTRY cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
	BEGIN(bytes_of(bytes));
	NOT_WHILE_CAPTURING;
	CUresult status = copy_in("cuMemcpyHtoD", to, from, bytes, nullptr);
	return status ? status : run(&current->main);
}
ENTRY cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
	BEGIN(bytes_of(bytes));
	NOT_WHILE_CAPTURING;
	CUresult status = copy_out("cuMemcpyDtoH", to, from, bytes, nullptr);
	return status ? status : run(&current->main);
}
ENTRY cuMemsetD8Async(CUdeviceptr p, unsigned char value, size_t count, CUstream s) {
	BEGIN(bytes_of(count));
	return fill("cuMemsetD8Async", p, value, count, 1, s);
}
ENTRY cuMemsetD16Async(CUdeviceptr p, unsigned short value, size_t count, CUstream s) {
	BEGIN(bytes_of(2 * count));
	return fill("cuMemsetD16Async", p, value, count, 2, s);
}
ENTRY cuMemsetD32Async(CUdeviceptr p, unsigned value, size_t count, CUstream s) {
	BEGIN(bytes_of(4 * count));
	return fill("cuMemsetD32Async", p, value, count, 4, s);
}

// --- kernels ---

ENTRY cuModuleLoadData(CUmodule *module, const void *image) {
	BEGIN("");
	*module = (CUmodule) new std::string((const char *)image);
	add(*module, "module");
	return CUDA_SUCCESS;
}
ENTRY cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned, CUjit_option *, void **) {
	BEGIN("");
	*module = (CUmodule) new std::string((const char *)image);
	add(*module, "module");
	return CUDA_SUCCESS;
}
ENTRY cuModuleUnload(CUmodule module) {
	BEGIN("");
	NEED(module, "module");
	return current->handles.erase(module), delete (std::string *)module, CUDA_SUCCESS;
}
ENTRY cuModuleGetFunction(CUfunction *f, CUmodule module, const char *name) {
	BEGIN(name);
	NEED(module, "module");
	static std::map<std::string, function *> functions;  // for good: a module's functions end with it, their handles don't matter
	const std::string &ptx = *(std::string *)module;
	size_t start = ptx.find(".entry " + std::string(name) + "("), end = ptx.find("{", start);
	Dl_info here;
	dladdr((void *)cuInit, &here);
	void *self = dlopen(here.dli_fname, RTLD_NOW);
	kernel run = (kernel)dlsym(self, ("standin_" + std::string(name)).c_str());
	auto *pointers = (const unsigned long long *)dlsym(self, ("standin_pointers_" + std::string(name)).c_str());
	if (start == std::string::npos || !run || !pointers) return CUDA_ERROR_NOT_FOUND;
	size_t parameters = 0;
	for (size_t i = start; (i = ptx.find(".param ", i)) < end; i++) parameters++;
	function *&made = functions[name];
	if (!made) made = new function{name, run, parameters, *pointers};
	return *f = (CUfunction)made, CUDA_SUCCESS;
}
ENTRY cuFuncSetAttribute(CUfunction f, CUfunction_attribute, int) { return begin(__func__, ((function *)f)->name); }
ENTRY cuLaunchKernel(CUfunction handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, CUstream s,
                     void **parameters, void **) {
	function &f = *(function *)handle;
	BEGIN(f.name);
	STREAM(on, s);
	if (!gx || !gy || !gz || !bx || !by || !bz || gx > 0x7fffffff || gy > 65535 || gz > 65535 || bx * by * bz > 1024) return CUDA_ERROR_INVALID_VALUE;
	std::vector<uint64_t> values(f.parameters);
	std::vector<standin_range> ranges;
	for (size_t i = 0; i < values.size(); i++) {
		memcpy(&values[i], parameters[i], 8);
		if (f.pointers >> i & 1 && values[i]) ranges.push_back({(CUdeviceptr)values[i], 1});
	}
	kernel run = f.run;
	return submit(on, {f.name, ranges, [=]() mutable {
		std::vector<void *> pointers;
		for (auto &v : values) pointers.push_back(&v);
		run({gx, gy, gz}, {bx, by, bz}, pointers.data());
	}}, standin::LAUNCHES);
}
ENTRY cuLaunchHostFunc(CUstream handle, CUhostFn f, void *argument) {
	BEGIN("");
	STREAM(s, handle);
	return submit(s, {"a function of the host", {}, [=] { f(argument); }}, standin::LAUNCHES);
}

// --- streams and events ---

ENTRY cuStreamCreate(CUstream *made, unsigned flags) {
	BEGIN("");
	NOT_WHILE_CAPTURING;
	stream *s = new stream;
	s->blocking = !(flags & CU_STREAM_NON_BLOCKING);
	add(s, "stream");
	return *made = (CUstream)s, CUDA_SUCCESS;
}
ENTRY cuStreamCreateWithPriority(CUstream *made, unsigned flags, int) { return cuStreamCreate(made, flags); }
ENTRY cuStreamDestroy_v2(CUstream handle) {
	BEGIN("");
	NEED(handle, "stream");
	CUresult status = run((stream *)handle);
	current->handles.erase(handle);
	return status;  // the stream stays, for markers on it
}
ENTRY cuStreamSynchronize(CUstream handle) {
	BEGIN("");
	STREAM(s, handle);
	if (s->capture) return fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuStreamSynchronize of a stream that is captured");
	current->ledger.counts[standin::WAITS]++;
	return run(s);
}
ENTRY cuStreamQuery(CUstream handle) {
	BEGIN("");
	STREAM(s, handle);
	return run(s);
}
ENTRY cuStreamWaitEvent(CUstream handle, CUevent awaited, unsigned) {
	BEGIN("");
	STREAM(s, handle);
	NEED(awaited, "event");
	event *e = (event *)awaited;
	if (e->capture) {
		if (s->capture && s->capture != e->capture) return fault(CUDA_ERROR_STREAM_CAPTURE_MERGE, "cuStreamWaitEvent across two captures");
		if (!s->capture) s->capture = e->capture, s->capturer = pthread_self(), s->forked = true;
		e->captured->pending = false;
		return CUDA_SUCCESS;
	}
	if (s->capture) return fault(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "cuStreamWaitEvent in a capture for an event outside of it");
	if (std::shared_ptr<marker> m = e->last)
		s->queue.push_back({"wait", {}, [=] {
			while (!m->reached && !m->on->queue.empty()) {
				operation o = std::move(m->on->queue.front());
				m->on->queue.pop_front();
				if (perform(o)) return;
			}
		}});
	return CUDA_SUCCESS;
}
ENTRY cuEventCreate(CUevent *made, unsigned flags) {
	BEGIN("");
	event *e = new event;
	e->timed = !(flags & CU_EVENT_DISABLE_TIMING);
	add(e, "event");
	return *made = (CUevent)e, CUDA_SUCCESS;
}
ENTRY cuEventDestroy_v2(CUevent handle) {
	BEGIN("");
	NEED(handle, "event");
	return current->handles.erase(handle), delete (event *)handle, CUDA_SUCCESS;
}
ENTRY cuEventRecord(CUevent handle, CUstream on) {
	BEGIN("");
	NEED(handle, "event");
	STREAM(s, on);
	event *e = (event *)handle;
	e->capture = s->capture;
	e->captured = s;
	if (s->capture) return CUDA_SUCCESS;
	current->ledger.counts[standin::EVENTS]++;
	std::shared_ptr<marker> m = e->last = std::make_shared<marker>();
	m->on = s;
	s->queue.push_back({"event", {}, [=] { m->reached = true, m->at = now(); }});
	return CUDA_SUCCESS;
}
ENTRY cuEventSynchronize(CUevent handle) {
	BEGIN("");
	NEED(handle, "event");
	event *e = (event *)handle;
	if (e->capture) return fault(CUDA_ERROR_CAPTURED_EVENT, "cuEventSynchronize of an event that was captured");
	current->ledger.counts[standin::WAITS]++;
	return e->last && !e->last->reached ? run(e->last->on) : CUDA_SUCCESS;
}
ENTRY cuEventQuery(CUevent handle) {
	BEGIN("");
	NEED(handle, "event");
	event *e = (event *)handle;
	return e->last && !e->last->reached ? run(e->last->on) : CUDA_SUCCESS;
}
ENTRY cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to) {
	BEGIN("");
	NEED(from, "event");
	NEED(to, "event");
	event *a = (event *)from, *b = (event *)to;
	if (!a->timed || !b->timed || !a->last || !b->last) return CUDA_ERROR_INVALID_HANDLE;
	if (!a->last->reached || !b->last->reached) return CUDA_ERROR_NOT_READY;
	return *milliseconds = float(1e3 * (b->last->at - a->last->at)), CUDA_SUCCESS;
}

// --- graphs ---

ENTRY cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode) {
	BEGIN("");
	NEED(handle, "stream");
	stream *s = (stream *)handle;
	if (s->capture) return fault(CUDA_ERROR_ILLEGAL_STATE, "cuStreamBeginCapture of a stream that is captured");
	s->capture = new graph;
	s->capturer = pthread_self();
	s->forked = s->pending = false;
	return CUDA_SUCCESS;
}
ENTRY cuStreamEndCapture(CUstream handle, CUgraph *made) {
	BEGIN("");
	NEED(handle, "stream");
	stream *s = (stream *)handle;
	graph *g = s->capture;
	if (!g || s->forked) return fault(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "cuStreamEndCapture of a stream whose capture did not begin");
	bool joined = true;
	for (auto &h : current->handles) {
		if (strcmp(h.second, "stream") || ((stream *)h.first)->capture != g) continue;
		joined &= !((stream *)h.first)->pending;
		((stream *)h.first)->capture = nullptr;
	}
	if (!joined) return fault(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "cuStreamEndCapture before a forked stream is joined again");
	add(g, "graph");
	return *made = (CUgraph)g, CUDA_SUCCESS;
}
ENTRY cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
	BEGIN("");
	STREAM(s, handle);
	return *status = s->capture ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE, CUDA_SUCCESS;
}
ENTRY cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
	BEGIN("");
	NEED(handle, "graph");
	if (nodes) return CUDA_ERROR_NOT_SUPPORTED;
	return *count = ((graph *)handle)->size(), CUDA_SUCCESS;
}
ENTRY cuGraphInstantiateWithFlags(CUgraphExec *made, CUgraph handle, unsigned long long) {
	BEGIN("");
	NEED(handle, "graph");
	graph *g = new graph(*(graph *)handle);
	add(g, "instantiated graph");
	return *made = (CUgraphExec)g, CUDA_SUCCESS;
}
ENTRY cuGraphUpload(CUgraphExec handle, CUstream on) {
	BEGIN("");
	NEED(handle, "instantiated graph");
	STREAM(s, on);
	return s->capture ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}
ENTRY cuGraphLaunch(CUgraphExec handle, CUstream on) {
	BEGIN("");
	NEED(handle, "instantiated graph");
	STREAM(s, on);
	for (auto &o : *(graph *)handle)
		if (std::string why = wrong(o); !why.empty()) return fault(CUDA_ERROR_INVALID_VALUE, "cuGraphLaunch: " + why);
	if (s->capture) s->capture->insert(s->capture->end(), ((graph *)handle)->begin(), ((graph *)handle)->end());
	else s->queue.insert(s->queue.end(), ((graph *)handle)->begin(), ((graph *)handle)->end());
	current->ledger.counts[standin::GRAPH_LAUNCHES]++;
	return CUDA_SUCCESS;
}
ENTRY cuGraphExecDestroy(CUgraphExec handle) {
	BEGIN("");
	NEED(handle, "instantiated graph");
	return current->handles.erase(handle), delete (graph *)handle, CUDA_SUCCESS;
}
ENTRY cuGraphDestroy(CUgraph handle) {
	BEGIN("");
	NEED(handle, "graph");
	return current->handles.erase(handle), delete (graph *)handle, CUDA_SUCCESS;
}

// --- errors ---

static const struct {
	CUresult status;
	int number;
	const char *name;
} names[] = {
#include "statuses.h"
};
ENTRY cuGetErrorName(CUresult status, const char **name) {
	for (auto &n : names)
		if (n.status == status) return *name = n.name, CUDA_SUCCESS;
	return *name = nullptr, CUDA_ERROR_INVALID_VALUE;
}
ENTRY cuGetErrorString(CUresult status, const char **text) { return cuGetErrorName(status, text); }
