// correlation_sums.h: what each model's correlation and K fixed rows sum to, on the GPU.
//
//   in   models  S matrices [N, C_s]  device memory, any floating-point type and strides
//        rows    [K, P]               packed correlations, likewise; P = N(N-1)/2
//   out  Term::difference  sum over the pairs of |c_s - row_k|
//        Term::product     sum over the pairs of c_s * row_k, and of c_s * c_s
//
// For correlation_distance and correlation_products by pairs: everything but where results go and
// what they are divided by. No correlation is stored.
#pragma once

#include <cstdint>
#include <vector>

#include "center.h"
#include "cuda/launch.h"
#include "cuda/tile_sums.h"
#include "cuda/tile_totals.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

struct SumsInput {
    const std::vector<Matrix>& models;
    const Matrix& rows;
    Center center;
    bool rbf_normalised;
    Product product;  // fma where the terms are products
    Term term;
};

Need correlation_sums_scratch(const SumsInput& in);

void correlation_sums(const SumsInput& in, Scratch scratch, Stream stream, SumsResults results);

}  // namespace sacfast::cuda
