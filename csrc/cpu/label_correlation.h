// label_correlation.h: 1 where two probes got the same label, else 0, packed.
//
//   in   labels  integers [S, N]    any width and strides
//   out  packed  float32  [S, P]    strict upper triangle, row by row, P = N(N-1)/2
//
// Oracle: kernels/reference.py, label_correlation. One task per model. Exact.
#pragma once

#include "tensor_ref.h"

namespace sacfast {

void label_correlation(const Matrix& labels, int threads, float* packed);

}  // namespace sacfast
