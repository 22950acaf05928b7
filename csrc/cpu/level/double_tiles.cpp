#include "cpu/level/double_tiles.h"

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

constexpr int lanes = Floats::size;  // of Doubles: two registers
#if defined(__AVX512F__)
constexpr int tile_a = 3, tile_b = 4;  // 24 of 32 registers hold sums
#else
constexpr int tile_a = 2, tile_b = 2;  // 8 of 16
#endif

// A rows of a by B rows of b.
template <int A, int B>
void tile(const double* a, const double* b, std::int64_t stride, std::int64_t n, double* sums,
          std::int64_t stride_sums) {
    Doubles sum[A][B];
#pragma GCC unroll 4
    for (int i = 0; i < A; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < B; ++j) sum[i][j] = all(0.0);
    }
    const std::int64_t whole = n / lanes * lanes;
    for (std::int64_t p = 0; p < whole; p += lanes) {
        Doubles right[B];
#pragma GCC unroll 4
        for (int j = 0; j < B; ++j) right[j] = load(b + j * stride + p);
#pragma GCC unroll 4
        for (int i = 0; i < A; ++i) {
            const Doubles left = load(a + i * stride + p);
#pragma GCC unroll 4
            for (int j = 0; j < B; ++j) sum[i][j] = fma(left, right[j], sum[i][j]);
        }
    }
    for (int i = 0; i < A; ++i) {
        for (int j = 0; j < B; ++j) {
            double rest = 0.0;
            for (std::int64_t p = whole; p < n; ++p) rest += a[i * stride + p] * b[j * stride + p];
            sums[i * stride_sums + j] += lane_sum(sum[i][j]) + rest;
        }
    }
}

void products(const double* a, std::int64_t rows_a, const double* b, std::int64_t rows_b,
              std::int64_t stride, std::int64_t n, double* sums, std::int64_t stride_sums) {
    std::int64_t i = 0;
    for (; i + tile_a <= rows_a; i += tile_a) {
        std::int64_t j = 0;
        for (; j + tile_b <= rows_b; j += tile_b) {
            tile<tile_a, tile_b>(a + i * stride, b + j * stride, stride, n,
                                 sums + i * stride_sums + j, stride_sums);
        }
        for (; j < rows_b; ++j) {
            tile<tile_a, 1>(a + i * stride, b + j * stride, stride, n, sums + i * stride_sums + j,
                            stride_sums);
        }
    }
    for (; i < rows_a; ++i) {
        for (std::int64_t j = 0; j < rows_b; ++j) {
            tile<1, 1>(a + i * stride, b + j * stride, stride, n, sums + i * stride_sums + j,
                       stride_sums);
        }
    }
}

}  // namespace

extern const DoubleTiles double_tiles = {products};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
