#include <chrono>
#include <memory>

#include "context.h"

using namespace standin;

namespace {
// The place in a stream at which an event was recorded.
struct marker {
	stream *on;
	moment known;  // what is ordered before it
	bool reached = false;
	double at = 0;  // seconds
};

struct event {
	bool timed = true;
	std::shared_ptr<marker> last;
	graph *capture = nullptr;  // recorded in a stream that was captured
	stream *captured = nullptr;
	moment known;  // within that capture
};

// The host has waited for an event.
CUresult waited(event *e) {
	if (!e->last) return CUDA_SUCCESS;
	current->waited.join(e->last->known);
	return e->last->reached ? CUDA_SUCCESS : run(e->last->on);
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
}  // namespace

ENTRY cuStreamCreate(CUstream *made, unsigned) {
	BEGIN("");
	NOT_WHILE_CAPTURING;
	stream *s = new stream;
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
	current->ledger.counts[WAITS]++;
	current->waited.join(s->known);
	return run(s);
}
ENTRY cuStreamQuery(CUstream handle) {
	BEGIN("");
	STREAM(s, handle);
	current->waited.join(s->known);
	return run(s);
}
ENTRY cuStreamWaitEvent(CUstream handle, CUevent awaited, unsigned) {
	BEGIN("");
	STREAM(s, handle);
	NEED(awaited, "event");
	event *e = (event *)awaited;
	if (e->capture) {
		if (s->capture && s->capture != e->capture) return fault(CUDA_ERROR_STREAM_CAPTURE_MERGE, "cuStreamWaitEvent across two captures");
		if (!s->capture) s->capture = e->capture, s->capturer = pthread_self(), s->forked = true, s->captured.clear();
		s->captured.join(e->known);
		e->captured->pending = false;
		return CUDA_SUCCESS;
	}
	if (s->capture) return fault(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "cuStreamWaitEvent in a capture for an event outside of it");
	if (std::shared_ptr<marker> m = e->last) {
		s->known.join(m->known);
		s->queue.push_back({"wait", {}, [=] {
			while (!m->reached && !m->on->queue.empty())
				if (step(m->on)) return;
		}});
	}
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
	e->known = s->captured;
	if (s->capture) return CUDA_SUCCESS;
	current->ledger.counts[EVENTS]++;
	std::shared_ptr<marker> m = e->last = std::make_shared<marker>();
	m->on = s;
	m->known = s->known;
	s->queue.push_back({"event", {}, [=] { m->reached = true, m->at = now(); }});
	return CUDA_SUCCESS;
}
ENTRY cuEventSynchronize(CUevent handle) {
	BEGIN("");
	NEED(handle, "event");
	event *e = (event *)handle;
	if (e->capture) return fault(CUDA_ERROR_CAPTURED_EVENT, "cuEventSynchronize of an event that was captured");
	current->ledger.counts[WAITS]++;
	return waited(e);
}
ENTRY cuEventQuery(CUevent handle) {
	BEGIN("");
	NEED(handle, "event");
	return waited((event *)handle);
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
