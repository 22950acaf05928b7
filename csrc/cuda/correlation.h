// correlation.h: the correlation of each model's rows, packed, on the GPU.
//
//   in   models  S matrices [N, C_s]   device memory, any floating-point type and strides
//   out  packed  float32 [S, P]        device memory; strict upper triangle, P = N(N-1)/2
//
// Oracle: kernels/reference.py, correlation. Cosine, or with `rbf_normalised` exp(-2 (1 - cosine)).
#pragma once

#include <vector>

#include "center.h"
#include "cuda/launch.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

Need correlation_scratch(const std::vector<Matrix>& models, Product product);

void correlation(const std::vector<Matrix>& models, Center center, bool rbf_normalised,
                 Product product, Scratch scratch, Stream stream, float* packed);

}  // namespace sacfast::cuda
