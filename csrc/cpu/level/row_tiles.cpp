#include "cpu/level/row_tiles.h"

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

struct Maximum {
    static SACFAST_INLINE Floats step(Floats sum, Floats a, Floats b) {
        return add(sum, max(a, b));
    }
};
struct Product {
    static SACFAST_INLINE Floats step(Floats sum, Floats a, Floats b) { return fma(a, b, sum); }
};

double total(Floats x) {
    float lane[Floats::size];
    store(lane, x);
    double sum = 0.0;
    for (int i = 0; i < Floats::size; ++i) sum += static_cast<double>(lane[i]);
    return sum;
}

template <typename Summand>
void tiles(const float* a, std::int64_t stride_a, std::int64_t rows_a, const float* b,
           std::int64_t stride_b, std::int64_t rows_b, std::int64_t n, double* sums,
           std::int64_t stride) {
    for (std::int64_t i = 0; i < rows_a; ++i) {
        for (std::int64_t j = 0; j < rows_b; ++j) {
            Floats sum = all(0.0f);
            for (std::int64_t p = 0; p < n; p += Floats::size) {
                sum = Summand::step(sum, load(a + i * stride_a + p), load(b + j * stride_b + p));
            }
            sums[i * stride + j] += total(sum);
        }
    }
}

void totals(const float* a, std::int64_t stride_a, std::int64_t rows_a, std::int64_t n,
            double* sums) {
    for (std::int64_t i = 0; i < rows_a; ++i) {
        const float* row = a + i * stride_a;
        tiles<Maximum>(row, stride_a, 1, row, stride_a, 1, n, sums + i, 1);
    }
}

}  // namespace

extern const RowTiles row_tiles = {Floats::size, 2 * Floats::size, tiles<Maximum>, totals,
                                   tiles<Product>};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
