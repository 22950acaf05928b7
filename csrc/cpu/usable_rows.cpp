#include "cpu/usable_rows.h"

#include <algorithm>
#include <cmath>

#include "cpu/level/usable_rows.h"
#include "cpu/load.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

bool usable_doubles(const Matrix& model, bool constants, std::uint8_t* usable) {
    std::vector<double> row(static_cast<std::size_t>(model.cols)), first;
    bool same = true;
    for (std::int64_t i = 0; i < model.rows; ++i) {
        load(model.row(i), row.data());
        bool finite = true, varies = false;
        for (const double x : row) {
            finite = finite && std::isfinite(x);
            varies = varies || x != row[0];
        }
        usable[i] = finite && (constants || varies);
        if (!usable[i]) continue;
        if (first.empty()) {
            first = row;
        } else {
            same = same && row == first;
        }
    }
    return same;
}

bool usable_floats(const Matrix& model, bool constants, std::vector<float>& buffer,
                   std::uint8_t* usable) {
    if (in_place<float>(model)) {
        return usable_rows_of().usable(reinterpret_cast<const float*>(model.data),
                                       model.row_stride / static_cast<std::int64_t>(sizeof(float)),
                                       model.rows, model.cols, constants, usable);
    }
    buffer.resize(static_cast<std::size_t>(model.rows * model.cols));
    for (std::int64_t i = 0; i < model.rows; ++i) {
        load(model.row(i), buffer.data() + i * model.cols);
    }
    return usable_rows_of().usable(buffer.data(), model.cols, model.rows, model.cols, constants,
                                   usable);
}

}  // namespace

void usable_rows(const std::vector<Matrix>& models, bool constants, int threads,
                 std::uint8_t* usable, std::uint8_t* same) {
    const std::int64_t count = static_cast<std::int64_t>(models.size());
    std::vector<std::vector<float>> buffers(workers(count, threads));
    parallel_for(count, threads, [&](std::int64_t s, std::size_t worker) {
        const Matrix& model = models[static_cast<std::size_t>(s)];
        std::uint8_t* own = usable + s * model.rows;
        same[s] = model.dtype == DType::float64
                      ? usable_doubles(model, constants, own)
                      : usable_floats(model, constants, buffers[worker], own);
    });
}

}  // namespace sacfast
