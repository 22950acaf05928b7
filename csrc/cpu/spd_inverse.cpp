#include "cpu/spd_inverse.h"

#include <cmath>
#include <vector>

#include "cpu/inner_products.h"
#include "cpu/load.h"

namespace sacfast {
namespace {

// y[j] -= factor * x[j]
void subtract_multiple(double* __restrict y, const double* __restrict x, double factor,
                       std::int64_t first, std::int64_t last) {
    for (std::int64_t j = first; j < last; ++j) y[j] -= factor * x[j];
}

}  // namespace

std::int64_t spd_inverse(const Matrix& a, double* out) {
    const std::int64_t m = a.rows;
    std::vector<double> u(static_cast<std::size_t>(m * m));
    const auto row = [m](std::vector<double>& x, std::int64_t i) { return x.data() + i * m; };
    for (std::int64_t i = 0; i < m; ++i) load(a.row(i), row(u, i));

    for (std::int64_t i = 0; i < m; ++i) {
        double* ui = row(u, i);
        const double least = static_cast<double>(m) * 0x1p-52 * ui[i];
        for (std::int64_t k = 0; k < i; ++k) subtract_multiple(ui, row(u, k), row(u, k)[i], i, m);
        if (!(ui[i] > least) || !(ui[i] > 0.0) || std::isinf(ui[i])) return i;
        const double pivot = std::sqrt(ui[i]);
        for (std::int64_t j = i; j < m; ++j) ui[j] /= pivot;
    }

    std::vector<double> inverse(static_cast<std::size_t>(m * m), 0.0);  // of u, upper triangular
    for (std::int64_t i = m - 1; i >= 0; --i) {
        double* vi = row(inverse, i);
        vi[i] = 1.0;
        for (std::int64_t k = i + 1; k < m; ++k) {
            subtract_multiple(vi, row(inverse, k), row(u, i)[k], k, m);
        }
        const double pivot = row(u, i)[i];
        for (std::int64_t j = i; j < m; ++j) vi[j] /= pivot;
    }

    for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = i; j < m; ++j) {
            const double value = inner_product(row(inverse, i) + j, row(inverse, j) + j, m - j);
            out[i * m + j] = value;
            out[j * m + i] = value;
        }
    }
    return m;
}

}  // namespace sacfast
