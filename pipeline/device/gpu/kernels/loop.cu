// What a device.Loop keeps on the GPU. A captured step finds everything that
// changes in memory, by the number of the step.

// Of package device: Sample and Cut.
struct cut {
	int left, top, right, bottom;
	float share;
	__device__ bool holds(int x, int y) const { return x >= left && x < right && y >= top && y < bottom; }
};

struct sample {
	int x, x_step, y, y_step, level, image, label;
	float scale[3], shift[3];
	__device__ float target(u32 c) const { return image >= 0 && (int)c == label; }
};

// Where the loop is, and the score so far.
struct state {
	u64 step;
	double loss;
	u64 correct;
};

// The last kernel of a step, one block: the score of its logits, as package
// train's score, and on to the next. Targets of nothing are all 0.
KERNEL loop_score(const float *logits, const float *targets, state *at, u32 batch, u32 classes) {
	__shared__ double losses[256];
	__shared__ u32 hits[256];
	double loss = 0;
	u32 correct = 0;
	for (u32 n = threadIdx.x; n < batch; n += 256) {
		const float *row = logits + (u64)n * classes, *target = targets + (u64)n * classes;
		u32 label = 0, best = 0;
		float sum = 0.f;
		for (u32 c = 0; c < classes; c++) {
			sum += target[c];
			if (target[c] > target[label]) label = c;
			if (row[c] > row[best]) best = c;
		}
		if (sum == 0.f) continue;
		double exponentials = 0;
		for (u32 c = 0; c < classes; c++) exponentials += exp((double)row[c] - (double)row[best]);
		loss += log(exponentials) + (double)row[best] - (double)row[label];
		correct += label == best;
	}
	losses[threadIdx.x] = loss;
	hits[threadIdx.x] = correct;
	__syncthreads();
	for (u32 half = 128; half > 0; half /= 2) {
		if (threadIdx.x < half) {
			losses[threadIdx.x] += losses[threadIdx.x + half];
			hits[threadIdx.x] += hits[threadIdx.x + half];
		}
		__syncthreads();
	}
	if (threadIdx.x == 0) {
		at->loss += losses[0];
		at->correct += hits[0];
		at->step++;
	}
}
