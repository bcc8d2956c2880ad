// Pooling over all of height and width: one thread a channel of an image.

KERNEL pool_forward(const element *x, element *y, u32 batch, u32 positions, u32 channels, u32 average) {
	for (u64 k = first_index(); k < (u64)batch * channels; k += stride()) {
		const element *at = x + k / channels * positions * channels + k % channels;
		float result = average ? 0.f : load(at[0]);
		for (u32 p = 0; p < positions; p++) {
			float v = load(at[(u64)p * channels]);
			if (average) result += v;
			else if (v > result) result = v;
		}
		y[k] = store(average ? result / (float)positions : result);
	}
}

KERNEL pool_backward(const element *x, const element *dy, element *dx, u32 batch, u32 positions, u32 channels, u32 average) {
	for (u64 k = first_index(); k < (u64)batch * channels; k += stride()) {
		u64 start = k / channels * positions * channels + k % channels;
		u32 first = 0;
		if (!average)
			for (u32 p = 1; p < positions; p++)
				if (load(x[start + (u64)p * channels]) > load(x[start + (u64)first * channels])) first = p;
		float g = load(dy[k]);
		for (u32 p = 0; p < positions; p++)
			dx[start + (u64)p * channels] = store(average ? g / (float)positions : p == first ? g : 0.f);
	}
}
