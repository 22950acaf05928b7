// fri_features.h: cosine scores of every probe against every reference image, on the GPU.
//
//   in   probes      S matrices [N, E]   device memory, any floating-point type and strides
//        references  S matrices [R, E]   likewise
//   out  scores      float32 [S, N, R]   device memory; in [-1, 1], 0 for a zero embedding
//
// Oracle: kernels/reference.py, fri_features.
#pragma once

#include <vector>

#include "cuda/launch.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

Need fri_features_scratch(const std::vector<Matrix>& probes, const std::vector<Matrix>& references,
                          Product product);

void fri_features(const std::vector<Matrix>& probes, const std::vector<Matrix>& references,
                  Product product, Scratch scratch, Stream stream, float* scores);

}  // namespace sacfast::cuda
