#include "cpu/normalise.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/load.h"

namespace sacfast {
namespace {

constexpr double residue = 1e-14;  // relative size below which a centred row is rounding noise
constexpr std::int64_t group = 4;  // classes added in float32 before float64 takes over

double largest(const double* x, std::int64_t n) {
    double m = 0.0;
    for (std::int64_t i = 0; i < n; ++i) m = std::max(m, std::fabs(x[i]));  // skips NaN
    return m;
}

bool all_finite(const double* x, std::int64_t n) {
    bool finite = true;
    for (std::int64_t i = 0; i < n; ++i) finite &= std::isfinite(x[i]);
    return finite;
}

void subtract_row_mean(double* x, std::int64_t n) {
    const double count = static_cast<double>(n);
    double mean = 0.0;
    for (std::int64_t i = 0; i < n; ++i) mean += x[i];
    mean /= count;
    double rest = 0.0;
    for (std::int64_t i = 0; i < n; ++i) rest += x[i] - mean;
    mean += rest / count;
    for (std::int64_t i = 0; i < n; ++i) x[i] -= mean;
}

std::vector<double> class_means(const std::vector<double>& values, std::int64_t rows,
                                std::int64_t cols) {
    const double count = static_cast<double>(rows);
    std::vector<double> mean(cols, 0.0), rest(cols, 0.0);
    for (std::int64_t i = 0; i < rows; ++i) {
        const double* x = values.data() + i * cols;
        for (std::int64_t c = 0; c < cols; ++c) mean[c] += x[c];
    }
    for (double& m : mean) m /= count;
    for (std::int64_t i = 0; i < rows; ++i) {
        const double* x = values.data() + i * cols;
        for (std::int64_t c = 0; c < cols; ++c) rest[c] += x[c] - mean[c];
    }
    for (std::int64_t c = 0; c < cols; ++c) mean[c] += rest[c] / count;
    return mean;
}

}  // namespace

Centred centre(const Matrix& outputs, Center center) {
    const std::int64_t rows = outputs.rows, cols = outputs.cols;
    Centred centred{rows, cols, std::vector<double>(rows * cols), std::vector<double>(rows)};
    for (std::int64_t i = 0; i < rows; ++i) {
        double* x = centred.values.data() + i * cols;
        load(outputs.row(i), x);
        centred.magnitude[i] = largest(x, cols);
        if (center != Center::none) subtract_row_mean(x, cols);
    }
    if (center == Center::twice) {
        const std::vector<double> mean = class_means(centred.values, rows, cols);
        const double size = largest(mean.data(), cols);
        for (std::int64_t i = 0; i < rows; ++i) {
            double* x = centred.values.data() + i * cols;
            for (std::int64_t c = 0; c < cols; ++c) x[c] -= mean[c];
            centred.magnitude[i] += size;
        }
    }
    return centred;
}

Pack normalise(const Centred& centred) {
    const std::int64_t rows = centred.rows, cols = centred.cols;
    const std::int64_t classes = (cols + group - 1) / group * group;
    Pack pack{rows, classes, std::vector<float>(classes * rows, 0.0f)};
    const double tolerance = residue * std::sqrt(static_cast<double>(cols));
    for (std::int64_t i = 0; i < rows; ++i) {
        const double* x = centred.row(i);
        float* out = pack.values.data() + i;
        if (!all_finite(x, cols)) {
            for (std::int64_t c = 0; c < cols; ++c) {
                out[c * rows] = std::numeric_limits<float>::quiet_NaN();
            }
            continue;
        }
        const double scale = largest(x, cols);
        if (scale == 0.0) continue;
        double squares = 0.0;
        for (std::int64_t c = 0; c < cols; ++c) squares += (x[c] / scale) * (x[c] / scale);
        const double length = std::sqrt(squares);  // of x / scale
        if (length * (scale / centred.magnitude[i]) <= tolerance) continue;
        for (std::int64_t c = 0; c < cols; ++c) {
            out[c * rows] = static_cast<float>(x[c] / scale / length);
        }
    }
    return pack;
}

void cosine_row(const float* x, std::int64_t stride, const Pack& pack, std::int64_t first,
                double* __restrict sums, float* __restrict out) {
    const std::int64_t n = pack.rows - first;
    std::fill(sums, sums + n, 0.0);
    for (std::int64_t c = 0; c < pack.classes; c += group) {
        const float x0 = x[c * stride], x1 = x[(c + 1) * stride];
        const float x2 = x[(c + 2) * stride], x3 = x[(c + 3) * stride];
        const float* v0 = pack.column(c) + first;
        const float* v1 = pack.column(c + 1) + first;
        const float* v2 = pack.column(c + 2) + first;
        const float* v3 = pack.column(c + 3) + first;
        for (std::int64_t j = 0; j < n; ++j) {
            sums[j] += static_cast<double>((x0 * v0[j] + x1 * v1[j]) + (x2 * v2[j] + x3 * v3[j]));
        }
    }
    for (std::int64_t j = 0; j < n; ++j) {
        const double s = sums[j];
        out[j] = static_cast<float>(s > 1.0 ? 1.0 : (s < -1.0 ? -1.0 : s));  // NaN stays NaN
    }
}

}  // namespace sacfast
