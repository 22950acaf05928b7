// tile_sums.h: what each model's correlation and fixed rows add up to in one tile after the other.
//
//   in   units  unit rows of the models (unit_rows.h)
//        fixed  rows, tile by tile (fixed_tiles.h)
//   out  sums   float32 [tiles][models][rows]
//
// Row k is the sum of |c - row_k| over a tile's pairs, or that of c * row_k; then four more rows
// follow, of which the first is that of c * c.
#pragma once

#include <cstdint>

#include "cuda/launch.h"
#include "cuda/unit_rows.h"

namespace sacfast::cuda {

enum class Term { difference, product };

struct TileSums {
    UnitRows units;
    const float* fixed;
    float* sums;
    std::int64_t models;
    std::int64_t first_tile, tiles;  // of each model
    std::int64_t laid, rows;         // in a tile of `fixed`, and of `sums`
    bool rbf_normalised;
};

// Product::fma where the terms are products.
void sum_tiles(const TileSums& task, Term term, Product product, Stream stream);

}  // namespace sacfast::cuda
