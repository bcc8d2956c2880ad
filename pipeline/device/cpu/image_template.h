// The first layer: a 3×3 convolution of a plain image with three channels.
// oneDNN would pad the channels to a whole block, that is work on zeros.

const int image_channels = 3, image_taps = 9; // taps: one kernel row's inputs

// Output pixels computed together; with two blocks of channels their sums just
// fit the registers.
const int image_pixels = BLOCK == 16 ? 8 : 4;
// Blocks of channels whose gradients, one for each tap, fit the registers.
const int gradient_blocks = BLOCK == 16 ? 2 : 1;

inline size_t image_row(const image_convolution_arguments &a) {
	return (size_t)(parts(a.width, image_pixels) * image_pixels + 2) * image_channels;
}

// Copies the image between borders of zeros (set once, when memory is made),
// as wide as whole groups of pixels need: batch × (height+2) × image_row.
void image_pad(const image_convolution_arguments &a) {
	const size_t row = image_row(a), width = (size_t)a.width * image_channels;
#pragma omp parallel for schedule(static) num_threads(a.threads)
	for (int i = 0; i < a.batch * a.height; i++) {
		const size_t n = i / a.height, h = i % a.height;
		memcpy(a.padded + (n * (a.height + 2) + h + 1) * row + image_channels, a.x + i * width, width * sizeof(float));
	}
}

// One group of pixels and BLOCKS blocks of output channels; SUMS says that the
// outputs are added to first, their squares to second.
template <int BLOCKS, bool SUMS>
inline void image_group(const float *x, size_t row, const float *w, int out, float *y, size_t plane, int pixels, vec *first, vec *second) {
	vec sum[BLOCKS][image_pixels] = {};
	for (int k = 0; k < 3; k++, x += row) {
		// Not unrolled: the compiler would keep the inputs that the taps share
		// and run out of registers.
#pragma GCC unroll 1
		for (int j = 0; j < image_taps; j++, w += out) {
			vec weight[BLOCKS];
#pragma GCC unroll 2
			for (int b = 0; b < BLOCKS; b++) weight[b] = load(w + b * BLOCK);
#pragma GCC unroll 8
			for (int p = 0; p < image_pixels; p++)
#pragma GCC unroll 2
				for (int b = 0; b < BLOCKS; b++) sum[b][p] += weight[b] * x[p * image_channels + j];
		}
	}
#pragma GCC unroll 2
	for (int b = 0; b < BLOCKS; b++)
#pragma GCC unroll 8
		for (int p = 0; p < image_pixels; p++)
			if (p < pixels) {
				store(y + (b * plane + p) * BLOCK, sum[b][p]);
				if (!SUMS) continue;
				first[b] += sum[b][p];
				second[b] += sum[b][p] * sum[b][p];
			}
}

// One row of BLOCKS blocks of output channels; SUMS says that its sums are
// wanted.
template <int BLOCKS, bool SUMS>
__attribute__((noinline)) void image_row_forward(const float *x, size_t row, const float *w, int out, float *y, size_t plane, int width, piece_sums *sums) {
	vec first[BLOCKS] = {}, second[BLOCKS] = {};
	int i = 0;
	for (; i + image_pixels <= width; i += image_pixels)
		image_group<BLOCKS, SUMS>(x + (size_t)i * image_channels, row, w, out, y + (size_t)i * BLOCK, plane, image_pixels, first, second);
	if (i < width)
		image_group<BLOCKS, SUMS>(x + (size_t)i * image_channels, row, w, out, y + (size_t)i * BLOCK, plane, width - i, first, second);
	for (int b = 0; SUMS && b < BLOCKS; b++) sums[b] = {first[b], second[b]};
}

const char *image_forward(const void *arguments) {
	const image_convolution_arguments a = *(const image_convolution_arguments *)arguments;
	if (a.pad) image_pad(a);
	const int blocks = a.out / BLOCK, rows = a.batch * a.height;
	const size_t plane = (size_t)a.height * a.width, row = image_row(a);
	piece_sums *of_rows = reserve_sums<piece_sums>(a.workspace, (size_t)rows * blocks);
	if (!of_rows) return "convolution of an image: out of memory";
#pragma omp parallel for schedule(dynamic, grain(rows, a.threads)) num_threads(a.threads)
	for (int i = 0; i < rows; i++) {
		const size_t n = i / a.height, h = i % a.height;
		const float *x = a.padded + (n * (a.height + 2) + h) * row;
		float *y = a.y + (n * blocks * plane + h * a.width) * BLOCK;
		for (int b = 0; b < blocks; b += 2)
			(b + 2 <= blocks ? image_row_forward<2, true> : image_row_forward<1, true>)(
				x, row, a.w + b * BLOCK, a.out, y + b * plane * BLOCK, plane, a.width, of_rows + (size_t)i * blocks + b);
	}
	for (int b = 0; b < blocks; b++) ((sums *)a.sums)[b] = total(of_rows + b, blocks, rows / 2, rows);
	return NULL;
}

// Sets dw to the weights of a convolution with the normalisation folded in.
const char *image_fold(const void *arguments) {
	const image_convolution_arguments a = *(const image_convolution_arguments *)arguments;
	for (int i = 0; i < 3 * image_taps; i++)
		for (int o = 0; o < a.out; o += BLOCK) store(a.dw + i * a.out + o, load(a.w + i * a.out + o) * load(a.slope + o));
	return NULL;
}

// One row of pooled outputs of BLOCKS blocks of channels, from `pool` rows of
// outputs that stay in rows.
template <int BLOCKS>
__attribute__((noinline)) void image_row_infer(const image_convolution_arguments &a, const float *x, const float *w, const float *offset, float *rows, float *y, size_t pooled) {
	const size_t row = image_row(a), width = a.width, length = BLOCKS * width * BLOCK;
	for (int i = 0; i < a.pool; i++) image_row_forward<BLOCKS, false>(x + i * row, row, w, a.out, rows + i * length, width, a.width, NULL);
	for (int b = 0; b < BLOCKS; b++) {
		const vec shift = load(offset + b * BLOCK);
		for (int j = 0; j < a.width / a.pool; j++) {
			const float *from = rows + (b * width + (size_t)j * a.pool) * BLOCK;
			vec best = load(from);
			for (int k = 0; k < a.pool; k++)
				for (int l = 0; l < a.pool; l++) best = larger(load(from + k * length + l * BLOCK), best);
			best += shift;
			store(y + (b * pooled + j) * BLOCK, a.relu ? rectified(best) : best);
		}
	}
}

// The convolution with weights by image_fold, and what the normalisation, ReLU
// and pooling behind it make of its output.
const char *image_infer(const void *arguments) {
	const image_convolution_arguments a = *(const image_convolution_arguments *)arguments;
	if (a.pad) image_pad(a);
	const int blocks = a.out / BLOCK, height = a.height / a.pool, width = a.width / a.pool;
	const size_t pooled = (size_t)height * width, row = image_row(a), own = (size_t)a.pool * 2 * a.width * BLOCK;
	float *all = reserve(a.workspace, a.threads * own);
	if (!all) return "convolution of an image: out of memory";
	const int rows = a.batch * height;
#pragma omp parallel for schedule(dynamic, grain(rows, a.threads)) num_threads(a.threads)
	for (int i = 0; i < rows; i++) {
		const size_t n = i / height, h = i % height;
		const float *x = a.padded + (n * (a.height + 2) + h * a.pool) * row;
		float *y = a.y + (n * blocks * pooled + h * width) * BLOCK;
		for (int b = 0; b < blocks; b += 2)
			(b + 2 <= blocks ? image_row_infer<2> : image_row_infer<1>)(
				a, x, a.w + b * BLOCK, a.offset + b * BLOCK, all + omp_get_thread_num() * own, y + b * pooled * BLOCK, pooled);
	}
	return NULL;
}

// Adds one row's part of the weights' gradient, for one row of the kernel.
template <int BLOCKS>
__attribute__((noinline)) void image_row_gradient(const float *x, const float *dy, size_t plane, int width, float *dw, int out) {
	vec sum[BLOCKS][image_taps];
#pragma GCC unroll 9
	for (int j = 0; j < image_taps; j++)
#pragma GCC unroll 2
		for (int b = 0; b < BLOCKS; b++) sum[b][j] = load(dw + j * out + b * BLOCK);
	for (int w = 0; w < width; w++, x += image_channels, dy += BLOCK) {
		vec g[BLOCKS];
#pragma GCC unroll 2
		for (int b = 0; b < BLOCKS; b++) g[b] = load(dy + b * plane * BLOCK);
#pragma GCC unroll 9
		for (int j = 0; j < image_taps; j++)
#pragma GCC unroll 2
			for (int b = 0; b < BLOCKS; b++) sum[b][j] += g[b] * x[j];
	}
#pragma GCC unroll 9
	for (int j = 0; j < image_taps; j++)
#pragma GCC unroll 2
		for (int b = 0; b < BLOCKS; b++) store(dw + j * out + b * BLOCK, sum[b][j]);
}

const char *image_backward_weights(const void *arguments) {
	const image_convolution_arguments a = *(const image_convolution_arguments *)arguments;
	if (a.pad) image_pad(a);
	const int blocks = a.out / BLOCK;
	const size_t plane = (size_t)a.height * a.width, row = image_row(a), length = (size_t)3 * image_taps * a.out;
	// Sums over one image's rows first: shorter sums are more exact.
	float *of_images = reserve(a.workspace, a.batch * length);
	if (!of_images) return "convolution of an image: out of memory";
#pragma omp parallel for schedule(dynamic) num_threads(a.threads)
	for (int n = 0; n < a.batch; n++) {
		float *dw = of_images + n * length;
		memset(dw, 0, length * sizeof(float));
		for (int h = 0; h < a.height; h++)
			for (int k = 0; k < 3; k++) {
				const float *x = a.padded + ((size_t)n * (a.height + 2) + h + k) * row;
				const float *dy = a.dy + ((size_t)n * blocks * plane + h * a.width) * BLOCK;
				float *taps = dw + (size_t)k * image_taps * a.out;
				for (int b = 0; b < blocks; b += gradient_blocks)
					(b + gradient_blocks <= blocks ? image_row_gradient<gradient_blocks> : image_row_gradient<1>)(
						x, dy + b * plane * BLOCK, plane, a.width, taps + b * BLOCK, a.out);
			}
	}
	for (size_t i = 0; i < length; i += BLOCK) {
		vec halves[2] = {};
		for (int n = 0; n < a.batch; n++) halves[n >= a.batch / 2] += load(of_images + n * length + i);
		store(a.dw + i, halves[0] + halves[1]);
	}
	return NULL;
}
