// correlation.h: the correlation of each model's rows, packed.
//
//   in   models  S matrices [N, C_s]   outputs, any floating-point type and strides
//   out  packed  float32 [S, P]        strict upper triangle, row by row, P = N(N-1)/2
//
// Kernels: cosine of the centred rows, in [-1, 1]; rbf, exp(-||a_i - a_j||^2 / (2 sigma^2)) of the
// centred rows, in [0, 1]; rbf_normalised, exp(-2 (1 - cosine)).
//
// Oracle: kernels/reference.py, correlation. One task per run of models, or per run of rows where
// models are few and large; work too small for a second thread starts none.
//
// Why it is fast: a model is packed once (level/pack.h), in L2; runs of its rows are made by
// register tiles (level/outer_tiles.h) into scratch that stays in L1, and are written from there
// past the caches where the result is larger than they are. Meanwhile the next model's outputs are
// fetched, a part with every strip of rows.
//
// Numerics. Cosine: level/outer_tiles.h. rbf_normalised: twice that. rbf: float64 throughout,
// rounded once to float32; distances are taken after scaling by a power of two, so they do not
// overflow; sigma = 0 means the median of the distances over all pairs (1 where that is 0).
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/level/outer_tiles.h"
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

// Outputs to be fetched while others are correlated, where they lie in one piece; else nothing.
Fetch fetch_of(const Matrix& outputs);

// One model, prepared so that any run of rows of its correlation can be written. Keep one per
// worker: its memory is used again for the next model.
class CorrelationRows {
  public:
    void prepare(const Matrix& outputs, const CorrelationKind& kind);

    // out = the correlations of rows first .. last - 1, packed. May overwrite 64 bytes behind them.
    // Runs of whole strips are best: `first` and `last` multiples of row_strip.
    // `fetch`: what to fetch from memory meanwhile.
    void rows(std::int64_t first, std::int64_t last, float* out, Fetch* fetch = nullptr) const;

  private:
    Kernel kernel_ = Kernel::cosine;
    std::int64_t rows_ = 0;
    Pack pack_;                      // cosine, rbf_normalised
    std::vector<double> distances_;  // rbf: packed ||a_i - a_j||, in units of sigma
};

void correlation(const std::vector<Matrix>& models, const CorrelationKind& kind, int threads,
                 float* packed);

}  // namespace sacfast
