#include "cpu/level/outer_tiles.h"

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

constexpr int lanes = Floats::size;
#if defined(__AVX512F__)
constexpr int tile_rows = 8, tile_vectors = 3;  // 24 of 32 registers hold sums
#elif defined(__AVX2__)
constexpr int tile_rows = 4, tile_vectors = 3;  // 12 of 16
#else
constexpr int tile_rows = 4, tile_vectors = 2;  // 8 of 16
#endif
static_assert(row_strip % tile_rows == 0, "a strip consists of whole tiles");

// From so many columns on, those behind the first tile begin at whole vectors: no load then
// straddles two cache lines, which is worth the part of a vector that the first tile leaves unused.
constexpr std::int64_t aligned_from = 8 * lanes;
constexpr std::int64_t chain = 16;  // classes that are added in registers

// A strip of tiles: up to tile_rows rows of a against columns of b.
struct Strip {
    const float* a;
    std::int64_t stride_a;
    const float* b;
    std::int64_t stride_b;
    std::int64_t classes;
    int rows;
    float* out;          // row 0, column 0
    std::int64_t pitch;  // from there to row 1, column 0
    Fetch* fetch;
};

SACFAST_INLINE void fetch_some(Fetch& fetch) {
    for (int line = 0; line < fetch.lines && fetch.at < fetch.end; ++line) {
        __builtin_prefetch(fetch.at, 0, 2);
        fetch.at += 64;
    }
}

template <int V>
SACFAST_INLINE void add_classes(const float*& a, std::int64_t stride_a, const float*& b,
                                std::int64_t stride_b, std::int64_t n,
                                Floats (&sum)[tile_rows][V]) {
    for (std::int64_t k = 0; k < n; ++k) {
        Floats y[V];
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) {
            y[v] = load(b + v * lanes);
            keep(y[v]);
        }
#pragma GCC unroll 8
        for (int r = 0; r < tile_rows; ++r) {
            Floats x = all(a[r]);
            keep(x);
#pragma GCC unroll 3
            for (int v = 0; v < V; ++v) sum[r][v] = fma(x, y[v], sum[r][v]);
        }
        a += stride_a;
        b += stride_b;
    }
}

// One tile, V vectors wide. In a triangle row r begins r columns further right, and each row of the
// result is one shorter than the one before. `ends`: only `last` lanes of the last vector count.
template <int V, bool triangle, bool left, bool ends>
void tile(const Strip& strip, std::int64_t column, int last) {
    const float* a = strip.a;
    const float* b = strip.b + column;
    Floats sum[tile_rows][V];
#pragma GCC unroll 8
    for (int r = 0; r < tile_rows; ++r) {
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) sum[r][v] = all(0.0f);
    }
    std::int64_t rest = strip.classes;
    fetch_some(*strip.fetch);
    if (rest <= chain) {
        add_classes<V>(a, strip.stride_a, b, strip.stride_b, rest, sum);
    } else {
        alignas(64) float total[tile_rows][V * lanes] = {};
        for (; rest > chain; rest -= chain) {
            fetch_some(*strip.fetch);
            add_classes<V>(a, strip.stride_a, b, strip.stride_b, chain, sum);
#pragma GCC unroll 8
            for (int r = 0; r < tile_rows; ++r) {
#pragma GCC unroll 3
                for (int v = 0; v < V; ++v) {
                    add_chain(total[r] + v * lanes, sum[r][v]);
                }
            }
        }
        add_classes<V>(a, strip.stride_a, b, strip.stride_b, rest, sum);
#pragma GCC unroll 8
        for (int r = 0; r < tile_rows; ++r) {
#pragma GCC unroll 3
            for (int v = 0; v < V; ++v) sum[r][v] = add(load(total[r] + v * lanes), sum[r][v]);
        }
    }

    float* out = strip.out + column;
    std::int64_t pitch = strip.pitch;
#pragma GCC unroll 8
    for (int r = 0; r < tile_rows; ++r) {
        if (r >= strip.rows) break;
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) {
            const Floats x = min(all(1.0f), max(all(-1.0f), sum[r][v]));  // NaN stays NaN
            const int from = left && v == 0 ? r : 0;
            if (ends && v == V - 1) {
                store_between(out + v * lanes, from, last, x);
            } else if (from > 0) {
                store_between(out + v * lanes, from, lanes, x);
            } else {
                store(out + v * lanes, x);
            }
        }
        out += pitch;
        if (triangle) --pitch;
    }
}

template <bool triangle, bool left, bool ends>
SACFAST_INLINE void tile_of(int vectors, const Strip& strip, std::int64_t column, int last) {
    if (vectors == 1) return tile<1, triangle, left, ends>(strip, column, last);
    if (vectors == 2) return tile<2, triangle, left, ends>(strip, column, last);
    tile<tile_vectors, triangle, left, ends>(strip, column, last);
}

template <bool triangle>
void tiles(const Strip& strip, std::int64_t columns) {
    std::int64_t column = 0;
    const int beyond = static_cast<int>(reinterpret_cast<std::uintptr_t>(strip.b) / sizeof(float) %
                                        static_cast<std::uintptr_t>(lanes));
    if (triangle && beyond > 0 && columns >= aligned_from) {
        tile_of<triangle, triangle, true>(tile_vectors, strip, 0, lanes - beyond);
        column = tile_vectors * lanes - beyond;
    }
    std::int64_t vectors = (columns - column + lanes - 1) / lanes;
    const int last = static_cast<int>(columns - column - (vectors - 1) * lanes);
    while (vectors > 0) {
        // Of four vectors two tiles of two: one vector alone can't keep the arithmetic busy.
        const int some = vectors == 4             ? 2
                         : vectors < tile_vectors ? static_cast<int>(vectors)
                                                  : tile_vectors;
        const bool left = triangle && column == 0, ends = some == vectors && last < lanes;
        if (left) {
            if (ends)
                tile_of<triangle, triangle, true>(some, strip, column, last);
            else
                tile_of<triangle, triangle, false>(some, strip, column, last);
        } else {
            if (ends)
                tile_of<triangle, false, true>(some, strip, column, last);
            else
                tile_of<triangle, false, false>(some, strip, column, last);
        }
        column += some * lanes;
        vectors -= some;
    }
}

int at_most(std::int64_t rows) { return rows < tile_rows ? static_cast<int>(rows) : tile_rows; }

void triangle(const float* pack, std::int64_t stride, std::int64_t classes, std::int64_t rows,
              std::int64_t first, std::int64_t last, float* out, Fetch* fetch) {
    for (std::int64_t i = first; i < last; i += tile_rows) {
        const int some = at_most(last - i);
        const std::int64_t columns = rows - 1 - i;
        tiles<true>(
            {pack + i, stride, pack + i + 1, stride, classes, some, out, columns - 1, fetch},
            columns);
        out += some * columns - some * (some - 1) / 2;
    }
}

void rectangle(const float* a, std::int64_t stride_a, std::int64_t first, std::int64_t last,
               const float* b, std::int64_t stride_b, std::int64_t rows_b, std::int64_t classes,
               float* out) {
    Fetch nothing{nullptr, nullptr, 0};
    for (std::int64_t i = first; i < last; i += tile_rows) {
        const int some = at_most(last - i);
        tiles<false>({a + i, stride_a, b, stride_b, classes, some, out, rows_b, &nothing}, rows_b);
        out += some * rows_b;
    }
}

void write(const float* from, std::int64_t n, bool past_caches, float* to) {
    std::int64_t p = 0;
    if (past_caches) {  // from the first whole vector of the result on
        const auto misplaced =
            static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(to) / sizeof(float) % lanes);
        const std::int64_t head = misplaced == 0 ? 0 : lanes - misplaced;
        for (; p < head && p < n; ++p) to[p] = from[p];
        for (; p + lanes <= n; p += lanes) stream(to + p, load(from + p));
    }
    for (; p + lanes <= n; p += lanes) store(to + p, load(from + p));
    for (; p < n; ++p) to[p] = from[p];
}

}  // namespace

extern const OuterTiles outer_tiles = {triangle, rectangle, write, stream_end};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
