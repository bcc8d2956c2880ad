// Dropout with the arithmetic of device.DropoutKeep. Its seed is the step's,
// which lies in memory so that a captured launch stays valid, combined with
// one of its own. An element's index is that without the padding of
// pitch − channels.
KERNEL ON_ELEMENTS(dropout)(const element *x, element *y, const u64 *step_seed, u64 seed, u32 positions, u32 channels, u32 pitch,
                            u32 threshold, float rate) {
	u64 keys = dropout_keys(*step_seed ^ seed);
	u32 octets = pitch / OCTET;
	float scale = 1.f / (1.f - rate);
	for (u32 k = (u32)first_index(); k < positions * octets; k += (u32)stride()) {
		u64 first = (u64)(k / octets) * channels + k % octets * OCTET;
		octet v = load_octet(x + (u64)k * OCTET);
		for (u32 i = 0; i < OCTET; i++) {
			u32 hash = mix(mix((u32)(first + i) ^ (u32)keys) + (u32)((first + i) >> 32) + (u32)(keys >> 32));
			v.v[i] = hash >= threshold ? v.v[i] * scale : 0.f;
		}
		store_octet(y + (u64)k * OCTET, v);
	}
}
