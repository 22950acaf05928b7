#include "cpu/fri_features.h"

#include "cpu/normalise.h"
#include "cpu/parallel.h"

namespace sacfast {

void fri_features(const std::vector<Matrix>& probes, const std::vector<Matrix>& references,
                  int threads, float* scores) {
    parallel_for(static_cast<std::int64_t>(probes.size()), threads, [&](std::int64_t s) {
        const Pack probe = normalise(centre(probes[static_cast<std::size_t>(s)], Center::none));
        const Pack reference =
            normalise(centre(references[static_cast<std::size_t>(s)], Center::none));
        std::vector<double> sums(static_cast<std::size_t>(reference.rows));
        float* out = scores + s * probe.rows * reference.rows;
        for (std::int64_t i = 0; i < probe.rows; ++i) {
            cosine_row(probe.values.data() + i, probe.rows, reference, 0, sums.data(),
                       out + i * reference.rows);
        }
    });
}

}  // namespace sacfast
