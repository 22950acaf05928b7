// outer_tiles.h: products of columns of two packs: correlations, and scores against references.
//
// A pack holds the unit rows of one model transposed, [classes][stride] float32 (level/pack.h).
// A tile takes a few rows of one pack and a few vectors of rows of the other and runs over the
// classes: each of its results is one lane of one register, never summed across lanes.
//
// Why it is fast. On v4 a tile is 8 rows x 3 vectors: per class 3 loads and 8 broadcasts feed 24
// multiply-adds, which fill both arithmetic ports for 12 cycles, more than their latency of 4 and
// more than the 7 cycles of the load ports; sums, operands and all fit the 32 registers. v3 has 16
// registers and takes 4 x 3. The triangle's tiles begin at column i + 1, wherever that lies, so
// that little is computed that nobody wants; in long strips only the first one does. Results go to
// the caller's scratch, which stays in L1; `write` then streams whole runs of it past the caches,
// at twice the speed of plain stores.
//
// Numerics. u = 2^-24. A chain of up to 16 classes is added in registers. Its sum x is added to the
// total s kept in L1 as t = s + x, and what that addition lost, x - (t - s), is where the next
// chain begins: whatever the number of classes, only the roundings within the chains remain. They
// are at most 16 u of the sum of |products|, which is at most 1; where all products are equal, the
// worst natural case (rounding errs to one side), at most 4 u; with random signs far less. With the
// operands' own rounding (2 u) and the result's (u / 2): 3.1e-7 was the largest error found over
// all C up to 4096 of rows of constant magnitude. It costs 36 cycles per 192.
// Each result is the same whatever tile it falls in, and the same on v3 and v4.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/level.h"

namespace sacfast {

// Rows of a that the tiles of every level take together, a whole number of times.
constexpr std::int64_t row_strip = 8;
// Results of more values don't stay in the caches: they are written past them.
constexpr std::int64_t cached_results = 1 << 22;
// What `triangle` and `rectangle` may overwrite behind the last result.
constexpr std::int64_t outer_slack = 16;
// What they may read behind the last class of a pack.
constexpr std::int64_t pack_slack = 64;

// Memory that will be read next, fetched into L2 while the tiles are made: a few `lines` of the
// cache with every chain, so that the loads of the tiles never queue behind them.
struct Fetch {
    const std::byte* at;
    const std::byte* end;
    int lines;
};

struct OuterTiles {
    // out = the correlations of rows i and j of the pack for i = first .. last - 1 and
    // j = i + 1 .. rows - 1, packed: row after row, without gaps. Within [-1, 1]; NaN stays NaN.
    void (*triangle)(const float* pack, std::int64_t stride, std::int64_t classes,
                     std::int64_t rows, std::int64_t first, std::int64_t last, float* out,
                     Fetch* fetch);
    // out = those of rows first .. last - 1 of a and all rows of b, row after row.
    void (*rectangle)(const float* a, std::int64_t stride_a, std::int64_t first, std::int64_t last,
                      const float* b, std::int64_t stride_b, std::int64_t rows_b,
                      std::int64_t classes, float* out);
    // Copies n values, and nothing beyond them; `past_caches` for results that nobody reads soon.
    void (*write)(const float* from, std::int64_t n, bool past_caches, float* to);
    // To be called before another thread may read what was written past the caches.
    void (*written)();
};

SACFAST_TABLE(OuterTiles, outer_tiles)

}  // namespace sacfast
