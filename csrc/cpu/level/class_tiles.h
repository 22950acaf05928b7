// class_tiles.h: the squared entries of a product A^T B, summed over the columns of A.
//
//   in   a  float32 [n][classes]      rows of A; its columns are the classes of one model
//        b  float32 [n][class_panel]  rows of B; its columns are classes of others, zeros behind
//   out  squares  float64 [class_panel]  squares[j] += sum_i (sum_k a[k][i] b[k][j])^2
//
// The inner loop of correlation_products.h where products are taken class by class.
//
// Why it is fast. Like outer_tiles.h: up to 8 columns of A by 3 vectors of B (4 by 3 with fewer
// registers) are 24 sums in registers; each k costs 3 loads and 8 broadcasts for 24 multiply-adds,
// and no result is ever summed across lanes. A panel of B is contiguous, begins at a cache line and
// stays in the second-level cache while every model passes.
//
// Numerics. A chain of 32 products in registers is added to a total that is kept in the first-level
// cache; what that addition lost starts the next chain, so that only the roundings within chains
// remain. Squares and their sums are float64.
#pragma once

#include <cstdint>

#include "cpu/level.h"

namespace sacfast {

constexpr std::int64_t class_panel = 48;  // columns of B side by side: a multiple of all tiles

struct ClassTiles {
    void (*add_squares)(const float* a, std::int64_t classes, const float* b, std::int64_t n,
                        double* squares);
};

SACFAST_TABLE(ClassTiles, class_tiles)

}  // namespace sacfast
