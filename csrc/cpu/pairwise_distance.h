// pairwise_distance.h: mean |a - b| over the pairs, for every row of a and every row of b.
//
//   in   a         [A, P]          packed correlations, any floating-point type and strides
//        b         [B, P]          likewise, or nothing: then b = a and the result is symmetric
//   out  distance  float32 [A, B]  0 = the same structure
//
// Oracle: kernels/reference.py, pairwise_distance. One task per tile of 32 x 32 results; a
// symmetric result computes the tiles on and above the diagonal and mirrors them.
//
// Numerics. Values are read as float32; |a - b| is taken in float32 and added in float64, in eight
// lanes over segments of 1024 pairs: the order depends on nothing but P, and |a - b| = |b - a|, so
// a result depends on its two rows only. Error for float32 inputs: u of each term and u/2 of the
// result, at most 9e-8 of the distance. float64 inputs lose up to u = 6e-8 of their size on
// reading.
#pragma once

#include <cstdint>

#include "tensor_ref.h"

namespace sacfast {

constexpr std::int64_t distance_segment = 1024;

// sum |a - b| over n <= distance_segment values.
double sum_absolute_difference(const float* a, const float* b, std::int64_t n);

void pairwise_distance(const Matrix& a, const Matrix* b, int threads, float* distance);

}  // namespace sacfast
