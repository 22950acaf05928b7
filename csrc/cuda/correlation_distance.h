// correlation_distance.h: outputs straight to distances, on the GPU; no correlation is stored.
//
//   in   models    S matrices [N, C_s]  device memory, any floating-point type and strides
//        sources   [V, P]               packed correlations, likewise; P = N(N-1)/2
//   out  distance  float32 [S, V]       device memory; mean |c_s - source_v| over the pairs
//
// Oracle: kernels/reference.py, correlation_distance.
#pragma once

#include <vector>

#include "center.h"
#include "cuda/launch.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

Need correlation_distance_scratch(const std::vector<Matrix>& models, const Matrix& sources,
                                  Product product);

void correlation_distance(const std::vector<Matrix>& models, const Matrix& sources, Center center,
                          bool rbf_normalised, Product product, Scratch scratch, Stream stream,
                          float* distance);

}  // namespace sacfast::cuda
