// fixed_tiles.h: packed correlations cut into 32 x 32 tiles, in the order in which threads hold
// them.
//
//   in   rows   [K, P]  device memory, any floating-point type and strides; P = N(N-1)/2
//   out  tiles  float32 [tile][L][8][32][4]; L = K rounded up to a multiple of 4
//
// Number 4 p + x of lane l in tile t and row k stands at [t][k][p][l][x]: element 4 p + x of that
// lane's tile (gram.cuh). It is 0 where the element is no pair i < j < N, or k >= K.
#pragma once

#include <cstdint>

#include "cuda/launch.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

constexpr std::int64_t rows_together = 4;  // rows that a thread sums up at a time

// L: the rows of a tile, those that fill up the last four included.
inline std::int64_t laid_rows(std::int64_t rows) {
    return (rows + rows_together - 1) / rows_together * rows_together;
}

// Tiles [first, first + count) of all rows.
void lay_fixed_tiles(const Matrix& rows, std::int64_t n, std::int64_t first, std::int64_t count,
                     Product product, Stream stream, float* tiles);

}  // namespace sacfast::cuda
