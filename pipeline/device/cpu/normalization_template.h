// Batch normalisation fused with ReLU, max pooling and skip addition; one pass
// through memory each for: the statistics, the output, the gradients' sums,
// the input's gradient.

// Pixels whose sums are taken in float before they are added to a double.
const size_t chunk = 4096;

// Sets sum to a plane's (one image's block of channels) sums, for each of them.
template <typename Sum>
void normalization_planes(const normalization_arguments &a, sums *planes, Sum sum) {
	const int blocks = blocks_of(a.channels), count = a.batch * blocks;
#pragma omp parallel for schedule(dynamic, grain(count, a.threads)) num_threads(a.threads)
	for (int p = 0; p < count; p++) planes[p] = sum(p, p % blocks);
}

// Room for the sums of all planes; NULL where there is no memory.
sums *normalization_room(const normalization_arguments &a) {
	return reserve_sums<sums>(a.workspace, (size_t)a.batch * blocks_of(a.channels));
}

// The sums of a plane's pixels, and of their squares. They are of the distance
// from the channel's first value, so that a mean much larger than the deviation
// does not drown it.
sums normalization_sums(const normalization_arguments &a, int p, int b) {
	const size_t plane = (size_t)a.height * a.width;
	const vec pivot = load(a.x + b * plane * BLOCK);
	const float *x = a.x + p * plane * BLOCK;
	sums sum{};
	for (size_t from = 0; from < plane; from += chunk) {
		const size_t to = plane - from < chunk ? plane : from + chunk;
		vec s0{}, s1{}, s2{}, s3{}, q0{}, q1{}, q2{}, q3{};
		size_t i = from;
		for (; i + 4 <= to; i += 4) {
			const float *at = x + i * BLOCK;
			const vec v0 = load(at) - pivot, v1 = load(at + BLOCK) - pivot;
			const vec v2 = load(at + 2 * BLOCK) - pivot, v3 = load(at + 3 * BLOCK) - pivot;
			s0 += v0, s1 += v1, s2 += v2, s3 += v3;
			q0 += v0 * v0, q1 += v1 * v1, q2 += v2 * v2, q3 += v3 * v3;
		}
		for (; i < to; i++) {
			const vec v = load(x + i * BLOCK) - pivot;
			s0 += v, q0 += v * v;
		}
		sum.add((s0 + s1) + (s2 + s3), (q0 + q1) + (q2 + q3));
	}
	return sum;
}

// Sets mean and inverse, and updates the running statistics. Without sums by a
// convolution, planes has room for those of all planes.
void normalization_statistics(const normalization_arguments &a, sums *planes) {
	if (!a.sums) normalization_planes(a, planes, [&](int p, int b) { return normalization_sums(a, p, b); });
	const int blocks = blocks_of(a.channels);
	const size_t plane = (size_t)a.height * a.width;
	const double count = (double)a.batch * plane;
	sums of_block;
	for (int c = 0; c < a.channels; c++) {
		if (c % BLOCK == 0) of_block = a.sums ? ((const sums *)a.sums)[c / BLOCK] : total(planes + c / BLOCK, blocks, a.batch / 2, a.batch);
		const double first = of_block.first[c % BLOCK], second = of_block.second[c % BLOCK];
		const double shifted = first / count;
		const double mean = a.sums ? shifted : shifted + a.x[c / BLOCK * plane * BLOCK + c % BLOCK];
		const double spread = second / count - shifted * shifted;
		const double variance = spread < 0 ? 0 : spread; // a NaN stays one
		const double unbiased = count > 1 ? variance * count / (count - 1) : variance;
		a.mean[c] = mean;
		a.inverse[c] = 1 / sqrt(variance + a.epsilon);
		a.running_mean[c] = a.momentum * a.running_mean[c] + (1 - a.momentum) * mean;
		a.running_variance[c] = a.momentum * a.running_variance[c] + (1 - a.momentum) * unbiased;
	}
}

// y = slope·(x − mean) + shift: slope and offset (the shift) with padding zero.
void normalization_coefficients(const normalization_arguments &a) {
	for (int c = 0; c < blocks_of(a.channels) * BLOCK; c++) {
		const bool real = c < a.channels;
		a.slope[c] = real ? a.scale[c] * a.inverse[c] : 0;
		a.offset[c] = real ? a.shift[c] : 0;
		if (!real) a.mean[c] = 0;
	}
}

template <int POOL, bool RELU, bool SKIP>
void normalization_apply(const normalization_arguments &a) {
	const int blocks = blocks_of(a.channels), pool = POOL ? POOL : a.pool;
	const int rows = a.height / pool, columns = a.width / pool;
	const size_t plane = (size_t)a.height * a.width, pooled = (size_t)rows * columns;
#pragma omp parallel for schedule(dynamic, grain(a.batch * blocks, a.threads)) num_threads(a.threads)
	for (int p = 0; p < a.batch * blocks; p++) {
		const int c = p % blocks * BLOCK;
		const vec mean = load(a.mean + c), slope = load(a.slope + c), offset = load(a.offset + c);
		const float *x = a.x + p * plane * BLOCK, *skip = SKIP ? a.skip + p * plane * BLOCK : NULL;
		float *y = a.y + p * pooled * BLOCK;
		if (POOL == 1) {
			for (size_t i = 0; i < plane * BLOCK; i += BLOCK) {
				vec v = (load(x + i) - mean) * slope + offset;
				if (RELU) v = rectified(v);
				if (SKIP) v += load(skip + i);
				store(y + i, v);
			}
			continue;
		}
		const size_t row = (size_t)a.width * BLOCK;
		for (int h = 0; h < rows; h++) {
			const float *window = x + h * pool * row;
			for (int w = 0; w < columns; w++, y += BLOCK, window += pool * BLOCK) {
				vec best = (load(window) - mean) * slope + offset;
#pragma GCC unroll 3
				for (int i = 1; i < pool * pool; i++)
					best = larger(best, (load(window + i / pool * row + i % pool * BLOCK) - mean) * slope + offset);
				store(y, RELU ? rectified(best) : best);
			}
		}
	}
}

#define WITH_POOL(function, relu, ...)                                              \
	(a.pool == 1 ? function<1, relu>(__VA_ARGS__) : a.pool == 2 ? function<2, relu>(__VA_ARGS__) : function<0, relu>(__VA_ARGS__))

template <int POOL, bool RELU>
void normalization_output(const normalization_arguments &a) {
	if (POOL == 1 && a.skip)
		normalization_apply<1, RELU, true>(a);
	else
		normalization_apply<POOL, RELU, false>(a);
}

const char *normalization_forward(const void *arguments) {
	const normalization_arguments a = *(const normalization_arguments *)arguments;
	sums *planes = a.sums ? NULL : normalization_room(a);
	if (!a.sums && !planes) return "normalisation: out of memory";
	normalization_statistics(a, planes);
	normalization_coefficients(a);
	a.relu ? WITH_POOL(normalization_output, true, a) : WITH_POOL(normalization_output, false, a);
	return NULL;
}

const char *normalization_infer(const void *arguments) {
	const normalization_arguments a = *(const normalization_arguments *)arguments;
	for (int c = 0; c < a.channels; c++) {
		a.mean[c] = a.running_mean[c];
		a.inverse[c] = 1 / sqrt((double)a.running_variance[c] + a.epsilon);
	}
	normalization_coefficients(a);
	a.relu ? WITH_POOL(normalization_output, true, a) : WITH_POOL(normalization_output, false, a);
	return NULL;
}

// Sets slope and offset so that slope·x + offset is the normalisation by the
// running statistics, with padding zero.
const char *normalization_fold(const void *arguments) {
	const normalization_arguments a = *(const normalization_arguments *)arguments;
	for (int c = 0; c < a.parameters; c++) {
		const bool real = c < a.channels;
		const double slope = real ? a.scale[c] / sqrt((double)a.running_variance[c] + a.epsilon) : 0;
		a.slope[c] = slope;
		a.offset[c] = real ? a.shift[c] - a.running_mean[c] * slope : 0;
	}
	return NULL;
}

// Behind pooling, the normalised maximum is (y − shift)/scale where y > 0, so
// the gradients' sums need not look at x, which is larger than y. Only where
// every scale of a block is far enough from zero for that division.
bool scales_divide(const normalization_arguments &a, int b) {
	if (a.pool == 1) return false;
	for (int c = b * BLOCK; c < (b + 1) * BLOCK && c < a.channels; c++)
		if (fabsf(a.scale[c]) < 0.01f * (1 + fabsf(a.shift[c]))) return false;
	return true;
}

// A plane's Σ g and Σ g·(x−mean), or Σ g·(y−shift) where scales_divide; g is dy
// at the elements that ReLU and pooling let through.
template <int POOL, bool RELU>
sums normalization_gradient_sums(const normalization_arguments &a, int p, int b) {
	const int pool = POOL ? POOL : a.pool, columns = a.width / pool;
	const size_t plane = (size_t)a.height * a.width, pooled = (size_t)(a.height / pool) * columns;
	const vec mean = load(a.mean + b * BLOCK), slope = load(a.slope + b * BLOCK), offset = load(a.offset + b * BLOCK);
	const float *x = a.x + p * plane * BLOCK, *y = a.y + p * pooled * BLOCK, *dy = a.dy + p * pooled * BLOCK;
	const bool from_y = scales_divide(a, b);
	sums sum{};
	for (size_t from = 0; from < pooled; from += chunk) {
		const size_t to = pooled - from < chunk ? pooled : from + chunk;
		vec s0{}, s1{}, q0{}, q1{};
		size_t i = from;
		if (POOL == 1) {
			for (; i + 2 <= to; i += 2) {
				const vec x0 = load(x + i * BLOCK) - mean, x1 = load(x + (i + 1) * BLOCK) - mean;
				vec g0 = load(dy + i * BLOCK), g1 = load(dy + (i + 1) * BLOCK);
				if (RELU) {
					g0 = x0 * slope + offset > 0 ? g0 : vec{};
					g1 = x1 * slope + offset > 0 ? g1 : vec{};
				}
				s0 += g0, s1 += g1, q0 += g0 * x0, q1 += g1 * x1;
			}
			for (; i < to; i++) {
				const vec x0 = load(x + i * BLOCK) - mean;
				vec g0 = load(dy + i * BLOCK);
				if (RELU) g0 = x0 * slope + offset > 0 ? g0 : vec{};
				s0 += g0, q0 += g0 * x0;
			}
		} else if (from_y) {
			for (; i + 2 <= to; i += 2) {
				const vec y0 = load(y + i * BLOCK), y1 = load(y + (i + 1) * BLOCK);
				vec g0 = load(dy + i * BLOCK), g1 = load(dy + (i + 1) * BLOCK);
				if (RELU) g0 = y0 > 0 ? g0 : vec{}, g1 = y1 > 0 ? g1 : vec{};
				s0 += g0, s1 += g1, q0 += g0 * (y0 - offset), q1 += g1 * (y1 - offset);
			}
			for (; i < to; i++) {
				const vec y0 = load(y + i * BLOCK);
				vec g0 = load(dy + i * BLOCK);
				if (RELU) g0 = y0 > 0 ? g0 : vec{};
				s0 += g0, q0 += g0 * (y0 - offset);
			}
		} else {
			for (; i < to; i++) {
				const float *window = x + (i / columns * pool * a.width + i % columns * pool) * BLOCK;
				vec at = load(window) - mean, best = at * slope + offset;
				for (int j = 1; j < pool * pool; j++) {
					const vec other = load(window + ((size_t)(j / pool) * a.width + j % pool) * BLOCK) - mean;
					const vec value = other * slope + offset;
					at = value > best ? other : at;
					best = larger(value, best);
				}
				vec g0 = load(dy + i * BLOCK);
				if (RELU) g0 = best > 0 ? g0 : vec{};
				s0 += g0, q0 += g0 * at;
			}
		}
		sum.add(s0 + s1, q0 + q1);
	}
	return sum;
}

// Sets dshift = Σ g and dscale = Σ g·(x−mean)·inverse.
template <int POOL, bool RELU>
void normalization_reduce(const normalization_arguments &a, sums *planes) {
	normalization_planes(a, planes, [&](int p, int b) { return normalization_gradient_sums<POOL, RELU>(a, p, b); });
	sums of_block;
	for (int c = 0; c < a.parameters; c++) {
		double first = 0, second = 0;
		if (c < a.channels) {
			if (c % BLOCK == 0) of_block = total(planes + c / BLOCK, blocks_of(a.channels), a.batch / 2, a.batch);
			first = of_block.first[c % BLOCK];
			second = of_block.second[c % BLOCK];
			second = scales_divide(a, c / BLOCK) ? second / a.scale[c] : second * a.inverse[c];
		}
		a.dshift[c] = first;
		a.dscale[c] = second;
	}
}

// Of an input's gradient whose g is zero everywhere: tilt·(x − mean) + constant.
void normalization_gradient_coefficients(const normalization_arguments &a) {
	const float share = 1 / ((float)a.batch * a.height * a.width);
	for (int c = 0; c < blocks_of(a.channels) * BLOCK; c++) {
		const bool real = c < a.channels;
		a.tilt[c] = real ? -a.slope[c] * a.inverse[c] * a.dscale[c] * share : 0;
		a.constant[c] = real ? -a.slope[c] * a.dshift[c] * share : 0;
	}
}

// dx = slope·(g − dshift/count) − (x−mean)·slope·inverse·dscale/count. dx may
// be x.
template <int POOL, bool RELU>
void normalization_input_gradient(const normalization_arguments &a) {
	const int blocks = blocks_of(a.channels), pool = POOL ? POOL : a.pool;
	const int rows = a.height / pool, columns = a.width / pool;
	const size_t plane = (size_t)a.height * a.width, pooled = (size_t)rows * columns;
#pragma omp parallel for schedule(dynamic, grain(a.batch * blocks, a.threads)) num_threads(a.threads)
	for (int p = 0; p < a.batch * blocks; p++) {
		const int c = p % blocks * BLOCK;
		const vec mean = load(a.mean + c), slope = load(a.slope + c), offset = load(a.offset + c);
		const vec tilt = load(a.tilt + c), constant = load(a.constant + c);
		const float *x = a.x + p * plane * BLOCK, *dy = a.dy + p * pooled * BLOCK;
		float *dx = a.dx + p * plane * BLOCK;
		if (POOL == 1) {
			for (size_t i = 0; i < plane * BLOCK; i += BLOCK) {
				const vec v = load(x + i) - mean;
				vec g = load(dy + i);
				if (RELU) g = v * slope + offset > 0 ? g : vec{};
				store(dx + i, g * slope + (v * tilt + constant));
			}
			continue;
		}
		for (int h = 0; h < rows; h++) {
			const float *from = x + (size_t)h * pool * a.width * BLOCK;
			float *to = dx + (size_t)h * pool * a.width * BLOCK;
			for (int w = 0; w < columns; w++, dy += BLOCK, from += pool * BLOCK, to += pool * BLOCK) {
				const vec g = load(dy) * slope;
				const size_t row = (size_t)a.width * BLOCK;
				if (POOL == 2) {
					const vec x0 = load(from) - mean, x1 = load(from + BLOCK) - mean;
					const vec x2 = load(from + row) - mean, x3 = load(from + row + BLOCK) - mean;
					const vec v0 = x0 * slope + offset, v1 = x1 * slope + offset;
					const vec v2 = x2 * slope + offset, v3 = x3 * slope + offset;
					const vec best = larger(larger(v0, v1), larger(v2, v3));
					// The first of equals takes the gradient.
					const mask on = RELU ? best > 0 : best == best;
					const mask m0 = on & (v0 == best), m1 = on & ~m0 & (v1 == best);
					const mask m2 = on & ~(m0 | m1) & (v2 == best), m3 = on & ~(m0 | m1 | m2);
					store(to, x0 * tilt + constant + (m0 ? g : vec{}));
					store(to + BLOCK, x1 * tilt + constant + (m1 ? g : vec{}));
					store(to + row, x2 * tilt + constant + (m2 ? g : vec{}));
					store(to + row + BLOCK, x3 * tilt + constant + (m3 ? g : vec{}));
					continue;
				}
				vec best = (load(from) - mean) * slope + offset;
				mask place{};
				for (int i = 1; i < pool * pool; i++) {
					const vec v = (load(from + i / pool * row + i % pool * BLOCK) - mean) * slope + offset;
					place = v > best ? mask{} + i : place;
					best = larger(v, best);
				}
				if (RELU) place = best > 0 ? place : mask{} - 1;
				for (int i = 0; i < pool * pool; i++) {
					const size_t at = i / pool * row + i % pool * BLOCK;
					store(to + at, (load(from + at) - mean) * tilt + constant + (place == i ? g : vec{}));
				}
			}
		}
		// What pooling left over has no gradient of its own.
		for (int h = 0; h < a.height; h++)
			for (int w = h < rows * pool ? columns * pool : 0; w < a.width; w++) {
				const size_t at = ((size_t)h * a.width + w) * BLOCK;
				store(dx + at, (load(x + at) - mean) * tilt + constant);
			}
	}
}

const char *normalization_backward(const void *arguments) {
	const normalization_arguments a = *(const normalization_arguments *)arguments;
	sums *planes = normalization_room(a);
	if (!planes) return "normalisation: out of memory";
	normalization_coefficients(a);
	a.relu ? WITH_POOL(normalization_reduce, true, a, planes) : WITH_POOL(normalization_reduce, false, a, planes);
	normalization_gradient_coefficients(a);
	a.relu ? WITH_POOL(normalization_input_gradient, true, a) : WITH_POOL(normalization_input_gradient, false, a);
	return NULL;
}
