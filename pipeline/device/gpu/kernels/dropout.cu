// Dropout with the arithmetic of device.DropoutKeep.

__device__ inline u32 mix(u32 x) {
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

KERNEL dropout(const element *x, element *y, u64 count, u32 key0, u32 key1, u32 threshold, float rate) {
	for (u64 i = first_index(); i < count; i += stride()) {
		u32 hash = mix(mix((u32)i ^ key0) + (u32)(i >> 32) + key1);
		y[i] = store(hash >= threshold ? load(x[i]) / (1.f - rate) : 0.f);
	}
}
