#include "cpu/correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t row_block = 16;  // rows of one model per task, where a model is split

// Of an even number of values the mean of the middle two, as NumPy has it; NaN where one is NaN.
double median(std::vector<double> x) {
    if (x.empty()) return 0.0;
    if (std::any_of(x.begin(), x.end(), [](double d) { return std::isnan(d); })) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    const auto middle = x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2);
    std::nth_element(x.begin(), middle, x.end());
    if (x.size() % 2 == 1) return *middle;
    return (*std::max_element(x.begin(), middle) + *middle) / 2;
}

// Packed ||a_i - a_j|| / sigma.
std::vector<double> rbf_distances(Centred centred, double sigma) {
    const std::int64_t n = centred.rows, cols = centred.cols;
    double size = 0.0;
    for (double v : centred.values) size = std::max(size, std::fabs(v));
    int exponent = 0;
    if (std::isfinite(size)) std::frexp(size, &exponent);
    for (double& v : centred.values) v = std::ldexp(v, -exponent);

    std::vector<double> distances(static_cast<std::size_t>(n * (n - 1) / 2));
    double* out = distances.data();
    for (std::int64_t i = 0; i < n; ++i) {
        const double* a = centred.row(i);
        for (std::int64_t j = i + 1; j < n; ++j) {
            const double* b = centred.row(j);
            double squares = 0.0;
            for (std::int64_t c = 0; c < cols; ++c) squares += (a[c] - b[c]) * (a[c] - b[c]);
            *out++ = std::sqrt(squares);
        }
    }
    double unit = std::ldexp(sigma, -exponent);
    if (sigma == 0.0) {
        unit = median(distances);
        if (unit == 0.0) unit = std::ldexp(1.0, -exponent);
    }
    for (double& d : distances) {
        if (d != 0.0) d /= unit;  // a unit far below the distances may have become 0
    }
    return distances;
}

}  // namespace

CorrelationRows::CorrelationRows(const Matrix& outputs, const CorrelationKind& kind)
    : kernel_(kind.kernel), rows_(outputs.rows), pack_{} {
    Centred centred = centre(outputs, kind.center);
    if (kernel_ == Kernel::rbf) {
        distances_ = rbf_distances(std::move(centred), kind.sigma);
    } else {
        pack_ = normalise(centred);
    }
}

void CorrelationRows::row(std::int64_t i, double* sums, float* out) const {
    const std::int64_t n = rows_ - i - 1;
    if (kernel_ == Kernel::rbf) {
        const double* d = distances_.data() + packed_offset(i, rows_);
        for (std::int64_t j = 0; j < n; ++j)
            out[j] = static_cast<float>(std::exp(-0.5 * d[j] * d[j]));
        return;
    }
    cosine_row(pack_.values.data() + i, rows_, pack_, i + 1, sums, out);
    if (kernel_ == Kernel::rbf_normalised) {
        for (std::int64_t j = 0; j < n; ++j) {
            out[j] = static_cast<float>(std::exp(-2.0 * (1.0 - static_cast<double>(out[j]))));
        }
    }
}

void correlation(const std::vector<Matrix>& models, const CorrelationKind& kind, int threads,
                 float* packed) {
    if (models.empty()) return;
    const std::int64_t count = static_cast<std::int64_t>(models.size());
    const std::int64_t n = models[0].rows, pairs = n * (n - 1) / 2;
    const std::int64_t blocks = (n + row_block - 1) / row_block;
    const bool split = count < threads;

    parallel_for(count, split ? 1 : threads, [&](std::int64_t s) {
        const CorrelationRows rows(models[static_cast<std::size_t>(s)], kind);
        float* out = packed + s * pairs;
        parallel_for(blocks, split ? threads : 1, [&](std::int64_t block) {
            std::vector<double> sums(static_cast<std::size_t>(n));
            const std::int64_t end = std::min(n, (block + 1) * row_block);
            for (std::int64_t i = block * row_block; i < end; ++i) {
                rows.row(i, sums.data(), out + packed_offset(i, n));
            }
        });
    });
}

}  // namespace sacfast
