// pairwise_distance.h: mean |a - b| over the pairs, for every row of a and of b, on the GPU.
//
//   in   a         [A, P]          float32, device memory; a row's numbers one after the other
//        b         [B, P] or null  likewise; null compares a with itself
//   out  distance  float32 [A, B]  device memory
//
// Oracle: kernels/reference.py, pairwise_distance. Without b exactly symmetric, and a distance of a
// row to itself exactly 0.
#pragma once

#include "cuda/launch.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

Need pairwise_distance_scratch(const Matrix& a, const Matrix* b);

void pairwise_distance(const Matrix& a, const Matrix* b, Scratch scratch, Stream stream,
                       float* distance);

}  // namespace sacfast::cuda
