// 3×3 convolutions, stride 1, padding 1, in Winograd's form F(4×4, 3×3):
//
//	y = Aᵀ·((G·w·Gᵀ) ⊙ (Bᵀ·x·B))·A
//
// for a tile of 4×4 outputs, which needs a window of 6×6 inputs: 36 products
// instead of 144. Summed over input channels, ⊙ becomes 36 multiplications of
// matrices, tiles × in by in × out. After Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks", 2016.
//
// The matrices come from polynomials at 0, ±p, ±q and ∞. These two lose fewer
// digits than the usual 1 and 2, and their powers are exact.
//
// A block of tiles is transformed, multiplied and transformed back before the
// next, so that what lies between stays in the processor's own cache.

const float p1 = 0.625f, p2 = p1 * p1, q1 = 1.5f, q2 = q1 * q1;
const float product = p2 * q2, sum = p2 + q2;
const float weight0 = 1 / product, weight_p = 1 / (2 * p2 * (p2 - q2)), weight_q = 1 / (2 * q2 * (q2 - p2));

const int tile = 4, window = 6, elements = window * window;

// How many tiles, and how many blocks of output channels, are multiplied at
// once: their sums fit the registers.
const int tile_rows = BLOCK == 16 ? 8 : 6, tile_columns = 2;
// The same for the weights' gradient, whose rows are input channels.
const int gradient_rows = BLOCK == 16 ? 8 : 4;

// t = Bᵀ·d
inline void transform_input(const vec *d, vec *t) {
	const vec p_even = d[4] - q2 * d[2], p_odd = d[3] - q2 * d[1];
	const vec q_even = d[4] - p2 * d[2], q_odd = d[3] - p2 * d[1];
	t[0] = d[4] - sum * d[2] + product * d[0];
	t[1] = p_even + p1 * p_odd;
	t[2] = p_even - p1 * p_odd;
	t[3] = q_even + q1 * q_odd;
	t[4] = q_even - q1 * q_odd;
	t[5] = d[5] - sum * d[3] + product * d[1];
}

// y = Aᵀ·m
inline void transform_output(const vec *m, vec *y) {
	const vec p_even = m[1] + m[2], p_odd = m[1] - m[2];
	const vec q_even = m[3] + m[4], q_odd = m[3] - m[4];
	y[0] = m[0] + p_even + q_even;
	y[1] = p1 * p_odd + q1 * q_odd;
	y[2] = p2 * p_even + q2 * q_even;
	y[3] = m[5] + p1 * p2 * p_odd + q1 * q2 * q_odd;
}

// z = A·y
inline void transform_output_gradient(const vec *y, vec *z) {
	const vec p_even = y[0] + p2 * y[2], p_odd = y[1] + p2 * y[3];
	const vec q_even = y[0] + q2 * y[2], q_odd = y[1] + q2 * y[3];
	z[0] = y[0];
	z[1] = p_even + p1 * p_odd;
	z[2] = p_even - p1 * p_odd;
	z[3] = q_even + q1 * q_odd;
	z[4] = q_even - q1 * q_odd;
	z[5] = y[3];
}

// u = G·w
inline void transform_weights(const vec *w, vec *u) {
	const vec p_even = weight_p * (w[0] + p2 * w[2]), p_odd = weight_p * p1 * w[1];
	const vec q_even = weight_q * (w[0] + q2 * w[2]), q_odd = weight_q * q1 * w[1];
	u[0] = weight0 * w[0];
	u[1] = p_even + p_odd;
	u[2] = p_even - p_odd;
	u[3] = q_even + q_odd;
	u[4] = q_even - q_odd;
	u[5] = w[2];
}

// w = Gᵀ·u
inline void transform_weights_gradient(const vec *u, vec *w) {
	const vec p_even = weight_p * (u[1] + u[2]), p_odd = weight_p * (u[1] - u[2]);
	const vec q_even = weight_q * (u[3] + u[4]), q_odd = weight_q * (u[3] - u[4]);
	w[0] = weight0 * u[0] + p_even + q_even;
	w[1] = p1 * p_odd + q1 * q_odd;
	w[2] = u[5] + p2 * p_even + q2 * q_even;
}

// Applies one of these to the columns and then to the rows of a FROM×FROM
// matrix. at(i, j) reads an element, put(i, j, value) takes one of the result.
template <int FROM, int TO, typename Transform, typename At, typename Put>
inline __attribute__((always_inline)) void transform_both(Transform transform, At at, Put put) {
	vec half[TO][FROM];
#pragma GCC unroll 6
	for (int j = 0; j < FROM; j++) {
		vec column[FROM], result[TO];
#pragma GCC unroll 6
		for (int i = 0; i < FROM; i++) column[i] = at(i, j);
		transform(column, result);
#pragma GCC unroll 6
		for (int i = 0; i < TO; i++) half[i][j] = result[i];
	}
#pragma GCC unroll 6
	for (int i = 0; i < TO; i++) {
		vec result[TO];
		transform(half[i], result);
#pragma GCC unroll 6
		for (int j = 0; j < TO; j++) put(i, j, result[j]);
	}
}

// The numbers from begin on, before end.
struct range {
	size_t begin, end;

	size_t count() const { return end - begin; }
	// One of so many even parts.
	range part(int number, int parts) const { return {begin + bound(count(), number, parts), begin + bound(count(), number + 1, parts)}; }
};

// Where a tile is; its outputs begin at row top, column left.
struct tile_place {
	size_t image;
	int top, left;

	tile_place(const winograd_arguments &a, size_t number) {
		const int rows = parts(a.height, tile), columns = parts(a.width, tile);
		image = number / (rows * columns);
		top = number / columns % rows * tile;
		left = number % columns * tile;
	}

	static size_t count(const winograd_arguments &a) {
		return (size_t)a.batch * parts(a.height, tile) * parts(a.width, tile);
	}
};

// The tiles in blocks, and the blocks in sections with as many each, which the
// weights' gradient sums by themselves.
struct tile_blocks {
	range all;
	int sections;
	int of_section; // blocks; the last of a section may have fewer tiles than the others, or none
	int tiles;      // of a block, a multiple of rows

	// At most `most` tiles a block, but at least rows.
	tile_blocks(const winograd_arguments &a, int sections, size_t most, int rows) : all{0, tile_place::count(a)}, sections(sections) {
		if (most < (size_t)rows) most = rows;
		const size_t largest = parts(all.count(), sections), even = parts(largest, parts(largest, most));
		tiles = parts(even, rows) * rows;
		of_section = parts(largest, tiles);
	}

	int count() const { return sections * of_section; }

	// A block's tiles; none behind the last block.
	range operator[](int block) const {
		if (block >= count()) return {0, 0};
		const range section = all.part(block / of_section, sections);
		const size_t from = section.begin + (size_t)(block % of_section) * tiles, begin = from < section.end ? from : section.end;
		return {begin, section.end - begin < (size_t)tiles ? section.end : begin + tiles};
	}
};

const float zeros[BLOCK] __attribute__((aligned(64))) = {};

// Where rows of a plane begin; those outside of it are zeros.
template <int ROWS>
struct plane_rows {
	const float *row[ROWS];
	int step[ROWS];
	int left, width;

	plane_rows(const winograd_arguments &a, const float *plane, int top, int left) : left(left), width(a.width) {
		for (int i = 0; i < ROWS; i++) {
			const bool inside = (unsigned)(top + i) < (unsigned)a.height;
			row[i] = inside ? plane + ((ptrdiff_t)(top + i) * width + left) * BLOCK : zeros;
			step[i] = inside ? BLOCK : 0;
		}
	}

	vec at(int i, int j) const { return (unsigned)(left + j) < (unsigned)width ? load(row[i] + j * step[i]) : vec{}; }
};

// Brings pixels of tiles into the cache little by little while the processor
// multiplies, which needs no memory: the transforms that read or write them
// would wait for it most of their time, since no hardware guesses a walk over
// tiles.
template <bool WRITTEN>
struct prefetcher {
	const winograd_arguments &a;
	const float *planes;
	int per_image; // planes
	range blocks;  // of channels
	range tiles;   // that are still to come
	int rows;      // of tiles, at each call
	size_t block;
	int row = 0;

	// Nothing is brought where planes is NULL. All is after so many calls.
	prefetcher(const winograd_arguments &a, const float *planes, int per_image, range blocks, range tiles, size_t calls)
		: a(a), planes(planes), per_image(per_image), blocks(blocks), tiles(planes ? tiles : range{0, 0}),
		  rows(calls ? parts(tiles.count() * blocks.count() * tile, calls) : 0), block(blocks.begin) {}

	void operator()() {
		const int line = 64 / sizeof(float);
		for (int r = 0; r < rows && tiles.begin < tiles.end; r++) {
			const tile_place place(a, tiles.begin);
			const float *at = planes + (((place.image * per_image + block) * a.height + place.top + row) * a.width + place.left) * BLOCK;
			for (int i = 0; i < tile * BLOCK; i += line) {
				if (WRITTEN) __builtin_prefetch(at + i, 1);
				else __builtin_prefetch(at + i, 0, 2); // not into the smallest cache, which multiplying fills
			}
			if (++row < tile) continue;
			row = 0;
			if (++block < blocks.end) continue;
			block = blocks.begin;
			tiles.begin++;
		}
	}
};

// The transformed tiles of a block lie as element, block of channels, tile,
// channel. A line more between elements keeps them in different cache sets.
inline size_t element_stride(int blocks, int tiles) { return ((size_t)blocks * tiles + 1) * BLOCK; }

// Transforms those blocks of channels of the tiles of x.
__attribute__((noinline)) void winograd_input(const winograd_arguments &a, const float *x, int per_image, range blocks, range tiles, float *v, size_t stride, int room) {
	const size_t plane = (size_t)a.height * a.width * BLOCK;
	for (size_t b = blocks.begin; b < blocks.end; b++) {
		for (size_t t = tiles.begin; t < tiles.end; t++) {
			const tile_place place(a, t);
			const plane_rows<window> d(a, x + (place.image * per_image + b) * plane, place.top - 1, place.left - 1);
			float *to = v + ((b - blocks.begin) * room + (t - tiles.begin)) * BLOCK;
			transform_both<window, window>(
				transform_input, [&](int i, int j) { return d.at(i, j); },
				[&](int i, int j, vec value) { store(to + (i * window + j) * stride, value); });
		}
	}
}

// The same for the output's gradient.
__attribute__((noinline)) void winograd_output_gradient(const winograd_arguments &a, const float *dy, int per_image, range blocks, range tiles, float *z, size_t stride, int room) {
	const size_t plane = (size_t)a.height * a.width * BLOCK;
	for (size_t b = blocks.begin; b < blocks.end; b++) {
		for (size_t t = tiles.begin; t < tiles.end; t++) {
			const tile_place place(a, t);
			const plane_rows<tile> d(a, dy + (place.image * per_image + b) * plane, place.top, place.left);
			float *to = z + ((b - blocks.begin) * room + (t - tiles.begin)) * BLOCK;
			transform_both<tile, window>(
				transform_output_gradient, [&](int i, int j) { return d.at(i, j); },
				[&](int i, int j, vec value) { store(to + (i * window + j) * stride, value); });
		}
	}
}

// Transformed weights lie as group of output blocks, element, input channel,
// output channel of the group.
inline float *weights_of(float *u, int ins, int group, int columns, int element) {
	return u + ((size_t)group * tile_columns * elements + (size_t)element * columns) * ins * BLOCK * BLOCK;
}

// How many blocks a group has; the last may have fewer.
inline int columns_of(int group, int outs) { return outs - group * tile_columns < tile_columns ? outs - group * tile_columns : tile_columns; }

// From w, of in × out blocks, to u; turned for the input's gradient, which
// convolves the output's with weights rotated by 180°, in and out exchanged.
void winograd_weights(const winograd_arguments &a, int ins, int outs, float *u) {
	const size_t area = BLOCK * BLOCK;
#pragma omp parallel for schedule(dynamic, grain(ins * outs, a.threads)) num_threads(a.threads)
	for (int pair = 0; pair < ins * outs; pair++) {
		const int out = pair / ins, in = pair % ins, group = out / tile_columns, columns = columns_of(group, outs);
		alignas(64) float turned[9 * BLOCK * BLOCK];
		const float *w = a.w + (size_t)pair * 9 * area;
		if (a.turn) {
			const float *from = a.w + ((size_t)in * outs + out) * 9 * area;
			for (int k = 0; k < 9; k++)
				for (int i = 0; i < BLOCK; i++)
					for (int o = 0; o < BLOCK; o++) turned[((8 - k) * BLOCK + o) * BLOCK + i] = from[(k * BLOCK + i) * BLOCK + o];
			w = turned;
		}
		const size_t stride = (size_t)columns * ins * area;
		const vec slope = a.slope ? load(a.slope + out * BLOCK) : fill(1);
		float *to = weights_of(u, ins, group, columns, 0) + ((size_t)in * BLOCK * columns + out % tile_columns) * BLOCK;
		for (int i = 0; i < BLOCK; i++, w += BLOCK, to += columns * BLOCK) {
			vec half[window][3];
#pragma GCC unroll 3
			for (int j = 0; j < 3; j++) {
				const vec column[3] = {slope * load(w + j * area), slope * load(w + (3 + j) * area), slope * load(w + (6 + j) * area)};
				vec result[window];
				transform_weights(column, result);
#pragma GCC unroll 6
				for (int k = 0; k < window; k++) half[k][j] = result[k];
			}
#pragma GCC unroll 6
			for (int k = 0; k < window; k++) {
				vec result[window];
				transform_weights(half[k], result);
#pragma GCC unroll 6
				for (int j = 0; j < window; j++) store(to + (k * window + j) * stride, result[j]);
			}
		}
	}
}

// m[row][column] = Σ v[row][in]·u[in][column]
template <int COLUMNS>
__attribute__((noinline)) void winograd_multiply(const float *v, size_t step, const float *u, int ins, float *m) {
	vec total[tile_rows][COLUMNS] = {};
	for (int b = 0; b < ins; b++, v += step)
#pragma GCC unroll 1
		for (int k = 0; k < BLOCK; k++, u += COLUMNS * BLOCK) {
			vec weight[COLUMNS];
#pragma GCC unroll 2
			for (int c = 0; c < COLUMNS; c++) weight[c] = load(u + c * BLOCK);
#pragma GCC unroll 8
			for (int r = 0; r < tile_rows; r++)
#pragma GCC unroll 2
				for (int c = 0; c < COLUMNS; c++) total[r][c] += weight[c] * v[r * BLOCK + k];
		}
#pragma GCC unroll 8
	for (int r = 0; r < tile_rows; r++)
#pragma GCC unroll 2
		for (int c = 0; c < COLUMNS; c++) store(m + (r * COLUMNS + c) * BLOCK, total[r][c]);
}

// Transforms one tile back, adds the addend and writes it; its sums go to
// first and second.
template <bool WHOLE>
inline void winograd_tile(const winograd_arguments &a, const float *m, size_t stride, size_t offset, int rows, int columns, vec &first, vec &second) {
	float *y = a.y + offset;
	const float *addend = a.addend ? a.addend + offset : NULL;
	transform_both<window, tile>(
		transform_output, [&](int i, int j) { return load(m + (i * window + j) * stride); },
		[&](int i, int j, vec value) {
			if (!WHOLE && (i >= rows || j >= columns)) return;
			const size_t at = ((size_t)i * a.width + j) * BLOCK;
			if (addend) value += load(addend + at);
			store(y + at, value);
			first += value;
			second += value * value;
		});
}

// The products of tiles and weights of one block of output channels: the first
// tile's first element at m, the next tile's `step` floats and the next
// element's `stride` floats behind.
struct winograd_products {
	int block;
	range tiles;
	const float *m;
	size_t step, stride;
	piece_sums *sums; // of the output, to be set; NULL: not wanted
};

// Makes the output of products, and its sums: of a block in float32, so that
// the variance has fewer digits the larger the mean is beside the deviation (a
// tenth is off where it is 300 times as large, which weights that learn do not
// come near).
void winograd_output(const winograd_arguments &a, int outs, const winograd_products &p) {
	const size_t plane = (size_t)a.height * a.width * BLOCK;
	vec first{}, second{};
	for (size_t t = p.tiles.begin; t < p.tiles.end; t++) {
		const tile_place place(a, t);
		const size_t offset = (place.image * outs + p.block) * plane + ((size_t)place.top * a.width + place.left) * BLOCK;
		const int rows = a.height - place.top, width = a.width - place.left;
		(rows >= tile && width >= tile ? winograd_tile<true> : winograd_tile<false>)(a, p.m + (t - p.tiles.begin) * p.step, p.stride, offset, rows, width, first, second);
	}
	if (p.sums) *p.sums = {first, second};
}

// Makes what the normalisation, ReLU, pooling and skip connection behind the
// convolution make of its output; a tile holds whole windows of the pooling.
template <int POOL>
void winograd_folded_output(const winograd_arguments &a, int outs, const winograd_products &p) {
	const int height = a.height / POOL, width = a.width / POOL;
	const size_t plane = (size_t)height * width * BLOCK;
	const vec offset = load(a.offset + p.block * BLOCK);
	for (size_t t = p.tiles.begin; t < p.tiles.end; t++) {
		const tile_place place(a, t);
		const int top = place.top / POOL, left = place.left / POOL;
		const size_t at = (place.image * outs + p.block) * plane + ((size_t)top * width + left) * BLOCK;
		const float *m = p.m + (t - p.tiles.begin) * p.step, *skip = a.addend ? a.addend + at : NULL;
		float *y = a.y + at;
		vec whole[tile][tile];
		transform_both<window, tile>(
			transform_output, [&](int i, int j) { return load(m + (i * window + j) * p.stride); },
			[&](int i, int j, vec value) { whole[i][j] = value; });
#pragma GCC unroll 4
		for (int i = 0; i < tile / POOL; i++)
#pragma GCC unroll 4
			for (int j = 0; j < tile / POOL; j++) {
				if (i >= height - top || j >= width - left) continue;
				vec best = whole[i * POOL][j * POOL];
#pragma GCC unroll 16
				for (int k = 1; k < POOL * POOL; k++) best = larger(best, whole[i * POOL + k / POOL][j * POOL + k % POOL]);
				best += offset;
				if (a.relu) best = rectified(best);
				const size_t to = ((size_t)i * width + j) * BLOCK;
				store(y + to, skip ? best + load(skip + to) : best);
			}
	}
}

// What a block's transformed inputs and its products may take, in floats, so
// that they stay in a core's own cache beside weights and what is prefetched:
// that is 512 KiB and more. The statistics' sums are taken block by block, so
// that their last digits depend on it.
const size_t cached = (size_t)64 << 10;

inline size_t convolution_tiles(int ins) { return cached / (elements * (ins + tile_columns) * BLOCK); }

// The weights' gradient is summed in so many sections, and the sums are added up
// in the end: two, so that two threads have one each, or more where there are too
// few channels to divide among more threads (see gradient_pieces).
inline int gradient_sections(int ins, int groups) {
	const int sections = 8 / (ins * groups);
	return sections < 2 ? 2 : sections;
}

// As many tiles as fit, but no fewer than pay for going through the gradient's
// sums, which lie in slower memory, once a block.
inline size_t gradient_tiles(int ins, int outs) {
	const size_t fit = cached / (elements * (ins + outs) * BLOCK);
	return fit < 64 ? 64 : fit;
}

// Convolves and gives the products to finish, which makes the output of them.
template <typename Finish>
const char *winograd_convolve(const winograd_arguments &a, Finish finish) {
	const int ins = blocks_of(a.in), outs = blocks_of(a.out), groups = parts(outs, tile_columns);
	const tile_blocks blocks(a, 2, convolution_tiles(ins), tile_rows);
	// Where there are twice as many threads as blocks, two transform the same one,
	// for half of the outputs each, and so on.
	const int most = a.threads / blocks.count(), shares = most < 1 ? 1 : most < groups ? most : groups;
	const int tiles = blocks.tiles;
	const size_t v_stride = element_stride(ins, tiles), m_stride = element_stride(tile_columns, tiles), own = elements * (v_stride + m_stride);
	const size_t u_length = a.u ? 0 : (size_t)elements * ins * outs * BLOCK * BLOCK;
	const size_t sums_length = a.sums ? (size_t)blocks.count() * outs * sizeof(piece_sums) / sizeof(float) : 0;
	float *work = reserve(a.workspace, u_length + sums_length + a.threads * own), *u = a.u ? a.u : work;
	if (!work) return "winograd convolution: out of memory";
	piece_sums *of_blocks = (piece_sums *)(work + u_length);
	if (!a.u) winograd_weights(a, ins, outs, u);
#pragma omp parallel for schedule(dynamic) num_threads(a.threads)
	for (int piece = 0; piece < blocks.count() * shares; piece++) {
		float *v = work + u_length + sums_length + omp_get_thread_num() * own, *m = v + elements * v_stride;
		const int block = piece / shares;
		const range present = blocks[block], mine = range{0, (size_t)groups}.part(piece % shares, shares);
		winograd_input(a, a.x, ins, {0, (size_t)ins}, present, v, v_stride, tiles);
		// Threads take pieces in turn, so that the next is most likely this one.
		const range next = blocks[(piece + a.threads) / shares];
		const size_t calls = elements * parts(present.count(), tile_rows);
		prefetcher<false> fetch_inputs(a, a.x, ins, {0, (size_t)ins}, next, calls * mine.count());
		for (int group = mine.begin; group < (int)mine.end; group++) {
			const int columns = columns_of(group, outs), first = group * tile_columns;
			prefetcher<true> fetch_outputs(a, a.pool > 1 ? NULL : a.y, outs, {(size_t)first, (size_t)first + columns}, present, calls);
			for (int e = 0; e < elements; e++) {
				const float *weights = weights_of(u, ins, group, columns, e);
				for (size_t t = 0; t < present.count(); t += tile_rows) {
					fetch_inputs();
					fetch_outputs();
					(columns == 1 ? winograd_multiply<1> : winograd_multiply<tile_columns>)(
						v + e * v_stride + t * BLOCK, (size_t)tiles * BLOCK, weights, ins, m + e * m_stride + t * columns * BLOCK);
				}
			}
			for (int c = 0; c < columns; c++) {
				piece_sums *sums = a.sums ? of_blocks + (size_t)block * outs + first + c : NULL;
				finish(a, outs, {first + c, present, m + c * BLOCK, (size_t)columns * BLOCK, m_stride, sums});
			}
		}
	}
	for (int out = 0; a.sums && out < outs; out++) ((sums *)a.sums)[out] = total(of_blocks + out, outs, blocks.of_section, blocks.count());
	return NULL;
}

const char *winograd_forward(const void *arguments) {
	const winograd_arguments a = *(const winograd_arguments *)arguments;
	return winograd_convolve(a, winograd_output);
}

// Sets u to the weights of a convolution with the normalisation folded in.
const char *winograd_fold(const void *arguments) {
	const winograd_arguments a = *(const winograd_arguments *)arguments;
	winograd_weights(a, blocks_of(a.in), blocks_of(a.out), a.u);
	return NULL;
}

const char *winograd_infer(const void *arguments) {
	const winograd_arguments a = *(const winograd_arguments *)arguments;
	return winograd_convolve(a, a.pool == 1 ? winograd_folded_output<1> : a.pool == 2 ? winograd_folded_output<2> : winograd_folded_output<4>);
}

// u[in][column] (+)= Σ v[tile][in]·z[tile][column] for gradient_rows inputs. A
// block's sum is taken by itself: shorter sums are more exact.
template <int COLUMNS>
__attribute__((noinline)) void winograd_accumulate(const float *v, const float *z, size_t step, int count, bool first, float *u) {
	vec total[gradient_rows][COLUMNS] = {};
#pragma GCC unroll 1
	for (int t = 0; t < count; t++, v += BLOCK, z += BLOCK) {
		vec g[COLUMNS];
#pragma GCC unroll 2
		for (int c = 0; c < COLUMNS; c++) g[c] = load(z + c * step);
#pragma GCC unroll 8
		for (int r = 0; r < gradient_rows; r++)
#pragma GCC unroll 2
			for (int c = 0; c < COLUMNS; c++) total[r][c] += g[c] * v[r];
	}
#pragma GCC unroll 8
	for (int r = 0; r < gradient_rows; r++)
#pragma GCC unroll 2
		for (int c = 0; c < COLUMNS; c++) {
			float *to = u + (r * COLUMNS + c) * BLOCK;
			store(to, first ? total[r][c] : load(to) + total[r][c]);
		}
}

// dw = Gᵀ·(Σ u)·G
void winograd_weights_gradient(const winograd_arguments &a, int ins, int outs, float *u, size_t u_length, int sums) {
	const size_t area = BLOCK * BLOCK;
#pragma omp parallel for schedule(dynamic, grain(ins * outs, a.threads)) num_threads(a.threads)
	for (int pair = 0; pair < ins * outs; pair++) {
		const int out = pair / ins, in = pair % ins, group = out / tile_columns, columns = columns_of(group, outs);
		const size_t stride = (size_t)columns * ins * area;
		const float *from = weights_of(u, ins, group, columns, 0) + ((size_t)in * BLOCK * columns + out % tile_columns) * BLOCK;
		float *dw = a.dw + (size_t)pair * 9 * area;
		for (int i = 0; i < BLOCK; i++, dw += BLOCK, from += columns * BLOCK)
			transform_both<window, 3>(
				transform_weights_gradient,
				[&](int k, int j) {
					const float *at = from + (k * window + j) * stride;
					vec total = load(at);
					for (int i = 1; i < sums; i++) total += load(at + i * u_length);
					return total;
				},
				[&](int k, int j, vec value) { store(dw + (k * 3 + j) * area, value); });
	}
}

// The weights' gradient in pieces, which threads take: sums over tiles, each for
// ranges of input and of output channels. A piece transforms what its ranges
// need, so that inputs are transformed once for each range of outputs, and the
// other way round.
struct gradient_pieces {
	int sums, ins, outs;

	// ins blocks and groups of blocks are divided so that the busiest thread has
	// least to do; a product of two blocks costs about as much as transforming both.
	gradient_pieces(int threads, int sums, int ins, int groups) : sums(sums) {
		long least = 0;
		for (int i = 1; i <= ins; i++)
			for (int o = 1; o <= groups; o++) {
				const long rows = parts(ins, i), columns = parts(groups, o) * tile_columns;
				const long cost = parts(sums * i * o, threads) * (2 * rows * columns + rows + columns);
				if (least && cost >= least) continue;
				least = cost;
				this->ins = i;
				this->outs = o;
			}
	}

	int count() const { return sums * ins * outs; }
};

const char *winograd_backward_weights(const void *arguments) {
	const winograd_arguments a = *(const winograd_arguments *)arguments;
	const int ins = blocks_of(a.in), outs = blocks_of(a.out), groups = parts(outs, tile_columns);
	const tile_blocks blocks(a, gradient_sections(ins, groups), gradient_tiles(ins, outs), 1);
	// One sum over sections of one block each is the same as the sum of theirs.
	const gradient_pieces pieces(a.threads, blocks.of_section > 1 ? blocks.sections : 1, ins, groups);
	const int tiles = blocks.tiles;
	const size_t v_stride = element_stride(parts(ins, pieces.ins), tiles);
	const size_t z_stride = element_stride(parts(groups, pieces.outs) * tile_columns, tiles);
	const size_t u_length = (size_t)elements * ins * outs * BLOCK * BLOCK, own = elements * (v_stride + z_stride);
	float *all = reserve(a.workspace, pieces.sums * u_length + a.threads * own);
	if (!all) return "winograd convolution: out of memory";
#pragma omp parallel for schedule(dynamic) num_threads(a.threads)
	for (int piece = 0; piece < pieces.count(); piece++) {
		const int sum = piece % pieces.sums, part = piece / pieces.sums;
		const range in = range{0, (size_t)ins}.part(part % pieces.ins, pieces.ins), group = range{0, (size_t)groups}.part(part / pieces.ins, pieces.outs);
		const range out = {group.begin * tile_columns, group.end * tile_columns < (size_t)outs ? group.end * tile_columns : outs};
		float *u = all + sum * u_length, *v = all + pieces.sums * u_length + omp_get_thread_num() * own, *z = v + elements * v_stride;
		const range mine = range{0, (size_t)blocks.count()}.part(sum, pieces.sums);
		for (size_t block = mine.begin; block < mine.end; block++) {
			const range present = blocks[block], next = block + 1 < mine.end ? blocks[block + 1] : range{0, 0};
			winograd_input(a, a.x, ins, in, present, v, v_stride, tiles);
			winograd_output_gradient(a, a.dy, outs, out, present, z, z_stride, tiles);
			const size_t calls = (size_t)elements * group.count() * in.count() * BLOCK / gradient_rows;
			prefetcher<false> fetch_inputs(a, a.x, ins, in, next, calls);
			prefetcher<false> fetch_gradients(a, a.dy, outs, out, next, calls);
			for (int e = 0; e < elements; e++)
				for (int g = group.begin; g < (int)group.end; g++) {
					const int columns = columns_of(g, outs);
					float *to = weights_of(u, ins, g, columns, e) + in.begin * BLOCK * columns * BLOCK;
					for (size_t i = 0; i < in.count() * BLOCK; i += gradient_rows) {
						fetch_inputs();
						fetch_gradients();
						(columns == 1 ? winograd_accumulate<1> : winograd_accumulate<tile_columns>)(
							v + e * v_stride + i / BLOCK * tiles * BLOCK + i % BLOCK, z + e * z_stride + (g - group.begin) * tile_columns * tiles * BLOCK,
							(size_t)tiles * BLOCK, present.count(), block == mine.begin, to + i * columns * BLOCK);
					}
				}
		}
	}
	winograd_weights_gradient(a, ins, outs, all, u_length, pieces.sums);
	return NULL;
}
