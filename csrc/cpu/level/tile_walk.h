// tile_walk.h: the tiles of a block of row pairs, and what is fetched from memory meanwhile.
//
// A block compares rows of a with rows of b, one chunk of them. Its tiles are I x J rows, and at
// its lower and right edges 1 x J, I x 1 and 1 x 1. Each tile fetches its share of the memory that
// will be read next: spread out so, the fetches hide behind the arithmetic, where a burst would
// stall.
#pragma once

#include <cstdint>

namespace sacfast {

// Memory to fetch into the second-level cache: `bytes` of every row.
struct Ahead {
    const char* rows;
    std::int64_t stride;  // bytes
    std::int64_t bytes;
};

}  // namespace sacfast

#if defined(SACFAST_LEVEL)
#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {

template <int n>
struct Count {
    static constexpr int value = n;
};

// The bytes [from, from + share) of each of `count` rows, as far as they are wanted.
SACFAST_INLINE void fetch(const Ahead& ahead, std::int64_t first, std::int64_t count,
                          std::int64_t from, std::int64_t share) {
    const std::int64_t end = from + share < ahead.bytes ? from + share : ahead.bytes;
    for (std::int64_t r = first; r < first + count; ++r) {
        const char* row = ahead.rows + r * ahead.stride;
        for (std::int64_t b = from; b < end; b += 64) __builtin_prefetch(row + b, 0, 2);
    }
}

// An equal share of the bytes for each of `parts` tiles, in whole cache lines.
SACFAST_INLINE std::int64_t share_of(const Ahead& ahead, std::int64_t parts) {
    return (ahead.bytes / parts + 63) / 64 * 64;
}

// Calls tile(i, j, Count<rows>, Count<columns>) for every tile.
template <int I, int J, typename Tile>
SACFAST_INLINE void each_tile(std::int64_t rows_a, std::int64_t rows_b, const Ahead& ahead_a,
                              const Ahead& ahead_b, const Tile& tile) {
    const std::int64_t share_a = share_of(ahead_a, (rows_b + J - 1) / J);
    const std::int64_t share_b = share_of(ahead_b, (rows_a + I - 1) / I);
    const auto strip = [&](std::int64_t i, auto rows) {
        for (std::int64_t j = 0; j < rows_b;) {
            const std::int64_t columns = rows_b - j >= J ? J : 1;
            fetch(ahead_a, i, rows.value, j / J * share_a, share_a);
            fetch(ahead_b, j, columns, i / I * share_b, share_b);
            columns == J ? tile(i, j, rows, Count<J>()) : tile(i, j, rows, Count<1>());
            j += columns;
        }
    };
    std::int64_t i = 0;
    for (; rows_a - i >= I; i += I) strip(i, Count<I>());
    for (; i < rows_a; ++i) strip(i, Count<1>());
}

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
#endif
