#include "cpu/normalise.h"

#include <algorithm>
#include <cmath>

#include "cpu/level/outer_tiles.h"
#include "cpu/level/pack.h"
#include "cpu/load.h"

namespace sacfast {
namespace {

constexpr double residue = 1e-14;  // relative size below which a centred row is rounding noise
constexpr std::int64_t cache_line = 16;  // float32

// An odd number of cache lines: no two classes of a row at one place in the cache.
std::int64_t stride_of(std::int64_t rows) {
    return ((rows + cache_line - 1) / cache_line | 1) * cache_line;
}

template <typename T>
constexpr DType dtype_of = sizeof(T) == sizeof(float) ? DType::float32 : DType::float64;

// Whether rows of T can be read as they lie.
template <typename T>
bool in_place(const Matrix& m) {
    constexpr std::int64_t size = sizeof(T);
    return m.dtype == dtype_of<T> && (m.col_stride == size || m.cols == 1) &&
           m.row_stride % size == 0 && reinterpret_cast<std::uintptr_t>(m.data) % size == 0;
}

// One model on its way: its raw values transposed, and its means.
template <typename T>
struct Model {
    const Matrix& outputs;
    const Packing<T>& packing;
    std::int64_t stride;
    T* raw;  // [C][stride]
    double* row_means;
    double* largest;      // of each row, |value|
    double* class_means;  // nullptr where they stay

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
    void centre_row(std::int64_t i) const {
        packing.row_means(raw + i, stride, outputs.cols, row_means + i, largest + i);
    }
    // Returns the largest |mean|.
    double centre_classes() const {
        packing.class_means(raw, stride, outputs.cols, outputs.rows, row_means, class_means);
        double most = 0.0;
        for (std::int64_t c = 0; c < outputs.cols; ++c) {
            most = std::max(most, std::fabs(class_means[c]));
        }
        return most;
    }
};

template <typename T>
void normalise(const Model<T>& model, Center center, Buffer<T>& rows, float* pack) {
    const std::int64_t n = model.outputs.rows, cols = model.outputs.cols;
    const double relative = residue * std::sqrt(static_cast<double>(cols));
    const auto finish = [&](std::int64_t i, double class_size) {
        double least[group] = {};  // not centred, only a row of zeros is a zero row
        for (std::int64_t r = 0; r < group && center != Center::none; ++r) {
            least[r] = relative * (model.largest[i + r] + class_size);
        }
        model.packing.normalise(model.raw + i, model.stride, cols,
                                center == Center::none ? nullptr : model.row_means + i,
                                model.class_means, least, pack + i);
    };
    for (std::int64_t i = 0; i < n; i += group) {
        model.transpose(i, rows);
        if (center != Center::none) model.centre_row(i);
        if (center != Center::twice) finish(i, 0.0);
    }
    if (center == Center::twice) {
        const double class_size = model.centre_classes();
        for (std::int64_t i = 0; i < n; i += group) finish(i, class_size);
    }
}

}  // namespace

void Pack::make(const Matrix& outputs, Center center) {
    rows_ = outputs.rows;
    classes_ = outputs.cols;
    stride_ = stride_of(rows_);
    float* pack = values_.at_least(classes_ * stride_ + pack_slack);
    double* row_means = row_means_.at_least(stride_);
    double* largest = largest_.at_least(stride_);
    double* class_means = center == Center::twice ? class_means_.at_least(classes_) : nullptr;
    if (outputs.dtype == DType::float64) {
        double* raw = doubles_.at_least(classes_ * stride_);
        normalise(Model<double>{outputs, packing_of_doubles(), stride_, raw, row_means, largest,
                                class_means},
                  center, rows_of_doubles_, pack);
    } else {
        normalise(Model<float>{outputs, packing(), stride_, pack, row_means, largest, class_means},
                  center, rows_of_16_bits_, pack);
    }
}

std::vector<double> centred(const Matrix& outputs, Center center) {
    const std::int64_t n = outputs.rows, cols = outputs.cols, stride = stride_of(n);
    std::vector<double> raw(static_cast<std::size_t>(cols * stride));
    std::vector<double> row_means(static_cast<std::size_t>(stride), 0.0), largest(row_means);
    std::vector<double> class_means(static_cast<std::size_t>(cols), 0.0);
    Buffer<double> rows;
    const Model<double> model{outputs,           packing_of_doubles(), stride,
                              raw.data(),        row_means.data(),     largest.data(),
                              class_means.data()};
    for (std::int64_t i = 0; i < n; i += group) {
        model.transpose(i, rows);
        if (center != Center::none) model.centre_row(i);
    }
    if (center == Center::twice) model.centre_classes();

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
