#include "cpu/label_correlation.h"

#include <vector>

#include "cpu/load.h"
#include "cpu/parallel.h"

namespace sacfast {

void label_correlation(const Matrix& labels, int threads, float* packed) {
    const std::int64_t n = labels.cols, pairs = n * (n - 1) / 2;
    parallel_for(labels.rows, threads, [&](std::int64_t s) {
        std::vector<std::int64_t> label(static_cast<std::size_t>(n));
        load_labels(labels.row(s), label.data());
        float* out = packed + s * pairs;
        for (std::size_t i = 0; i < label.size(); ++i) {
            for (std::size_t j = i + 1; j < label.size(); ++j) {
                *out++ = label[i] == label[j] ? 1.0f : 0.0f;
            }
        }
    });
}

}  // namespace sacfast
