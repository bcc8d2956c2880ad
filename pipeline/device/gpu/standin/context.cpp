#include "context.h"

#include <set>

namespace standin {
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

CUresult begin(const char *call, const std::string &detail, bool needs_context) {
	if (int status = enter(call, detail.c_str())) {
		if (current && sticks((CUresult)status)) current->lost = (CUresult)status;
		return (CUresult)status;
	}
	if (!needs_context) return CUDA_SUCCESS;
	if (!current) return fault(CUDA_ERROR_INVALID_CONTEXT, std::string(call) + " without a context");
	return current->lost;
}

void add(const void *handle, const char *kind) { current->handles[(void *)handle] = kind; }
bool is(const void *handle, const char *kind) {
	auto found = current->handles.find((void *)handle);
	return found != current->handles.end() && !strcmp(found->second, kind);
}

stream *stream_of(CUstream s) {
	if (!s) return &current->main;
	return is(s, "stream") ? (stream *)s : nullptr;
}
}  // namespace standin

using namespace standin;

static std::set<context *> contexts;

// Everything in a context that was not given back, for its report.
static std::vector<std::string> left(context *c) {
	std::vector<std::string> what;
	c->memory.each_live([&](CUdeviceptr, size_t bytes) { what.push_back("memory of " + bytes_of(bytes)); });
	for (auto &p : c->pinned) what.push_back("pinned memory of " + bytes_of(p.second));
	for (auto &h : c->handles) what.push_back(h.second);
	return what;
}

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
	current->ledger.counts[WAITS]++;
	return run_all();
}
