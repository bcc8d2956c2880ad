// The kernels for AVX2.
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,prfchw")
#define BLOCK 8
#define KERNELS kernels_avx2
#include "kernels_template.h"
#else
#include "kernels.h"
const struct kernels *const kernels_avx2 = NULL;
#endif
