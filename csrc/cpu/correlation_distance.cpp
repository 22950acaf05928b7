#include "cpu/correlation_distance.h"

#include <algorithm>
#include <cmath>

#include "cpu/correlation_segments.h"
#include "cpu/fixed_rows.h"
#include "cpu/level/row_tiles.h"
#include "cpu/load.h"
#include "cpu/pairwise_distance.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t segment_pairs = 6144;      // 24 KB a model: 16 of them in the L2 cache
constexpr std::int64_t cached_bytes = 512 << 10;  // sources that stay in the L2 cache
constexpr std::int64_t group_bytes = 1 << 20;     // packs and segments of one group of models

// Models at a time: 4, the height of a tile, where the sources stay in the cache; up to 16 where
// each pass over the sources comes from memory. Results don't depend on it.
std::int64_t group_of(const std::vector<Matrix>& models, const Matrix& sources) {
    const std::int64_t n = models[0].rows;
    std::int64_t classes = 0;
    for (const Matrix& model : models) classes = std::max(classes, model.cols);
    const std::int64_t segment = std::min(sources.cols, segment_pairs + pair_chunk + row_strip * n);
    const double each =
        4 * (static_cast<double>(n) * static_cast<double>(classes) + static_cast<double>(segment));
    const double most =
        sources.rows > cached_bytes / 4 / std::max<std::int64_t>(1, sources.cols) ? 16 : 4;
    return static_cast<std::int64_t>(std::max(1.0, std::min(most, group_bytes / each)));
}

struct Worker {
    CorrelationSegments segments;
    std::vector<float> scratch;
    std::vector<double> maxima, totals;
    std::vector<std::int64_t> unsettled;  // sources of which a sum left float32
};

// Distances of one model to sources that hold infinities, NaN or values near 3e38, by the
// definition in float64, added in the order of pairwise_distance.
void settle(const Matrix& model, const Matrix& sources, const CorrelationKind& kind, Worker& worker,
            float* distance) {
    std::vector<double> sums(worker.unsettled.size(), 0.0);
    const auto add = [&](const Segment& segment) {
        std::vector<float> source(static_cast<std::size_t>(segment.size));
        for (std::size_t u = 0; u < sums.size(); ++u) {
            const Vector row = sources.row(worker.unsettled[u]);
            load(Vector{row.data + segment.first * row.stride, segment.size, row.stride, row.dtype},
                 source.data());
            for (std::int64_t p = 0; p < segment.size; ++p) {
                sums[u] += std::fabs(static_cast<double>(segment.rows[p]) -
                                     static_cast<double>(source[static_cast<std::size_t>(p)]));
            }
        }
    };
    worker.segments.run(&model, 1, 0, kind, segment_pairs, add);
    for (std::size_t u = 0; u < sums.size(); ++u) {
        distance[worker.unsettled[u]] =
            static_cast<float>(sums[u] / static_cast<double>(sources.cols));
    }
}

}  // namespace

void correlation_distance(const std::vector<Matrix>& models, const Matrix& sources,
                          const CorrelationKind& kind, int threads, float* distance) {
    if (models.empty() || sources.rows == 0) return;
    const std::int64_t count = static_cast<std::int64_t>(models.size());
    const std::int64_t columns = sources.rows, pairs = sources.cols;
    const std::int64_t group = group_of(models, sources);
    const std::int64_t tasks = (count + group - 1) / group;
    const FixedRows fixed(sources);
    std::vector<double> source_totals(static_cast<std::size_t>(columns), 0.0);
    std::vector<float> scratch_of_totals;
    fixed.pieces(0, pairs, scratch_of_totals,
                 [&](const float* data, std::int64_t stride, std::int64_t row, std::int64_t rows,
                     std::int64_t, std::int64_t n) {
                     row_tiles().totals(data, stride, rows, n, source_totals.data() + row);
                 });

    std::vector<Worker> all(workers(tasks, threads));
    parallel_for(tasks, threads, [&](std::int64_t task, std::size_t index) {
        Worker& worker = all[index];
        const std::int64_t first = task * group, some = std::min(group, count - first);
        worker.maxima.assign(static_cast<std::size_t>(some * columns), 0.0);
        worker.totals.assign(static_cast<std::size_t>(some), 0.0);
        const auto compare = [&](const Segment& segment) {
            row_tiles().totals(segment.rows, segment.stride, some, segment.padded,
                               worker.totals.data());
            fixed.pieces(segment.first, segment.size, worker.scratch,
                         [&](const float* data, std::int64_t stride, std::int64_t row,
                             std::int64_t rows, std::int64_t offset, std::int64_t n) {
                             row_tiles().maxima(segment.rows + offset, segment.stride, some, data,
                                                stride, rows, n, worker.maxima.data() + row,
                                                columns);
                         });
        };
        worker.segments.run(&models[static_cast<std::size_t>(first)], some,
                            std::min(some, count - first - some), kind, segment_pairs, compare);
        for (std::int64_t m = 0; m < some; ++m) {
            const double total = worker.totals[static_cast<std::size_t>(m)];
            float* row = distance + (first + m) * columns;
            worker.unsettled.clear();
            for (std::int64_t v = 0; v < columns; ++v) {
                const double maxima = worker.maxima[static_cast<std::size_t>(m * columns + v)];
                const double theirs = source_totals[static_cast<std::size_t>(v)];
                row[v] = mean_difference(maxima, total, theirs, pairs);
                // A correlation is a number in [-1, 1], or NaN, which is the distance then.
                const bool finite = std::isfinite(maxima) && std::isfinite(theirs);
                if (!finite && !std::isnan(total)) worker.unsettled.push_back(v);
            }
            if (!worker.unsettled.empty()) {
                settle(models[static_cast<std::size_t>(first + m)], sources, kind, worker, row);
            }
        }
    });
}

}  // namespace sacfast
