// Plan, bounds and numerics: tile_sums.cu; the sums are divided by the number of pairs in
// float64. The correlation of a model is to the bit that of correlation.h, so that its distance to
// itself is exactly 0. Elsewhere the error is below 1e-6: that of the correlation, and 12 * 2^-24
// of the mean difference.
#include "cuda/correlation_distance.h"

#include "cuda/correlation_sums.h"

namespace sacfast::cuda {

Need correlation_distance_scratch(const std::vector<Matrix>& models, const Matrix& sources,
                                  Product product) {
    return correlation_sums_scratch(
        {models, sources, Center::none, false, product, Term::difference});
}

void correlation_distance(const std::vector<Matrix>& models, const Matrix& sources, Center center,
                          bool rbf_normalised, Product product, Scratch scratch, Stream stream,
                          float* distance) {
    SumsResults results{};
    results.mean = distance;
    correlation_sums({models, sources, center, rbf_normalised, product, Term::difference}, scratch,
                     stream, results);
}

}  // namespace sacfast::cuda
