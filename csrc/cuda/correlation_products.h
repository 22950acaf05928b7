// correlation_products.h: inner products of each model's correlation with K fixed ones, on the GPU.
//
//   in   models    S matrices [N, C_s]   device memory, any floating-point type and strides
//        rows      [K, P]                the fixed rows: ones, then packed correlations
//        origins   K-1 matrices [N, C_k] the outputs whose correlations follow the ones; or none
//   out  products  float64 [S, K]        device memory; <c_s, row k> over the pairs
//        squares   float64 [S]           <c_s, c_s>
//
// Oracle: kernels/reference.py, correlation and inner_products. cpu/correlation_products.h explains
// the two ways, pairs and classes; each model goes whichever takes fewer operations.
#pragma once

#include <vector>

#include "center.h"
#include "cuda/launch.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

Need correlation_products_scratch(const std::vector<Matrix>& models, const Matrix& rows,
                                  const std::vector<Matrix>& origins);

void correlation_products(const std::vector<Matrix>& models, const Matrix& rows,
                          const std::vector<Matrix>& origins, Center center, Scratch scratch,
                          Stream stream, double* products, double* squares);

}  // namespace sacfast::cuda
