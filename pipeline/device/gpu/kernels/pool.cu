// Pooling over all of height and width: one thread an octet of channels of an
// image.

KERNEL ON_ELEMENTS(pool_forward)(const element *x, element *y, u32 batch, u32 positions, u32 channels, u32 average) {
	u32 octets = channels / OCTET;
	for (u32 k = (u32)first_index(); k < batch * octets; k += (u32)stride()) {
		const element *at = x + (u64)(k / octets) * positions * channels + k % octets * OCTET;
		octet result = load_octet(at);
#pragma unroll 4
		for (u32 p = 1; p < positions; p++) {
			octet v = load_octet(at + (u64)p * channels);
			for (u32 i = 0; i < OCTET; i++) {
				if (average) result.v[i] += v.v[i];
				else if (v.v[i] > result.v[i]) result.v[i] = v.v[i];
			}
		}
		for (u32 i = 0; i < OCTET && average; i++) result.v[i] /= (float)positions;
		store_octet(y + (u64)k * OCTET, result);
	}
}

KERNEL ON_ELEMENTS(pool_backward)(const element *x, const element *dy, element *dx, u32 batch, u32 positions, u32 channels, u32 average) {
	u32 octets = channels / OCTET;
	for (u32 k = (u32)first_index(); k < batch * octets; k += (u32)stride()) {
		u64 start = (u64)(k / octets) * positions * channels + k % octets * OCTET;
		octet most = load_octet(x + start), g = load_octet(dy + (u64)k * OCTET);
		u32 places[OCTET] = {};
#pragma unroll 4
		for (u32 p = 1; p < positions && !average; p++) {
			octet v = load_octet(x + start + (u64)p * channels);
			for (u32 i = 0; i < OCTET; i++)
				if (v.v[i] > most.v[i]) {
					most.v[i] = v.v[i];
					places[i] = p;
				}
		}
		for (u32 i = 0; i < OCTET && average; i++) g.v[i] /= (float)positions;
		for (u32 p = 0; p < positions; p++) {
			octet d;
			for (u32 i = 0; i < OCTET; i++) d.v[i] = average || p == places[i] ? g.v[i] : 0.f;
			store_octet(dx + start + (u64)p * channels, d);
		}
	}
}
