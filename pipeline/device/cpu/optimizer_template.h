// One pass over all parameters.

const size_t group = 16; // device.Alignment

// update(i, decay) returns the new weights i to i+BLOCK; decay is the group's
// weight decay.
template <typename Update>
const char *optimize(const optimizer_arguments &a, Update update) {
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (size_t g = 0; g < a.length / group; g++) {
		const float decay = a.decayed[g] ? a.decay : 0;
		for (size_t i = g * group; i < (g + 1) * group; i += BLOCK) {
			const vec w = update(i, decay);
			store(a.weights + i, w);
			if (a.average) {
				const vec average = load(a.average + i);
				store(a.average + i, average * a.average_decay + w * (1 - a.average_decay));
			}
		}
	}
	return NULL;
}

// Nesterov momentum as Sutskever et al., "On the importance of initialization
// and momentum in deep learning", 2013, in the form that looks ahead:
// g ← g + decay·w; m ← momentum·m + g; w ← w − rate·(g + momentum·m).
const char *optimizer_sgd(const void *arguments) {
	const optimizer_arguments a = *(const optimizer_arguments *)arguments;
	return optimize(a, [&](size_t i, float decay) {
		const vec w = load(a.weights + i), g = load(a.gradients + i) + w * decay;
		const vec m = load(a.moment1 + i) * a.momentum + g;
		store(a.moment1 + i, m);
		return w - (g + m * a.momentum) * a.rate;
	});
}

// The decay is decoupled: it shrinks the weights whatever the gradient.
const char *optimizer_adamw(const void *arguments) {
	const optimizer_arguments a = *(const optimizer_arguments *)arguments;
	return optimize(a, [&](size_t i, float decay) {
		const vec w = load(a.weights + i), g = load(a.gradients + i);
		const vec m = load(a.moment1 + i) * a.beta1 + g * (1 - a.beta1);
		const vec v = load(a.moment2 + i) * a.beta2 + g * g * (1 - a.beta2);
		store(a.moment1 + i, m);
		store(a.moment2 + i, v);
		const vec scaled = v * a.correction2;
		vec root;
		for (int j = 0; j < BLOCK; j++) root[j] = sqrtf(scaled[j]);
		return w - w * (a.rate * decay) - m * (a.rate * a.correction1) / (root + a.epsilon);
	});
}
