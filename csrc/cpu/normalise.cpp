#include "cpu/normalise.h"

#include <algorithm>
#include <cmath>

#include "cpu/level/outer_tiles.h"
#include "cpu/level/pack.h"
#include "cpu/load.h"

namespace sacfast {
namespace {

constexpr double residue = 1e-14;  // relative size below which a centred row is rounding noise

// One model on its way: its raw values transposed, and its means.
template <typename T>
struct Model {
    const Matrix& outputs;
    const Packing<T>& packing;
    std::int64_t stride;
    T* raw;  // [C][stride]
    double* row_means;
    double* class_means;

    // Rows i .. i + group - 1.
    void transpose(std::int64_t i, Buffer<T>& rows) const {
        const std::int64_t count = std::min(group, outputs.rows - i), cols = outputs.cols;
        if (in_place<T>(outputs)) {
            packing.transpose(reinterpret_cast<const T*>(outputs.data + i * outputs.row_stride),
                              outputs.row_stride / static_cast<std::int64_t>(sizeof(T)), count,
                              cols, raw + i, stride);
            return;
        }
        T* converted = rows.at_least(group * cols);
        for (std::int64_t r = 0; r < count; ++r) load(outputs.row(i + r), converted + r * cols);
        packing.transpose(converted, cols, count, cols, raw + i, stride);
    }
    // The means that `center` asks for. Returns the largest |class mean|.
    double centre(Center center) const {
        const std::int64_t rows = outputs.rows, cols = outputs.cols;
        double most = 0.0;
        if (center != Center::none) packing.row_means(raw, stride, rows, cols, row_means);
        if (center != Center::twice) return most;
        packing.class_means(raw, stride, rows, cols, row_means, class_means);
        for (std::int64_t c = 0; c < cols; ++c) most = std::max(most, std::fabs(class_means[c]));
        return most;
    }
};

template <typename T>
void normalise(const Model<T>& model, Center center, Buffer<T>& rows, double* scratch,
               float* pack) {
    const Matrix& outputs = model.outputs;
    for (std::int64_t i = 0; i < outputs.rows; i += group) model.transpose(i, rows);
    const double class_size = 2 * model.centre(center);
    model.packing.normalise(model.raw, model.stride, outputs.rows, outputs.cols,
                            center == Center::none ? nullptr : model.row_means,
                            center == Center::twice ? model.class_means : nullptr,
                            residue * std::sqrt(static_cast<double>(outputs.cols)), class_size,
                            scratch, pack);
}

}  // namespace

void Pack::make(const Matrix& outputs, Center center) {
    rows_ = outputs.rows;
    classes_ = outputs.cols;
    stride_ = odd_lines(rows_);
    float* pack = values_.at_least(elements(classes_, stride_) + pack_slack);
    double* row_means = row_means_.at_least(3 * stride_);  // and scratch
    double* class_means = class_means_.at_least(classes_);
    if (outputs.dtype == DType::float64) {
        double* raw = doubles_.at_least(classes_ * stride_);
        normalise(
            Model<double>{outputs, packing_of_doubles(), stride_, raw, row_means, class_means},
            center, rows_of_doubles_, row_means + stride_, pack);
    } else {
        normalise(Model<float>{outputs, packing(), stride_, pack, row_means, class_means}, center,
                  rows_of_16_bits_, row_means + stride_, pack);
    }
}

std::vector<double> centred(const Matrix& outputs, Center center) {
    const std::int64_t n = outputs.rows, cols = outputs.cols, stride = odd_lines(n);
    std::vector<double> raw(static_cast<std::size_t>(elements(cols, stride)));
    std::vector<double> row_means(static_cast<std::size_t>(stride), 0.0);
    std::vector<double> class_means(static_cast<std::size_t>(cols), 0.0);
    Buffer<double> rows;
    const Model<double> model{outputs,    packing_of_doubles(), stride,
                              raw.data(), row_means.data(),     class_means.data()};
    for (std::int64_t i = 0; i < n; i += group) model.transpose(i, rows);
    model.centre(center);

    std::vector<double> values(static_cast<std::size_t>(n * cols));
    for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t c = 0; c < cols; ++c) {
            const auto row = static_cast<std::size_t>(i), column = static_cast<std::size_t>(c);
            values[static_cast<std::size_t>(i * cols + c)] =
                raw[static_cast<std::size_t>(c * stride + i)] - row_means[row] -
                class_means[column];
        }
    }
    return values;
}

}  // namespace sacfast
