#include "cpu/level/row_tiles.h"

#include "cpu/level/tile_walk.h"
#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

constexpr int lanes = Floats::size;
constexpr int tile_rows = lanes == 16 ? 4 : 2;  // 16 of 32 registers hold sums, or 8 of 16
constexpr int tile_columns = 4;
constexpr std::int64_t short_chain = 16;  // vectors added in one register before they join others

static_assert(pair_chunk % (short_chain * lanes) == 0, "a chunk consists of whole chains");

constexpr int log2_of(int n) { return n == 1 ? 0 : 1 + log2_of(n / 2); }

// In its pair, of pairs, of the chains of a chunk, and in the tree over the lanes.
static_assert(1 + short_chain / 2 + pair_chunk / (short_chain * lanes) + log2_of(lanes) <=
                  row_additions,
              "what the header promises");

struct Maximum {
    static constexpr std::int64_t chain = short_chain;
    Floats one = all(1.0f);
    SACFAST_INLINE Maximum() { keep(one); }  // a known 1 would turn fma into add
    SACFAST_INLINE Floats step(Floats sum, Floats a, Floats b) const {
        return fma(max(a, b), one, sum);
    }
    SACFAST_INLINE Floats pair(Floats sum, Floats a, Floats b, Floats c, Floats d) const {
        return fma(fma(max(c, d), one, max(a, b)), one, sum);
    }
};
struct Own {  // Maximum of a row with itself
    static constexpr std::int64_t chain = short_chain;
    SACFAST_INLINE Floats step(Floats sum, Floats a, Floats) const { return add(a, sum); }
    SACFAST_INLINE Floats pair(Floats sum, Floats a, Floats, Floats c, Floats) const {
        return add(add(c, a), sum);
    }
};
struct Product {
    static constexpr std::int64_t chain = pair_chunk / lanes;  // signs differ: roundings cancel
    SACFAST_INLINE Floats step(Floats sum, Floats a, Floats b) const { return fma(a, b, sum); }
    SACFAST_INLINE Floats pair(Floats sum, Floats a, Floats b, Floats c, Floats d) const {
        return fma(c, d, fma(a, b, sum));
    }
};

// The sums over the lanes of `count` vectors.
template <int count>
SACFAST_INLINE void reduce(const Floats* x, float* out) {
    Floats group[lanes];
    for (int first = 0; first < count; first += lanes) {
#pragma GCC unroll 16
        for (int l = 0; l < lanes; ++l) group[l] = first + l < count ? x[first + l] : all(0.0f);
        store(out + first, sums(group));
    }
}

// One chunk of I rows of a and J rows of b.
template <typename Summand, int I, int J>
__attribute__((noinline)) void tile(const float* a, std::int64_t stride_a, const float* b,
                                    std::int64_t stride_b, std::int64_t n, double* sums,
                                    std::int64_t stride) {
    const Summand summand;
    const float *row_a[I], *row_b[J];
    for (int i = 0; i < I; ++i) row_a[i] = a + i * stride_a;
    for (int j = 0; j < J; ++j) row_b[j] = b + j * stride_b;

    Floats chunk[I * J];
    for (Floats& sum : chunk) sum = all(0.0f);
    for (std::int64_t first = 0; first < n; first += Summand::chain * lanes) {
        const std::int64_t left = n - first;
        const std::int64_t end = left < Summand::chain * lanes ? n : first + Summand::chain * lanes;
        Floats sum[I * J];
        for (Floats& one : sum) one = all(0.0f);
        std::int64_t p = first;
        for (; p + 2 * lanes <= end; p += 2 * lanes) {
            Floats x0[I], x1[I];
#pragma GCC unroll 4
            for (int i = 0; i < I; ++i) {
                x0[i] = load(row_a[i] + p);
                x1[i] = load(row_a[i] + p + lanes);
                keep(x0[i]);
                keep(x1[i]);
            }
#pragma GCC unroll 4
            for (int j = 0; j < J; ++j) {
                Floats y0 = load(row_b[j] + p), y1 = load(row_b[j] + p + lanes);
                keep(y0);
                keep(y1);
#pragma GCC unroll 4
                for (int i = 0; i < I; ++i) {
                    sum[i * J + j] = summand.pair(sum[i * J + j], x0[i], y0, x1[i], y1);
                }
            }
        }
        if (p < end) {
            for (int i = 0; i < I; ++i) {
                for (int j = 0; j < J; ++j) {
                    sum[i * J + j] =
                        summand.step(sum[i * J + j], load(row_a[i] + p), load(row_b[j] + p));
                }
            }
        }
        for (int k = 0; k < I * J; ++k) chunk[k] = add(chunk[k], sum[k]);
    }
    float total[(I * J + lanes - 1) / lanes * lanes];
    reduce<I * J>(chunk, total);
    for (int i = 0; i < I; ++i) {
        for (int j = 0; j < J; ++j) sums[i * stride + j] += static_cast<double>(total[i * J + j]);
    }
}

template <typename Summand>
void chunk_sums(const float* a, std::int64_t stride_a, std::int64_t rows_a, const float* b,
                std::int64_t stride_b, std::int64_t rows_b, std::int64_t n, const Ahead& ahead_a,
                const Ahead& ahead_b, double* sums, std::int64_t stride) {
    each_tile<tile_rows, tile_columns>(
        rows_a, rows_b, ahead_a, ahead_b,
        [&](std::int64_t i, std::int64_t j, auto rows, auto columns) {
            tile<Summand, rows.value, columns.value>(a + i * stride_a, stride_a, b + j * stride_b,
                                                     stride_b, n, sums + i * stride + j, stride);
        });
}

void chunk_totals(const float* a, std::int64_t stride, std::int64_t rows, std::int64_t n,
                  double* sums) {
    std::int64_t i = 0;
    for (; i + 4 <= rows; i += 4) tile<Own, 4, 1>(a + i * stride, stride, a, 0, n, sums + i, 1);
    for (; i < rows; ++i) tile<Own, 1, 1>(a + i * stride, stride, a, 0, n, sums + i, 1);
}

// Rows of a lie in the caller's scratch, in the cache. So do those of b where a is no more than one
// strip of tiles; for more, b is too large for the cache and its next chunk is fetched.
template <typename Summand>
void tiles(const float* a, std::int64_t stride_a, std::int64_t rows_a, const float* b,
           std::int64_t stride_b, std::int64_t rows_b, std::int64_t n, double* sums,
           std::int64_t stride) {
    for (std::int64_t p = 0; p < n; p += pair_chunk) {
        const std::int64_t size = smaller(n - p, pair_chunk);
        const std::int64_t next = rows_a > tile_rows ? smaller(n - p - size, pair_chunk) : 0;
        constexpr std::int64_t item = sizeof(float);
        const Ahead ahead{reinterpret_cast<const char*>(b + p + size), stride_b * item,
                          next * item};
        chunk_sums<Summand>(a + p, stride_a, rows_a, b + p, stride_b, rows_b, size, {nullptr, 0, 0},
                            ahead, sums, stride);
    }
}

void totals(const float* a, std::int64_t stride, std::int64_t rows, std::int64_t n, double* sums) {
    for (std::int64_t p = 0; p < n; p += pair_chunk) {
        chunk_totals(a + p, stride, rows, smaller(n - p, pair_chunk), sums);
    }
}

void chunk_distances(const float* a, std::int64_t stride_a, std::int64_t rows_a,
                     const Ahead& ahead_a, const float* b, std::int64_t stride_b,
                     std::int64_t rows_b, const Ahead& ahead_b, std::int64_t n, double* sums,
                     std::int64_t stride, double* totals_a, double* totals_b) {
    chunk_sums<Maximum>(a, stride_a, rows_a, b, stride_b, rows_b, n, ahead_a, ahead_b, sums,
                        stride);
    chunk_totals(a, stride_a, rows_a, n, totals_a);
    chunk_totals(b, stride_b, rows_b, n, totals_b);
}

}  // namespace

extern const RowTiles row_tiles = {lanes, tiles<Maximum>, totals, chunk_distances, tiles<Product>};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
