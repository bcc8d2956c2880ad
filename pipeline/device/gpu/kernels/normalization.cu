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

// What a result must exceed so that it is not the ReLU's 0: without ReLU all do.
__device__ inline float least(u32 relu) { return relu ? 0.f : __uint_as_float(0xff800000u); }

// The shape of what is normalised, in octets: an activation has fewer than 2³².
struct shape {
	u32 batch, height, width, octets, pool;
	__device__ u32 windows() const { return batch * (height / pool) * (width / pool); }
	// From a window's first input to its place p.
	__device__ u32 place(u32 p) const { return (p / pool * width + p % pool) * octets; }
	// Where a window begins, at its channels' first octet.
	__device__ u32 begin(u32 k) const {
		if (pool == 1) return k * octets;
		u32 columns = width / pool, line = k / columns, top = line * pool;
		if (height % pool) top += line / (height / pool) * (height % pool);
		return (top * width + (k - line * columns) * pool) * octets;
	}
};

// With POOL, which is then the windows' side, for images that windows leave
// nothing of; 0 stands for any side.
template <u32 POOL>
__device__ inline shape shape_of(u32 batch, u32 height, u32 width, u32 channels, u32 pool) {
	return {batch, POOL ? height / POOL * POOL : height, width, channels / OCTET, POOL ? POOL : pool};
}

// An octet of channels of POOL×POOL inputs, all read at once. Where the side is
// known only at run time (0), an input is read each time that it is needed.
template <u32 POOL>
struct window {
	packed inputs[POOL * POOL];
	__device__ void read(const packed *x, u32 begin, const shape &s) {
		for (u32 p = 0; p < POOL * POOL; p++) inputs[p] = x[begin + s.place(p)];
	}
};

template <>
struct window<0> {
	const packed *x;
	u32 begin;
	shape s;
	__device__ void read(const packed *from, u32 first, const shape &of) {
		x = from;
		begin = first;
		s = of;
	}
	__device__ octet operator[](u32 p) const { return unpack(x[begin + s.place(p)]); }
};

// The largest of a channel's results of the affine map in a window, and the
// input (the first of equals) and its place in the window that it comes from. A
// NaN is passed on. A ReLU may follow: it changes no order, and where it makes
// results equal, none of them has a gradient.
struct peak {
	float value = 0.f, source = 0.f;
	u32 place = 0;
	__device__ void consider(float v, float x, u32 p) {
		bool larger = (p == 0) | (v > value) | (v != v); // no branches: threads differ
		value = larger ? v : value;
		source = larger ? x : source;
		place = larger ? p : place;
	}
};

// A channel's peak in a window that has been read.
template <u32 POOL>
__device__ inline peak find_peak(const window<POOL> &x, u32 i, float slope, float offset) {
	peak most;
	for (u32 p = 0; p < POOL * POOL; p++) {
		float v = unpack(x.inputs[p], i);
		most.consider(fmaf(slope, v, offset), v, p);
	}
	return most;
}

// A window's peaks, an octet of channels.
template <u32 POOL>
__device__ inline void find_peaks(const window<POOL> &x, const octet &slope, const octet &offset, peak *peaks) {
	for (u32 i = 0; i < OCTET; i++) peaks[i] = find_peak(x, i, slope.v[i], offset.v[i]);
}

__device__ inline void find_peaks(const window<0> &x, const octet &slope, const octet &offset, peak *peaks) {
	for (u32 p = 0; p < x.s.pool * x.s.pool; p++) {
		octet here = x[p];
		for (u32 i = 0; i < OCTET; i++) peaks[i].consider(fmaf(slope.v[i], here.v[i], offset.v[i]), here.v[i], p);
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
KERNEL_RESIDENT(RESIDENT) ON_ELEMENTS(normalization_statistics)(const element *x, float *partial, u32 *tickets, float *coefficients,
                                                                const float *scale, const float *shift, float *running_mean,
                                                                float *running_variance, u32 rows, u32 channels, float epsilon,
                                                                float momentum) {
	const u32 at_once = 4;
	u32 c = blockIdx.x * SUM_CHANNELS + threadIdx.x % SUM_OCTETS * OCTET, step = gridDim.y * SUM_ROWS;
	octet sum = {}, squares = {};
	if (c < channels) {
		octet pivot = load_octet(x + c);
		for (u32 r = blockIdx.y * SUM_ROWS + threadIdx.x / SUM_OCTETS; r < rows; r += at_once * step) {
			packed some[at_once];
			for (u32 j = 0; j < at_once; j++) {
				u32 row = r + j * step < rows ? r + j * step : 0; // the first adds nothing
				some[j] = load_packed(x + (u64)row * channels + c);
			}
			for (u32 j = 0; j < at_once; j++) {
				octet v = unpack(some[j]);
				for (u32 i = 0; i < OCTET; i++) {
					float d = v.v[i] - pivot.v[i];
					sum.v[i] += d;
					squares.v[i] = fmaf(d, d, squares.v[i]);
				}
			}
		}
	}
	if (!leave_partial(add_rows(sum), add_rows(squares), partial, tickets)) return;
	double total, total_squares;
	add_partial(partial, &total, &total_squares);
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

// What follows has kernels for a pool of 1 and of 2, for images that windows
// leave nothing of, and one for any. The threads that share out octets are a
// multiple of a pixel's octets: the channels of a thread stay the same.

// y = pool(relu(normalise(x))) + skip.
template <u32 POOL, bool SKIP>
__device__ inline void forward(const packed *x, const float *coefficients, const packed *skip, element *y, const shape &s, u32 relu) {
	u32 first = (u32)first_index(), o = first % s.octets, channels = s.octets * OCTET;
	octet slope = row_of(coefficients, SLOPE, channels, o * OCTET), offset = row_of(coefficients, OFFSET, channels, o * OCTET);
	u32 count = s.windows(), step = (u32)stride() / s.octets;
	float floor = least(relu);
	for (u32 k = first / s.octets; k < count; k += step) {
		u32 at = k * s.octets + o;
		window<POOL> inputs;
		inputs.read(x, s.begin(k) + o, s);
		packed added = SKIP ? skip[at] : packed{};
		peak peaks[OCTET];
		find_peaks(inputs, slope, offset, peaks);
		octet result, more = unpack(added);
		for (u32 i = 0; i < OCTET; i++) {
			float v = peaks[i].value <= floor ? floor : peaks[i].value;
			result.v[i] = SKIP ? v + more.v[i] : v;
		}
		store_octet(y + (u64)at * OCTET, result);
	}
}

#define NORMALIZATION_FORWARD(name, pool_known, skips)                                                                               \
	KERNEL_RESIDENT(4) ON_ELEMENTS(name)(const packed *x, const float *coefficients, const packed *skip, element *y, u32 batch,      \
	                                     u32 height, u32 width, u32 channels, u32 pool, u32 relu) {                                  \
		forward<pool_known, skips>(x, coefficients, skip, y, shape_of<pool_known>(batch, height, width, channels, pool), relu);      \
	}
NORMALIZATION_FORWARD(normalization_forward, 0, false)
NORMALIZATION_FORWARD(normalization_forward_pool1, 1, false)
NORMALIZATION_FORWARD(normalization_forward_pool2, 2, false)
NORMALIZATION_FORWARD(normalization_forward_skip, 1, true)

// Sums of the gradient g of the affine map's result, and of g times the
// normalised input: the gradients of shift and scale (padding up to length
// becomes zero), and the coefficients of the gradient of x.
template <u32 POOL>
__device__ inline void gradients(const packed *x, const packed *dy, float *partial, u32 *tickets, float *coefficients, float *dscale,
                                 float *dshift, const shape &s, u32 inputs_each, u32 relu, u32 length) {
	const u32 at_once = POOL == 1 ? 2 : 1;
	u32 count = s.windows(), step = gridDim.y * SUM_ROWS, channels = s.octets * OCTET;
	u32 c = blockIdx.x * SUM_CHANNELS + threadIdx.x % SUM_OCTETS * OCTET;
	octet sum = {}, projected = {};
	float floor = least(relu);
	if (c < channels) {
		octet slope = row_of(coefficients, SLOPE, channels, c), offset = row_of(coefficients, OFFSET, channels, c);
		octet mean = row_of(coefficients, MEAN, channels, c);
		for (u32 r = blockIdx.y * SUM_ROWS + threadIdx.x / SUM_OCTETS; r < count; r += at_once * step) {
			window<POOL> inputs[at_once];
			packed given[at_once];
			for (u32 j = 0; j < at_once; j++) {
				u32 k = r + j * step < count ? r + j * step : 0;
				inputs[j].read(x, s.begin(k) + c / OCTET, s);
				given[j] = dy[k * s.octets + c / OCTET];
			}
			for (u32 j = 0; j < at_once; j++) {
				octet g = unpack(given[j]);
				peak peaks[OCTET];
				find_peaks(inputs[j], slope, offset, peaks);
				for (u32 i = 0; i < OCTET; i++) {
					float passed = peaks[i].value > floor && r + j * step < count ? g.v[i] : 0.f;
					sum.v[i] += passed;
					projected.v[i] = fmaf(passed, peaks[i].source - mean.v[i], projected.v[i]);
				}
			}
		}
	}
	if (!leave_partial(add_rows(sum), add_rows(projected), partial, tickets)) return;
	double total, total_projected;
	add_partial(partial, &total, &total_projected);
	c = blockIdx.x * SUM_CHANNELS + threadIdx.x;
	if (threadIdx.x >= SUM_CHANNELS) return;
	if (c < channels) {
		double mean = coefficients[MEAN * channels + c], inverse = coefficients[INVERSE * channels + c];
		double slope = coefficients[SLOPE * channels + c], all = inputs_each;
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

#define NORMALIZATION_GRADIENTS(kernel, name, pool_known)                                                                            \
	kernel ON_ELEMENTS(name)(const packed *x, const packed *dy, float *partial, u32 *tickets, float *coefficients, float *dscale,    \
	                         float *dshift, u32 batch, u32 height, u32 width, u32 channels, u32 pool, u32 relu, u32 length) {        \
		gradients<pool_known>(x, dy, partial, tickets, coefficients, dscale, dshift,                                                 \
		                      shape_of<pool_known>(batch, height, width, channels, pool), batch * height * width, relu, length);     \
	}
NORMALIZATION_GRADIENTS(KERNEL, normalization_gradients, 0)
NORMALIZATION_GRADIENTS(KERNEL_RESIDENT(RESIDENT), normalization_gradients_pool1, 1)
NORMALIZATION_GRADIENTS(KERNEL_RESIDENT(RESIDENT), normalization_gradients_pool2, 2)

// The gradient of x, slope·g + tilt·x + constant, which may take x's place: a
// thread reads and writes one window. It goes from channel to channel, so that
// it holds few numbers besides what it has read.
template <u32 POOL>
__device__ inline void backward(const packed *x, const packed *dy, const float *coefficients, packed *dx, const shape &s, u32 relu) {
	u32 first = (u32)first_index(), o = first % s.octets, c = o * OCTET, channels = s.octets * OCTET;
	octet slope = row_of(coefficients, SLOPE, channels, c), offset = row_of(coefficients, OFFSET, channels, c);
	octet tilt = row_of(coefficients, TILT, channels, c), constant = row_of(coefficients, CONSTANT, channels, c);
	u32 count = s.windows(), step = (u32)stride() / s.octets;
	float floor = least(relu);
	for (u32 k = first / s.octets; k < count; k += step) {
		u32 begin = s.begin(k) + o;
		window<POOL> inputs;
		inputs.read(x, begin, s);
		packed given = dy[k * s.octets + o];
#pragma unroll
		for (u32 i = 0; i < OCTET; i += 2) {
			float results[POOL * POOL][2];
			for (u32 j = i; j < i + 2; j++) {
				peak most = find_peak(inputs, j, slope.v[j], offset.v[j]);
				float g = most.value > floor ? unpack(given, j) : 0.f;
				for (u32 p = 0; p < POOL * POOL; p++) {
					float straight = fmaf(tilt.v[j], unpack(inputs.inputs[p], j), constant.v[j]);
					results[p][j - i] = most.place == p ? fmaf(slope.v[j], g, straight) : straight;
				}
			}
			for (u32 p = 0; p < POOL * POOL; p++) pack(&inputs.inputs[p], i, results[p][0], results[p][1]);
		}
		for (u32 p = 0; p < POOL * POOL; p++) dx[begin + s.place(p)] = inputs.inputs[p];
	}
}

#define NORMALIZATION_BACKWARD(name, pool_known)                                                                                     \
	KERNEL ON_ELEMENTS(name)(const packed *x, const packed *dy, const float *coefficients, packed *dx, u32 batch, u32 height,        \
	                         u32 width, u32 channels, u32 pool, u32 relu) {                                                          \
		backward<pool_known>(x, dy, coefficients, dx, shape_of<pool_known>(batch, height, width, channels, pool), relu);             \
	}
NORMALIZATION_BACKWARD(normalization_backward_pool1, 1)
NORMALIZATION_BACKWARD(normalization_backward_pool2, 2)

// The same for any pool. Windows that the pooling left out, at the edges, have
// no gradient of their own.
KERNEL ON_ELEMENTS(normalization_backward)(const packed *x, const packed *dy, const float *coefficients, element *dx, u32 batch,
                                           u32 height, u32 width, u32 channels, u32 pool, u32 relu) {
	shape s = shape_of<0>(batch, height, width, channels, pool);
	u32 rows = height / pool, columns = width / pool, first = (u32)first_index(), o = first % s.octets, c = o * OCTET;
	u32 all_rows = (height + pool - 1) / pool, all_columns = (width + pool - 1) / pool;
	octet slope = row_of(coefficients, SLOPE, channels, c), offset = row_of(coefficients, OFFSET, channels, c);
	octet tilt = row_of(coefficients, TILT, channels, c), constant = row_of(coefficients, CONSTANT, channels, c);
	u32 count = batch * all_rows * all_columns, step = (u32)stride() / s.octets;
	float floor = least(relu);
	for (u32 k = first / s.octets; k < count; k += step) {
		u32 column = k % all_columns, row = k / all_columns % all_rows, n = k / all_columns / all_rows;
		u32 begin = ((n * height + row * pool) * width + column * pool) * s.octets + o;
		window<0> inputs;
		inputs.read(x, begin, s);
		octet g = {};
		peak peaks[OCTET] = {};
		if (row < rows && column < columns) {
			find_peaks(inputs, slope, offset, peaks);
			g = unpack(dy[((n * rows + row) * columns + column) * s.octets + o]);
			for (u32 i = 0; i < OCTET; i++)
				if (!(peaks[i].value > floor)) g.v[i] = 0.f;
		}
		for (u32 p = 0; p < pool * pool; p++) {
			if (row * pool + p / pool >= height || column * pool + p % pool >= width) continue;
			octet v = inputs[p];
			for (u32 i = 0; i < OCTET; i++) {
				float straight = fmaf(tilt.v[i], v.v[i], constant.v[i]);
				v.v[i] = peaks[i].place == p ? fmaf(slope.v[i], g.v[i], straight) : straight;
			}
			store_octet(dx + (u64)(begin + s.place(p)) * OCTET, v);
		}
	}
}
