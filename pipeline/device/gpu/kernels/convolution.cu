// Convolutions as their definition says, one thread a result, weights in OHWI
// order: what cuDNN's are compared with, and what computes where it is absent.
// Channels count their padding.

KERNEL ON_ELEMENTS(convolution_forward)(const element *x, const element *w, element *y, u32 batch, u32 height, u32 width, u32 in, u32 out,
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
				const element *by = w + (((u64)o * kernel + i) * kernel + j) * in;
				for (u32 c = 0; c < in; c++) sum = fmaf(load(from[c]), load(by[c]), sum);
			}
		store(&y[k], sum);
	}
}

// dx = gradient + addend; addend may be null, or dx.
KERNEL ON_ELEMENTS(convolution_backward_input)(const element *dy, const element *w, const element *addend, element *dx, u32 batch, u32 height,
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
					sum = fmaf(load(from[o]), load(w[(((u64)o * kernel + i) * kernel + j) * in + c]), sum);
			}
		store(&dx[k], sum);
	}
}

KERNEL ON_ELEMENTS(convolution_backward_weights)(const element *x, const element *dy, float *dw, u32 batch, u32 height, u32 width, u32 in,
                                    u32 out, u32 rows, u32 columns, u32 kernel, u32 step, u32 padding) {
	for (u32 k = (u32)first_index(); k < out * kernel * kernel * in; k += (u32)stride()) {
		u32 c = k % in, j = k / in % kernel, i = k / in / kernel % kernel, o = k / in / kernel / kernel;
		float sum = 0.f;
		for (u32 n = 0; n < batch; n++)
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

// The master weights as elements.
KERNEL ON_ELEMENTS(convolution_weights)(const float *master, element *w, u32 count) {
	for (u32 k = (u32)first_index() * OCTET; k < count; k += (u32)stride() * OCTET) store_octet(w + k, load_octet(master + k));
}

// The weights' gradient from elements.
KERNEL ON_ELEMENTS(convolution_gradient)(const element *from, float *dw, u32 count) {
	for (u32 k = (u32)first_index() * OCTET; k < count; k += (u32)stride() * OCTET) store_octet(dw + k, load_octet(from + k));
}

// dx += addend.
KERNEL ON_ELEMENTS(convolution_add)(const element *addend, element *dx, u64 count) {
	for (u64 k = first_index() * OCTET; k < count; k += stride() * OCTET) {
		octet sum = load_octet(dx + k), more = load_octet(addend + k);
		for (u32 i = 0; i < OCTET; i++) sum.v[i] += more.v[i];
		store_octet(dx + k, sum);
	}
}
