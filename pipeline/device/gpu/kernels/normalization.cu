// Batch normalisation with what follows it, see device.NormalizationSpec.


__device__ inline float normalised(float x, float mean, float inverse) { return (x - mean) * inverse; }

// The affine map's result after the ReLU.
__device__ inline float activated(float x, float mean, float inverse, float scale, float shift, u32 relu) {
	float v = fmaf(scale, normalised(x, mean, inverse), shift);
	return relu && v <= 0.f ? 0.f : v;
}

// The input element (the first of equals in the window) that becomes the
// output element at (n, row, column), and its value. A NaN is passed on.
__device__ inline u64 largest(const element *x, u32 n, u32 row, u32 column, u32 c, u32 height, u32 width, u32 channels,
                              u32 pool, float mean, float inverse, float scale, float shift, u32 relu, float *value) {
	u64 at = (((u64)n * height + row * pool) * width + column * pool) * channels + c, index = at;
	float best = activated(load(x[at]), mean, inverse, scale, shift, relu);
	for (u32 i = 1; i < pool * pool; i++) {
		u64 here = at + ((u64)(i / pool) * width + i % pool) * channels;
		float v = activated(load(x[here]), mean, inverse, scale, shift, relu);
		if (v > best || v != v) {
			best = v;
			index = here;
		}
	}
	*value = best;
	return index;
}

// Sums of x and x² about the channel's first value, which keeps digits where
// the mean is far from zero.
KERNEL normalization_sums(const element *x, float *partial, u32 rows, u32 channels) {
	u32 c = blockIdx.x * SUM_CHANNELS + threadIdx.x % SUM_CHANNELS;
	float sum = 0.f, squares = 0.f;
	if (c < channels) {
		float pivot = load(x[c]);
		for (u32 r = blockIdx.y * SUM_ROWS + threadIdx.x / SUM_CHANNELS; r < rows; r += gridDim.y * SUM_ROWS) {
			float d = load(x[(u64)r * channels + c]) - pivot;
			sum += d;
			squares = fmaf(d, d, squares);
		}
	}
	leave_partial(sum, squares, c, channels, partial);
}

// Adds up the partial sums: the batch's mean and 1/√(variance+epsilon), and
// the running statistics.
KERNEL normalization_statistics(const element *x, const float *partial, float *mean, float *inverse, float *running_mean,
                                float *running_variance, u32 parts, u32 rows, u32 channels, float epsilon, float momentum) {
	u64 c = first_index();
	if (c >= channels) return;
	double sum = 0, squares = 0;
	for (u32 p = 0; p < parts; p++) {
		sum += partial[(u64)p * 2 * channels + c];
		squares += partial[((u64)p * 2 + 1) * channels + c];
	}
	double about = sum / rows, deviations = squares - about * sum;
	if (deviations < 0) deviations = 0;
	double average = (double)load(x[c]) + about;
	mean[c] = (float)average;
	inverse[c] = (float)(1.0 / sqrt(deviations / rows + (double)epsilon));
	double unbiased = deviations / (rows > 1 ? rows - 1 : 1);
	running_mean[c] = (float)((double)momentum * running_mean[c] + (1.0 - (double)momentum) * average);
	running_variance[c] = (float)((double)momentum * running_variance[c] + (1.0 - (double)momentum) * unbiased);
}

// For inference: inverse from a running variance.
KERNEL normalization_inverse(const float *variance, float *inverse, u32 channels, float epsilon) {
	u64 c = first_index();
	if (c < channels) inverse[c] = (float)(1.0 / sqrt((double)variance[c] + (double)epsilon));
}

// y = pool(relu(normalise(x))) + skip; skip may be null.
KERNEL normalization_forward(const element *x, const float *mean, const float *inverse, const float *scale, const float *shift,
                             const element *skip, element *y, u32 batch, u32 height, u32 width, u32 channels, u32 pool, u32 relu) {
	u32 rows = height / pool, columns = width / pool;
	u64 count = (u64)batch * rows * columns * channels;
	for (u64 k = first_index(); k < count; k += stride()) {
		u32 c = (u32)(k % channels);
		u64 position = k / channels;
		u32 column = (u32)(position % columns), row = (u32)(position / columns % rows), n = (u32)(position / columns / rows);
		float value;
		largest(x, n, row, column, c, height, width, channels, pool, mean[c], inverse[c], scale[c], shift[c], relu, &value);
		y[k] = store(skip ? value + load(skip[k]) : value);
	}
}

// Sums of the gradient g of the affine map's result, and of g times the
// normalised input.
KERNEL normalization_gradient_sums(const element *x, const element *dy, const float *mean, const float *inverse, const float *scale,
                                   const float *shift, float *partial, u32 batch, u32 height, u32 width, u32 channels, u32 pool, u32 relu) {
	u32 c = blockIdx.x * SUM_CHANNELS + threadIdx.x % SUM_CHANNELS;
	u32 rows = height / pool, columns = width / pool, count = batch * rows * columns;
	float sum = 0.f, projected = 0.f;
	if (c < channels) {
		for (u32 r = blockIdx.y * SUM_ROWS + threadIdx.x / SUM_CHANNELS; r < count; r += gridDim.y * SUM_ROWS) {
			float value;
			u64 i = largest(x, r / columns / rows, r / columns % rows, r % columns, c, height, width, channels, pool,
			                mean[c], inverse[c], scale[c], shift[c], relu, &value);
			if (!relu || value > 0.f) {
				float g = load(dy[(u64)r * channels + c]);
				sum += g;
				projected = fmaf(g, normalised(load(x[i]), mean[c], inverse[c]), projected);
			}
		}
	}
	leave_partial(sum, projected, c, channels, partial);
}

// Adds up the partial sums to the gradients of shift and scale; padding up to
// length becomes zero.
KERNEL normalization_gradients(const float *partial, float *dscale, float *dshift, u32 parts, u32 channels, u32 length) {
	u64 c = first_index();
	if (c >= length) return;
	double sum = 0, projected = 0;
	for (u32 p = 0; p < parts && c < channels; p++) {
		sum += partial[(u64)p * 2 * channels + c];
		projected += partial[((u64)p * 2 + 1) * channels + c];
	}
	dshift[c] = (float)sum;
	dscale[c] = (float)projected;
}

// The gradient of x, which may take its place: a thread reads and writes one
// window. Windows that the pooling left out, at the edges, have no gradient of
// their own.
KERNEL normalization_backward(const element *x, const element *dy, const float *mean, const float *inverse, const float *scale,
                              const float *shift, const float *dscale, const float *dshift, element *dx,
                              u32 batch, u32 height, u32 width, u32 channels, u32 pool, u32 relu) {
	u32 rows = height / pool, columns = width / pool;
	u32 all_rows = (height + pool - 1) / pool, all_columns = (width + pool - 1) / pool;
	float count = (float)((double)batch * height * width);
	u64 windows = (u64)batch * all_rows * all_columns * channels;
	for (u64 k = first_index(); k < windows; k += stride()) {
		u32 c = (u32)(k % channels);
		u64 position = k / channels;
		u32 column = (u32)(position % all_columns), row = (u32)(position / all_columns % all_rows);
		u32 n = (u32)(position / all_columns / all_rows);
		float m = mean[c], inv = inverse[c], s = scale[c], g = 0.f;
		u64 chosen = ~0ull;
		if (row < rows && column < columns) {
			float value;
			u64 i = largest(x, n, row, column, c, height, width, channels, pool, m, inv, s, shift[c], relu, &value);
			if (!relu || value > 0.f) {
				chosen = i;
				g = load(dy[(((u64)n * rows + row) * columns + column) * channels + c]);
			}
		}
		float sum = dshift[c] / count, projected = dscale[c] / count;
		for (u32 r = row * pool; r < row * pool + pool && r < height; r++)
			for (u32 w = column * pool; w < column * pool + pool && w < width; w++) {
				u64 i = (((u64)n * height + r) * width + w) * channels + c;
				float centred = (i == chosen ? g : 0.f) - sum - normalised(load(x[i]), m, inv) * projected;
				dx[i] = store(s * inv * centred);
			}
	}
}
