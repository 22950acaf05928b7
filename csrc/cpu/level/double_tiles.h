// double_tiles.h: inner products in float64 of every row of a with every row of b.
//
//   in   a, b  rows of n float64, `stride` elements apart
//   out  sums  sums[i * stride_sums + j] += <row i of a, row j of b>
//
// What row_tiles.h does in float32, for the few matrices that are inverted afterwards: a bank's
// products with itself, and the algebra of K x K that follows.
//
// A tile keeps the sums of 3 x 4 pairs of rows (2 x 2 with fewer registers) in registers while it
// runs along them: 7 loads for 12 products, so the multipliers wait for nothing. A sum runs in 16
// lanes (8 on v3, 4 on the baseline), which are added as a tree at the end; numbers behind the last
// whole vector are added one by one. The order depends on n alone, whatever the tile: <a, b> has
// the same bits wherever the two rows stand, and the same as <b, a>.
#pragma once

#include <cstdint>

#include "cpu/level.h"

namespace sacfast {

struct DoubleTiles {
    void (*products)(const double* a, std::int64_t rows_a, const double* b, std::int64_t rows_b,
                     std::int64_t stride, std::int64_t n, double* sums, std::int64_t stride_sums);
};

SACFAST_TABLE(DoubleTiles, double_tiles)

}  // namespace sacfast
