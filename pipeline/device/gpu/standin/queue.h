// Work that is queued on streams. It runs as late as it may: when the host
// waits for it.
#ifndef STANDIN_QUEUE_H
#define STANDIN_QUEUE_H
#include <cuda.h>
#include <pthread.h>

#include <deque>
#include <string>
#include <vector>

#include "driver.h"
#include "ledger.h"
#include "order.h"

namespace standin {
// A piece of work: its name, the memory that it touches, what it does.
struct operation {
	std::string name;
	std::vector<standin_range> ranges;
	std::function<void()> run;
};
struct graph {
	std::vector<operation> operations;
	touches touched;
};

struct stream {
	pthread_t maker = pthread_self();  // work comes from this thread only
	std::deque<operation> queue;
	moment known;     // what is ordered before its next operation
	moment captured;  // the same within its capture
	graph *capture = nullptr;
	pthread_t capturer;
	bool forked = false;   // joined a capture that another stream began
	bool pending = false;  // forked, with work that its origin does not wait for yet
};

// submit queues work, or adds it to the stream's capture. Memory that it
// touches is looked at then as well as when it runs: what was freed by then is
// the caller's fault at this call.
CUresult submit(stream *s, operation o, count kind);

// note looks whether an operation is ordered behind all that touch its memory.
void note(const stream *s, moment &known, touches &touched, const operation &o);

// wrong says what is wrong with the memory that an operation touches, "" if nothing.
std::string wrong(const operation &o);

// step performs what is queued first on a stream; run and run_all what is
// queued on it, and on all of the context's.
CUresult step(stream *s);
CUresult run(stream *s);
CUresult run_all();

// streams are those that the context's callers made.
std::vector<stream *> streams();

// capturing says whether any of them is captured.
bool capturing();
}  // namespace standin
#endif
