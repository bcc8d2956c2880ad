// What all kernels share. Activations lie in NHWC order as elements; sums,
// parameters and statistics are float32. Kernels use a·b+c only through fmaf,
// and are compiled without contraction, so that any compiler's code rounds
// alike. No kernel adds atomically: the order of sums is fixed.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

// The type in which activations are stored.
typedef float element;
__device__ inline float load(element x) { return x; }
__device__ inline element store(float x) { return x; }

#define KERNEL extern "C" __global__ void __launch_bounds__(256)

__device__ inline u64 first_index() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline u64 stride() { return (u64)gridDim.x * blockDim.x; }

// Sums by channel: a block of 256 threads takes 32 neighbouring channels in 8
// rows at a time (threadIdx.x = row·32 + channel) and leaves one partial sum
// of each kind a channel. partial is [gridDim.y][2][channels].
const u32 SUM_CHANNELS = 32, SUM_ROWS = 8;

__device__ inline void leave_partial(float a, float b, u32 channel, u32 channels, float *partial) {
	__shared__ float first[256];
	__shared__ float second[256];
	first[threadIdx.x] = a;
	second[threadIdx.x] = b;
	__syncthreads();
	for (u32 half = SUM_ROWS / 2; half > 0; half /= 2) {
		if (threadIdx.x < half * SUM_CHANNELS) {
			first[threadIdx.x] += first[threadIdx.x + half * SUM_CHANNELS];
			second[threadIdx.x] += second[threadIdx.x + half * SUM_CHANNELS];
		}
		__syncthreads();
	}
	if (threadIdx.x < SUM_CHANNELS && channel < channels) {
		partial[(u64)blockIdx.y * 2 * channels + channel] = first[threadIdx.x];
		partial[((u64)blockIdx.y * 2 + 1) * channels + channel] = second[threadIdx.x];
	}
}
