#include "cpu/inner_products.h"

#include <algorithm>
#include <vector>

#include "cpu/load.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t lanes = 4;
constexpr std::int64_t tile = 32;    // results per side of a task
constexpr std::int64_t micro_a = 2;  // results per side that are kept in registers at a time
constexpr std::int64_t micro_b = 2;
constexpr std::int64_t segment = 256;  // 2 KB a row: a tile's 128 KB stay in the L2 cache

// sums[i][j][l] += a[i][p] * b[j][p] over the segment, p = l (mod lanes).
// `sums` points into a tile of results.
void add_products(const double* a, const double* b, double* sums) {
    double acc[micro_a][micro_b][lanes];
    for (std::int64_t i = 0; i < micro_a; ++i) {
        for (std::int64_t j = 0; j < micro_b; ++j) {
            for (std::int64_t l = 0; l < lanes; ++l)
                acc[i][j][l] = sums[(i * tile + j) * lanes + l];
        }
    }
    for (std::int64_t p = 0; p < segment; p += lanes) {
        for (std::int64_t i = 0; i < micro_a; ++i) {
            for (std::int64_t j = 0; j < micro_b; ++j) {
                for (std::int64_t l = 0; l < lanes; ++l) {
                    acc[i][j][l] += a[i * segment + p + l] * b[j * segment + p + l];
                }
            }
        }
    }
    for (std::int64_t i = 0; i < micro_a; ++i) {
        for (std::int64_t j = 0; j < micro_b; ++j) {
            for (std::int64_t l = 0; l < lanes; ++l)
                sums[(i * tile + j) * lanes + l] = acc[i][j][l];
        }
    }
}

double add_lanes(const double* sum) { return (sum[0] + sum[1]) + (sum[2] + sum[3]); }

// Rows [first, last) of x, columns [start, start + size), zeros behind a short segment.
void load_segments(const Matrix& x, std::int64_t first, std::int64_t last, std::int64_t start,
                   std::int64_t size, std::vector<double>& out) {
    for (std::int64_t i = first; i < last; ++i) {
        const Vector row = x.row(i);
        double* to = out.data() + (i - first) * segment;
        load(Vector{row.data + start * row.stride, size, row.stride, row.dtype}, to);
        std::fill(to + size, to + segment, 0.0);
    }
}

}  // namespace

double inner_product(const double* a, const double* b, std::int64_t n) {
    double sum[lanes] = {};
    const std::int64_t whole = n / lanes * lanes;
    for (std::int64_t p = 0; p < whole; p += lanes) {
        for (std::int64_t l = 0; l < lanes; ++l) sum[l] += a[p + l] * b[p + l];
    }
    for (std::int64_t p = whole; p < n; ++p) sum[p - whole] += a[p] * b[p];
    return add_lanes(sum);
}

void inner_products(const Matrix& a, const Matrix& b, int threads, double* out) {
    const std::int64_t size = a.cols;
    const std::int64_t tiles_a = (a.rows + tile - 1) / tile;
    const std::int64_t tiles_b = (b.rows + tile - 1) / tile;
    parallel_for(tiles_a * tiles_b, threads, [&](std::int64_t task) {
        const std::int64_t a0 = task / tiles_b * tile, a1 = std::min(a.rows, a0 + tile);
        const std::int64_t b0 = task % tiles_b * tile, b1 = std::min(b.rows, b0 + tile);
        std::vector<double> left(tile * segment), right(tile * segment);
        std::vector<double> sums(tile * tile * lanes, 0.0);
        for (std::int64_t start = 0; start < size; start += segment) {
            const std::int64_t step = std::min(segment, size - start);
            load_segments(a, a0, a1, start, step, left);
            load_segments(b, b0, b1, start, step, right);
            // Rows past the edge hold zeros or an earlier segment; their sums are never read.
            for (std::int64_t i = 0; i < a1 - a0; i += micro_a) {
                for (std::int64_t j = 0; j < b1 - b0; j += micro_b) {
                    add_products(left.data() + i * segment, right.data() + j * segment,
                                 sums.data() + (i * tile + j) * lanes);
                }
            }
        }
        for (std::int64_t i = a0; i < a1; ++i) {
            for (std::int64_t j = b0; j < b1; ++j) {
                out[i * b.rows + j] = add_lanes(sums.data() + ((i - a0) * tile + j - b0) * lanes);
            }
        }
    });
}

}  // namespace sacfast
