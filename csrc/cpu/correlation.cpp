#include "cpu/correlation.h"

#include <algorithm>
#include <cmath>

#include "cpu/level/outer_tiles.h"
#include "cpu/parallel.h"
#include "cpu/rbf.h"

namespace sacfast {
namespace {

constexpr std::int64_t segment = 512;   // pairs that are written together, at least
constexpr std::int64_t pair_cost = 16;  // beside its classes, in multiply-adds

// How far a result lies behind the start of its cache line.
std::int64_t misplaced(const float* at) {
    return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(at) / sizeof(float)) %
           line_floats;
}

// Rows first .. last - 1 of one model of n, through scratch, to their places in the result. The
// scratch begins as many values behind a cache line as its place in the result, so that whole lines
// are copied; what is left of a line waits for the next rows.
void write_rows(const CorrelationRows& model, std::int64_t n, std::int64_t first, std::int64_t last,
                bool past_caches, Fetch fetch, Buffer<float>& buffer, float* packed) {
    float* lines = buffer.at_least(line_floats + segment + row_strip * n + outer_slack);
    float* to = packed + packed_offset(first, n);
    float* from = lines + misplaced(to);
    std::int64_t filled = 0;  // values from `from` on
    for (std::int64_t i = first; i < last;) {
        const std::int64_t end = std::min(i + row_strip, last);
        model.rows(i, end, from + filled, &fetch);
        filled += packed_offset(end, n) - packed_offset(i, n);
        i = end;
        const std::int64_t rest = i < last ? misplaced(to + filled) : 0;
        if (i < last && filled < segment + rest) continue;
        const std::int64_t whole = filled - rest;
        outer_tiles().write(from, whole, past_caches, to);
        std::copy(from + whole, from + filled, lines);
        to += whole;
        from = lines;
        filled = rest;
    }
}

struct Worker {
    CorrelationRows model;
    Buffer<float> scratch;
};

// One task per run of rows of each model in turn.
void split_models(const std::vector<Matrix>& models, const CorrelationKind& kind, int threads,
                  bool past_caches, float* packed) {
    const std::int64_t n = models[0].rows, pairs = n * (n - 1) / 2;
    CorrelationRows model;
    for (const Matrix& outputs : models) {
        model.prepare(outputs, kind);
        const std::int64_t least = std::max(
            segment,
            static_cast<std::int64_t>(task_cost / static_cast<double>(outputs.cols + pair_cost)));
        std::vector<std::int64_t> first;  // row of each task, and the end
        for (std::int64_t i = 0, start = 0; i < n; i += row_strip) {
            if (i == 0 || packed_offset(i, n) - start >= least) {
                first.push_back(i);
                start = packed_offset(i, n);
            }
        }
        const std::int64_t tasks = static_cast<std::int64_t>(first.size());
        first.push_back(n);
        std::vector<Buffer<float>> scratch(workers(tasks, threads));
        parallel_for(tasks, threads, [&](std::int64_t task, std::size_t worker) {
            const auto t = static_cast<std::size_t>(task);
            write_rows(model, n, first[t], first[t + 1], past_caches, {nullptr, nullptr, 0},
                       scratch[worker], packed);
            outer_tiles().written();
        });
        packed += pairs;
    }
}

}  // namespace

// The cache lines are spread over the chains of the triangle before, 400 / N for each: none where N
// is so large that reading takes no time beside the arithmetic.
Fetch fetch_of(const Matrix& m) {
    const std::int64_t row = m.cols * item_size(m.dtype);
    const bool whole = m.row_stride == row && m.col_stride == item_size(m.dtype);
    return {m.data, whole ? m.data + m.rows * row : m.data, static_cast<int>(400 / m.rows)};
}

void CorrelationRows::prepare(const Matrix& outputs, const CorrelationKind& kind) {
    kernel_ = kind.kernel;
    rows_ = outputs.rows;
    if (kernel_ == Kernel::rbf) {
        distances_ = rbf_distances(outputs, kind.center, kind.sigma);
    } else {
        pack_.make(outputs, kind.center);
    }
}

void CorrelationRows::rows(std::int64_t first, std::int64_t last, float* out, Fetch* fetch) const {
    const std::int64_t size = packed_offset(last, rows_) - packed_offset(first, rows_);
    if (kernel_ == Kernel::rbf) {
        const double* d = distances_.data() + packed_offset(first, rows_);
        for (std::int64_t p = 0; p < size; ++p) {
            out[p] = static_cast<float>(std::exp(-0.5 * d[p] * d[p]));
        }
        return;
    }
    Fetch nothing{nullptr, nullptr, 0};
    outer_tiles().triangle(pack_.data(), pack_.stride(), pack_.classes(), rows_, first, last, out,
                           fetch ? fetch : &nothing);
    if (kernel_ == Kernel::rbf_normalised) {
        for (std::int64_t p = 0; p < size; ++p) {
            out[p] = static_cast<float>(std::exp(-2.0 * (1.0 - static_cast<double>(out[p]))));
        }
    }
}

void correlation(const std::vector<Matrix>& models, const CorrelationKind& kind, int threads,
                 float* packed) {
    if (models.empty() || models[0].rows < 2) return;
    const std::int64_t count = static_cast<std::int64_t>(models.size());
    const std::int64_t n = models[0].rows, pairs = n * (n - 1) / 2;
    const bool past_caches = count * pairs > cached_results;
    std::int64_t classes = 0;
    for (const Matrix& model : models) classes = std::max(classes, model.cols);
    const double cost = static_cast<double>(pairs) * static_cast<double>(classes + pair_cost);
    // A model is more tasks than there are models.
    if (count < threads && cost / task_cost > static_cast<double>(count)) {
        return split_models(models, kind, threads, past_caches, packed);
    }
    const std::int64_t some = items_per_task(count, cost, threads);
    const std::int64_t tasks = (count + some - 1) / some;
    std::vector<Worker> all(workers(tasks, threads));
    parallel_for(tasks, threads, [&](std::int64_t task, std::size_t index) {
        Worker& worker = all[index];
        const std::int64_t end = std::min(count, (task + 1) * some);
        for (std::int64_t s = task * some; s < end; ++s) {
            const auto model = static_cast<std::size_t>(s);
            worker.model.prepare(models[model], kind);
            write_rows(worker.model, n, 0, n, past_caches,
                       s + 1 < end ? fetch_of(models[model + 1]) : Fetch{nullptr, nullptr, 0},
                       worker.scratch, packed + s * pairs);
        }
        outer_tiles().written();
    });
}

}  // namespace sacfast
