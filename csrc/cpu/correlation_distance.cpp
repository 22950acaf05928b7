#include "cpu/correlation_distance.h"

#include <algorithm>

#include "cpu/load.h"
#include "cpu/pairwise_distance.h"
#include "cpu/parallel.h"

namespace sacfast {

void correlation_distance(const std::vector<Matrix>& models, const Matrix& sources,
                          const CorrelationKind& kind, int threads, float* distance) {
    const std::int64_t count = sources.rows, pairs = sources.cols;
    parallel_for(static_cast<std::int64_t>(models.size()), threads, [&](std::int64_t s) {
        const Matrix& model = models[static_cast<std::size_t>(s)];
        const std::int64_t n = model.rows;
        const CorrelationRows rows(model, kind);
        std::vector<double> scratch(static_cast<std::size_t>(n));
        std::vector<double> sums(static_cast<std::size_t>(count), 0.0);
        std::vector<float> row(static_cast<std::size_t>(n));
        std::vector<float> ours(distance_segment), theirs(distance_segment);

        std::int64_t start = 0, filled = 0;  // the segment's first pair; how much of it is written
        const auto compare = [&] {
            for (std::int64_t v = 0; v < count; ++v) {
                const Vector source = sources.row(v);
                load(Vector{source.data + start * source.stride, filled, source.stride,
                            source.dtype},
                     theirs.data());
                sums[static_cast<std::size_t>(v)] +=
                    sum_absolute_difference(ours.data(), theirs.data(), filled);
            }
            start += filled;
            filled = 0;
        };
        for (std::int64_t i = 0; i < n; ++i) {
            rows.row(i, scratch.data(), row.data());
            const float* from = row.data();
            for (std::int64_t left = n - i - 1; left > 0;) {
                const std::int64_t step = std::min(left, distance_segment - filled);
                std::copy(from, from + step, ours.begin() + filled);
                from += step;
                left -= step;
                filled += step;
                if (filled == distance_segment) compare();
            }
        }
        if (filled > 0) compare();
        for (std::int64_t v = 0; v < count; ++v) {
            distance[s * count + v] =
                static_cast<float>(sums[static_cast<std::size_t>(v)] / static_cast<double>(pairs));
        }
    });
}

}  // namespace sacfast
