// Plan. One block a run, one thread a model of it. Runs are arguments of the kernel: 16 where there
// are no more, else 256, 20 KB, which CUDA 12.1 and later take. 35 to 64 registers (ptxas).
#include "cuda/model_table.cuh"

#include <algorithm>

#include "cuda/primitives.cuh"

namespace sacfast::cuda {
namespace {

constexpr int threads = 256;
constexpr std::size_t few_runs = 16, many_runs = 256;

// `count` models alike, `distance` bytes apart; the last three fields are the first one's.
struct Run {
    Source source;
    std::int64_t distance;
    std::int64_t offset;  // of the words
    std::int32_t words;
    std::int32_t count;
    std::int32_t model;
};

template <std::size_t kRuns>
struct Runs {
    Run run[kRuns];
    int count;
};

template <std::size_t kRuns>
__global__ void __launch_bounds__(threads)
    describe(const __grid_constant__ Runs<kRuns> runs, std::int64_t stride, Source* sources,
             UnitModel* models) {
    for (int r = static_cast<int>(blockIdx.x); r < runs.count; r += static_cast<int>(gridDim.x)) {
        const Run& run = runs.run[r];
        for (int k = static_cast<int>(threadIdx.x); k < run.count; k += threads) {
            Source source = run.source;
            source.data += k * run.distance;
            source.first_class += k * source.cols;
            sources[run.model + k] = source;
            models[run.model + k] = {run.offset + k * (run.words * stride), run.words, 0};
        }
    }
}

// How many bytes `next` lies behind `last`: both may belong to any array.
std::int64_t distance_of(const Matrix& last, const Matrix& next) {
    return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(next.data) -
                                     reinterpret_cast<std::uintptr_t>(last.data));
}

// Whether two models differ in where they lie alone.
bool alike(const Matrix& a, const Matrix& b) {
    return a.cols == b.cols && a.row_stride == b.row_stride && a.col_stride == b.col_stride &&
           a.dtype == b.dtype;
}

// The runs of `models`, in order.
std::vector<Run> runs_of(const std::vector<Matrix>& models, Word word, std::int64_t stride) {
    std::vector<Run> runs;
    std::int64_t classes = 0, offset = 0;
    for (std::size_t s = 0; s < models.size(); ++s) {
        const Matrix& m = models[s];
        const std::int64_t words = words_of(m.cols, word);
        const std::int64_t distance = s > 0 ? distance_of(models[s - 1], m) : 0;
        if (s > 0 && alike(models[s - 1], m) &&
            (runs.back().count == 1 || runs.back().distance == distance)) {
            runs.back().distance = distance;
            ++runs.back().count;
        } else {
            const Source source{m.data, m.row_stride, m.col_stride, classes, m.cols, {}};
            runs.push_back({source, 0, offset, static_cast<std::int32_t>(words), 1,
                            static_cast<std::int32_t>(s)});
        }
        classes += m.cols;
        offset += words * stride;
    }
    for (Run& run : runs) {
        const Matrix& m = models[static_cast<std::size_t>(run.model)];
        run.source.type = element_type(m.data, m.row_stride | m.col_stride | run.distance, m.dtype);
    }
    return runs;
}

template <std::size_t kRuns>
void describe_all(const std::vector<Run>& all, std::int64_t stride, Source* sources,
                  UnitModel* models, cudaStream_t stream) {
    for (std::size_t first = 0; first < all.size(); first += kRuns) {
        const std::size_t count = std::min<std::size_t>(all.size() - first, kRuns);
        Runs<kRuns> runs;
        std::copy_n(all.data() + first, count, runs.run);
        runs.count = static_cast<int>(count);
        describe<kRuns>
            <<<static_cast<unsigned>(count), threads, 0, stream>>>(runs, stride, sources, models);
    }
}

}  // namespace

void model_table(const std::vector<Matrix>& models, Word word, std::int64_t stride, Source* sources,
                 UnitModel* described, Stream stream) {
    const auto handle = static_cast<cudaStream_t>(stream.handle);
    const std::vector<Run> runs = runs_of(models, word, stride);
    if (runs.size() <= few_runs) {
        describe_all<few_runs>(runs, stride, sources, described, handle);
    } else {
        describe_all<many_runs>(runs, stride, sources, described, handle);
    }
    check_launch("model_table");
}

}  // namespace sacfast::cuda
