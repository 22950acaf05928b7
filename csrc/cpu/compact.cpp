#include "cpu/compact.h"

#include <algorithm>
#include <cmath>

#include "cpu/level/row_tiles.h"
#include "cpu/level/short_tiles.h"
#include "cpu/load.h"
#include "cpu/pairwise_distance.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t size = DistanceBlock::size;
constexpr double unit = 0x1p-24;
constexpr std::int64_t line = 32;  // int16 in a cache line

// As many pairs as a block takes the time of, when each is taken by itself.
constexpr std::int64_t many = size * size / 10;

// At most this much a distance differs, on account of one row: see the header. The factor covers
// the rounding of the sums themselves, 200 u.
double bound_of(const Quantised& sums, double pairs) {
    constexpr double rounding = (3 * row_additions + 1 + 11) * unit;
    return 1.0001 * (sums.error / pairs + rounding * (sums.size / pairs));
}

struct Block {
    std::int64_t i, rows, j, columns;
    bool diagonal;  // pairs i < j only
};

// What one worker keeps from block to block.
struct Worker {
    DistanceBlock exact;
    std::vector<std::int64_t> maxima;
    std::vector<std::pair<std::int64_t, std::int64_t>> open;  // within the block
    std::vector<PairWithin> found;
};

// The pairs of a block that are not certainly out.
void sift(const CompactRows& a, const CompactRows& b, const Block& block, double threshold,
          Worker& worker) {
    worker.maxima.assign(static_cast<std::size_t>(block.rows * size), 0);
    short_tiles().maxima(a.row(block.i), a.stride(), block.rows, b.row(block.j), b.stride(),
                         block.columns, a.padded(), worker.maxima.data(), size);
    const double one = static_cast<double>(short_one) * static_cast<double>(a.pairs());
    for (std::int64_t r = 0; r < block.rows; ++r) {
        for (std::int64_t c = block.diagonal ? r + 1 : 0; c < block.columns; ++c) {
            const double maxima =
                static_cast<double>(worker.maxima[static_cast<std::size_t>(r * size + c)]);
            const std::int64_t i = block.i + r, j = block.j + c;
            const double distance = (2.0 * maxima - a.total(i) - b.total(j)) / one;
            const bool out = distance - a.bound(i) - b.bound(j) > threshold;  // false for NaN
            if (!out) worker.open.emplace_back(r, c);
        }
    }
}

void settle(const Matrix& a, const Matrix& b, const Block& block, float threshold, Worker& worker) {
    const bool whole = static_cast<std::int64_t>(worker.open.size()) > many;
    if (whole) worker.exact.run(a, block.i, block.rows, b, block.j, block.columns, a.rows, b.rows);
    for (const auto& [r, c] : worker.open) {
        if (!whole) worker.exact.run(a, block.i + r, 1, b, block.j + c, 1, a.rows, b.rows);
        const float distance = whole ? worker.exact.at(r, c) : worker.exact.at(0, 0);
        if (distance <= threshold) {
            worker.found.push_back({block.i + r, block.j + c, distance});
        }
    }
}

}  // namespace

CompactRows::CompactRows(const Matrix& rows, int threads)
    : pairs_(rows.cols),
      padded_((rows.cols + short_padding - 1) / short_padding * short_padding),
      stride_((padded_ / line | 1) * line),  // an odd number of cache lines
      totals_(static_cast<std::size_t>(rows.rows)),
      bounds_(static_cast<std::size_t>(rows.rows)) {
    static_assert(pair_chunk % short_padding == 0 && line == short_padding, "whole cache lines");
    std::int16_t* codes = codes_.at_least(rows.rows * stride_);
    const int team =
        team_for(static_cast<double>(rows.rows) * static_cast<double>(pairs_), threads);
    parallel_for(rows.rows, team, [&](std::int64_t i) {
        alignas(64) float values[pair_chunk];
        Quantised sums{};
        for (std::int64_t start = 0; start < pairs_; start += pair_chunk) {
            const std::int64_t n = std::min(pair_chunk, pairs_ - start);
            const std::int64_t whole = std::min(pair_chunk, padded_ - start);
            const Vector row = rows.row(i);
            load(Vector{row.data + start * row.stride, n, row.stride, row.dtype}, values);
            std::fill(values + n, values + whole, 0.0f);
            short_tiles().quantise(values, whole, codes + i * stride_ + start, &sums);
        }
        totals_[static_cast<std::size_t>(i)] = sums.total;
        bounds_[static_cast<std::size_t>(i)] = bound_of(sums, static_cast<double>(pairs_));
    });
}

std::vector<PairWithin> pairs_within(const Matrix& a, const CompactRows* compact_a, const Matrix* b,
                                     const CompactRows* compact_b, float threshold, int threads) {
    const bool own = b == nullptr;
    const Matrix& other = own ? a : *b;
    if (own) compact_b = compact_a;
    const std::int64_t blocks_b = (other.rows + size - 1) / size;
    const std::int64_t tasks = (a.rows + size - 1) / size * blocks_b;
    const int team = team_for(
        static_cast<double>(a.rows) * static_cast<double>(other.rows) * static_cast<double>(a.cols),
        threads);
    std::vector<Worker> all(workers(tasks, team));
    parallel_for(tasks, team, [&](std::int64_t task, std::size_t index) {
        const std::int64_t i = task / blocks_b * size, j = task % blocks_b * size;
        if (own && j < i) return;
        const Block block{i, std::min(size, a.rows - i), j, std::min(size, other.rows - j),
                          own && i == j};
        Worker& worker = all[index];
        worker.open.clear();
        if (compact_a != nullptr) {
            sift(*compact_a, *compact_b, block, static_cast<double>(threshold), worker);
        } else {
            for (std::int64_t r = 0; r < block.rows; ++r) {
                for (std::int64_t c = block.diagonal ? r + 1 : 0; c < block.columns; ++c) {
                    worker.open.emplace_back(r, c);
                }
            }
        }
        settle(a, other, block, threshold, worker);
    });
    std::vector<PairWithin> found;
    for (const Worker& worker : all) {
        found.insert(found.end(), worker.found.begin(), worker.found.end());
    }
    std::sort(found.begin(), found.end(), [](const PairWithin& x, const PairWithin& y) {
        return x.i != y.i ? x.i < y.i : x.j < y.j;
    });
    return found;
}

}  // namespace sacfast
