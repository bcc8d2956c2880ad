// A libcuda.so.1 that computes on the CPU: it runs the kernels' own source. It
// refuses what a driver refuses, and notes what no program should do (see
// ledger.h), though a driver might let it pass. This is what its parts share:
// the context of the thread that calls, and how each call begins.
#ifndef STANDIN_CONTEXT_H
#define STANDIN_CONTEXT_H
#include <cuda.h>

#include <mutex>

#include "ledger.h"
#include "memory.h"
#include "queue.h"

namespace standin {
struct context {
	standin::ledger ledger;
	standin::device_memory memory;
	std::map<void *, size_t> pinned;
	std::map<void *, const char *> handles;  // live ones, and their kind
	stream main;
	touches touched;
	moment waited;  // what the host has waited for
	CUresult lost = CUDA_SUCCESS;  // an error after which a context is of no use
};

inline thread_local context *current;

// capacity is the memory that a context may have in all, in bytes.
size_t capacity();

// fault notes what no program should do, and returns the status.
CUresult fault(CUresult status, const std::string &what);

// begin is at the head of each call.
CUresult begin(const char *call, const std::string &detail, bool needs_context = true);

// Threads that share a context call one after another.
inline std::recursive_mutex calls;

void add(const void *handle, const char *kind);
bool is(const void *handle, const char *kind);

// stream_of is null for a handle that is none.
stream *stream_of(CUstream s);

// Kernels read pinned memory too: it has the same address there.
bool pinned(const void *p, size_t bytes);

inline std::string bytes_of(size_t bytes) { return std::to_string(bytes) + " bytes"; }
}  // namespace standin

#define EXPORTED extern "C" __attribute__((visibility("default")))
#define ENTRY EXPORTED CUresult
#define BEGIN(...)                                               \
	std::lock_guard<std::recursive_mutex> alone(standin::calls); \
	if (CUresult status = standin::begin(__func__, __VA_ARGS__)) return status
#define NEED(handle, kind) \
	if (!standin::is(handle, kind)) return standin::fault(CUDA_ERROR_INVALID_HANDLE, std::string(__func__) + ": no such " kind " in this context")
#define STREAM(variable, handle)                             \
	standin::stream *variable = standin::stream_of(handle);  \
	if (!variable) return standin::fault(CUDA_ERROR_INVALID_HANDLE, std::string(__func__) + ": no such stream in this context")
// What a driver refuses to a thread that captures.
#define NOT_WHILE_CAPTURING \
	if (standin::capturing()) return standin::fault(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, std::string(__func__) + " while a stream is captured")
#endif
