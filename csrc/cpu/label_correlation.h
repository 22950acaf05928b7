// label_correlation.h: 1 where two probes got the same label, else 0; and how such correlations
// differ.
//
//   in   labels    integers [S, N]    any width and strides
//   out  packed    float32  [S, P]    strict upper triangle, row by row, P = N(N-1)/2
//
//   in   a, b      integers [A, N], [B, N]; b null: a with itself, half the work
//   out  distance  float32  [A, B]    the share of the pairs on which the two differ
//
// Oracle: kernels/reference.py, label_correlation and pairwise_distance. Both exact: a distance is
// a count, divided by P in float64 and rounded once.
//
// A distance is a count of bits: each model's pairs are one bit each, a 32nd of the packed float32,
// and they are all that is kept. A task compares 8 models with 8, 4 KB of bits each at a time: what
// one model is compared with stays in the L1 cache.
#pragma once

#include "tensor_ref.h"

namespace sacfast {

void label_correlation(const Matrix& labels, int threads, float* packed);
void label_distance(const Matrix& a, const Matrix* b, int threads, float* distance);

}  // namespace sacfast
