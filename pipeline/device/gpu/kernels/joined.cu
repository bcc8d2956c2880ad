// The first convolution (3×3, stride 1, padding 1, of images with at most 3
// channels) joined with the normalisation behind it and its 2×2 pooling, on the
// tensor cores in bfloat16. What takes the time of a first layer is its large
// output: here it is written once, and read once forward and twice backward;
// its gradient lies in registers only.
//
// A block has 8 warps and takes 32 output channels, those of blockIdx.x, of a
// share of the images that is blockIdx.y's among gridDim.y.
//
// In a warp, lane = 4·group + place, as in PTX's tables of the fragments of
// mma.m16n8k16: a thread has rows group and group+8 of a, columns 2·place and
// 2·place+1 of c, and column group of b; of the inner dimension it has
// 2·place, 2·place+1 and these plus 8.
const u32 WARPS = 256 / 32, TAPS = 9, COLOURS = 3;

// c += a·b.
__device__ inline void multiply(float *c, const u32 *a, const u32 *b) {
#ifdef __CUDACC_RTC__
	asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
	shim_mma(c, a, b);
#endif
}

// The convolution forward, and the statistics of its output. Rows of a are 16
// neighbouring pixels of a row; the inner dimension is four channels of each of
// 9 taps, in three products of which the last has more taps than there are; a
// thread's columns, over four products, are 8 neighbouring channels.
KERNEL joined_forward(const bfloat16 *x, const float *weights, bfloat16 *y, float *partial, u32 *tickets, float *coefficients,
                      const float *scale, const float *shift, float *running_mean, float *running_variance, u32 batch, u32 height,
                      u32 width, u32 channels, float epsilon, float momentum) {
	const u32 products = 3;
	u32 warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, place = threadIdx.x % 4, first = blockIdx.x * SUM_CHANNELS;
	// The taps of this thread, and the weights.
	int below[2 * products], beside[2 * products];
	u32 b[products][4][2];
	for (u32 i = 0; i < 2 * products; i++) {
		u32 tap = 2 * i + place / 2, colour = place % 2 * 2;
		below[i] = tap < TAPS ? (int)(tap / 3) - 1 : -(1 << 20); // beyond all images
		beside[i] = (int)(tap % 3) - 1;
		for (u32 j = 0; j < 4; j++) {
			const float *w = weights + ((u64)(first + group / 2 * OCTET + 2 * j + group % 2) * TAPS + tap) * OCTET + colour;
			b[i / 2][j][i % 2] = tap < TAPS ? bfloat16_pair(w[0], w[1]) : 0;
		}
	}
	const u32 *pairs_of_x = (const u32 *)x + place % 2; // of channels: 4 a pixel
	octet sum = {}, squares = {};
	u32 across = (width + 15) / 16, tiles = batch * height * across;
	for (u32 tile = blockIdx.y * WARPS + warp; tile < tiles; tile += gridDim.y * WARPS) {
		u32 line = tile / across, column = (tile - line * across) * 16 + group, row = line % height;
		// All is read at once, what lies outside of the image from its beginning.
		u32 a[products][4];
		for (u32 i = 0; i < 2 * products; i++)
			for (u32 right = 0; right < 2; right++) {
				u32 r = row + below[i], s = column + beside[i] + right * 8;
				bool inside = r < height && s < width;
				u32 pair = pairs_of_x[inside ? ((line + below[i]) * width + s) * (OCTET / 2) : 0];
				a[i / 2][i % 2 * 2 + right] = inside ? pair : 0;
			}
		float c[4][4] = {};
		for (u32 i = 0; i < products; i++)
			for (u32 j = 0; j < 4; j++) multiply(c[j], a[i], b[i][j]);
		for (u32 right = 0; right < 2; right++) {
			if (column + right * 8 >= width) continue;
			u32 pairs[4];
			for (u32 j = 0; j < 4; j++) pairs[j] = bfloat16_pair(c[j][2 * right], c[j][2 * right + 1]);
			uint4 whole = {pairs[0], pairs[1], pairs[2], pairs[3]};
			*(uint4 *)(y + ((u64)line * width + column + right * 8) * channels + first + place * OCTET) = whole;
			for (u32 i = 0; i < OCTET; i++) {
				float v = half_of(pairs[i / 2], i % 2);
				sum.v[i] += v;
				squares.v[i] = fmaf(v, v, squares.v[i]);
			}
		}
	}
	for (u32 i = 0; i < OCTET; i++)
		for (u32 distance = 16; distance >= 4; distance /= 2) {
			sum.v[i] += __shfl_down_sync(0xffffffffu, sum.v[i], distance);
			squares.v[i] += __shfl_down_sync(0xffffffffu, squares.v[i], distance);
		}
	__shared__ float sums[2][WARPS][SUM_CHANNELS];
	for (u32 i = 0; i < OCTET && group == 0; i++) {
		sums[0][warp][place * OCTET + i] = sum.v[i];
		sums[1][warp][place * OCTET + i] = squares.v[i];
	}
	__syncthreads();
	float of_block[2] = {};
	for (u32 kind = 0; kind < 2; kind++)
		for (u32 w = 0; w < WARPS; w++) of_block[kind] += sums[kind][w][threadIdx.x % SUM_CHANNELS];
	if (!leave_partial(of_block[0], of_block[1], partial, tickets)) return;
	double total, total_squares;
	add_partial(partial, &total, &total_squares);
	if (threadIdx.x < SUM_CHANNELS)
		finish_statistics(coefficients, scale, shift, running_mean, running_variance, channels, first + threadIdx.x, 0.0, total,
		                  total_squares, batch * height * width, epsilon, momentum);
}

// The gradient of the weights. The inner dimension is 16 pixels, 8 of a row and
// 8 below them: a thread has the 2×2 pixels of one pooling window, whose
// gradient it makes from what the convolution gave there, y, and the gradient
// of the pooling's result. Rows of a are the channels 4·group (group+8: plus
// 1), in the second product plus 2. Columns of b are taps and colours.
KERNEL joined_backward(const bfloat16 *x, const bfloat16 *y, const bfloat16 *gradient, const float *coefficients, float *partial,
                       u32 batch, u32 height, u32 width, u32 channels, u32 relu) {
	const u32 pixels = 4, some = 4, columns_of_b = 32;
	u32 warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
	u32 channel = blockIdx.x * SUM_CHANNELS + group * some;
	float slope[some], offset[some], tilt[some], constant[some];
	for (u32 i = 0; i < some; i++) {
		slope[i] = coefficients[SLOPE * channels + channel + i];
		offset[i] = coefficients[OFFSET * channels + channel + i];
		tilt[i] = coefficients[TILT * channels + channel + i];
		constant[i] = coefficients[CONSTANT * channels + channel + i];
	}
	// Where this thread's columns of b read: how far from the window's first
	// pixel, and where among the 4×4 pixels from the one above and left of it on.
	u32 away[4], at[4];
	for (u32 j = 0; j < 4; j++) {
		u32 q = 8 * j + group, tap = q / COLOURS, down = tap / 3, right = tap % 3;
		away[j] = ((down - 1) * width + right - 1) * OCTET + q % COLOURS;
		at[j] = tap < TAPS ? 4 * down + right : 16;
	}
	const uint2 *fours_of_y = (const uint2 *)(y + channel), *fours_of_gradient = (const uint2 *)(gradient + channel);
	float c[2][4][4] = {};
	u32 rows = height / 2, columns = width / 2, bands = (height + 1) / 2, across = (width + 7) / 8, tiles = batch * bands * across;
	for (u32 tile = blockIdx.y * WARPS + warp; tile < tiles; tile += gridDim.y * WARPS) {
		u32 band = tile / across, column = (tile - band * across) * 4 + place, n = band / bands, row = band - n * bands; // of the window
		u32 top = n * height + 2 * row;
		// All is read at once, what lies outside of the image from its beginning.
		uint2 values[pixels];
		bool inside[pixels], pooled = row < rows && column < columns;
		for (u32 p = 0; p < pixels; p++) {
			inside[p] = 2 * row + p / 2 < height && 2 * column + p % 2 < width;
			values[p] = fours_of_y[inside[p] ? (u64)((top + p / 2) * width + 2 * column + p % 2) * (channels / some) : 0];
		}
		uint2 own = fours_of_gradient[pooled ? (u64)((n * rows + row) * columns + column) * (channels / some) : 0];
		u32 around = 0; // a bit for each of the 4×4 pixels that is one
		for (u32 k = 0; k < 16; k++) {
			u32 r = 2 * row + k / 4 - 1, s = 2 * column + k % 4 - 1; // below 0 is far above
			around |= (u32)(r < height && s < width) << k;
		}
		u32 b[4][2], first = (top * width + 2 * column) * OCTET;
		for (u32 j = 0; j < 4; j++)
			for (u32 half = 0; half < 2; half++) {
				u32 from = first + away[j] + half * width * OCTET, there = around >> at[j] >> 4 * half;
				u32 left = x[there & 1 ? from : 0].bits, right = x[there & 2 ? from + OCTET : 0].bits;
				b[j][half] = (there & 1 ? left : 0) | (there & 2 ? right << 16 : 0);
			}
		u32 a[2][4];
		for (u32 i = 0; i < some; i++) {
			peak most;
			float d[pixels];
			for (u32 p = 0; p < pixels; p++) {
				float v = half_of(i / 2 ? values[p].y : values[p].x, i % 2);
				most.consider(fmaf(slope[i], v, offset[i]), v, p);
				d[p] = inside[p] ? fmaf(tilt[i], v, constant[i]) : 0.f;
			}
			float g = pooled && most.value > least(relu) ? half_of(i / 2 ? own.y : own.x, i % 2) : 0.f;
			for (u32 p = 0; p < pixels; p++) d[p] = fmaf(slope[i], p == most.place ? g : 0.f, d[p]);
			a[i / 2][i % 2] = bfloat16_pair(d[0], d[1]);
			a[i / 2][i % 2 + 2] = bfloat16_pair(d[2], d[3]);
		}
		for (u32 m = 0; m < 2; m++)
			for (u32 j = 0; j < 4; j++) multiply(c[m][j], a[m], b[j]);
	}
	// The warps add up in their order.
	__shared__ float sums[SUM_CHANNELS][columns_of_b];
	for (u32 turn = 0; turn < WARPS; turn++) {
		__syncthreads();
		if (turn != warp) continue;
		for (u32 m = 0; m < 2; m++)
			for (u32 j = 0; j < 4; j++)
				for (u32 i = 0; i < 4; i++) {
					float *sum = &sums[group * some + 2 * m + i / 2][8 * j + 2 * place + i % 2];
					*sum = turn ? *sum + c[m][j][i] : c[m][j][i];
				}
	}
	__syncthreads();
	float *to = partial + ((u64)blockIdx.y * gridDim.x + blockIdx.x) * SUM_CHANNELS * columns_of_b;
	for (u32 i = threadIdx.x; i < SUM_CHANNELS * columns_of_b; i += blockDim.x) to[i] = sums[i / columns_of_b][i % columns_of_b];
}

// One warp a weight: the sum over the parts that joined_backward left. Padding
// becomes zero.
KERNEL joined_weights(const float *partial, float *dw, u32 parts, u32 channels) {
	u32 lane = threadIdx.x % 32;
	for (u32 k = (u32)first_index() / 32; k < channels * TAPS * OCTET; k += (u32)stride() / 32) {
		u32 channel = k / OCTET / TAPS, q = k / OCTET % TAPS * COLOURS + k % OCTET;
		float sum = 0.f;
		if (k % OCTET < COLOURS)
			for (u32 p = lane; p < parts; p += 32) sum += partial[((u64)p * channels + channel) * 32 + q];
		sum = add_lanes(sum);
		if (lane == 0) dw[k] = sum;
	}
}
