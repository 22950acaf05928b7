// tile_pairs.cuh: which pairs of rows a 32 x 32 tile holds, and what a product is worth as one.
//
// The tiles on and above the diagonal of an [N, N] correlation, row of tiles by row of tiles: with
// B = ceil(N / 32) blocks of rows, tile (a, b) with a <= b is number a B - a (a - 1) / 2 + b - a.
#pragma once

#include <cstdint>

#include "cuda/gram.cuh"

namespace sacfast::cuda {

inline std::int64_t blocks_of(std::int64_t n) { return (n + warp_tile - 1) / warp_tile; }
inline std::int64_t tiles_of(std::int64_t n) { return blocks_of(n) * (blocks_of(n) + 1) / 2; }

struct TilePlace {
    int row_block, column_block;  // of 32 rows each
};

// The place of a tile, in 32 bits: the pairs of a million rows would fill no memory. The square
// root only guesses; the loops make it right.
__device__ inline TilePlace place_of(int tile, int blocks) {
    const auto first_of = [blocks](int a) { return a * blocks - a * (a - 1) / 2; };
    const float twice = 2.0f * static_cast<float>(blocks) + 1.0f;
    const float root = sqrtf(fmaxf(0.0f, twice * twice - 8.0f * static_cast<float>(tile)));
    int a = static_cast<int>(0.5f * (twice - root));
    while (a > 0 && first_of(a) > tile) --a;
    while (first_of(a + 1) <= tile) ++a;
    return {a, tile - first_of(a) + a};
}

// Where pair (i, j), i < j, lies in a packed correlation.
__device__ inline std::int64_t packed_pair(std::int64_t i, std::int64_t j, std::int64_t n) {
    return i * n - i * (i + 1) / 2 + j - i - 1;
}

// The correlation of two unit rows from their inner product: within [-1, 1], or NaN.
__device__ __forceinline__ float correlation_of(float product, bool rbf_normalised) {
    const float cosine = product > 1.0f ? 1.0f : product < -1.0f ? -1.0f : product;
    return rbf_normalised ? expf(-2.0f * (1.0f - cosine)) : cosine;
}

}  // namespace sacfast::cuda
