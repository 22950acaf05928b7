// fixed_rows.h: a matrix of packed correlations that every suspect is compared with.
//
//   in   rows  [K, P]   any floating-point type and strides
//
// float32 rows are read where they lie. Others are converted a segment of a few rows at a time, so
// that no float32 copy of the whole is ever made. Only the end of each row, less than `pair_chunk`
// numbers, is copied once: a kernel wants zeros behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tensor_ref.h"

namespace sacfast {

class FixedRows {
  public:
    explicit FixedRows(const Matrix& rows);

    std::int64_t count() const { return rows_.rows; }
    std::int64_t pairs() const { return rows_.cols; }

    // Calls body(data, stride, first row, rows, offset, n) for pieces that together cover the pairs
    // [first, first + size) of all rows: a piece holds `n` pairs, padded to whole vectors, from
    // first + offset on. `first` is a multiple of pair_chunk, and so is size unless it reaches the
    // end. `scratch` is the worker's own.
    using Body = std::function<void(const float* data, std::int64_t stride, std::int64_t row,
                                    std::int64_t rows, std::int64_t offset, std::int64_t n)>;
    void pieces(std::int64_t first, std::int64_t size, std::vector<float>& scratch,
                const Body& body) const;

  private:
    Matrix rows_;
    bool in_place_;
    std::int64_t whole_;        // pairs in whole chunks
    std::int64_t tail_stride_;  // of the copied ends
    std::vector<float> tails_;  // [K][tail_stride_]
};

}  // namespace sacfast
