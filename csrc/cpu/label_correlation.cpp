#include "cpu/label_correlation.h"

#include <algorithm>
#include <vector>

#include "cpu/level/labels.h"
#include "cpu/level/outer_tiles.h"
#include "cpu/load.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t block = 8;     // models on either side of a task
constexpr std::int64_t segment = 64;  // of PairBits at a time: 8 rows of 4 KB stay in the L1 cache

// The labels as int32, equal where they are, with `lanes` more behind them. Labels that differ in
// their lower halves only are cut to these; others are numbered by size.
std::vector<std::int32_t> codes_of(const Vector& labels, std::int64_t lanes) {
    const std::size_t n = static_cast<std::size_t>(labels.size);
    std::vector<std::int64_t> label(n);
    load_labels(labels, label.data());
    const bool short_enough = std::all_of(
        label.begin(), label.end(), [&](std::int64_t x) { return x >> 32 == label[0] >> 32; });
    std::vector<std::int32_t> codes(n + static_cast<std::size_t>(lanes), 0);
    if (short_enough) {
        for (std::size_t i = 0; i < n; ++i) {
            codes[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(label[i]));
        }
        return codes;
    }
    std::vector<std::int64_t> known(label);
    std::sort(known.begin(), known.end());
    for (std::size_t i = 0; i < n; ++i) {
        const auto at = std::lower_bound(known.begin(), known.end(), label[i]);
        codes[i] = static_cast<std::int32_t>(at - known.begin());
    }
    return codes;
}

// A row of bits for each model, `length` long.
std::vector<PairBits> bits_of(const Matrix& labels, std::int64_t length, int threads) {
    const LabelPairs& pairs = label_pairs();
    std::vector<PairBits> bits(static_cast<std::size_t>(labels.rows * length));
    parallel_for(labels.rows, threads, [&](std::int64_t s) {
        const std::vector<std::int32_t> codes = codes_of(labels.row(s), pairs.lanes);
        pairs.bits(codes.data(), labels.cols, bits.data() + s * length);
    });
    return bits;
}

}  // namespace

void label_correlation(const Matrix& labels, int threads, float* packed) {
    const LabelPairs& all = label_pairs();
    const std::int64_t n = labels.cols, pairs = n * (n - 1) / 2;
    const bool past_caches = labels.rows * pairs > cached_results;
    parallel_for(labels.rows, threads, [&](std::int64_t s) {
        const std::vector<std::int32_t> codes = codes_of(labels.row(s), all.lanes);
        all.triangle(codes.data(), n, past_caches, packed + s * pairs);
    });
}

void label_distance(const Matrix& a, const Matrix* b, int threads, float* distance) {
    const LabelPairs& all = label_pairs();
    const bool symmetric = b == nullptr;
    const std::int64_t columns = symmetric ? a.rows : b->rows;
    const std::int64_t pairs = a.cols * (a.cols - 1) / 2;
    const std::int64_t length = (pairs + pairs_a_line - 1) / pairs_a_line;
    const std::vector<PairBits> left = bits_of(a, length, threads);
    const std::vector<PairBits> other =
        symmetric ? std::vector<PairBits>() : bits_of(*b, length, threads);
    const std::vector<PairBits>& right = symmetric ? left : other;

    const std::int64_t blocks_a = (a.rows + block - 1) / block;
    const std::int64_t blocks_b = (columns + block - 1) / block;
    parallel_for(blocks_a * blocks_b, threads, [&](std::int64_t task) {
        const std::int64_t a0 = task / blocks_b * block, a1 = std::min(a.rows, a0 + block);
        const std::int64_t b0 = task % blocks_b * block, b1 = std::min(columns, b0 + block);
        if (symmetric && b0 < a0) return;
        std::int64_t count[block][block] = {};
        for (std::int64_t first = 0; first < length; first += segment) {
            const std::int64_t size = std::min(segment, length - first);
            for (std::int64_t i = a0; i < a1; ++i) {
                for (std::int64_t j = b0; j < b1; ++j) {
                    count[i - a0][j - b0] += all.differences(
                        left.data() + i * length + first, right.data() + j * length + first, size);
                }
            }
        }
        for (std::int64_t i = a0; i < a1; ++i) {
            for (std::int64_t j = b0; j < b1; ++j) {
                const float d = static_cast<float>(static_cast<double>(count[i - a0][j - b0]) /
                                                   static_cast<double>(pairs));
                distance[i * columns + j] = d;
                if (symmetric) distance[j * columns + i] = d;
            }
        }
    });
}

}  // namespace sacfast
