// What is ordered before what. Two streams may touch the same memory, one of them
// writing, only where an event or the host orders them: a driver would let it
// pass, and give one result or another.
#ifndef STANDIN_ORDER_H
#define STANDIN_ORDER_H
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "driver.h"

namespace standin {
// How many operations of each stream have ended before (Lamport, "Time, clocks,
// and the ordering of events in a distributed system", 1978; as vectors: Fidge
// and Mattern, 1988).
struct moment : std::map<const void *, long> {
	void join(const moment &other) {
		for (auto &o : other) (*this)[o.first] = std::max((*this)[o.first], o.second);
	}
};

// Who touched which memory last.
class touches {
	struct touch {
		const void *stream = nullptr;
		long number = 0;
		std::string name;

		bool before(const moment &known) const {
			auto found = known.find(stream);
			return !stream || (found != known.end() && number <= found->second);
		}
	};
	struct place {
		touch written;
		std::map<const void *, touch> read;
	};
	// By the allocation, then by beginning and bytes within it. A kernel's
	// ranges have one byte, since how much it touches is not known.
	std::map<CUdeviceptr, std::map<std::pair<CUdeviceptr, size_t>, place>> allocations;

public:
	// Notes what the stream's next operation touches, and says which earlier one
	// that does not go with; "" if there is none.
	std::string add(const void *stream, moment &known, const std::string &name, CUdeviceptr allocation, const standin_range &r) {
		auto &places = allocations[allocation];
		std::string other;
		auto meet = [&](const touch &t) {
			if (!t.before(known)) other = t.name;
		};
		for (auto &p : places) {
			if (p.first.first >= r.at + r.bytes || r.at >= p.first.first + p.first.second) continue;
			meet(p.second.written);
			if (r.written)
				for (auto &t : p.second.read) meet(t.second);
		}
		place &here = places[{r.at, r.bytes}];
		touch now{stream, known[stream], name};
		if (r.written) here = {now, {}};
		else here.read[stream] = now;
		return other;
	}
};
}  // namespace standin
#endif
