// Batch normalisation with what follows it, see device.NormalizationSpec. What
// a channel's values are multiplied with lies in rows of length channels:
enum coefficient {
	MEAN,      // of the batch
	INVERSE,   // 1/√(variance+epsilon)
	SLOPE,     // of the affine map: scale·inverse
	OFFSET,    // shift − mean·slope
	TILT,      // of the gradient of x: −slope·inverse·Σ g·x̂ / count
	CONSTANT,  // −slope·Σ g / count − mean·tilt
};

__device__ inline octet row_of(const float *coefficients, u32 row, u32 channels, u32 channel) {
	return load_octet(coefficients + (u64)row * channels + channel);
}

// The affine map's result after the ReLU.
__device__ inline float activated(float x, float slope, float offset, u32 relu) {
	float v = fmaf(slope, x, offset);
	return relu && v <= 0.f ? 0.f : v;
}

// Over a window of pool×pool inputs from `at` on: the results, and the inputs
// (the first of equals) and their places in the window that they come from. A
// NaN is passed on.
__device__ inline void largest(const element *x, u64 at, u32 width, u32 channels, u32 pool, const octet &slope, const octet &offset,
                               u32 relu, octet *value, octet *source, u32 *places) {
	*source = load_octet(x + at);
	for (u32 i = 0; i < OCTET; i++) {
		value->v[i] = activated(source->v[i], slope.v[i], offset.v[i], relu);
		places[i] = 0;
	}
	for (u32 p = 1; p < pool * pool; p++) {
		octet here = load_octet(x + at + ((u64)(p / pool) * width + p % pool) * channels);
		for (u32 i = 0; i < OCTET; i++) {
			float v = activated(here.v[i], slope.v[i], offset.v[i], relu);
			if (v > value->v[i] || v != v) {
				value->v[i] = v;
				source->v[i] = here.v[i];
				places[i] = p;
			}
		}
	}
}

// A channel's statistics from the sums of x − pivot and of its square: the
// coefficients of the affine map, and the running statistics.
__device__ inline void finish_statistics(float *coefficients, const float *scale, const float *shift, float *running_mean,
                                         float *running_variance, u32 channels, u32 c, double pivot, double total,
                                         double total_squares, u32 rows, float epsilon, float momentum) {
	double about = total / rows, deviations = total_squares - about * total;
	if (deviations < 0) deviations = 0;
	double mean = pivot + about, inverse = 1.0 / sqrt(deviations / rows + (double)epsilon);
	double unbiased = deviations / (rows > 1 ? rows - 1 : 1), slope = (double)scale[c] * inverse;
	coefficients[MEAN * channels + c] = (float)mean;
	coefficients[INVERSE * channels + c] = (float)inverse;
	coefficients[SLOPE * channels + c] = (float)slope;
	coefficients[OFFSET * channels + c] = (float)((double)shift[c] - mean * slope);
	running_mean[c] = (float)((double)momentum * running_mean[c] + (1.0 - (double)momentum) * mean);
	running_variance[c] = (float)((double)momentum * running_variance[c] + (1.0 - (double)momentum) * unbiased);
}

// The batch's mean and variance in one pass, as sums of x and x² about the
// channel's first value, which keeps digits where the mean is far from zero;
// the coefficients of the affine map, and the running statistics.
KERNEL ON_ELEMENTS(normalization_statistics)(const element *x, float *partial, u32 *tickets, float *coefficients, const float *scale,
                                             const float *shift, float *running_mean, float *running_variance, u32 rows,
                                             u32 channels, float epsilon, float momentum) {
	u32 c = blockIdx.x * SUM_CHANNELS + threadIdx.x % SUM_OCTETS * OCTET;
	octet sum = {}, squares = {};
	if (c < channels) {
		octet pivot = load_octet(x + c);
		for (u32 r = blockIdx.y * SUM_ROWS + threadIdx.x / SUM_OCTETS; r < rows; r += gridDim.y * SUM_ROWS) {
			octet v = load_octet(x + (u64)r * channels + c);
			for (u32 i = 0; i < OCTET; i++) {
				float d = v.v[i] - pivot.v[i];
				sum.v[i] += d;
				squares.v[i] = fmaf(d, d, squares.v[i]);
			}
		}
	}
	if (!leave_partial(sum, squares, channels, partial, tickets)) return;
	double total, total_squares;
	add_partial(channels, partial, &total, &total_squares);
	c = blockIdx.x * SUM_CHANNELS + threadIdx.x;
	if (threadIdx.x >= SUM_CHANNELS || c >= channels) return;
	finish_statistics(coefficients, scale, shift, running_mean, running_variance, channels, c, (double)load(x[c]), total, total_squares,
	                  rows, epsilon, momentum);
}

// For inference: the affine map's coefficients from running statistics.
KERNEL ON_ELEMENTS(normalization_coefficients)(float *coefficients, const float *scale, const float *shift, const float *mean,
                                               const float *variance, u32 channels, float epsilon) {
	u64 c = first_index();
	if (c >= channels) return;
	double slope = (double)scale[c] / sqrt((double)variance[c] + (double)epsilon);
	coefficients[SLOPE * channels + c] = (float)slope;
	coefficients[OFFSET * channels + c] = (float)((double)shift[c] - (double)mean[c] * slope);
}

// y = pool(relu(normalise(x))) + skip; skip may be null.
KERNEL ON_ELEMENTS(normalization_forward)(const element *x, const float *coefficients, const element *skip, element *y, u32 batch,
                                          u32 height, u32 width, u32 channels, u32 pool, u32 relu) {
	u32 rows = height / pool, columns = width / pool, octets = channels / OCTET, before = ~0u;
	octet slope, offset;
	for (u32 k = (u32)first_index(), count = batch * rows * columns * octets; k < count; k += (u32)stride()) {
		u32 c = k % octets * OCTET, position = k / octets;
		if (c != before) {
			slope = row_of(coefficients, SLOPE, channels, c);
			offset = row_of(coefficients, OFFSET, channels, c);
			before = c;
		}
		octet value, source;
		u32 places[OCTET];
		u64 at = (u64)position * channels + c;
		if (pool > 1) {
			u32 column = position % columns, row = position / columns % rows, n = position / columns / rows;
			at = (((u64)n * height + row * pool) * width + column * pool) * channels + c;
		}
		largest(x, at, width, channels, pool, slope, offset, relu, &value, &source, places);
		if (skip) {
			octet added = load_octet(skip + (u64)k * OCTET);
			for (u32 i = 0; i < OCTET; i++) value.v[i] += added.v[i];
		}
		store_octet(y + (u64)k * OCTET, value);
	}
}

// Sums of the gradient g of the affine map's result, and of g times the
// normalised input: the gradients of shift and scale (padding up to length
// becomes zero), and the coefficients of the gradient of x.
KERNEL ON_ELEMENTS(normalization_gradients)(const element *x, const element *dy, float *partial, u32 *tickets, float *coefficients,
                                            float *dscale, float *dshift, u32 batch, u32 height, u32 width, u32 channels, u32 pool,
                                            u32 relu, u32 length) {
	u32 c = blockIdx.x * SUM_CHANNELS + threadIdx.x % SUM_OCTETS * OCTET;
	u32 rows = height / pool, columns = width / pool, count = batch * rows * columns;
	octet sum = {}, projected = {};
	if (c < channels) {
		octet slope = row_of(coefficients, SLOPE, channels, c), offset = row_of(coefficients, OFFSET, channels, c);
		octet mean = row_of(coefficients, MEAN, channels, c);
		for (u32 r = blockIdx.y * SUM_ROWS + threadIdx.x / SUM_OCTETS; r < count; r += gridDim.y * SUM_ROWS) {
			octet value, source, g = load_octet(dy + (u64)r * channels + c);
			u32 places[OCTET];
			u64 at = (u64)r * channels + c;
			if (pool > 1)
				at = (((u64)(r / columns / rows) * height + r / columns % rows * pool) * width + r % columns * pool) * channels + c;
			largest(x, at, width, channels, pool, slope, offset, relu, &value, &source, places);
			for (u32 i = 0; i < OCTET; i++)
				if (!relu || value.v[i] > 0.f) {
					sum.v[i] += g.v[i];
					projected.v[i] = fmaf(g.v[i], source.v[i] - mean.v[i], projected.v[i]);
				}
		}
	}
	if (!leave_partial(sum, projected, channels, partial, tickets)) return;
	double total, total_projected;
	add_partial(channels, partial, &total, &total_projected);
	c = blockIdx.x * SUM_CHANNELS + threadIdx.x;
	if (threadIdx.x >= SUM_CHANNELS) return;
	if (c < channels) {
		double mean = coefficients[MEAN * channels + c], inverse = coefficients[INVERSE * channels + c];
		double slope = coefficients[SLOPE * channels + c], all = (double)batch * height * width;
		double tilt = -slope * inverse * inverse * total_projected / all;
		coefficients[TILT * channels + c] = (float)tilt;
		coefficients[CONSTANT * channels + c] = (float)(-slope * total / all - mean * tilt);
		dshift[c] = (float)total;
		dscale[c] = (float)(total_projected * inverse);
	} else if (c < length) {
		dshift[c] = 0.f;
		dscale[c] = 0.f;
	}
}

// The gradient of x, slope·g + tilt·x + constant, which may take x's place: a
// thread reads and writes one window. Windows that the pooling left out, at
// the edges, have no gradient of their own.
KERNEL ON_ELEMENTS(normalization_backward)(const element *x, const element *dy, const float *coefficients, element *dx, u32 batch,
                                           u32 height, u32 width, u32 channels, u32 pool, u32 relu) {
	u32 rows = height / pool, columns = width / pool, octets = channels / OCTET, before = ~0u;
	u32 all_rows = (height + pool - 1) / pool, all_columns = (width + pool - 1) / pool;
	octet slope, offset, tilt, constant;
	for (u32 k = (u32)first_index(), count = batch * all_rows * all_columns * octets; k < count; k += (u32)stride()) {
		u32 c = k % octets * OCTET, position = k / octets;
		if (c != before) {
			slope = row_of(coefficients, SLOPE, channels, c);
			offset = row_of(coefficients, OFFSET, channels, c);
			tilt = row_of(coefficients, TILT, channels, c);
			constant = row_of(coefficients, CONSTANT, channels, c);
			before = c;
		}
		u32 column = position % all_columns, row = position / all_columns % all_rows, n = position / all_columns / all_rows;
		u64 at = (((u64)n * height + row * pool) * width + column * pool) * channels + c;
		octet g = {};
		u32 places[OCTET] = {};
		if (row < rows && column < columns) {
			octet value, source;
			largest(x, at, width, channels, pool, slope, offset, relu, &value, &source, places);
			g = load_octet(dy + (((u64)n * rows + row) * columns + column) * channels + c);
			for (u32 i = 0; i < OCTET; i++)
				if (relu && !(value.v[i] > 0.f)) g.v[i] = 0.f;
		}
		for (u32 p = 0; p < pool * pool; p++) {
			if (row * pool + p / pool >= height || column * pool + p % pool >= width) continue;
			u64 here = at + ((u64)(p / pool) * width + p % pool) * channels;
			octet v = load_octet(x + here);
			for (u32 i = 0; i < OCTET; i++) {
				float straight = fmaf(tilt.v[i], v.v[i], constant.v[i]);
				v.v[i] = places[i] == p ? fmaf(slope.v[i], g.v[i], straight) : straight;
			}
			store_octet(dx + here, v);
		}
	}
}
