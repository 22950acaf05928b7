// normalise.h: the outputs of one model, centred, then brought to rows of length 1.
//
//   in   outputs  [N, C]       any floating-point type, any strides
//   out  centred  float64 [N, C]
//        pack     float32 [C padded to a multiple of 4][N], the transpose: a loop over the probes j
//                 runs over neighbours in memory, and vectorises without reordering any sum
//
// Oracle: kernels/reference.py, centred and normalised. Runs on the caller's thread.
//
// Numerics. Means are float64 and taken twice (the mean, then the mean of what is left), so they
// are right to the last bit or two: a constant row leaves a residue of about 1e-16 of its size. A
// row is a zero row, which correlates 0 with everything, when its centred norm is at most
//     1e-14 * sqrt(C) * (max |row| + max |class mean|),
// that is, 0 or rounding residue. A row is divided by its largest element before it is squared:
// values up to 1e300 do not overflow. A row with NaN or Inf becomes NaN as a whole; under "double"
// the class means carry it to every other row, as the formula says.
// Rounding to float32 costs at most u = 2^-24 relative per element.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor_ref.h"

namespace sacfast {

enum class Center { none, row, twice };

struct Centred {
    std::int64_t rows;
    std::int64_t cols;
    std::vector<double> values;     // [rows][cols]
    std::vector<double> magnitude;  // [rows] max |row| + max |class mean|: measures a residue

    const double* row(std::int64_t i) const { return values.data() + i * cols; }
};

struct Pack {
    std::int64_t rows;          // N
    std::int64_t classes;       // C, padded to a multiple of 4 with zeros
    std::vector<float> values;  // [classes][rows]

    const float* column(std::int64_t c) const { return values.data() + c * rows; }
};

Centred centre(const Matrix& outputs, Center center);
Pack normalise(const Centred& centred);

// out[j - first] = <x, row j of the pack> for j = first .. rows - 1, within [-1, 1].
// x holds pack.classes values, `stride` apart; `sums` is scratch for rows - first values.
// Four products are added in float32 as a tree, their sums in float64: with the rounding of both
// operands the error is at most 5.5 u = 3.3e-7, whatever C.
void cosine_row(const float* x, std::int64_t stride, const Pack& pack, std::int64_t first,
                double* sums, float* out);

}  // namespace sacfast
