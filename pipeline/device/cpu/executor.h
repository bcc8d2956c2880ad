// A thread that runs operations in the order in which they are submitted.
//
// OpenMP keeps a team of threads for each thread that opens parallel regions,
// and Go moves goroutines between threads; so all work is given to one thread
// of our own. As a gain, submitting does not wait.
#pragma once
#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { arguments_limit = 256 };

typedef struct executor executor;

// NULL where no thread can be started.
executor *executor_new(int threads);

// Copies the arguments and queues the operation. Waits only while the queue is
// full. Operations behind a failed one are not run until someone has waited.
void executor_submit(executor *, operation, const void *arguments, size_t size);

// Waits until the queue is empty and returns the text of the first failure, or
// NULL. The text lives until the next failure.
const char *executor_wait(executor *);

// Runs to_blocked or from_blocked on memory that is only lent for the call.
void executor_convert(executor *, operation, const float *from, float *to, int batch, int height, int width, int channels, int threads);

void executor_free(executor *);

// Zeroed memory, aligned to a cache line or, if large, to a huge page.
void *memory_new(size_t bytes);

#ifdef __cplusplus
}
#endif
