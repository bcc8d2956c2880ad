// All kernels: once those that have no activations, then, for each type that
// activations are stored in, those that have. The type ends their names.
#include "common.h"
#include "crossentropy.cu"
#include "loop.cu"
#include "optimizer.cu"

namespace on_float32 {
typedef float element;
#define ON_ELEMENTS(name) name##_float32
#include "activations.h"
#undef ON_ELEMENTS
}

namespace on_bfloat16 {
typedef bfloat16 element;
#define ON_ELEMENTS(name) name##_bfloat16
#include "activations.h"
#include "joined.cu"
#undef ON_ELEMENTS
}
