// What a processor can do at most, measured: see peak.go.
#pragma once
#include <stddef.h>

enum { peak_plain, peak_avx2, peak_avx512 };

// Does count rounds of multiply-adds that do not wait for one another, and
// returns how many a round has. set is the instruction set.
double peak_multiply_adds(int set, long count);

// Reads length floats and writes as many.
void peak_copy(const float *from, float *to, size_t length);
