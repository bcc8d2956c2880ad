// One launch updates all parameters and their moving average. What changes
// from step to step lies in memory, so that a captured launch stays valid.
struct schedule {
	float rate, correction1, correction2, average_decay;
};

KERNEL optimizer_schedule(schedule *now, float rate, float correction1, float correction2, float average_decay) {
	if (first_index() == 0) *now = {rate, correction1, correction2, average_decay};
}

// decayed has a byte for each 16 elements; average may be null.
__device__ inline float decay_of(const u8 *decayed, u64 i, float decay) { return decayed[i / 16] ? decay : 0.f; }

__device__ inline void follow(float *average, u64 i, float decay, float w) {
	if (average) average[i] = fmaf(decay, average[i], (1.f - decay) * w);
}

KERNEL optimizer_sgd(const schedule *now, float *weights, const float *gradients, float *momentum, float *average,
                     const u8 *decayed, u64 count, float decay, float inertia) {
	for (u64 i = first_index(); i < count; i += stride()) {
		float w = weights[i];
		float g = fmaf(decay_of(decayed, i, decay), w, gradients[i]);
		float m = fmaf(inertia, momentum[i], g);
		momentum[i] = m;
		w = fmaf(-now->rate, fmaf(inertia, m, g), w);
		weights[i] = w;
		follow(average, i, now->average_decay, w);
	}
}

KERNEL optimizer_adamw(const schedule *now, float *weights, const float *gradients, float *moment1, float *moment2, float *average,
                       const u8 *decayed, u64 count, float decay, float beta1, float beta2, float epsilon) {
	for (u64 i = first_index(); i < count; i += stride()) {
		float w = weights[i], g = gradients[i];
		float m = fmaf(beta1, moment1[i], (1.f - beta1) * g);
		float v = fmaf(beta2, moment2[i], (1.f - beta2) * g * g);
		moment1[i] = m;
		moment2[i] = v;
		float update = (m / now->correction1) / (sqrtf(v / now->correction2) + epsilon);
		w = w - now->rate * decay_of(decayed, i, decay) * w - now->rate * update;
		weights[i] = w;
		follow(average, i, now->average_decay, w);
	}
}
