// Plan. Models lie side by side in groups of 64 columns (class_panels.h). Two kernels:
//
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
// blocks a multiprocessor on every architecture. add_ones: 40 registers, 2 KB: six.
//
// Always FMAs: correlation_products.cu has the reason.
//
// Numerics. Elements of A^T B as gram.cuh makes them, squares and their sums in float64, in an
// order that depends on C_s and C_k alone. |a_i|^2 counts as 1, which it is within a few 2^-24. All
// in all 2e-7 of |c| |c'| at the most that was seen, 1e-8 where models are different. Rows are
// looked at one by one only where both models have zero rows.
#include "cuda/class_products.h"

#include <algorithm>

#include "cuda/class_panels.h"
#include "cuda/gram.cuh"
#include "cuda/rounds.h"

namespace sacfast::cuda {
namespace {

constexpr int threads = gram_threads;
constexpr int width = static_cast<int>(most_classes);
constexpr int blocks_each = 2;       // of `multiply`, per multiprocessor
constexpr int ones_blocks_each = 6;  // of `add_ones`

__device__ __forceinline__ const float* panel(const ClassPanels& side, int group) {
    return side.panels + group * side.units.stride * width;
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
__device__ bool is_there(const ClassPanels& side, int model, std::int64_t i) {
    const UnitModel& unit = side.units.models[model];
    const float* words = side.units.words + unit.offset + i;
    for (int c = 0; c < unit.words; ++c) {
        if (words[c * side.units.stride] != 0.0f) return true;
    }
    return false;
}

// How many rows are zero rows of neither model.
__device__ std::int64_t rows_of_both(const ClassPanels& left, int a, const ClassPanels& right,
                                     int b) {
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
    add_ones(const __grid_constant__ ClassPanels side, const __grid_constant__ Results results) {
    constexpr int parts = threads / width;
    __shared__ double sums[parts][width];
    const int thread = static_cast<int>(threadIdx.x), column = thread % width,
              part = thread / width;
    for (int group = static_cast<int>(blockIdx.x); group < side.groups;
         group += static_cast<int>(gridDim.x)) {
        const float* from = panel(side, group) + column;
        double sum = 0.0;
        for (std::int64_t i = part; i < side.units.rows; i += parts) {
            sum += static_cast<double>(from[i * width]);
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
    ClassPanels left, right;
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
__device__ __forceinline__ void add_squares(const Task& task, const ClassPanels& right,
                                            int left_group, int right_group, bool own,
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
        const int left_group = static_cast<int>(item / each);
        const int right_group = static_cast<int>(item % each);
        const bool own = right_group == task.right.groups;
        const float* left = panel(task.left, left_group);
        const int n = static_cast<int>(task.left.units.rows);
        float tile[32];
        gram<FmaProduct, 64>(
            {left, own ? left : panel(task.right, right_group), width, width, mine ? n : 0}, n,
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

void launch(const Task& task, Stream stream) {
    const auto handle = static_cast<cudaStream_t>(stream.handle);
    if (task.squares) {
        add_ones<<<blocks_for(task.left.groups, ones_blocks_each, stream), threads, 0, handle>>>(
            task.left, task.results);
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

double class_products_cost(const Matrix& model, std::int64_t origin_groups) {
    const auto side_by_side = static_cast<double>(width / model.cols);
    const double tiles = static_cast<double>(origin_groups) + 1.0;  // and with itself
    return static_cast<double>(model.rows) * width * width * tiles / side_by_side;
}

Need class_products_scratch(const std::vector<Matrix>& models, const std::vector<Matrix>& origins) {
    if (models.empty() || origins.empty()) return {0, 0};
    const std::int64_t fixed = class_panels_fixed_bytes(models[0].rows);
    const auto of = [](const std::vector<Matrix>& some) {
        return [&some](std::size_t s) { return class_panels_model_bytes(some[s]); };
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
    const std::int64_t fixed = class_panels_fixed_bytes(models[0].rows);
    const auto of = [](const std::vector<Matrix>& some) {
        return [&some](std::size_t s) { return class_panels_model_bytes(some[s]); };
    };
    // Origins may take half of what is beyond the least.
    const Need right_need = need_of_rounds(origins.size(), fixed, of(origins));
    const std::int64_t spare =
        std::max<std::int64_t>(0, scratch.bytes - class_products_scratch(models, origins).least);
    const std::int64_t right_bytes = std::min(right_need.most, right_need.least + spare / 2);
    const auto columns = static_cast<std::int64_t>(origins.size()) + 1;

    const auto with_origins = [&](std::size_t first_origin, std::size_t last_origin) {
        Scratch left_scratch = scratch;
        const Scratch right_scratch{take<std::byte>(left_scratch, right_bytes), right_bytes};
        Task task{};
        task.right = class_panels(some_of(origins, first_origin, last_origin), center,
                                  right_scratch, stream);
        task.squares = first_origin == 0;
        const auto round = [&](std::size_t first, std::size_t last) {
            task.left = class_panels(some_of(models, first, last), center, left_scratch, stream);
            task.results = {products, squares, places + first, columns,
                            static_cast<std::int64_t>(first_origin) + 1};
            launch(task, stream);
        };
        in_rounds("class_products", models.size(), fixed, of(models), left_scratch.bytes, round);
    };
    in_rounds("class_products", origins.size(), fixed, of(origins), right_bytes, with_origins);
}

}  // namespace sacfast::cuda
