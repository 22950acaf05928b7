// correlation_distance.h: mean |C_s[i,j] - C_v[i,j]| over i < j, for each suspect s and source v.
//
//   in   models    S matrices [N, C_s]  outputs of the suspects, any floats and strides
//        sources   [V, P]               packed correlations of the sources, P = N(N-1)/2
//   out  distance  float32 [S, V]       0 = the same structure
//
// Oracle: kernels/reference.py, correlation_distance. One task per suspect. A suspect's correlation
// is written row by row into a segment of 1024 pairs; a full segment is compared with every source
// and overwritten, so that memory grows with neither S nor P.
//
// Numerics. The correlation is the float32 value of correlation.h, segments and order are those of
// pairwise_distance.h: the bits are those of pairwise_distance(correlation(outputs), sources).
#pragma once

#include <vector>

#include "cpu/correlation.h"
#include "tensor_ref.h"

namespace sacfast {

void correlation_distance(const std::vector<Matrix>& models, const Matrix& sources,
                          const CorrelationKind& kind, int threads, float* distance);

}  // namespace sacfast
