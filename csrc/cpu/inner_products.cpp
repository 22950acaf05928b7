#include "cpu/inner_products.h"

#include <algorithm>
#include <vector>

#include "cpu/buffer.h"
#include "cpu/level/double_tiles.h"
#include "cpu/load.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t side = 48;             // results per side of a task: a multiple of 3 and 4
constexpr std::int64_t segment = 512;         // 4 KB a row: a task's 393 KB stay in the L2 cache
constexpr std::int64_t stride = segment + 8;  // no two rows at one place in the L1 cache

// Rows [first, last) of x, columns [start, start + size).
void load_segments(const Matrix& x, std::int64_t first, std::int64_t last, std::int64_t start,
                   std::int64_t size, double* out) {
    for (std::int64_t i = first; i < last; ++i) {
        const Vector row = x.row(i);
        load(Vector{row.data + start * row.stride, size, row.stride, row.dtype},
             out + (i - first) * stride);
    }
}

struct Worker {
    Buffer<double> left, right, sums;
};

}  // namespace

void inner_products(const Matrix& a, const Matrix& b, int threads, double* out) {
    const std::int64_t size = a.cols;
    const std::int64_t sides_a = (a.rows + side - 1) / side;
    const std::int64_t sides_b = (b.rows + side - 1) / side;
    const bool symmetric = a == b;
    std::vector<Worker> all(workers(sides_a * sides_b, threads));
    parallel_for(sides_a * sides_b, threads, [&](std::int64_t task, std::size_t worker) {
        const std::int64_t a0 = task / sides_b * side, a1 = std::min(a.rows, a0 + side);
        const std::int64_t b0 = task % sides_b * side, b1 = std::min(b.rows, b0 + side);
        if (symmetric && b0 < a0) return;
        double* left = all[worker].left.at_least(side * stride);
        double* right = all[worker].right.at_least(side * stride);
        double* sums = all[worker].sums.at_least(side * side);
        std::fill_n(sums, side * side, 0.0);
        for (std::int64_t start = 0; start < size; start += segment) {
            const std::int64_t step = std::min(segment, size - start);
            load_segments(a, a0, a1, start, step, left);
            load_segments(b, b0, b1, start, step, right);
            double_tiles().products(left, a1 - a0, right, b1 - b0, stride, step, sums, side);
        }
        for (std::int64_t i = a0; i < a1; ++i) {
            for (std::int64_t j = b0; j < b1; ++j) {
                const double sum = sums[(i - a0) * side + j - b0];
                out[i * b.rows + j] = sum;
                if (symmetric) out[j * b.rows + i] = sum;
            }
        }
    });
}

double inner_product(const double* a, const double* b, std::int64_t n) {
    double sum = 0.0;
    for (std::int64_t start = 0; start < n; start += segment) {
        const std::int64_t step = std::min(segment, n - start);
        double_tiles().products(a + start, 1, b + start, 1, step, step, &sum, 1);
    }
    return sum;
}

}  // namespace sacfast
