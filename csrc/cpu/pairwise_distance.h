// pairwise_distance.h: mean |a - b| over the pairs, for every row of a and every row of b.
//
//   in   a         [A, P]          packed correlations, any floating-point type and strides
//        b         [B, P]          likewise, or nothing: then b = a and the result is symmetric
//   out  distance  float32 [A, B]  0 = the same structure
//
// Oracle: kernels/reference.py, pairwise_distance. One task per block of 64 x 64 results; a
// symmetric result computes the blocks on and above the diagonal and mirrors them. A block runs
// along the pairs in chunks, which are copied, as float32, into rows of an odd number of cache
// lines. That takes a tenth of the time, as much as reading rows that straddle cache lines where
// they lie, and no input's type, stride or alignment is slow. level/row_tiles.h says why the rest
// is fast.
//
// Numerics. Values are read as float32; sum |a - b| = 2 sum max(a, b) - sum a - sum b, in the order
// of row_tiles.h: a result depends on its two rows only, and D(x, x) is exactly 0. The error is at
// most 3 * row_additions * u * (mean |a| + mean |b|) and half a unit of the result, u = 2^-24: for
// values in [-1, 1] within 5e-7 in all that was tried, constant rows included, and typically 3e-8.
// It grows with the values, not with the distance: with the largest |x| where that is above 1. A
// pair whose sums leave float32 (infinities, NaN, values near 3e38) is taken by the plain
// definition in float64.
#pragma once

#include <cstdint>

#include "cpu/buffer.h"
#include "tensor_ref.h"

namespace sacfast {

void pairwise_distance(const Matrix& a, const Matrix* b, int threads, float* distance);

// The distance from the three sums over the pairs.
inline float mean_difference(double maxima, double total_a, double total_b, std::int64_t pairs) {
    const double sum = 2.0 * maxima - (total_a + total_b);
    return static_cast<float>((sum > 0.0 || sum != sum ? sum : 0.0) / static_cast<double>(pairs));
}

// How many threads `differences` times |a - b| are worth: a thread costs as much as 1e6 of them.
inline int team_for(double differences, int threads) {
    return differences < 1e6 * threads ? 1 + static_cast<int>(differences / 1e6) : threads;
}

// One block of distances at a time; the buffers of one worker.
class DistanceBlock {
  public:
    static constexpr std::int64_t size = 64;

    // The distances of `rows_a` rows of a from `first_a` on and of `rows_b` of b, at most `size`
    // each; at(i, j) hands them out. The rows from `next_a` and `next_b` on are fetched for the
    // block that follows, unless they are beyond the end.
    void run(const Matrix& a, std::int64_t first_a, std::int64_t rows_a, const Matrix& b,
             std::int64_t first_b, std::int64_t rows_b, std::int64_t next_a, std::int64_t next_b);
    float at(std::int64_t i, std::int64_t j) const { return distance_[i * size + j]; }

  private:
    Buffer<float> left_, right_;
    double sums_[size * size], totals_a_[size], totals_b_[size];
    float distance_[size * size];
};

}  // namespace sacfast
