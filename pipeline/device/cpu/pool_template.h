// Pooling over a whole plane.

const char *global_pool_forward(const void *arguments) {
	const global_pool_arguments a = *(const global_pool_arguments *)arguments;
	const size_t plane = (size_t)a.height * a.width;
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (int p = 0; p < a.batch * blocks_of(a.channels); p++) {
		const float *x = a.x + p * plane * BLOCK;
		vec v = load(x);
		for (size_t i = 1; i < plane; i++)
			v = a.average ? v + load(x + i * BLOCK) : larger(load(x + i * BLOCK), v);
		store(a.y + (size_t)p * BLOCK, a.average ? v * (1 / (float)plane) : v);
	}
	return NULL;
}

const char *global_pool_backward(const void *arguments) {
	const global_pool_arguments a = *(const global_pool_arguments *)arguments;
	const size_t plane = (size_t)a.height * a.width;
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (int p = 0; p < a.batch * blocks_of(a.channels); p++) {
		const float *x = a.x + p * plane * BLOCK;
		float *dx = a.dx + p * plane * BLOCK;
		const vec best = load(a.y + (size_t)p * BLOCK), dy = load(a.dy + (size_t)p * BLOCK);
		const vec mean = dy * (1 / (float)plane);
		mask free = mask{} - 1; // lanes whose maximum has not come yet
		for (size_t i = 0; i < plane; i++) {
			const mask here = free & (load(x + i * BLOCK) == best);
			free &= ~here;
			store(dx + i * BLOCK, a.average ? mean : here ? dy : vec{});
		}
	}
	return NULL;
}
