// Softmax cross-entropy from logits.

// log Σ exp(logits), without overflow.
__device__ inline float log_normaliser(const float *logits, u32 classes) {
	float most = logits[0], sum = 0.f;
	for (u32 c = 1; c < classes; c++) most = fmaxf(most, logits[c]);
	for (u32 c = 0; c < classes; c++) sum += expf(logits[c] - most);
	return most + logf(sum);
}

// One block: the mean over the batch.
KERNEL crossentropy_loss(const float *logits, const float *targets, float *loss, u32 batch, u32 classes) {
	__shared__ float sums[256];
	float sum = 0.f;
	for (u32 n = threadIdx.x; n < batch; n += 256) {
		float normaliser = log_normaliser(logits + (u64)n * classes, classes);
		for (u32 c = 0; c < classes; c++) {
			float target = targets[(u64)n * classes + c];
			if (target != 0.f) sum = fmaf(-target, logits[(u64)n * classes + c] - normaliser, sum);
		}
	}
	sums[threadIdx.x] = sum;
	__syncthreads();
	for (u32 half = 128; half > 0; half /= 2) {
		if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
		__syncthreads();
	}
	if (threadIdx.x == 0) *loss = sums[0] / (float)batch;
}

KERNEL crossentropy_backward(const float *logits, const float *targets, float *dlogits, u32 batch, u32 classes) {
	u64 n = first_index();
	if (n >= batch) return;
	float normaliser = log_normaliser(logits + n * classes, classes);
	for (u64 i = n * classes; i < (n + 1) * classes; i++)
		dlogits[i] = (expf(logits[i] - normaliser) - targets[i]) / (float)batch;
}
