#include "context.h"

using namespace standin;

ENTRY cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode) {
	BEGIN("");
	NEED(handle, "stream");
	stream *s = (stream *)handle;
	if (s->capture) return fault(CUDA_ERROR_ILLEGAL_STATE, "cuStreamBeginCapture of a stream that is captured");
	s->capture = new graph;
	s->capturer = pthread_self();
	s->forked = s->pending = false;
	s->captured.clear();
	return CUDA_SUCCESS;
}
ENTRY cuStreamEndCapture(CUstream handle, CUgraph *made) {
	BEGIN("");
	NEED(handle, "stream");
	stream *s = (stream *)handle;
	graph *g = s->capture;
	if (!g || s->forked) return fault(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "cuStreamEndCapture of a stream whose capture did not begin");
	bool joined = true;
	for (stream *of : streams()) {
		if (of->capture != g) continue;
		joined &= !of->pending;
		of->capture = nullptr;
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
	return *count = ((graph *)handle)->operations.size(), CUDA_SUCCESS;
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
	std::vector<operation> &operations = ((graph *)handle)->operations;
	for (auto &o : operations)
		if (std::string why = wrong(o); !why.empty()) return fault(CUDA_ERROR_INVALID_VALUE, "cuGraphLaunch: " + why);
	if (!s->capture) s->known.join(current->waited);
	for (auto &o : operations) {
		if (s->capture) s->capture->operations.push_back(o), note(s, s->captured, s->capture->touched, o);
		else s->queue.push_back(o), note(s, s->known, current->touched, o);
	}
	current->ledger.counts[GRAPH_LAUNCHES]++;
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
