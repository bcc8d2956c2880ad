// What all kernels share. Sums, parameters and statistics are float32. Kernels
// use a·b+c only through fmaf, and are compiled without contraction, so that
// any compiler's code rounds alike. No kernel adds floating-point numbers
// atomically: the order of sums is fixed.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define KERNEL extern "C" __global__ void __launch_bounds__(256)

__device__ inline u64 first_index() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline u64 stride() { return (u64)gridDim.x * blockDim.x; }

// Wellons' "lowbias32", https://nullprogram.com/blog/2018/07/31/.
__device__ inline u32 mix(u32 x) {
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

// device.DropoutKeys, as one number.
__device__ inline u64 dropout_keys(u64 seed) {
	u64 z = seed + 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

// The upper half of a float32.
struct bfloat16 {
	u16 bits;
};

// To the nearest, ties to even; a NaN stays one.
__device__ inline u16 bfloat16_bits(float x) {
	u32 bits = __float_as_uint(x);
	if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
	return (u16)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// Two of them, the first in the lower half.
__device__ inline u32 bfloat16_pair(float low, float high) { return (u32)bfloat16_bits(low) | (u32)bfloat16_bits(high) << 16; }

__device__ inline float half_of(u32 pair, u32 which) { return __uint_as_float(which ? pair & 0xffff0000u : pair << 16); }

__device__ inline float load(float x) { return x; }
__device__ inline float load(bfloat16 x) { return __uint_as_float((u32)x.bits << 16); }
__device__ inline void store(float *to, float x) { *to = x; }
__device__ inline void store(bfloat16 *to, float x) { to->bits = bfloat16_bits(x); }

// Activations lie in NHWC order, their channels padded with zeros to a multiple
// of OCTET: a thread moves 16 or 32 bytes at once.
const u32 OCTET = 8;

struct octet {
	float v[OCTET];
};

__device__ inline octet load_octet(const float *from) {
	float4 a = ((const float4 *)from)[0], b = ((const float4 *)from)[1];
	return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}

__device__ inline octet load_octet(const bfloat16 *from) {
	uint4 a = *(const uint4 *)from;
	u32 pairs[4] = {a.x, a.y, a.z, a.w};
	octet o;
	for (u32 i = 0; i < 4; i++) {
		o.v[2 * i] = __uint_as_float(pairs[i] << 16);
		o.v[2 * i + 1] = __uint_as_float(pairs[i] & 0xffff0000u);
	}
	return o;
}

__device__ inline void store_octet(float *to, const octet &o) {
	float4 a = {o.v[0], o.v[1], o.v[2], o.v[3]}, b = {o.v[4], o.v[5], o.v[6], o.v[7]};
	((float4 *)to)[0] = a;
	((float4 *)to)[1] = b;
}

__device__ inline void store_octet(bfloat16 *to, const octet &o) {
	u32 pairs[4];
	for (u32 i = 0; i < 4; i++) pairs[i] = bfloat16_pair(o.v[2 * i], o.v[2 * i + 1]);
	uint4 a = {pairs[0], pairs[1], pairs[2], pairs[3]};
	*(uint4 *)to = a;
}

// Sums by channel: a block of 256 threads takes 32 neighbouring channels, an
// octet a thread, in 64 rows at a time (threadIdx.x = row·4 + octet).
const u32 SUM_CHANNELS = 32, SUM_OCTETS = SUM_CHANNELS / OCTET, SUM_ROWS = 256 / SUM_OCTETS;

// Says whether this block is the last of those that share its channels to come
// here: then all has been written that the others wrote before they came.
// tickets has a number for each blockIdx.x, zero before and after.
__device__ inline bool last_to_leave(u32 *tickets) {
	__shared__ u32 last;
	__threadfence();
	__syncthreads();
	if (threadIdx.x == 0) {
		last = atomicAdd(&tickets[blockIdx.x], 1u) + 1 == gridDim.y;
		if (last) tickets[blockIdx.x] = 0;
	}
	__syncthreads();
	if (last) __threadfence();
	return last;
}

// Adds up a block's two sums for each channel, leaves them in
// partial[blockIdx.y][2][channels], and says whether this block is the last.
__device__ inline bool leave_partial(const octet &a, const octet &b, u32 channels, float *partial, u32 *tickets) {
	__shared__ float sums[2][SUM_ROWS][SUM_CHANNELS];
	u32 row = threadIdx.x / SUM_OCTETS, first = threadIdx.x % SUM_OCTETS * OCTET;
	for (u32 i = 0; i < OCTET; i++) {
		sums[0][row][first + i] = a.v[i];
		sums[1][row][first + i] = b.v[i];
	}
	for (u32 half = SUM_ROWS / 2; half > 0; half /= 2) {
		__syncthreads();
		if (row < half)
			for (u32 i = 0; i < OCTET; i++) {
				sums[0][row][first + i] += sums[0][row + half][first + i];
				sums[1][row][first + i] += sums[1][row + half][first + i];
			}
	}
	__syncthreads();
	u32 channel = blockIdx.x * SUM_CHANNELS + threadIdx.x % SUM_CHANNELS, kind = threadIdx.x / SUM_CHANNELS;
	if (kind < 2 && channel < channels)
		partial[((u64)blockIdx.y * 2 + kind) * channels + channel] = sums[kind][0][threadIdx.x % SUM_CHANNELS];
	return last_to_leave(tickets);
}

// For the last block: the sums over all parts of channel threadIdx.x %
// SUM_CHANNELS, in the threads below SUM_CHANNELS.
__device__ inline void add_partial(u32 channels, const volatile float *partial, double *a, double *b) {
	const u32 slices = 256 / SUM_CHANNELS;
	__shared__ double sums[2][slices][SUM_CHANNELS];
	u32 slice = threadIdx.x / SUM_CHANNELS, column = threadIdx.x % SUM_CHANNELS, channel = blockIdx.x * SUM_CHANNELS + column;
	double first = 0, second = 0;
	for (u32 p = slice; p < gridDim.y && channel < channels; p += slices) {
		first += partial[(u64)p * 2 * channels + channel];
		second += partial[((u64)p * 2 + 1) * channels + channel];
	}
	sums[0][slice][column] = first;
	sums[1][slice][column] = second;
	__syncthreads();
	*a = *b = 0;
	for (u32 s = 0; s < slices && slice == 0; s++) {
		*a += sums[0][s][column];
		*b += sums[1][s][column];
	}
}
