#include <memory>

#include "context.h"

namespace standin {
size_t capacity() {
	const char *bytes = getenv("STANDIN_MEMORY");
	return bytes ? strtoull(bytes, nullptr, 10) : size_t(1) << 30;
}

bool pinned(const void *p, size_t bytes) {
	auto after = current->pinned.upper_bound((void *)p);
	if (after == current->pinned.begin()) return false;
	--after;
	return (char *)p + bytes <= (char *)after->first + after->second;
}
}  // namespace standin

using namespace standin;

static CUresult copy_in(const char *call, CUdeviceptr to, const void *from, size_t bytes, CUstream handle) {
	stream *s = stream_of(handle);
	if (!s) return fault(CUDA_ERROR_INVALID_HANDLE, std::string(call) + ": no such stream in this context");
	std::function<void()> copy = [=] { memcpy((void *)to, from, bytes); };
	if (!pinned(from, bytes)) {
		current->ledger.counts[PAGEABLE]++;
		if (!s->capture) {  // a driver takes such memory's content at once
			auto content = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + bytes);
			copy = [=] { memcpy((void *)to, content->data(), bytes); };
		}
	}
	return submit(s, {call, {{to, bytes, true}}, copy}, COPIES_IN);
}

static CUresult copy_out(const char *call, void *to, CUdeviceptr from, size_t bytes, CUstream handle) {
	stream *s = stream_of(handle);
	if (!s) return fault(CUDA_ERROR_INVALID_HANDLE, std::string(call) + ": no such stream in this context");
	CUresult status = submit(s, {call, {{from, bytes, false}}, [=] { memcpy(to, (void *)from, bytes); }}, COPIES_OUT);
	if (status || pinned(to, bytes)) return status;
	current->ledger.counts[PAGEABLE]++;
	if (s->capture) return status;
	current->waited.join(s->known);  // a driver waits for such memory
	return run(s);
}

static CUresult fill(const char *call, CUdeviceptr p, unsigned value, size_t count, size_t width, CUstream handle) {
	stream *s = stream_of(handle);
	if (!s) return fault(CUDA_ERROR_INVALID_HANDLE, std::string(call) + ": no such stream in this context");
	return submit(s, {call, {{p, count * width, true}}, [=] {
		for (size_t i = 0; i < count; i++) memcpy((char *)p + i * width, &value, width);
	}}, SETS);
}

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
	current->ledger.counts[ALLOCATIONS]++;
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
	current->ledger.counts[FREES]++;
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
	return submit(s, {"cuMemcpyDtoDAsync", {{to, bytes, true}, {from, bytes, false}}, [=] { memmove((void *)to, (void *)from, bytes); }}, COPIES_WITHIN);
}
// Copies that wait: on the main stream, which streams made with
// CU_STREAM_NON_BLOCKING do not wait for, nor it for them.
ENTRY cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
	BEGIN(bytes_of(bytes));
	NOT_WHILE_CAPTURING;
	CUresult status = copy_in("cuMemcpyHtoD", to, from, bytes, nullptr);
	current->waited.join(current->main.known);
	return status ? status : run(&current->main);
}
ENTRY cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
	BEGIN(bytes_of(bytes));
	NOT_WHILE_CAPTURING;
	CUresult status = copy_out("cuMemcpyDtoH", to, from, bytes, nullptr);
	current->waited.join(current->main.known);
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
