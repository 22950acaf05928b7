#include "cpu/rbf.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sacfast {
namespace {

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

}  // namespace

std::vector<double> rbf_distances(const Matrix& outputs, Center center, double sigma) {
    const std::int64_t n = outputs.rows, cols = outputs.cols;
    std::vector<double> values = centred(outputs, center);
    double size = 0.0;
    for (double& v : values) {
        v += v - v;  // NaN where it is infinite: that says nothing of how far apart rows are
        size = std::max(size, std::fabs(v));  // of numbers: NaN is no larger
    }
    int exponent = 0;
    std::frexp(size, &exponent);
    for (double& v : values) v = std::ldexp(v, -exponent);

    std::vector<double> distances(static_cast<std::size_t>(n * (n - 1) / 2));
    double* out = distances.data();
    for (std::int64_t i = 0; i < n; ++i) {
        const double* a = values.data() + i * cols;
        for (std::int64_t j = i + 1; j < n; ++j) {
            const double* b = values.data() + j * cols;
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
        // A unit far below the distances may have become 0; a median of NaN makes all NaN.
        if (d != 0.0 || std::isnan(unit)) d /= unit;
    }
    return distances;
}

}  // namespace sacfast
