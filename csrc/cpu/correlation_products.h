// correlation_products.h: inner products of each model's correlation with K fixed ones.
//
//   in   models    S matrices [N, C_s]   outputs, any floating-point type and strides
//        rows      [K, P]                the fixed rows, P = N(N-1)/2: ones, then correlations
//        origins   K-1 matrices [N, C_k] the outputs whose correlations follow the ones; or none
//   out  products  float64 [S, K]        <c_s, row k> over the pairs
//        squares   float64 [S]           <c_s, c_s>
//
// Oracle: kernels/reference.py, correlation and inner_products. One task per group of models.
//
// Two exact ways, per model whichever takes fewer operations:
//   pairs    N^2 C_s + 2 P K     make the correlation in the cache, run along it and the rows
//   classes  2 N C_s sum_k C_k   with unit rows A (N x C) the sum over all ordered pairs of
//                                <a_i, a_j><b_i, b_j> is |A^T B|^2, the squared entries of a matrix
//                                of C_s x C_k; without i = j, and halved, it is the product
// The second never makes a correlation. It wins where there are many probes and few classes (by 9
// at N = 800, C = 7) and needs the origins; to it, ones are one class that is 1 on every probe.
// Of centred rows it takes one class fewer (Classes, in the source).
//
// Numerics. Pairs: correlations and products in float32 lanes of at most pair_chunk / lanes
// products, then float64; the error is below 1e-7 of sum |a_p b_p|, 6e-9 with 20,000 pairs.
// Classes: unit rows rounded to float32, level/class_tiles.h, squares in float64: 3e-8. The way and
// every order of summation depend on the shapes alone: same bits for any threads, batch or split.
#pragma once

#include <vector>

#include "cpu/normalise.h"
#include "tensor_ref.h"

namespace sacfast {

void correlation_products(const std::vector<Matrix>& models, const Matrix& rows,
                          const std::vector<Matrix>& origins, Center center, int threads,
                          double* products, double* squares);

}  // namespace sacfast
