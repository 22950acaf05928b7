#include "cpu/pairwise_distance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "cpu/level/row_tiles.h"
#include "cpu/load.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t buffer_stride = pair_chunk + 16;  // an odd number of cache lines

// A chunk of some rows of x, padded with zeros to `padded` pairs.
void load_chunk(const Matrix& x, std::int64_t first, std::int64_t rows, std::int64_t start,
                std::int64_t n, std::int64_t padded, float* out) {
    for (std::int64_t r = 0; r < rows; ++r, out += buffer_stride) {
        const Vector row = x.row(first + r);
        const std::byte* from = row.data + start * row.stride;
        if (row.dtype == DType::float32 && row.stride == sizeof(float)) {
            std::memcpy(out, from, static_cast<std::size_t>(n) * sizeof(float));
        } else {
            load(Vector{from, n, row.stride, row.dtype}, out);
        }
        std::fill(out + n, out + padded, 0.0f);
    }
}

// The chunk from `start` on, for rows whose numbers lie one after the other; nothing at their end.
Ahead ahead_of(const Matrix& x, std::int64_t first, std::int64_t start) {
    if (first >= x.rows) return {nullptr, 0, 0};
    const std::int64_t n = std::max<std::int64_t>(0, std::min(pair_chunk, x.cols - start));
    const std::int64_t bytes = x.col_stride == item_size(x.dtype) ? n * x.col_stride : 0;
    const char* rows = reinterpret_cast<const char*>(x.data);
    return {rows + first * x.row_stride + start * x.col_stride, x.row_stride, bytes};
}

// By the definition, for sums that leave float32: infinities, NaN, values near 3e38.
float plain_distance(const Vector& a, const Vector& b) {
    float left[pair_chunk], right[pair_chunk];
    double sum = 0.0;
    for (std::int64_t start = 0; start < a.size; start += pair_chunk) {
        const std::int64_t n = std::min(pair_chunk, a.size - start);
        load(Vector{a.data + start * a.stride, n, a.stride, a.dtype}, left);
        load(Vector{b.data + start * b.stride, n, b.stride, b.dtype}, right);
        for (std::int64_t p = 0; p < n; ++p) {
            sum += std::fabs(static_cast<double>(left[p]) - static_cast<double>(right[p]));
        }
    }
    return static_cast<float>(sum / static_cast<double>(a.size));
}

}  // namespace

void DistanceBlock::run(const Matrix& a, std::int64_t first_a, std::int64_t rows_a, const Matrix& b,
                        std::int64_t first_b, std::int64_t rows_b, std::int64_t next_a,
                        std::int64_t next_b) {
    const RowTiles& tiles = row_tiles();
    const std::int64_t pairs = a.cols;
    std::fill_n(sums_, rows_a * size, 0.0);
    std::fill_n(totals_a_, rows_a, 0.0);
    std::fill_n(totals_b_, rows_b, 0.0);

    float* left = left_.at_least(size * buffer_stride);
    float* right = right_.at_least(size * buffer_stride);
    for (std::int64_t start = 0; start < pairs; start += pair_chunk) {
        const std::int64_t n = std::min(pair_chunk, pairs - start), next = start + pair_chunk;
        const std::int64_t padded = (n + tiles.lanes - 1) / tiles.lanes * tiles.lanes;
        load_chunk(a, first_a, rows_a, start, n, padded, left);
        load_chunk(b, first_b, rows_b, start, n, padded, right);
        const bool more = next < pairs;
        const Ahead ahead_a = more ? ahead_of(a, first_a, next) : ahead_of(a, next_a, 0);
        const Ahead ahead_b = more ? ahead_of(b, first_b, next) : ahead_of(b, next_b, 0);
        tiles.chunk_distances(left, buffer_stride, rows_a, ahead_a, right, buffer_stride, rows_b,
                              ahead_b, padded, sums_, size, totals_a_, totals_b_);
    }
    for (std::int64_t i = 0; i < rows_a; ++i) {
        for (std::int64_t j = 0; j < rows_b; ++j) {
            const double maxima = sums_[i * size + j];
            distance_[i * size + j] =
                std::isfinite(maxima) && std::isfinite(totals_a_[i] + totals_b_[j])
                    ? mean_difference(maxima, totals_a_[i], totals_b_[j], pairs)
                    : plain_distance(a.row(first_a + i), b.row(first_b + j));
        }
    }
}

void pairwise_distance(const Matrix& a, const Matrix* b, int threads, float* distance) {
    const bool symmetric = b == nullptr;
    const Matrix& other = symmetric ? a : *b;
    const std::int64_t size = DistanceBlock::size, columns = other.rows;
    const std::int64_t blocks_b = (columns + size - 1) / size;
    const std::int64_t tasks = (a.rows + size - 1) / size * blocks_b;
    const int team = team_for(
        static_cast<double>(a.rows) * static_cast<double>(columns) * static_cast<double>(a.cols),
        threads);

    std::vector<DistanceBlock> blocks(workers(tasks, team));
    parallel_for(tasks, team, [&](std::int64_t task, std::size_t worker) {
        const std::int64_t i0 = task / blocks_b * size, i1 = std::min(a.rows, i0 + size);
        const std::int64_t j0 = task % blocks_b * size, j1 = std::min(columns, j0 + size);
        if (symmetric && j0 < i0) return;
        std::int64_t next = task + team;  // most likely
        if (symmetric) next = std::max(next, next / blocks_b * (blocks_b + 1));
        DistanceBlock& block = blocks[worker];
        // Of a block on the diagonal the lower left quarter is left out.
        const std::int64_t step = symmetric && i0 == j0 ? size / 2 : size;
        for (std::int64_t i = i0; i < i1; i += step) {
            const std::int64_t rows = std::min(step, i1 - i);
            const std::int64_t first = step < size ? i : j0;
            block.run(a, i, rows, other, first, j1 - first, next / blocks_b * size,
                      next % blocks_b * size);
            for (std::int64_t r = 0; r < rows; ++r) {
                for (std::int64_t c = 0; c < j1 - first; ++c) {
                    const float d = block.at(r, c);
                    distance[(i + r) * columns + first + c] = d;
                    if (symmetric) distance[(first + c) * columns + i + r] = d;
                }
            }
        }
    });
}

}  // namespace sacfast
