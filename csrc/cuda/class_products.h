// class_products.h: inner products of correlations class by class, on the GPU: none is ever made.
//
//   in   models    S matrices [N, C_s]  device memory, any floating-point type and strides; C <= 64
//        origins   K-1 matrices [N, C_k] likewise
//   out  products  float64: with the ones first, then with the correlation of every origin
//        squares   float64: of each model with itself
//
// With unit rows A (N x C) and B the sum over all ordered pairs of <a_i, a_j><b_i, b_j> is
// |A^T B|^2. Without i = j, which is 1 unless a row is a zero row, and halved, it is the product.
#pragma once

#include <cstdint>
#include <vector>

#include "center.h"
#include "cuda/launch.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

// Multiply-adds for one model and so many groups of origins (class_panels.h): its share of tiles
// that its neighbours fill as well.
double class_products_cost(const Matrix& model, std::int64_t origin_groups);

Need class_products_scratch(const std::vector<Matrix>& models, const std::vector<Matrix>& origins);

// Model s goes to row places[s] of the results [.., K].
void class_products(const std::vector<Matrix>& models, const std::vector<Matrix>& origins,
                    const std::int32_t* places, Center center, Scratch scratch, Stream stream,
                    double* products, double* squares);

}  // namespace sacfast::cuda
