// compact.h: packed correlations as int16, and the pairs of rows within a threshold.
//
// CompactRows
//   in   rows  [A, P]  packed correlations, any floating-point type and strides
//   keeps, of each row, q = round(32767 x) with what is beyond [-1, 1] clipped, sum q, and a bound
//   on how far a distance to it, taken from q, may lie from what pairwise_distance returns.
//
// pairs_within
//   in   a [A, P], b [B, P] or nothing (then the pairs i < j of a), a threshold;
//        the compact form of both, or of neither
//   out  every (i, j) with pairwise_distance(a, b)[i, j] <= threshold, sorted, and that distance
//
// Oracle: pairwise_distance.h, to the bit. Blocks of 64 x 64 pairs are
// compared in int16 (level/short_tiles.h says why that is fast), exactly; a pair whose distance is
// beyond the threshold by more than both rows' bounds is certainly out. All others, those that are
// in and those that can't be told, are settled by the float32 path itself: pair by pair, or the
// whole block where they are many. Nothing of size A x B is kept.
//
// Numerics. D = mean |a - b| changes by at most mean |a - a'| + mean |b - b'| when a and b are
// replaced by a' = q / 32767 and b': each row's own share, about 7.6e-6. To it comes the rounding
// of the float32 path, at most (3 * row_additions + 1) u (mean |a| + mean |b|), and 11 u for taking
// these means in float32. A row with infinities or NaN has no finite bound: its pairs are settled
// in float32.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/buffer.h"
#include "tensor_ref.h"

namespace sacfast {

class CompactRows {
  public:
    CompactRows(const Matrix& rows, int threads);

    std::int64_t count() const { return static_cast<std::int64_t>(bounds_.size()); }
    std::int64_t pairs() const { return pairs_; }
    std::int64_t stride() const { return stride_; }  // numbers from one row to the next
    std::int64_t padded() const { return padded_; }  // numbers of a row, with zeros at its end
    const std::int16_t* row(std::int64_t i) const { return codes_.data() + i * stride_; }
    double total(std::int64_t i) const { return totals_[static_cast<std::size_t>(i)]; }  // exact
    double bound(std::int64_t i) const { return bounds_[static_cast<std::size_t>(i)]; }

  private:
    std::int64_t pairs_, padded_, stride_;
    Buffer<std::int16_t> codes_;
    std::vector<double> totals_, bounds_;
};

struct PairWithin {
    std::int64_t i, j;
    float distance;
};

std::vector<PairWithin> pairs_within(const Matrix& a, const CompactRows* compact_a, const Matrix* b,
                                     const CompactRows* compact_b, float threshold, int threads);

}  // namespace sacfast
