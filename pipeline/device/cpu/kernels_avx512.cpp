// The kernels for AVX-512.
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prfchw,prefer-vector-width=512")
#define BLOCK 16
#define KERNELS kernels_avx512
#include "kernels_template.h"
#else
#include "kernels.h"
const struct kernels *const kernels_avx512 = NULL;
#endif
