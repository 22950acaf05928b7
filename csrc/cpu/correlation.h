// correlation.h: the correlation of each model's rows, packed.
//
//   in   models  S matrices [N, C_s]   outputs, any floating-point type and strides
//   out  packed  float32 [S, P]        strict upper triangle, row by row, P = N(N-1)/2
//
// Kernels: cosine of the centred rows, in [-1, 1]; rbf, exp(-||a_i - a_j||^2 / (2 sigma^2)) of the
// centred rows, in [0, 1]; rbf_normalised, exp(-2 (1 - cosine)).
//
// Oracle: kernels/reference.py, correlation. One task per model, or per block of rows of one model
// where there are fewer models than threads.
//
// Numerics. Cosine: error at most 3.3e-7 (cosine_row). rbf_normalised: twice that. rbf: float64
// throughout, rounded once to float32; distances are taken after scaling by a power of two, so they
// do not overflow; sigma = 0 means the median of the distances over all pairs (1 where that is 0).
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/normalise.h"
#include "tensor_ref.h"

namespace sacfast {

enum class Kernel { cosine, rbf, rbf_normalised };

struct CorrelationKind {
    Center center;
    Kernel kernel;
    double sigma;  // rbf only; 0 = the median heuristic
};

// Pairs before row i of a packed triangle over n probes.
inline std::int64_t packed_offset(std::int64_t i, std::int64_t n) {
    return i * (2 * n - i - 1) / 2;
}

// One model, prepared so that any row of its correlation can be written.
class CorrelationRows {
  public:
    CorrelationRows(const Matrix& outputs, const CorrelationKind& kind);

    // out[j - i - 1] = correlation of rows i and j, for j = i+1 .. N-1. `sums`: N values, scratch.
    void row(std::int64_t i, double* sums, float* out) const;

  private:
    Kernel kernel_;
    std::int64_t rows_;
    Pack pack_;                      // cosine, rbf_normalised
    std::vector<double> distances_;  // rbf: packed ||a_i - a_j||, in units of sigma
};

void correlation(const std::vector<Matrix>& models, const CorrelationKind& kind, int threads,
                 float* packed);

}  // namespace sacfast
