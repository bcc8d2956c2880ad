// What the stand-in driver offers to other libraries that stand in beside it
// (found with dlsym among the process's libraries).
#ifndef STANDIN_DRIVER_H
#define STANDIN_DRIVER_H
#include <cuda.h>

#include <functional>

// Memory that queued work reads or, if so marked, writes too.
struct standin_range {
	CUdeviceptr at;
	size_t bytes;
	bool written;
};

extern "C" {
// Queues work on a stream as a launch of that name; it is recorded while the
// stream is captured. Every range must lie within one live allocation, now and
// when it runs. Null addresses with 0 bytes pass.
CUresult standin_submit(CUstream stream, const char *name, const standin_range *ranges, int count, const std::function<void()> &work);
// Counts and traces a call and says which status it shall answer instead of
// doing its work: 0 unless STANDIN_FAIL asks for one.
int standin_enter(const char *call, const char *detail);
// Whether this thread has a context.
bool standin_context();
// Whether a range lies within one live allocation.
bool standin_known(const void *at, size_t bytes);
}
#endif
