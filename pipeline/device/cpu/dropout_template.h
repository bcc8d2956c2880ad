// Dropout; device.DropoutKeep holds the same function for one element.

inline words mix(words x) {
	x ^= x >> 16;
	x *= 0x7feb352d;
	x ^= x >> 15;
	x *= 0x846ca68b;
	return x ^ x >> 16;
}

// Forward and backward are the same: y = x·scale where kept, otherwise 0.
const char *dropout(const void *arguments) {
	const dropout_arguments a = *(const dropout_arguments *)arguments;
	const int blocks = blocks_of(a.channels);
	const size_t plane = (size_t)a.height * a.width;
	words lane;
	for (int i = 0; i < BLOCK; i++) lane[i] = i;
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (int p = 0; p < a.batch * blocks; p++) {
		const size_t n = p / blocks, b = p % blocks;
		for (size_t i = 0; i < plane; i++) {
			const uint64_t index = (n * plane + i) * a.channels + b * BLOCK;
			const words low = lane + (uint32_t)index;
			// The carry of low into the upper half.
			const words high = (words)(low < (uint32_t)index) & 1;
			const words hash = mix(mix(low ^ a.keys[0]) + (high + (uint32_t)(index >> 32)) + a.keys[1]);
			const size_t at = (p * plane + i) * BLOCK;
			store(a.y + at, hash >= a.threshold ? load(a.x + at) * a.scale : vec{});
		}
	}
	return NULL;
}
