#include "cpu/correlation_distance.h"

#include <algorithm>

#include "cpu/correlation_segments.h"
#include "cpu/fixed_rows.h"
#include "cpu/level/row_tiles.h"
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
    const std::int64_t each =
        4 * (n * classes + std::min(sources.cols, segment_pairs + pair_chunk + 8 * n));
    const std::int64_t fits = std::max<std::int64_t>(1, group_bytes / each);
    return std::min<std::int64_t>(fits, sources.rows * sources.cols * 4 > cached_bytes ? 16 : 4);
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

    struct Worker {
        CorrelationSegments segments;
        std::vector<float> scratch;
        std::vector<double> maxima, totals;
    };
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
            for (std::int64_t v = 0; v < columns; ++v) {
                const std::size_t at = static_cast<std::size_t>(m * columns + v);
                distance[(first + m) * columns + v] =
                    mean_difference(worker.maxima[at], worker.totals[static_cast<std::size_t>(m)],
                                    source_totals[static_cast<std::size_t>(v)], pairs);
            }
        }
    });
}

}  // namespace sacfast
