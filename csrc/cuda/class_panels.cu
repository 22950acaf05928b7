// Plan. Unit rows (unit_rows.h), then 32 rows of a group a block, through shared memory, so that
// both reads and writes run along memory. Bound by memory: it reads and writes 4 bytes a number.
//
// Occupancy. 256 threads, 29 to 36 registers (ptxas), 9 KB of shared memory: six blocks a
// multiprocessor on every architecture.
#include "cuda/class_panels.h"

#include "cuda/numbers.h"
#include "cuda/primitives.cuh"
#include "cuda/rounds.h"

namespace sacfast::cuda {
namespace {

constexpr int threads = 256;
constexpr int width = static_cast<int>(most_classes);
constexpr int strip_rows = 32;  // that a block takes at a time
constexpr int blocks_each = 6;  // per multiprocessor

__global__ void __launch_bounds__(threads) make_panels(const __grid_constant__ ClassPanels side) {
    __shared__ float tile[strip_rows][width + 1];
    __shared__ std::int64_t from[width];  // where a column's words begin
    const int thread = static_cast<int>(threadIdx.x);
    const std::int64_t stride = side.units.stride, strips = stride / strip_rows;
    for (std::int64_t item = blockIdx.x; item < side.groups * strips; item += gridDim.x) {
        const int group = static_cast<int>(item / strips);
        const std::int64_t row = item % strips * strip_rows;
        const int model = side.first_model[group] + thread, end = side.first_model[group + 1];
        const int columns = side.first_column[end - 1] + side.units.models[end - 1].words;
        if (within(model, end)) {
            const UnitModel& unit = side.units.models[model];
            for (int c = 0; c < unit.words; ++c) {
                from[side.first_column[model] + c] = unit.offset + c * stride;
            }
        }
        __syncthreads();
#pragma unroll
        for (int column = thread / 32; column < width; column += threads / 32) {
            tile[thread % 32][column] =
                within(column, columns) ? side.units.words[from[column] + row + thread % 32] : 0.0f;
        }
        __syncthreads();
        float* to = side.panels + (group * stride + row) * width;
#pragma unroll
        for (int i = thread; i < strip_rows * width; i += threads) {
            to[i] = tile[i / width][i % width];
        }
    }
}

// How models are put side by side, in their order.
struct Groups {
    std::vector<std::int32_t> first_model{0}, first_column;

    explicit Groups(const std::vector<Matrix>& models) {
        std::int64_t filled = 0;
        for (const Matrix& model : models) {
            if (filled + model.cols > width) {
                first_model.push_back(static_cast<std::int32_t>(first_column.size()));
                filled = 0;
            }
            first_column.push_back(static_cast<std::int32_t>(filled));
            filled += model.cols;
        }
        first_model.push_back(static_cast<std::int32_t>(first_column.size()));
    }
    std::int64_t count() const { return static_cast<std::int64_t>(first_model.size()) - 1; }
};

std::int64_t padded_rows(std::int64_t n) { return (n + 63) / 64 * 64; }

}  // namespace

std::int64_t class_groups(const std::vector<Matrix>& models) { return Groups(models).count(); }

// Two neighbouring groups fill more than one panel, so that what the panels leave empty is less
// than what they hold, and one panel.
std::int64_t class_panels_fixed_bytes(std::int64_t rows) {
    return unit_rows_fixed_bytes + padded_rows(rows) * width * 4 + 6 * scratch_alignment;
}

std::int64_t class_panels_model_bytes(const Matrix& model) {
    return unit_model_bytes(model, Word::float32) + 2 * model.cols * padded_rows(model.rows) * 4 +
           8;
}

ClassPanels class_panels(const std::vector<Matrix>& models, Center center, Scratch scratch,
                         Stream stream) {
    const Groups groups(models);
    const std::int64_t rows = padded_rows(models[0].rows);
    ClassPanels side{};
    auto* first_model = take<std::int32_t>(scratch, groups.count() + 1);
    auto* first_column =
        take<std::int32_t>(scratch, static_cast<std::int64_t>(groups.first_column.size()));
    side.panels = take<float>(scratch, groups.count() * rows * width);
    side.groups = static_cast<int>(groups.count());
    put_numbers(groups.first_model, first_model, stream);
    put_numbers(groups.first_column, first_column, stream);
    side.first_model = first_model;
    side.first_column = first_column;
    const std::int64_t bytes = unit_rows_bytes(models, Word::float32);
    const Scratch units{take<std::byte>(scratch, bytes), bytes};
    side.units = unit_rows(models, center, Word::float32, units, stream);
    const unsigned grid = blocks_for(side.groups * (rows / strip_rows), blocks_each, stream);
    make_panels<<<grid, threads, 0, static_cast<cudaStream_t>(stream.handle)>>>(side);
    check_launch("class_panels");
    return side;
}

}  // namespace sacfast::cuda
