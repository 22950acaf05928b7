// Plan. As many models as fit lie side by side in 64 columns, a group: its panel is [N][64], class
// by class. Three kernels:
//
//   make_panels   unit rows to panels: 32 rows of a group a block, through shared memory
//   add_ones      sums of the columns, float64: what A^T B is where B is one class of ones
//   multiply      items are (group of models, group of origins), and each group of models with
//                 itself: a 64 x 64 tile of A^T B over all rows, two slots a block (gram.cuh). The
//                 tile stays in shared memory; a warp takes an origin, adds the squares of its
//                 columns row by row and then the rows of each model, float64.
//
// Bound by arithmetic: an item is 4096 N FMAs, and reads 512 N bytes of panels that the L2 cache
// holds. Squaring takes 4096 conversions and as many FMAs in float64: where that runs at a 64th of
// the rate as long as 128 rows, elsewhere as long as 4. Where origins are wide, some of a slot's
// four warps have none to add.
//
// Occupancy. multiply: 256 threads, 117 to 127 registers (ptxas), 37 KB of shared memory: two
// blocks a multiprocessor on every architecture. make_panels: 38 registers, 9 KB, and add_ones: 40,
// 2 KB: six.
//
// Always FMAs: correlation_products.cu has the reason.
//
// Numerics. Elements of A^T B as gram.cuh makes them, squares and their sums in float64, in an
// order that depends on C_s and C_k alone. |a_i|^2 counts as 1, which it is within a few 2^-24. All
// in all 2e-7 of |c| |c'| at the most that was seen, 1e-8 where models are different. Rows are
// looked at one by one only where both models have zero rows.
#include "cuda/class_products.h"

#include <algorithm>

#include "cuda/gram.cuh"
#include "cuda/numbers.h"
#include "cuda/rounds.h"
#include "cuda/unit_rows.h"

namespace sacfast::cuda {
namespace {

constexpr int threads = gram_threads;
constexpr int width = static_cast<int>(most_classes);
constexpr int strip_rows = 32;  // that make_panels takes at a time
constexpr int blocks_each = 2;  // of `multiply`, per multiprocessor

// Some models, side by side in panels.
struct Side {
    UnitRows units;
    const std::int32_t* first_model;   // [groups + 1]
    const std::int32_t* first_column;  // [models], in the group's panel
    float* panels;                     // [groups][rows, a multiple of 64][width]
    int groups;

    __device__ const float* panel(int group) const { return panels + group * units.stride * width; }
};

// ---- panels ------------------------------------------------------------------------------------

__global__ void __launch_bounds__(threads) make_panels(const __grid_constant__ Side side) {
    __shared__ float tile[strip_rows][width + 1];
    __shared__ std::int64_t from[width];  // where a column's words begin; -1: nowhere
    const int thread = static_cast<int>(threadIdx.x);
    const std::int64_t stride = side.units.stride, strips = stride / strip_rows;
    for (std::int64_t item = blockIdx.x; item < side.groups * strips; item += gridDim.x) {
        const int group = static_cast<int>(item / strips);
        const std::int64_t row = item % strips * strip_rows;
        if (thread < width) from[thread] = -1;
        __syncthreads();
        const int model = side.first_model[group] + thread;
        if (within(model, side.first_model[group + 1])) {
            const UnitModel& unit = side.units.models[model];
            for (int c = 0; c < unit.words; ++c) {
                from[side.first_column[model] + c] = unit.offset + c * stride;
            }
        }
        __syncthreads();
#pragma unroll
        for (int column = thread / 32; column < width; column += threads / 32) {
            const std::int64_t words = from[column];
            tile[thread % 32][column] =
                words < 0 ? 0.0f : side.units.words[words + row + thread % 32];
        }
        __syncthreads();
        float* to = side.panels + (group * stride + row) * width;
#pragma unroll
        for (int i = thread; i < strip_rows * width; i += threads) {
            to[i] = tile[i / width][i % width];
        }
    }
}

// ---- results -----------------------------------------------------------------------------------

struct Results {
    double* products;  // [.., columns]
    double* squares;
    const std::int32_t* places;  // of the models
    std::int64_t columns, first_column;
};

__device__ __forceinline__ double over_pairs(double ordered, std::int64_t same) {
    return 0.5 * (ordered - static_cast<double>(same));
}

// Whether row i of a model is none of zeros.
__device__ bool is_there(const Side& side, int model, std::int64_t i) {
    const UnitModel& unit = side.units.models[model];
    const float* words = side.units.words + unit.offset + i;
    for (int c = 0; c < unit.words; ++c) {
        if (words[c * side.units.stride] != 0.0f) return true;
    }
    return false;
}

// How many rows are zero rows of neither model.
__device__ std::int64_t rows_of_both(const Side& left, int a, const Side& right, int b) {
    const std::int64_t n = left.units.rows;
    const int zeros_a = left.units.models[a].zeros, zeros_b = right.units.models[b].zeros;
    if (zeros_a == 0 || zeros_b == 0) return n - zeros_a - zeros_b;
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        count += is_there(left, a, i) && is_there(right, b, i) ? 1 : 0;
    }
    return count;
}

// ---- with ones ---------------------------------------------------------------------------------

__global__ void __launch_bounds__(threads)
    add_ones(const __grid_constant__ Side side, const __grid_constant__ Results results) {
    constexpr int parts = threads / width;
    __shared__ double sums[parts][width];
    const int thread = static_cast<int>(threadIdx.x), column = thread % width,
              part = thread / width;
    for (int group = static_cast<int>(blockIdx.x); group < side.groups;
         group += static_cast<int>(gridDim.x)) {
        const float* panel = side.panel(group) + column;
        double sum = 0.0;
        for (std::int64_t i = part; i < side.units.rows; i += parts) {
            sum += static_cast<double>(panel[i * width]);
        }
        sums[part][column] = sum;
        __syncthreads();
        const int model = side.first_model[group] + thread;
        if (within(model, side.first_model[group + 1])) {
            const UnitModel& unit = side.units.models[model];
            double ordered = 0.0;
            for (int c = 0; c < unit.words; ++c) {
                const int at = side.first_column[model] + c;
                double all = 0.0;
#pragma unroll
                for (int p = 0; p < parts; ++p) all += sums[p][at];
                ordered = fma(all, all, ordered);
            }
            results.products[results.places[model] * results.columns] =
                over_pairs(ordered, side.units.rows - unit.zeros);
        }
        __syncthreads();  // before the next group's sums
    }
}

// ---- with origins, and with themselves ---------------------------------------------------------

struct Task {
    Side left, right;
    bool squares;  // each group of the left with itself too
    Results results;

    __device__ int tasks_a_group() const { return right.groups + (squares ? 1 : 0); }
};

struct Sums {
    float tile[Geometry<64>::slots][width][width + 1];
    double rows[threads / 32][width];  // of a warp
};

union alignas(16) Shared {
    GramShared<FmaProduct, 64> gram;
    Sums sums;
};

// The squares of one tile, origin by origin: `left_group` with `right_group` of `right`.
__device__ __forceinline__ void add_squares(const Task& task, const Side& right, int left_group,
                                            int right_group, bool own,
                                            const float (&tile)[width][width + 1],
                                            double (&rows)[width]) {
    constexpr int warps = Geometry<64>::warps_per_slot;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int first = task.left.first_model[left_group];
    const int count = task.left.first_model[left_group + 1] - first;
    for (int b = right.first_model[right_group] + Geometry<64>::thread() / 32;
         b < right.first_model[right_group + 1]; b += warps) {
        const int begin = right.first_column[b], end = begin + right.units.models[b].words;
#pragma unroll
        for (int row = lane; row < width; row += 32) {
            double sum = 0.0;
            for (int column = begin; column < end; ++column) {
                const double x = static_cast<double>(tile[row][column]);
                sum = fma(x, x, sum);
            }
            rows[row] = sum;
        }
        __syncwarp();
        for (int m = lane; m < count; m += 32) {
            const int a = first + m;
            if (own && a != b) continue;
            const int at = task.left.first_column[a];
            double ordered = 0.0;
            for (int c = 0; c < task.left.units.models[a].words; ++c) ordered += rows[at + c];
            const double sum = over_pairs(ordered, rows_of_both(task.left, a, right, b));
            const std::int64_t place = task.results.places[a];
            if (own) {
                task.results.squares[place] = sum;
            } else {
                task.results
                    .products[place * task.results.columns + task.results.first_column + b] = sum;
            }
        }
        __syncwarp();
    }
}

__global__ void __launch_bounds__(threads, blocks_each)
    multiply(const __grid_constant__ Task task) {
    using G = Geometry<64>;
    __shared__ Shared shared;
    const int each = task.tasks_a_group();
    const std::int64_t items = std::int64_t{task.left.groups} * each;
    for (std::int64_t first = std::int64_t{blockIdx.x} * G::slots; first < items;
         first += std::int64_t{gridDim.x} * G::slots) {
        const std::int64_t item = first + G::slot();
        const bool mine = within(item, items);
        const int left_group = mine ? static_cast<int>(item / each) : 0;
        const int right_group = mine ? static_cast<int>(item % each) : 0;
        const bool own = right_group == task.right.groups;
        const float* left = task.left.panel(left_group);
        const int n = static_cast<int>(task.left.units.rows);
        float tile[32];
        gram<FmaProduct, 64>(
            {left, own ? left : task.right.panel(right_group), width, width, mine ? n : 0}, n,
            shared.gram, tile);
        auto& sums = shared.sums.tile[G::slot()];
#pragma unroll
        for (int e = 0; e < 32; ++e) {
            sums[G::first_row() + FmaProduct::row(G::lane(), e)]
                [G::first_column() + FmaProduct::column(G::lane(), e)] = tile[e];
        }
        __syncthreads();
        if (mine) {
            add_squares(task, own ? task.left : task.right, left_group,
                        own ? left_group : right_group, own, sums,
                        shared.sums.rows[threadIdx.x / 32]);
        }
        __syncthreads();  // before the next panels
    }
}

// ---- launchers ---------------------------------------------------------------------------------

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

// Scratch of one side: two neighbouring groups fill more than one panel, so that what the panels
// leave empty is less than what they hold, and one panel.
std::int64_t side_bytes(std::int64_t n) {
    return unit_rows_fixed_bytes + padded_rows(n) * width * 4 + 6 * scratch_alignment;
}
std::int64_t model_bytes(const Matrix& model) {
    return unit_model_bytes(model, Word::float32) + 2 * model.cols * padded_rows(model.rows) * 4 +
           8;
}

Side make_side(const std::vector<Matrix>& models, Center center, Scratch& scratch, Stream stream) {
    const Groups groups(models);
    const std::int64_t rows = padded_rows(models[0].rows);
    Side side{};
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
    const unsigned grid = blocks_for(side.groups * (rows / strip_rows), 8, stream);
    make_panels<<<grid, threads, 0, static_cast<cudaStream_t>(stream.handle)>>>(side);
    check_launch("class_products");
    return side;
}

void launch(const Task& task, Stream stream) {
    const auto handle = static_cast<cudaStream_t>(stream.handle);
    if (task.squares) {
        add_ones<<<blocks_for(task.left.groups, 8, stream), threads, 0, handle>>>(task.left,
                                                                                  task.results);
        check_launch("class_products");
    }
    const std::int64_t items =
        std::int64_t{task.left.groups} * (task.right.groups + (task.squares ? 1 : 0));
    multiply<<<blocks_for((items + 1) / 2, blocks_each, stream), threads, 0, handle>>>(task);
    check_launch("class_products");
}

std::vector<Matrix> some_of(const std::vector<Matrix>& models, std::size_t first,
                            std::size_t last) {
    return {models.data() + first, models.data() + last};
}

}  // namespace

std::int64_t class_groups(const std::vector<Matrix>& origins) { return Groups(origins).count(); }

double class_products_cost(const Matrix& model, std::int64_t origin_groups) {
    const auto side_by_side = static_cast<double>(width / model.cols);
    const double tiles = static_cast<double>(origin_groups) + 1.0;  // and with itself
    return static_cast<double>(model.rows) * width * width * tiles / side_by_side;
}

Need class_products_scratch(const std::vector<Matrix>& models, const std::vector<Matrix>& origins) {
    if (models.empty() || origins.empty()) return {0, 0};
    const std::int64_t fixed = side_bytes(models[0].rows);
    const auto of = [](const std::vector<Matrix>& some) {
        return [&some](std::size_t s) { return model_bytes(some[s]); };
    };
    const Need left = need_of_rounds(models.size(), fixed, of(models));
    const Need right = need_of_rounds(origins.size(), fixed, of(origins));
    const std::int64_t least = left.least + aligned(right.least) + scratch_alignment;
    return {least,
            std::max(least, std::min(left.most + right.most + scratch_alignment, enough_scratch))};
}

void class_products(const std::vector<Matrix>& models, const std::vector<Matrix>& origins,
                    const std::int32_t* places, Center center, Scratch scratch, Stream stream,
                    double* products, double* squares) {
    if (models.empty() || origins.empty()) return;
    const std::int64_t fixed = side_bytes(models[0].rows);
    const auto of = [](const std::vector<Matrix>& some) {
        return [&some](std::size_t s) { return model_bytes(some[s]); };
    };
    // Origins may take half of what is beyond the least.
    const Need right_need = need_of_rounds(origins.size(), fixed, of(origins));
    const std::int64_t spare =
        std::max<std::int64_t>(0, scratch.bytes - class_products_scratch(models, origins).least);
    const std::int64_t right_bytes = std::min(right_need.most, right_need.least + spare / 2);
    const auto columns = static_cast<std::int64_t>(origins.size()) + 1;

    const auto with_origins = [&](std::size_t first_origin, std::size_t last_origin) {
        Scratch left_scratch = scratch;
        Scratch right_scratch{take<std::byte>(left_scratch, right_bytes), right_bytes};
        Task task{};
        task.right =
            make_side(some_of(origins, first_origin, last_origin), center, right_scratch, stream);
        task.squares = first_origin == 0;
        const auto round = [&](std::size_t first, std::size_t last) {
            Scratch left = left_scratch;
            task.left = make_side(some_of(models, first, last), center, left, stream);
            task.results = {products, squares, places + first, columns,
                            static_cast<std::int64_t>(first_origin) + 1};
            launch(task, stream);
        };
        in_rounds("class_products", models.size(), fixed, of(models), left_scratch.bytes, round);
    };
    in_rounds("class_products", origins.size(), fixed, of(origins), right_bytes, with_origins);
}

}  // namespace sacfast::cuda
