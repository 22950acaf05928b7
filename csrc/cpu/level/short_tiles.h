// short_tiles.h: rows of int16, and sums over them for every row of a against every row of b.
//
// The compact form of numbers in [-1, 1]: q = round(32767 x), what is beyond is clipped. Half the
// memory of float32 and twice the numbers in a vector: a number costs one max and one
// vpdpwssd with ones (which adds neighbours and both to an int32), 16 of each for the 4 x 4 tile
// that row_tiles.h describes. AVX2 needs a vpmaddwd and a vpaddd for the second. All sums are
// exact, so there is no order to keep.
#pragma once

#include <cstdint>

#include "cpu/level.h"

namespace sacfast {

constexpr int short_padding = 32;  // numbers that a row of int16 is padded to: lanes of any level
constexpr float short_one = 32767.0f;  // what 1 becomes

struct Quantised {
    double total;  // sum q, exact
    double size;   // sum |x|
    double error;  // sum |x - q / 32767|
};

struct ShortTiles {
    // Writes n numbers as int16, n a multiple of a float32 vector's lanes, and adds to `sums`. The
    // sums of |x| and of the errors are within 200 u of themselves and 4 u sum |x|, u = 2^-24; an
    // infinity or NaN is clipped and makes its error infinite or NaN.
    void (*quantise)(const float* x, std::int64_t n, std::int16_t* q, Quantised* sums);

    // sums[i * stride + j] += sum max(row i of a, row j of b), over n numbers, a multiple of
    // short_padding.
    void (*maxima)(const std::int16_t* a, std::int64_t stride_a, std::int64_t rows_a,
                   const std::int16_t* b, std::int64_t stride_b, std::int64_t rows_b,
                   std::int64_t n, std::int64_t* sums, std::int64_t stride);
};

SACFAST_TABLE(ShortTiles, short_tiles)

}  // namespace sacfast
