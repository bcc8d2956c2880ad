// The kernels for any processor: the compiler splits their vectors into the
// ones it has.
#define BLOCK 8
#define KERNELS kernels_portable
#include "kernels_template.h"
