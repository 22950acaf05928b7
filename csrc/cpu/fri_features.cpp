#include "cpu/fri_features.h"

#include <algorithm>

#include "cpu/level/outer_tiles.h"
#include "cpu/normalise.h"
#include "cpu/parallel.h"

namespace sacfast {
namespace {

constexpr std::int64_t pack_cost = 8;  // of an element, in multiply-adds

struct Worker {
    Pack probes, references;
    Buffer<float> scratch;
};

// Rows first .. last - 1 of the scores, through scratch.
void write_rows(const Pack& probes, const Pack& references, std::int64_t first, std::int64_t last,
                bool past_caches, Buffer<float>& buffer, float* scores) {
    const std::int64_t columns = references.rows();
    float* scratch = buffer.at_least(row_strip * columns + outer_slack);
    for (std::int64_t i = first; i < last; i += row_strip) {
        const std::int64_t end = std::min(i + row_strip, last);
        outer_tiles().rectangle(probes.data(), probes.stride(), i, end, references.data(),
                                references.stride(), columns, references.classes(), scratch);
        outer_tiles().write(scratch, (end - i) * columns, past_caches, scores + i * columns);
    }
}

}  // namespace

void fri_features(const std::vector<Matrix>& probes, const std::vector<Matrix>& references,
                  int threads, float* scores) {
    if (probes.empty() || probes[0].cols == 0 || references[0].rows == 0) return;
    const std::int64_t count = static_cast<std::int64_t>(probes.size());
    const std::int64_t n = probes[0].rows, columns = references[0].rows;
    const bool past_caches = count * n * columns > cached_results;
    const double size = static_cast<double>(probes[0].cols);
    const double cost = static_cast<double>(n * columns + pack_cost * (n + columns)) * size;
    // Rows of each model in turn.
    if (count < threads && cost / task_cost > static_cast<double>(count)) {
        const double strip_cost = static_cast<double>(row_strip * columns) * size;
        const std::int64_t some =
            std::max<std::int64_t>(1, static_cast<std::int64_t>(task_cost / strip_cost)) *
            row_strip;
        const std::int64_t tasks = (n + some - 1) / some;
        Worker packs;
        std::vector<Buffer<float>> scratch(workers(tasks, threads));
        for (std::int64_t s = 0; s < count; ++s, scores += n * columns) {
            const auto model = static_cast<std::size_t>(s);
            packs.probes.make(probes[model], Center::none);
            packs.references.make(references[model], Center::none);
            parallel_for(tasks, threads, [&](std::int64_t task, std::size_t worker) {
                write_rows(packs.probes, packs.references, task * some,
                           std::min(n, (task + 1) * some), past_caches, scratch[worker], scores);
                outer_tiles().written();
            });
        }
        return;
    }
    const std::int64_t some = items_per_task(count, cost, threads);
    const std::int64_t tasks = (count + some - 1) / some;
    std::vector<Worker> all(workers(tasks, threads));
    parallel_for(tasks, threads, [&](std::int64_t task, std::size_t index) {
        Worker& worker = all[index];
        const std::int64_t end = std::min(count, (task + 1) * some);
        for (std::int64_t s = task * some; s < end; ++s) {
            const auto model = static_cast<std::size_t>(s);
            worker.probes.make(probes[model], Center::none);
            worker.references.make(references[model], Center::none);
            write_rows(worker.probes, worker.references, 0, n, past_caches, worker.scratch,
                       scores + s * n * columns);
        }
        outer_tiles().written();
    });
}

}  // namespace sacfast
