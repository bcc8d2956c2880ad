#include "peak.h"

#include <string.h>

// Enough sums that none waits for its last addition, and few enough that all
// stay in registers.
#define SUMS 12

// The loop for vectors of so many bytes. Sums begin at different numbers, or
// the compiler would compute but one; that they are used keeps them.
#define MULTIPLY_ADDS(name, bytes, attributes)                                     \
	attributes __attribute__((noinline)) static double name(long count) {           \
		typedef float vec __attribute__((vector_size(bytes)));                      \
		const vec factor = (vec){} + 0.999f, term = (vec){} + 1e-3f;                \
		vec sum[SUMS];                                                              \
		_Pragma("GCC unroll 12")                                                    \
		for (int k = 0; k < SUMS; k++) sum[k] = (vec){} + (float)(k + 2);           \
		for (long i = 0; i < count; i++)                                            \
			_Pragma("GCC unroll 12")                                                \
			for (int k = 0; k < SUMS; k++) sum[k] = sum[k] * factor + term;         \
		vec total = {};                                                             \
		_Pragma("GCC unroll 12")                                                    \
		for (int k = 0; k < SUMS; k++) total += sum[k];                             \
		return total[0] >= 0 ? SUMS * (bytes) / sizeof(float) : 0;                  \
	}

MULTIPLY_ADDS(plain, 16, )
#if defined(__x86_64__)
MULTIPLY_ADDS(avx2, 32, __attribute__((target("avx2,fma"))))
MULTIPLY_ADDS(avx512, 64, __attribute__((target("avx512f,avx2,fma,prefer-vector-width=512"))))
#endif

double peak_multiply_adds(int set, long count) {
#if defined(__x86_64__)
	if (set == peak_avx512) return avx512(count);
	if (set == peak_avx2) return avx2(count);
#endif
	return plain(count);
}

void peak_copy(const float *from, float *to, size_t length) {
	typedef float vec __attribute__((vector_size(16)));
	for (size_t i = 0; i < length; i += 4) {
		vec v;
		memcpy(&v, from + i, sizeof v);
		v *= 0.5f;
		memcpy(to + i, &v, sizeof v);
	}
}
