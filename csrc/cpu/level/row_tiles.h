// row_tiles.h: sums over the pairs for every row of a against every row of b.
//
//   in   a, b  rows of n float32, `stride_a` and `stride_b` elements apart; n a multiple of `lanes`
//              (rows that end earlier are padded with zeros, which change no sum)
//   out  sums  sums[i * stride + j] += the sum for row i of a and row j of b
//
// What the distances and the inner products have in common: both run along two rows at once and
// keep one sum. The table holds one function per summand; csrc/cpu/level.h says how it is chosen.
//
// Why it is fast. Distances come from |a - b| = 2 max(a, b) - a - b: the sums of a and of b by
// themselves are taken once a row, so that each further number costs one max and one addition. The
// addition is fma(x, 1, sum): Zen 4 adds and multiplies on different ports, max runs on the
// adders', and both pairs of ports are busy; on Intel the two share their ports either way. A tile
// keeps the sums of 4 x 4 pairs of rows (2 x 4 with fewer registers) and loads 8 vectors for 32
// instructions, so even loads that straddle cache lines (rows read where they lie) cost only a
// tenth. Rows are cut into chunks: the eight of a tile stay in a first-level cache of 32 KB, those
// of 64 + 64 rows in the second level, where the next chunk is fetched meanwhile, a few lines a
// tile. The sums of a tile are transposed and added together, 16 at a time, and leave as float64
// once a chunk.
//
// Order of additions: neighbouring vectors pairwise, 8 such pairs in one register, these registers
// over the chunk (products: one register over the chunk, whose roundings go both ways), their lanes
// as a tree, the chunks in float64. It depends on n alone: a sum has the same bits wherever its
// rows stand among others, and whichever of the two is a. Calls with consecutive segments of the
// rows give the bits of one call if every segment but the last is a multiple of `pair_chunk` long.
//
// Numerics. A number passes through at most `row_additions` additions in float32 (in products
// pair_chunk / lanes and 4 more): a sum's error is at most row_additions * u * sum |x|, u = 2^-24,
// in practice 50 times less.
#pragma once

#include <cstdint>

#include "cpu/level.h"
#include "cpu/level/tile_walk.h"

namespace sacfast {

// Numbers of a row that are summed before they are added in float64.
constexpr std::int64_t pair_chunk = 768;
// In float32, that a number passes through at most, on any level.
constexpr int row_additions = 24;

struct RowTiles {
    std::int64_t lanes;  // numbers in a vector

    // sums += max(a, b).
    void (*maxima)(const float* a, std::int64_t stride_a, std::int64_t rows_a, const float* b,
                   std::int64_t stride_b, std::int64_t rows_b, std::int64_t n, double* sums,
                   std::int64_t stride);
    // sums[i] += the sum of row i, added in the order of `maxima`: the same bits as maxima(a, a),
    // so that the distance of a row to itself is exactly 0.
    void (*totals)(const float* a, std::int64_t stride_a, std::int64_t rows_a, std::int64_t n,
                   double* sums);
    // All three sums over one chunk, n <= pair_chunk, fetching what will be read next.
    void (*chunk_distances)(const float* a, std::int64_t stride_a, std::int64_t rows_a,
                            const Ahead& ahead_a, const float* b, std::int64_t stride_b,
                            std::int64_t rows_b, const Ahead& ahead_b, std::int64_t n, double* sums,
                            std::int64_t stride, double* totals_a, double* totals_b);
    // sums += a * b. Faster by a third where rows begin at cache lines: two loads a cycle feed two
    // multiply-adds, and one that straddles lines counts twice.
    void (*products)(const float* a, std::int64_t stride_a, std::int64_t rows_a, const float* b,
                     std::int64_t stride_b, std::int64_t rows_b, std::int64_t n, double* sums,
                     std::int64_t stride);
};

SACFAST_TABLE(RowTiles, row_tiles)

}  // namespace sacfast
