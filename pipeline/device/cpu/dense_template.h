// A fully connected layer and softmax cross-entropy.

const char *dense_forward(const void *arguments) {
	const dense_arguments a = *(const dense_arguments *)arguments;
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (int n = 0; n < a.batch; n++) {
		const float *x = a.x + (size_t)n * a.features;
		for (int o = 0; o < a.out; o++) {
			const float *w = a.w + (size_t)o * a.features;
			vec s0{}, s1{};
			int i = 0;
			for (; i + 2 * BLOCK <= a.features; i += 2 * BLOCK) {
				s0 += load(x + i) * load(w + i);
				s1 += load(x + i + BLOCK) * load(w + i + BLOCK);
			}
			if (i < a.features) s0 += load(x + i) * load(w + i);
			a.y[(size_t)n * a.out + o] = lanes(s0 + s1) + a.bias[o];
		}
	}
	return NULL;
}

const char *dense_backward(const void *arguments) {
	const dense_arguments a = *(const dense_arguments *)arguments;
	const int vectors = a.features / BLOCK;
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (int t = 0; t < a.threads; t++) {
		const int from = bound(vectors, t, a.threads) * BLOCK, to = bound(vectors, t + 1, a.threads) * BLOCK;
		for (int o = 0; o < a.out; o++)
			for (int i = from; i < to; i += BLOCK) store(a.dw + (size_t)o * a.features + i, vec{});
		for (int n = 0; n < a.batch; n++) {
			const float *x = a.x + (size_t)n * a.features, *dy = a.dy + (size_t)n * a.out;
			float *dx = a.dx + (size_t)n * a.features;
			for (int i = from; i < to; i += BLOCK) {
				const vec v = load(x + i);
				vec sum{};
				for (int o = 0; o < a.out; o++) {
					const size_t at = (size_t)o * a.features + i;
					sum += load(a.w + at) * dy[o];
					store(a.dw + at, load(a.dw + at) + v * dy[o]);
				}
				store(dx + i, sum);
			}
		}
	}
	for (int o = 0; o < a.out; o++) {
		float sum = 0;
		for (int n = 0; n < a.batch; n++) sum += a.dy[(size_t)n * a.out + o];
		a.dbias[o] = sum;
	}
	return NULL;
}

// log Σ exp(logits) of one row, without overflow.
inline double log_sum(const float *logits, int classes) {
	double most = logits[0], sum = 0;
	for (int i = 1; i < classes; i++) most = fmax(most, logits[i]);
	for (int i = 0; i < classes; i++) sum += exp(logits[i] - most);
	return most + log(sum);
}

const char *cross_entropy_loss(const void *arguments) {
	const cross_entropy_arguments a = *(const cross_entropy_arguments *)arguments;
	double loss = 0;
	for (int n = 0; n < a.batch; n++) {
		const float *logits = a.logits + (size_t)n * a.classes, *targets = a.targets + (size_t)n * a.classes;
		const double norm = log_sum(logits, a.classes);
		for (int i = 0; i < a.classes; i++) loss += targets[i] * (norm - logits[i]);
	}
	*a.loss = loss / a.batch;
	return NULL;
}

const char *cross_entropy_backward(const void *arguments) {
	const cross_entropy_arguments a = *(const cross_entropy_arguments *)arguments;
	for (int n = 0; n < a.batch; n++) {
		const size_t row = (size_t)n * a.classes;
		const double norm = log_sum(a.logits + row, a.classes);
		for (int i = 0; i < a.classes; i++)
			a.dlogits[row + i] = (exp(a.logits[row + i] - norm) - a.targets[row + i]) / a.batch;
	}
	return NULL;
}
