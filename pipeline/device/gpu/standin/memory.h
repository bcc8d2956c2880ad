// The stand-in driver's memory. What is freed stays unmapped for good (under
// AddressSanitizer: poisoned), so that no later allocation hides its use; what
// is new is full of 0xCD; a page that nobody may touch follows each
// allocation.
#ifndef STANDIN_MEMORY_H
#define STANDIN_MEMORY_H
#include <cuda.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace standin {
class device_memory {
	struct block {
		size_t bytes;
		bool live;
	};
	std::map<CUdeviceptr, block> blocks;  // freed ones included

	const std::pair<const CUdeviceptr, block> *find(CUdeviceptr p) const {
		auto after = blocks.upper_bound(p);
		if (after == blocks.begin()) return nullptr;
		--after;
		return p < after->first + after->second.bytes ? &*after : nullptr;
	}

public:
	CUdeviceptr allocate(size_t bytes) {
		size_t rounded = (bytes + 255) / 256 * 256;
		char *p;
#ifdef __SANITIZE_ADDRESS__
		if (posix_memalign((void **)&p, 256, bytes)) return 0;  // its end is exact
#else
		size_t page = sysconf(_SC_PAGESIZE), pages = (rounded + page - 1) / page * page;
		p = (char *)mmap(nullptr, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED) return 0;
		mprotect(p + pages, page, PROT_NONE);
		p += pages - rounded;
#endif
		memset(p, 0xCD, bytes);
		blocks[(CUdeviceptr)p] = {bytes, true};
		return (CUdeviceptr)p;
	}

	// Frees and says how much; 0 if nothing live begins there.
	size_t release(CUdeviceptr p) {
		auto found = blocks.find(p);
		if (found == blocks.end() || !found->second.live) return 0;
		found->second.live = false;
		size_t bytes = found->second.bytes;
#ifdef __SANITIZE_ADDRESS__
		ASAN_POISON_MEMORY_REGION((void *)p, bytes);
#else
		size_t page = sysconf(_SC_PAGESIZE), start = p / page * page, end = (p + bytes + page - 1) / page * page;
		mmap((void *)start, end - start, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
#endif
		return bytes;
	}

	// Says what is wrong with a range, "" if it lies within a live allocation.
	std::string wrong(CUdeviceptr p, size_t bytes) const {
		auto found = find(p);
		if (!found) return "is at an address that was never allocated";
		size_t offset = p - found->first, size = found->second.bytes;
		std::string where = " byte " + std::to_string(offset) + " of an allocation of " + std::to_string(size);
		if (!found->second.live) return "is in freed memory:" + where;
		if (bytes > size - offset) return "of " + std::to_string(bytes) + " bytes runs over the end from" + where;
		return "";
	}

	// Where the allocation begins that holds p; 0 if none does.
	CUdeviceptr beginning(CUdeviceptr p) const {
		auto found = find(p);
		return found ? found->first : 0;
	}

	size_t size(CUdeviceptr p) const { return blocks.at(p).bytes; }

	template <class F>
	void each_live(F visit) const {
		for (auto &b : blocks)
			if (b.second.live) visit(b.first, b.second.bytes);
	}
};
}  // namespace standin
#endif
