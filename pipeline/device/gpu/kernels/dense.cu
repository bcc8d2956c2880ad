// A fully connected layer with weights as rows: out×in, in with its padding.

// One warp an output: y[n][o] = bias[o] + Σ x[n][i]·w[o][i].
KERNEL ON_ELEMENTS(dense_forward)(const element *x, const float *w, const float *bias, float *y, u32 batch, u32 in, u32 out) {
	u32 lane = threadIdx.x % 32;
	for (u64 k = first_index() / 32; k < (u64)batch * out; k += stride() / 32) {
		float sum = 0.f;
		for (u32 i = lane; i < in; i += 32) sum = fmaf(load(x[k / out * in + i]), w[k % out * in + i], sum);
		for (u32 d = 16; d > 0; d /= 2) sum += __shfl_down_sync(0xffffffffu, sum, d);
		if (lane == 0) y[k] = sum + bias[k % out];
	}
}

KERNEL ON_ELEMENTS(dense_backward_input)(const float *dy, const float *w, element *dx, u32 batch, u32 in, u32 out) {
	for (u64 k = first_index(); k < (u64)batch * in; k += stride()) {
		float sum = 0.f;
		for (u32 o = 0; o < out; o++) sum = fmaf(dy[k / in * out + o], w[(u64)o * in + k % in], sum);
		store(&dx[k], sum);
	}
}

// Padding up to length becomes zero. The threads behind it sum the bias'
// gradient.
KERNEL ON_ELEMENTS(dense_backward_weights)(const element *x, const float *dy, float *dw, float *dbias, u32 batch, u32 in, u32 out, u32 length) {
	for (u64 k = first_index(); k < (u64)length + out; k += stride()) {
		float sum = 0.f;
		if (k >= length) {
			for (u32 n = 0; n < batch; n++) sum += dy[(u64)n * out + (k - length)];
			dbias[k - length] = sum;
			continue;
		}
		if (k < (u64)in * out)
			for (u32 n = 0; n < batch; n++) sum = fmaf(dy[(u64)n * out + k / in], load(x[(u64)n * in + k % in]), sum);
		dw[k] = sum;
	}
}
