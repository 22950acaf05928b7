#include "cpu/pairwise_distance.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/load.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t tile = 32;  // 64 segments of 4 KB: a tile's operands stay in the L2 cache
constexpr std::int64_t lanes = 8;

// Rows [first, last) of x, pairs [start, start + size), one segment after the other.
void load_segments(const Matrix& x, std::int64_t first, std::int64_t last, std::int64_t start,
                   std::int64_t size, std::vector<float>& out) {
    for (std::int64_t i = first; i < last; ++i) {
        const Vector row = x.row(i);
        load(Vector{row.data + start * row.stride, size, row.stride, row.dtype},
             out.data() + (i - first) * distance_segment);
    }
}

}  // namespace

double sum_absolute_difference(const float* a, const float* b, std::int64_t n) {
    double sum[lanes] = {};
    const std::int64_t whole = n / lanes * lanes;
    for (std::int64_t p = 0; p < whole; p += lanes) {
        for (std::int64_t l = 0; l < lanes; ++l) {
            sum[l] += static_cast<double>(std::fabs(a[p + l] - b[p + l]));
        }
    }
    for (std::int64_t p = whole; p < n; ++p) {
        sum[p - whole] += static_cast<double>(std::fabs(a[p] - b[p]));
    }
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

void pairwise_distance(const Matrix& a, const Matrix* b, int threads, float* distance) {
    const bool symmetric = b == nullptr;
    const Matrix& other = symmetric ? a : *b;
    const std::int64_t pairs = a.cols, columns = other.rows;
    const std::int64_t tiles_a = (a.rows + tile - 1) / tile;
    const std::int64_t tiles_b = (columns + tile - 1) / tile;

    parallel_for(tiles_a * tiles_b, threads, [&](std::int64_t task) {
        const std::int64_t ta = task / tiles_b, tb = task % tiles_b;
        if (symmetric && tb < ta) return;
        const std::int64_t a0 = ta * tile, a1 = std::min(a.rows, a0 + tile);
        const std::int64_t b0 = tb * tile, b1 = std::min(columns, b0 + tile);
        std::vector<float> left(tile * distance_segment), right(tile * distance_segment);
        double sums[tile][tile] = {};
        for (std::int64_t start = 0; start < pairs; start += distance_segment) {
            const std::int64_t size = std::min(distance_segment, pairs - start);
            load_segments(a, a0, a1, start, size, left);
            load_segments(other, b0, b1, start, size, right);
            for (std::int64_t i = 0; i < a1 - a0; ++i) {
                for (std::int64_t j = 0; j < b1 - b0; ++j) {
                    sums[i][j] +=
                        sum_absolute_difference(left.data() + i * distance_segment,
                                                right.data() + j * distance_segment, size);
                }
            }
        }
        for (std::int64_t i = a0; i < a1; ++i) {
            for (std::int64_t j = b0; j < b1; ++j) {
                const float d =
                    static_cast<float>(sums[i - a0][j - b0] / static_cast<double>(pairs));
                distance[i * columns + j] = d;
                if (symmetric) distance[j * columns + i] = d;
            }
        }
    });
}

}  // namespace sacfast
