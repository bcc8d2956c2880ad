// A batch's inputs and targets from stored images: to the bit what package
// augment's Batch makes, before rounding to an element.

// A position in 65536ths of a pixel that is kept within an image's side.
__device__ inline int within(int position, int side) {
	int last = (side - 1) << 16;
	return position < 0 ? 0 : position > last ? last : position;
}

// A pixel of an input before the batch's cut.
__device__ inline void render(const u8 *images, u32 height, u32 width, const sample &s, int column, int row, float *colour) {
	colour[0] = colour[1] = colour[2] = 0.f;
	if (s.image < 0) return;
	const u8 *image = images + (u64)s.image * height * width * 3;
	int columns = (int)(width >> s.level), rows = (int)(height >> s.level);
	int x = within(s.x + column * s.x_step, columns), y = within(s.y + row * s.y_step, rows);
	u32 right = (u32)x >> 10 & 63, below = (u32)y >> 10 & 63, sums[3] = {};
#pragma unroll 1
	for (u32 tap = 0; tap < 4; tap++) {
		int px = (x >> 16) + (int)(tap & 1), py = (y >> 16) + (int)(tap >> 1);
		if (px == columns) px--;
		if (py == rows) py--;
		u32 side = 1u << s.level, share = (tap & 1 ? right : 64 - right) * (tap >> 1 ? below : 64 - below);
		const u8 *at = image + ((u64)py * side * width + (u64)px * side) * 3;
		u32 values[3] = {};
		for (u32 i = 0; i < side; i++) {
			const u8 *line = at + i * width * 3;
			for (u32 j = 0; j < side; j++)
				for (u32 c = 0; c < 3; c++) values[c] += line[j * 3 + c];
		}
		u32 half = side * side / 2; // none at level 0
		for (u32 c = 0; c < 3; c++) sums[c] += (values[c] + half >> 2 * s.level) * share;
	}
	for (u32 c = 0; c < 3; c++) colour[c] = (float)sums[c] * s.scale[c] + s.shift[c];
}

// The first kernel of a step: one thread a pixel, which is an octet, and in
// the first block what changes from step to step.
KERNEL ON_ELEMENTS(render_batch)(const u8 *images, const state *at, const sample *samples, const cut *cuts, const u32 *schedule,
                                 u32 *now, element *inputs, float *targets, u32 words, u32 batch, u32 height, u32 width, u32 rows,
                                 u32 columns, u32 classes) {
	u32 step = (u32)at->step;
	if (blockIdx.x == 0)
		for (u32 i = threadIdx.x; i < words; i += blockDim.x) now[i] = schedule[(u64)step * words + i];
	const cut exchanged = cuts[step];
	for (u32 k = (u32)first_index(); k < batch * rows * columns; k += (u32)stride()) {
		u32 n = k / (rows * columns), position = k % (rows * columns);
		int column = (int)(position % columns), row = (int)(position / columns);
		const sample *mine = &samples[(u64)step * batch + n], *others = &samples[(u64)step * batch + (batch - 1 - n)];
		octet input = {};
		render(images, height, width, exchanged.holds(column, row) ? *others : *mine, column, row, input.v);
		store_octet(inputs + (u64)k * OCTET, input);
		if (position) continue;
		for (u32 c = 0; c < classes; c++) {
			float target = mine->target(c);
			if (mine != others) target = (1.f - exchanged.share) * target + exchanged.share * others->target(c);
			targets[(u64)n * classes + c] = target;
		}
	}
}
