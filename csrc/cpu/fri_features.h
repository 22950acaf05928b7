// fri_features.h: cosine scores of probe embeddings against reference embeddings.
//
//   in   probes      S matrices [N, E_s]   any floating-point type and strides
//        references  S matrices [R, E_s]   likewise
//   out  scores      float32 [S, N, R]     in [-1, 1]; 0 for a zero embedding
//
// Oracle: kernels/reference.py, fri_features. One task per run of models, or per run of rows where
// models are few and large.
// Numerics: level/outer_tiles.h.
#pragma once

#include <vector>

#include "tensor_ref.h"

namespace sacfast {

void fri_features(const std::vector<Matrix>& probes, const std::vector<Matrix>& references,
                  int threads, float* scores);

}  // namespace sacfast
