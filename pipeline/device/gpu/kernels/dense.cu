// A fully connected layer with weights as rows: out×in, in with its padding,
// whole octets.

// One warp an output: y[n][o] = bias[o] + Σ x[n][i]·w[o][i].
KERNEL ON_ELEMENTS(dense_forward)(const element *x, const float *w, const float *bias, float *y, u32 batch, u32 in, u32 out) {
	const u32 at_once = 4, apart = 32 * OCTET;
	for (u32 k = (u32)(first_index() / 32); k < batch * out; k += (u32)(stride() / 32)) {
		const element *row = x + (u64)(k / out) * in;
		const float *by = w + (u64)(k % out) * in;
		float sum = 0.f;
		for (u32 i = threadIdx.x % 32 * OCTET; i < in; i += at_once * apart) {
			packed inputs[at_once];
			float_octet weights[at_once];
			for (u32 j = 0; j < at_once; j++) {
				u32 here = i + j * apart < in ? i + j * apart : i;
				inputs[j] = load_packed(row + here);
				weights[j] = load_packed(by + here);
			}
			for (u32 j = 0; j < at_once; j++) {
				if (i + j * apart >= in) continue;
				octet v = unpack(inputs[j]), weight = unpack(weights[j]);
				for (u32 k = 0; k < OCTET; k++) sum = fmaf(v.v[k], weight.v[k], sum);
			}
		}
		sum = add_lanes(sum);
		if (threadIdx.x % 32 == 0) y[k] = sum + bias[k % out];
	}
}

// One thread an octet.
KERNEL ON_ELEMENTS(dense_backward_input)(const float *dy, const float *w, element *dx, u32 batch, u32 in, u32 out) {
	u32 octets = in / OCTET;
	for (u32 k = (u32)first_index(); k < batch * octets; k += (u32)stride()) {
		const float *from = dy + (u64)(k / octets) * out, *by = w + k % octets * OCTET;
		octet sum = {};
		for (u32 o = 0; o < out; o++) {
			octet weight = load_octet(by + (u64)o * in);
			for (u32 i = 0; i < OCTET; i++) sum.v[i] = fmaf(from[o], weight.v[i], sum.v[i]);
		}
		store_octet(dx + (u64)k * OCTET, sum);
	}
}

// The bias' gradient, one warp an output.
__device__ inline void dense_backward_bias(const float *dy, float *dbias, u32 batch, u32 out, u32 o) {
	const u32 at_once = 8;
	float sum = 0.f;
	for (u32 n = threadIdx.x % 32; n < batch && o < out; n += at_once * 32) {
		float given[at_once];
		for (u32 j = 0; j < at_once; j++) given[j] = dy[(u64)(n + j * 32 < batch ? n + j * 32 : n) * out + o];
		for (u32 j = 0; j < at_once; j++) sum += n + j * 32 < batch ? given[j] : 0.f;
	}
	sum = add_lanes(sum);
	if (threadIdx.x % 32 == 0 && o < out) dbias[o] = sum;
}

// A block takes SUM_CHANNELS neighbouring weights and shares out the batch
// among its rows of threads; the blocks behind those take the bias. Padding up
// to length becomes zero.
KERNEL ON_ELEMENTS(dense_backward_weights)(const element *x, const float *dy, float *dw, float *dbias, u32 batch, u32 in, u32 out, u32 length) {
	const u32 at_once = 8;
	u32 blocks = (length + SUM_CHANNELS - 1) / SUM_CHANNELS, k = blockIdx.x * SUM_CHANNELS + threadIdx.x % SUM_OCTETS * OCTET;
	if (blockIdx.x >= blocks) {
		dense_backward_bias(dy, dbias, batch, out, (blockIdx.x - blocks) * (256 / 32) + threadIdx.x / 32);
		return;
	}
	octet sum = {};
	for (u32 n = threadIdx.x / SUM_OCTETS; n < batch && k < in * out; n += at_once * SUM_ROWS) {
		packed inputs[at_once];
		float given[at_once];
		for (u32 j = 0; j < at_once; j++) {
			u32 image = n + j * SUM_ROWS < batch ? n + j * SUM_ROWS : n;
			inputs[j] = load_packed(x + (u64)image * in + k % in);
			given[j] = dy[(u64)image * out + k / in];
		}
		for (u32 j = 0; j < at_once; j++) {
			if (n + j * SUM_ROWS >= batch) continue;
			octet v = unpack(inputs[j]);
			for (u32 i = 0; i < OCTET; i++) sum.v[i] = fmaf(given[j], v.v[i], sum.v[i]);
		}
	}
	float total = add_rows(sum);
	k = blockIdx.x * SUM_CHANNELS + threadIdx.x;
	if (threadIdx.x < SUM_CHANNELS && k < length) dw[k] = total;
}
