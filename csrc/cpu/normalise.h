// normalise.h: the outputs of one model, centred, brought to rows of length 1, and transposed.
//
//   in   outputs  [N, C]             any floating-point type, any strides
//   out  pack     float32 [C][stride] the unit rows; row i's class c is column(c)[i]
//
// Oracle: kernels/reference.py, centred and normalised. Runs on the caller's thread. float32 rows
// are read where they lie, 16-bit ones converted 16 rows at a time; float64 ones keep their
// precision. level/pack.h has the arithmetic.
//
// A row is a zero row, which correlates 0 with everything, when its centred length is at most
//     1e-14 * sqrt(C) * (|row mean| + 2 max |class mean|),
// that is, 0 or rounding residue: such a row is its mean and the class means, so that this is the
// oracle's max |row| + max |class mean| up to a factor of 2. A row with NaN or Inf becomes NaN as a
// whole; under "double" the class means carry it to every other row, as the formula says. Rows of
// up to 1e300 do not overflow. Rounding to float32 costs at most u = 2^-24 relative per element.
#pragma once

#include <cstdint>
#include <vector>

#include "center.h"
#include "cpu/buffer.h"
#include "tensor_ref.h"

namespace sacfast {

// One model's unit rows. Keep one per worker: its memory is used again for the next model.
class Pack {
  public:
    void make(const Matrix& outputs, Center center);

    std::int64_t rows() const { return rows_; }        // N
    std::int64_t classes() const { return classes_; }  // C
    std::int64_t stride() const { return stride_; }    // at least N, an odd number of cache lines
    const float* data() const { return values_.data(); }
    const float* column(std::int64_t c) const { return data() + c * stride_; }

  private:
    std::int64_t rows_ = 0, classes_ = 0, stride_ = 0;
    Buffer<float> values_, rows_of_16_bits_;
    Buffer<double> doubles_, rows_of_doubles_;
    Buffer<double> row_means_, class_means_;
};

// The centred rows of one model as they are, float64 [N][C]. For what is no cosine.
std::vector<double> centred(const Matrix& outputs, Center center);

}  // namespace sacfast
