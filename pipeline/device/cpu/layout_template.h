// Between the plain layout and the blocked one.

const char *to_blocked(const void *arguments) {
	const layout_arguments a = *(const layout_arguments *)arguments;
	const int blocks = blocks_of(a.channels);
	const size_t plane = (size_t)a.height * a.width;
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (int row = 0; row < a.batch * a.height; row++) {
		const size_t n = row / a.height, h = row % a.height;
		const float *from = a.from + (size_t)row * a.width * a.channels;
		float *to = a.to + (n * blocks * plane + h * a.width) * BLOCK;
		for (int w = 0; w < a.width; w++)
			for (int b = 0; b < blocks; b++) {
				const int c = b * BLOCK, count = a.channels - c < BLOCK ? a.channels - c : BLOCK;
				float *pixel = to + (b * plane + w) * BLOCK;
				memcpy(pixel, from + (size_t)w * a.channels + c, count * sizeof(float));
				memset(pixel + count, 0, (BLOCK - count) * sizeof(float));
			}
	}
	return NULL;
}

const char *from_blocked(const void *arguments) {
	const layout_arguments a = *(const layout_arguments *)arguments;
	const int blocks = blocks_of(a.channels);
	const size_t plane = (size_t)a.height * a.width;
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (int row = 0; row < a.batch * a.height; row++) {
		const size_t n = row / a.height, h = row % a.height;
		const float *from = a.from + (n * blocks * plane + h * a.width) * BLOCK;
		float *to = a.to + (size_t)row * a.width * a.channels;
		for (int w = 0; w < a.width; w++)
			for (int b = 0; b < blocks; b++) {
				const int c = b * BLOCK, count = a.channels - c < BLOCK ? a.channels - c : BLOCK;
				memcpy(to + (size_t)w * a.channels + c, from + (b * plane + w) * BLOCK, count * sizeof(float));
			}
	}
	return NULL;
}

const char *add(const void *arguments) {
	const add_arguments a = *(const add_arguments *)arguments;
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (size_t i = 0; i < a.length; i += BLOCK) store(a.y + i, load(a.y + i) + load(a.x + i));
	return NULL;
}
