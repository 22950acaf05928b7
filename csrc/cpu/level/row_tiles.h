// row_tiles.h: sums over the pairs for every row of a against every row of b.
//
//   in   a, b   rows of n numbers, `stride_a` and `stride_b` elements apart; n a multiple of
//   `lanes` out  sums   sums[i * stride + j] += the sum for row i of a and row j of b
//
// What the distances and the inner products have in common: both run along two rows at once and
// keep one sum. The table holds one function per summand; csrc/cpu/level.h says how it is chosen.
#pragma once

#include <cstdint>

#include "cpu/level.h"

namespace sacfast {

struct RowTiles {
    std::int64_t lanes;        // numbers in a vector of float32
    std::int64_t short_lanes;  // of int16

    // + max(a, b), from which |a - b| = 2 max(a, b) - a - b.
    void (*maxima)(const float* a, std::int64_t stride_a, std::int64_t rows_a, const float* b,
                   std::int64_t stride_b, std::int64_t rows_b, std::int64_t n, double* sums,
                   std::int64_t stride);
    // The sums of the rows of a by themselves, added in the order of `maxima`: the same bits as
    // maxima(a, a), so that the distance of a row to itself is exactly 0.
    void (*totals)(const float* a, std::int64_t stride_a, std::int64_t rows_a, std::int64_t n,
                   double* sums);
    // + a * b.
    void (*products)(const float* a, std::int64_t stride_a, std::int64_t rows_a, const float* b,
                     std::int64_t stride_b, std::int64_t rows_b, std::int64_t n, double* sums,
                     std::int64_t stride);
};

SACFAST_TABLE(RowTiles, row_tiles)

}  // namespace sacfast
