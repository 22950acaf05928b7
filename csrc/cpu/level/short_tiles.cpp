#include "cpu/level/short_tiles.h"

#include "cpu/level/tile_walk.h"
#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

constexpr int lanes = 2 * Floats::size;
constexpr int tile_rows = Floats::size == 16 ? 4 : 2;
constexpr int tile_columns = 4;
constexpr std::int64_t chunk = 1536;  // numbers of a row in the first-level cache: 3 KB

// A lane of int32 takes 2 numbers of at most 32767 a step, the last sum all lanes of a chunk.
static_assert(chunk * 32767 < 2147483647, "sums of a chunk fit into int32");

template <int I, int J>
__attribute__((noinline)) void tile(const std::int16_t* a, std::int64_t stride_a,
                                    const std::int16_t* b, std::int64_t stride_b, std::int64_t n,
                                    std::int64_t* sums_out, std::int64_t stride) {
    constexpr int groups = (I * J + Floats::size - 1) / Floats::size;
    Ints sum[groups * Floats::size];
#pragma GCC unroll 16
    for (Ints& one : sum) one = no_ints();
    for (std::int64_t p = 0; p < n; p += lanes) {
        Shorts x[I];
#pragma GCC unroll 4
        for (int i = 0; i < I; ++i) {
            x[i] = load(a + i * stride_a + p);
            keep(x[i]);
        }
#pragma GCC unroll 4
        for (int j = 0; j < J; ++j) {
            Shorts y = load(b + j * stride_b + p);
            keep(y);
#pragma GCC unroll 4
            for (int i = 0; i < I; ++i) add_pairs(sum[i * J + j], max(x[i], y));
        }
    }
    std::int32_t total[groups * Floats::size];
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) {
        store(total + g * Floats::size, sums(sum + g * Floats::size));
    }
    for (int i = 0; i < I; ++i) {
        for (int j = 0; j < J; ++j) sums_out[i * stride + j] += total[i * J + j];
    }
}

Ahead after(const std::int16_t* rows, std::int64_t stride, std::int64_t next) {
    constexpr std::int64_t item = sizeof(std::int16_t);
    return {reinterpret_cast<const char*>(rows + chunk), stride * item, next * item};
}

void maxima(const std::int16_t* a, std::int64_t stride_a, std::int64_t rows_a,
            const std::int16_t* b, std::int64_t stride_b, std::int64_t rows_b, std::int64_t n,
            std::int64_t* sums, std::int64_t stride) {
    for (std::int64_t p = 0; p < n; p += chunk, a += chunk, b += chunk) {
        const std::int64_t size = smaller(n - p, chunk);
        const std::int64_t next = smaller(n - p - size, chunk);
        each_tile<tile_rows, tile_columns>(
            rows_a, rows_b, after(a, stride_a, next), after(b, stride_b, next),
            [&](std::int64_t i, std::int64_t j, auto rows, auto columns) {
                tile<rows.value, columns.value>(a + i * stride_a, stride_a, b + j * stride_b,
                                                stride_b, size, sums + i * stride + j, stride);
            });
    }
}

void quantise(const float* x, std::int64_t n, std::int16_t* q, Quantised* sums) {
    const Floats one = all(short_one), minus_one = all(-short_one), step = all(-1.0f / short_one);
    const Floats rounder =
        all(12582912.0f);  // 1.5 * 2^23: added to |x| < 2^22 it leaves no fraction
    Doubles totals = all(0.0), sizes = all(0.0), errors = all(0.0);
    constexpr std::int64_t block = 128 * Floats::size;  // sums of 128 q a lane are exact in float32
    for (std::int64_t first = 0; first < n; first += block) {
        const std::int64_t end = n - first < block ? n : first + block;
        Floats sum = all(0.0f), size = all(0.0f), error = all(0.0f);
        for (std::int64_t p = first; p < end; p += Floats::size) {
            const Floats value = load(x + p);
            const Floats clipped = max(min(mul(value, one), one), minus_one);  // NaN becomes 1
            const Floats whole = sub(add(clipped, rounder), rounder);
            store(q + p, whole);
            const Floats off = fma(whole, step, value), zero = all(0.0f);
            sum = add(sum, whole);
            size = add(size, max(sub(zero, value), value));
            error = add(error, max(sub(zero, off), off));
        }
        totals = add(totals, widen(sum));
        sizes = add(sizes, widen(size));
        errors = add(errors, widen(error));
    }
    sums->total += lane_sum(totals);
    sums->size += lane_sum(sizes);
    sums->error += lane_sum(errors);
}

}  // namespace

extern const ShortTiles short_tiles = {quantise, maxima};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
