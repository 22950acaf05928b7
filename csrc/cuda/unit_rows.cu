// Plan. A table of the models (model_table.cuh), then at most three kernels, each one launch
// whatever S and C:
//
//   row_means    8 lanes a row, 32 rows a block            only where rows are centred
//   class_means  32 lanes a class, 8 classes a block       only where classes are centred
//   unit_rows_of 8 lanes a row, 32 rows a block: lengths, then 32 classes at a time through shared
//                memory, so that both reads and writes run along memory
//
// Blocks are grid-strided over models x strips of rows or of classes, so that one large model fills
// the GPU as well as many small ones.
//
// Bound by memory where float64 runs at half the rate of float32 (compute capability 8.0, 9.0,
// 10.0): about 14 float64 operations an element that is centred twice (conversions among them), 8
// otherwise, beside 8 bytes at the least. Elsewhere (8.6, 8.9, 12.0; a 64th of the rate) by those
// operations. At most 64 registers a thread (row_means 80) and 5 KB of shared memory a block: four
// blocks of 256 threads (three) a multiprocessor, on every architecture.
//
// Numerics. Everything between the raw value and the one rounding to float32 (or bfloat16, after
// that) is float64. Sums run in an order that depends on N and C alone, in many short chains: those
// of a class are exact to (N / 256 + 8) 2^-53 of their size, 1e-14 for N = 20,000; those of a row
// of float32 lose next to nothing. Rows of float64 are averaged twice (the mean, then the mean of
// what is left), and scaled by a power of two before they are squared, so that nothing overflows.
// cpu/normalise.h has the rule for zero rows.
#include "cuda/unit_rows.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <stdexcept>

#include "cuda/element.cuh"
#include "cuda/model_table.cuh"
#include "cuda/primitives.cuh"
#include "cuda/rounds.h"

namespace sacfast::cuda {
namespace {

constexpr int threads = 256;
constexpr int strip_rows = 32;         // rows of a block
constexpr int row_lanes = 8;           // lanes that share a row
constexpr int strip_classes = 8;       // classes of a block of class_means
constexpr int class_lanes = 32;        // lanes that share a class
constexpr int tile_classes = 32;       // classes that pass through shared memory at a time
constexpr int tile_stride = 36;        // 8 classes x 4 rows fall into 32 different banks
constexpr int per_multiprocessor = 4;  // blocks, by 64 registers a thread
constexpr std::int64_t most_size = std::int64_t{1} << 27;  // strides of panels: gram.cuh
constexpr double residue = 1e-14;  // relative size below which a centred row is rounding noise
constexpr unsigned all_lanes = 0xffffffffu;

static_assert(strip_rows * row_lanes == threads && strip_classes * class_lanes == threads);

struct Task {
    const Source* sources;
    UnitModel* models;
    double* row_means;    // [S][N]; null where rows aren't centred
    double* class_means;  // null where classes aren't
    float* words;
    std::int64_t count, rows, stride;
    std::int64_t strips;  // of a model, at most
};

// ---- kernels -----------------------------------------------------------------------------------

// The sum of value(first), value(first + step), ... below `count`, four of them side by side.
template <typename Value>
__device__ __forceinline__ double sum_of(int first, int step, int count, const Value& value) {
    double sums[4] = {};
    for (int at = first; at < count; at += 4 * step) {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            if (within(at + k * step, count)) sums[k] += value(at + k * step);
        }
    }
    return sums[0] + sums[1] + (sums[2] + sums[3]);
}

__device__ __forceinline__ double sum_over_row(double x) {
#pragma unroll
    for (int lane = row_lanes / 2; lane > 0; lane /= 2) x += __shfl_xor_sync(all_lanes, x, lane);
    return x;
}

__device__ __forceinline__ double most_over_row(double x) {
#pragma unroll
    for (int lane = row_lanes / 2; lane > 0; lane /= 2) {
        const double other = __shfl_xor_sync(all_lanes, x, lane);
        x = other > x ? other : x;
    }
    return x;
}

__global__ void __launch_bounds__(threads) row_means(const __grid_constant__ Task task) {
    const int lane = static_cast<int>(threadIdx.x) % row_lanes;
    for (std::int64_t item = blockIdx.x; item < task.count * task.strips; item += gridDim.x) {
        const std::int64_t s = item / task.strips;
        const std::int64_t i =
            item % task.strips * strip_rows + static_cast<int>(threadIdx.x) / row_lanes;
        const Source source = task.sources[s];
        const std::byte* row = source.data + i * source.row_stride;
        const int cols = within(i, task.rows) ? static_cast<int>(source.cols) : 0;
        with_element(source.type, [&](auto element) {
            using E = decltype(element);
            const auto value = [&](int c) { return E::read(row + c * source.col_stride); };
            const auto count = static_cast<double>(source.cols);
            double mean = sum_over_row(sum_of(lane, row_lanes, cols, value)) / count;
            if constexpr (E::is_float64) {
                const auto rest = [&](int c) { return value(c) - mean; };
                mean += sum_over_row(sum_of(lane, row_lanes, cols, rest)) / count;
            }
            if (lane == 0 && within(i, task.rows)) task.row_means[s * task.rows + i] = mean;
        });
    }
}

// Over the 32 threads of each class. `parts` is the block's; nobody may still be using it.
__device__ __forceinline__ double sum_over_class(double x, double (&parts)[8][strip_classes]) {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    x += __shfl_xor_sync(all_lanes, x, 8);
    x += __shfl_xor_sync(all_lanes, x, 16);
    if (within(lane, strip_classes)) parts[warp][lane] = x;
    __syncthreads();
    double sum = 0.0;
#pragma unroll
    for (int w = 0; w < 8; ++w) sum += parts[w][lane % strip_classes];
    __syncthreads();
    return sum;
}

__global__ void __launch_bounds__(threads, per_multiprocessor)
    class_means(const __grid_constant__ Task task) {
    __shared__ double parts[8][strip_classes];
    const int first = static_cast<int>(threadIdx.x) / strip_classes;
    for (std::int64_t item = blockIdx.x; item < task.count * task.strips; item += gridDim.x) {
        const std::int64_t s = item / task.strips;
        const Source source = task.sources[s];
        const std::int64_t c =
            item % task.strips * strip_classes + static_cast<int>(threadIdx.x) % strip_classes;
        const std::byte* column = source.data + c * source.col_stride;
        const double* row_mean = task.row_means + s * task.rows;
        const int rows = within(c, source.cols) ? static_cast<int>(task.rows) : 0;
        with_element(source.type, [&](auto element) {
            using E = decltype(element);
            const auto value = [&](int i) {
                return E::read(column + i * source.row_stride) - row_mean[i];
            };
            const double mean = sum_over_class(sum_of(first, class_lanes, rows, value), parts) /
                                static_cast<double>(task.rows);
            if (first == 0 && within(c, source.cols)) {
                task.class_means[source.first_class + c] = mean;
            }
        });
    }
}

// The power of two below a value, inverted; 0 for what isn't finite.
__device__ __forceinline__ double inverse_power(double x) {
    const auto exponent = static_cast<long long>(__double_as_longlong(x) >> 52 & 0x7ff);
    return 1.0 / __longlong_as_double((exponent == 0 ? 1 : exponent) << 52);
}

// A row of one model, less its means. Absent rows have no classes.
template <typename E>
struct Row {
    const std::byte* data;
    std::int64_t col_stride;
    const double* class_means;  // or null
    double mean;
    int cols;

    __device__ __forceinline__ double class_mean(int c) const {
        return class_means ? class_means[c] : 0.0;
    }
    __device__ __forceinline__ double operator()(int c) const {
        return E::read(data + c * col_stride) - mean - class_mean(c);
    }
};

// What a row is multiplied by, one factor after the other, to have length 1.
struct Factors {
    double power, inverse_length;
    bool zero;  // a zero row
};

template <typename E>
__device__ __forceinline__ Factors factors_of(const Row<E>& row, const Source& source, int lane,
                                              bool centred) {
    double power = 1.0, class_size = 0.0;
    if constexpr (E::is_float64) {
        double largest = 0.0;
        for (int c = lane; c < row.cols; c += row_lanes) {
            const double size = fabs(row(c));
            largest = size > largest ? size : largest;
        }
        power = inverse_power(most_over_row(largest));
    }
    const double squares = sum_over_row(sum_of(lane, row_lanes, row.cols, [&](int c) {
        const double x = row(c) * power, size = fabs(row.class_mean(c));
        class_size = size > class_size ? size : class_size;
        return x * x;
    }));
    class_size = 2.0 * most_over_row(class_size);
    const double least =
        centred ? residue * sqrt(static_cast<double>(source.cols)) * (fabs(row.mean) + class_size)
                : 0.0;
    const bool zero = squares <= least * power * (least * power);
    // What is not finite is NaN as a whole.
    return {power, zero ? 0.0 : 1.0 / sqrt(squares) + (squares - squares), zero};
}

// A strip of 32 rows. `tile` is the block's; nobody may still be using it.
template <typename E, bool kPairs>
__device__ __forceinline__ void write_strip(const Task& task, const Source& source,
                                            const UnitModel& model, const Row<E>& row,
                                            const Factors& factors, std::int64_t first_row,
                                            float (&tile)[tile_classes][tile_stride]) {
    constexpr int pair = kPairs ? 2 : 1;
    const int thread = static_cast<int>(threadIdx.x);
    for (int first = 0; first < source.cols; first += tile_classes) {
#pragma unroll
        for (int k = 0; k < tile_classes / row_lanes; ++k) {
            const int at = k * row_lanes + thread % row_lanes, c = first + at;
            tile[at][thread / row_lanes] =
                within(c, row.cols)
                    ? static_cast<float>(row(c) * factors.power * factors.inverse_length)
                    : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < tile_classes / pair; k += 8) {
            const int at = k + thread / 32, word = first / pair + at;
            if (!within(word, model.words)) continue;
            float value;
            if constexpr (kPairs) {
                const __nv_bfloat162 both =
                    __floats2bfloat162_rn(tile[2 * at][thread % 32], tile[2 * at + 1][thread % 32]);
                value =
                    __uint_as_float(static_cast<std::uint32_t>(__bfloat16_as_ushort(both.y)) << 16 |
                                    __bfloat16_as_ushort(both.x));
            } else {
                value = tile[at][thread % 32];
            }
            task.words[model.offset + word * task.stride + first_row + thread % 32] = value;
        }
        __syncthreads();
    }
}

template <bool kPairs>
__global__ void __launch_bounds__(threads, per_multiprocessor)
    unit_rows_of(const __grid_constant__ Task task) {
    __shared__ float tile[tile_classes][tile_stride];
    const int thread = static_cast<int>(threadIdx.x), lane = thread % row_lanes;
    for (std::int64_t item = blockIdx.x; item < task.count * task.strips; item += gridDim.x) {
        const std::int64_t s = item / task.strips, first = item % task.strips * strip_rows;
        const std::int64_t i = first + thread / row_lanes;
        const Source source = task.sources[s];
        const bool present = within(i, task.rows);
        const bool centred = task.row_means;
        with_element(source.type, [&](auto element) {
            using E = decltype(element);
            const Row<E> row{source.data + i * source.row_stride, source.col_stride,
                             task.class_means ? task.class_means + source.first_class : nullptr,
                             centred && present ? task.row_means[s * task.rows + i] : 0.0,
                             present ? static_cast<int>(source.cols) : 0};
            const Factors factors = factors_of(row, source, lane, centred);
            const unsigned zeros = __ballot_sync(all_lanes, factors.zero && present && lane == 0);
            if (thread % 32 == 0 && zeros != 0) atomicAdd(&task.models[s].zeros, __popc(zeros));
            write_strip<E, kPairs>(task, source, task.models[s], row, factors, first, tile);
        });
    }
}

// ---- launchers ---------------------------------------------------------------------------------

std::int64_t stride_of(std::int64_t rows) { return (rows + 63) / 64 * 64; }

}  // namespace

std::int64_t unit_model_bytes(const Matrix& model, Word word) {
    const std::int64_t words = words_of(model.cols, word) * stride_of(model.rows);
    return static_cast<std::int64_t>(sizeof(Source) + sizeof(UnitModel)) +
           (model.rows + model.cols) * static_cast<std::int64_t>(sizeof(double)) +
           words * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t unit_rows_bytes(const std::vector<Matrix>& models, Word word) {
    std::int64_t bytes = unit_rows_fixed_bytes;
    for (const Matrix& model : models) bytes += unit_model_bytes(model, word);
    return bytes;
}

UnitRows unit_rows(const std::vector<Matrix>& models, Center center, Word word, Scratch scratch,
                   Stream stream) {
    const std::int64_t count = static_cast<std::int64_t>(models.size());
    const std::int64_t rows = count > 0 ? models[0].rows : 0, stride = stride_of(rows);
    std::int64_t classes = 0, words = 0, most_classes = 0;
    for (const Matrix& m : models) {
        classes += m.cols;
        words += words_of(m.cols, word);
        most_classes = std::max(most_classes, m.cols);
    }
    if (std::max(most_classes, rows) > most_size) {
        throw std::invalid_argument("unit_rows: more probes or classes than kernels count");
    }
    Source* sources = take<Source>(scratch, count);
    UnitModel* described = take<UnitModel>(scratch, count);
    double* row_mean = take<double>(scratch, count * rows);
    double* class_mean = take<double>(scratch, classes);
    float* values = take<float>(scratch, words * stride);
    const UnitRows result{values, described, rows, stride,
                          static_cast<std::int32_t>(words_of(most_classes, word))};
    if (count == 0 || rows == 0) return result;

    const auto handle = static_cast<cudaStream_t>(stream.handle);
    model_table(models, word, stride, sources, described, stream);
    Task task{sources,
              described,
              center == Center::none ? nullptr : row_mean,
              center == Center::twice ? class_mean : nullptr,
              values,
              count,
              rows,
              stride,
              stride / strip_rows};
    const unsigned blocks = blocks_for(count * task.strips, per_multiprocessor, stream);
    if (task.row_means) row_means<<<blocks, threads, 0, handle>>>(task);
    if (task.class_means) {
        Task by_classes = task;
        by_classes.strips = (most_classes + strip_classes - 1) / strip_classes;
        class_means<<<blocks_for(count * by_classes.strips, per_multiprocessor, stream), threads, 0,
                      handle>>>(by_classes);
    }
    if (word == Word::float32) {
        unit_rows_of<false><<<blocks, threads, 0, handle>>>(task);
    } else {
        unit_rows_of<true><<<blocks, threads, 0, handle>>>(task);
    }
    check_launch("unit_rows");
    return result;
}

}  // namespace sacfast::cuda
