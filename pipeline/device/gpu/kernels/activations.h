// An octet of elements as it lies in memory, and how many blocks of a
// kernel that keeps several should run at once on a multiprocessor.
typedef decltype(load_packed((const element *)0)) packed;
const u32 RESIDENT = sizeof(element) == 2 ? 3 : 2;

#include "convolution.cu"
#include "dense.cu"
#include "dropout.cu"
#include "normalization.cu"
#include "pool.cu"
#include "render.cu"
