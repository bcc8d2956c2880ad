#include "context.h"

namespace standin {
std::string wrong(const operation &o) {
	for (auto &r : o.ranges)
		if (r.at || r.bytes)
			if (std::string why = current->memory.wrong(r.at, r.bytes); !why.empty() && !pinned((void *)r.at, r.bytes)) return o.name + ": memory " + why;
	return "";
}

CUresult step(stream *s) {
	operation o = std::move(s->queue.front());
	s->queue.pop_front();
	if (current->lost) return current->lost;
	if (std::string why = wrong(o); !why.empty()) {
		current->ledger.fault(why + " (when it runs)");
		return current->lost = CUDA_ERROR_ILLEGAL_ADDRESS;
	}
	o.run();
	return current->lost;
}

void note(const stream *s, moment &known, touches &touched, const operation &o) {
	known[s]++;
	for (auto &r : o.ranges) {
		CUdeviceptr allocation = current->memory.beginning(r.at);
		if (!allocation) continue; // pinned
		if (std::string other = touched.add(s, known, o.name, allocation, r); !other.empty())
			current->ledger.fault(o.name + " touches memory that " + other + " touches, and neither is ordered behind the other");
	}
}

CUresult run(stream *s) {
	while (!s->queue.empty())
		if (CUresult status = step(s)) return status;
	return CUDA_SUCCESS;
}

CUresult run_all() {
	current->waited.join(current->main.known);
	run(&current->main);
	for (stream *s : streams()) {
		current->waited.join(s->known);
		run(s);
	}
	return current->lost;
}

std::vector<stream *> streams() {
	std::vector<stream *> all;
	for (auto &h : current->handles)
		if (!strcmp(h.second, "stream")) all.push_back((stream *)h.first);
	return all;
}

CUresult submit(stream *s, operation o, count kind) {
	if (std::string why = wrong(o); !why.empty()) return fault(CUDA_ERROR_INVALID_VALUE, why);
	if (!pthread_equal(s->maker, pthread_self())) current->ledger.fault(o.name + " into a stream that another thread made");
	if (s->capture) {
		if (!pthread_equal(s->capturer, pthread_self())) return fault(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, o.name + " into another thread's capture");
		current->ledger.counts[GRAPH_NODES]++;
		s->capture->operations.push_back(o);
		note(s, s->captured, s->capture->touched, o);
		s->pending = s->forked;
		return CUDA_SUCCESS;
	}
	current->ledger.counts[kind]++;
	if (kind == LAUNCHES) current->ledger.kernels[o.name]++;
	s->known.join(current->waited);
	note(s, s->known, current->touched, o);
	s->queue.push_back(o);
	return CUDA_SUCCESS;
}

bool capturing() {
	for (stream *s : streams())
		if (s->capture) return true;
	return false;
}
}  // namespace standin

EXPORTED int standin_enter(const char *call, const char *detail) { return standin::enter(call, detail); }
EXPORTED bool standin_context() { return standin::current; }
EXPORTED bool standin_known(const void *at, size_t bytes) {
	std::lock_guard<std::recursive_mutex> alone(standin::calls);
	return standin::current->memory.wrong((CUdeviceptr)at, bytes).empty();
}
EXPORTED CUresult standin_submit(CUstream handle, const char *name, const standin_range *ranges, int count, const std::function<void()> &work) {
	std::lock_guard<std::recursive_mutex> alone(standin::calls);
	if (!standin::current) return standin::fault(CUDA_ERROR_INVALID_CONTEXT, std::string(name) + " without a context");
	STREAM(s, handle);
	return standin::submit(s, {name, std::vector<standin_range>(ranges, ranges + count), work}, standin::LAUNCHES);
}
