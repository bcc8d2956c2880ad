// Convolutions as their definition says, one thread a result, weights in OHWI
// order: what cuDNN's are compared with, and what computes where it is absent.

KERNEL convolution_forward(const element *x, const float *w, element *y, u32 batch, u32 height, u32 width, u32 in, u32 out,
                           u32 rows, u32 columns, u32 kernel, u32 step, u32 padding) {
	for (u64 k = first_index(); k < (u64)batch * rows * columns * out; k += stride()) {
		u32 o = (u32)(k % out), column = (u32)(k / out % columns), row = (u32)(k / out / columns % rows);
		u64 n = k / out / columns / rows;
		float sum = 0.f;
		for (u32 i = 0; i < kernel; i++)
			for (u32 j = 0; j < kernel; j++) {
				u32 r = row * step + i - padding, s = column * step + j - padding; // below 0 is far above
				if (r >= height || s >= width) continue;
				const element *from = x + ((n * height + r) * width + s) * in;
				const float *by = w + (((u64)o * kernel + i) * kernel + j) * in;
				for (u32 c = 0; c < in; c++) sum = fmaf(load(from[c]), by[c], sum);
			}
		y[k] = store(sum);
	}
}

// dx = gradient + addend; addend may be null, or dx.
KERNEL convolution_backward_input(const element *dy, const float *w, const element *addend, element *dx, u32 batch, u32 height,
                                  u32 width, u32 in, u32 out, u32 rows, u32 columns, u32 kernel, u32 step, u32 padding) {
	for (u64 k = first_index(); k < (u64)batch * height * width * in; k += stride()) {
		u32 c = (u32)(k % in), column = (u32)(k / in % width), row = (u32)(k / in / width % height);
		u64 n = k / in / width / height;
		float sum = addend ? load(addend[k]) : 0.f;
		for (u32 i = 0; i < kernel; i++)
			for (u32 j = 0; j < kernel; j++) {
				u32 r = row + padding - i, s = column + padding - j;
				if (r % step || s % step || r / step >= rows || s / step >= columns) continue;
				const element *from = dy + ((n * rows + r / step) * columns + s / step) * out;
				for (u32 o = 0; o < out; o++)
					sum = fmaf(load(from[o]), w[(((u64)o * kernel + i) * kernel + j) * in + c], sum);
			}
		dx[k] = store(sum);
	}
}

// Padding up to length becomes zero.
KERNEL convolution_backward_weights(const element *x, const element *dy, float *dw, u32 batch, u32 height, u32 width, u32 in,
                                    u32 out, u32 rows, u32 columns, u32 kernel, u32 step, u32 padding, u32 length) {
	for (u32 k = (u32)first_index(); k < length; k += (u32)stride()) {
		u32 c = k % in, j = k / in % kernel, i = k / in / kernel % kernel, o = k / in / kernel / kernel;
		float sum = 0.f;
		for (u32 n = 0; o < out && n < batch; n++)
			for (u32 row = 0; row < rows; row++) {
				u32 r = row * step + i - padding;
				if (r >= height) continue;
				for (u32 column = 0; column < columns; column++) {
					u32 s = column * step + j - padding;
					if (s < width)
						sum = fmaf(load(x[(((u64)n * height + r) * width + s) * in + c]),
						           load(dy[(((u64)n * rows + row) * columns + column) * out + o]), sum);
				}
			}
		dw[k] = sum;
	}
}
