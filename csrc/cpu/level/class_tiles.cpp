#include "cpu/level/class_tiles.h"

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

constexpr int lanes = Floats::size;
constexpr int tile_classes = lanes == 16 ? 8 : 4, vectors = 3;
constexpr std::int64_t chain = 32;

static_assert(class_panel % (vectors * lanes) == 0, "a panel consists of whole tiles");

// sum[r][v] += the products of the rows k < n; a is `classes` wide.
template <int R>
SACFAST_INLINE void add_products(const float* a, std::int64_t classes, const float* b,
                                 std::int64_t n, Floats (&sum)[R][vectors]) {
    for (std::int64_t k = 0; k < n; ++k) {
        Floats y[vectors];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; ++v) {
            y[v] = load(b + k * class_panel + v * lanes);
            keep(y[v]);
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            Floats x = all(a[k * classes + r]);
            keep(x);
#pragma GCC unroll 3
            for (int v = 0; v < vectors; ++v) sum[r][v] = fma(x, y[v], sum[r][v]);
        }
    }
}

template <int R>
void tile(const float* a, std::int64_t classes, const float* b, std::int64_t n, double* squares) {
    alignas(64) float total[R][vectors * lanes] = {};
    Floats sum[R][vectors];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; ++v) sum[r][v] = all(0.0f);
    }
    std::int64_t k = 0;
    for (; n - k > chain; k += chain) {
        add_products<R>(a + k * classes, classes, b + k * class_panel, chain, sum);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
            for (int v = 0; v < vectors; ++v) {
                add_chain(total[r] + v * lanes, sum[r][v]);
            }
        }
    }
    add_products<R>(a + k * classes, classes, b + k * class_panel, n - k, sum);
#pragma GCC unroll 3
    for (int v = 0; v < vectors; ++v) {
        Doubles square = load(squares + v * lanes);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Doubles one = widen(add(load(total[r] + v * lanes), sum[r][v]));
            square = fma(one, one, square);
        }
        store(squares + v * lanes, square);
    }
}

template <int R>
void tile_of(int height, const float* a, std::int64_t classes, const float* b, std::int64_t n,
             double* squares) {
    if constexpr (R > 1) {
        if (height < R) return tile_of<R - 1>(height, a, classes, b, n, squares);
    }
    tile<R>(a, classes, b, n, squares);
}

void add_squares(const float* a, std::int64_t classes, const float* b, std::int64_t n,
                 double* squares) {
    const std::int64_t parts =
        (classes + tile_classes - 1) / tile_classes;  // of nearly equal height
    for (std::int64_t part = 0; part < parts; ++part) {
        const std::int64_t first = classes * part / parts, end = classes * (part + 1) / parts;
        for (std::int64_t j = 0; j < class_panel; j += vectors * lanes) {
            tile_of<tile_classes>(static_cast<int>(end - first), a + first, classes, b + j, n,
                                  squares + j);
        }
    }
}

}  // namespace

extern const ClassTiles class_tiles = {add_squares};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
