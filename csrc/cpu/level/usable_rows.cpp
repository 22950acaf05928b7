#include "cpu/level/usable_rows.h"

#include "cpu/level/vector.h"

namespace sacfast {
namespace SACFAST_LEVEL {
namespace {

// The vector at p; of a row that ends within it only what belongs to the row, zeros behind.
Floats part(const float* row, std::int64_t p, std::int64_t cols) {
    const std::int64_t left = cols - p;
    return left >= Floats::size ? load(row + p) : load_first(row + p, static_cast<int>(left));
}

bool finite(const float* row, std::int64_t cols) {
    Floats sum = all(0.0f);  // x * 0 is 0, or NaN where x is Inf or NaN, and NaN stays
    for (std::int64_t p = 0; p < cols; p += Floats::size) {
        sum = fma(part(row, p, cols), all(0.0f), sum);
    }
    return !differ(sum, all(0.0f));
}

bool equal(const float* a, const float* b, std::int64_t cols) {
    for (std::int64_t p = 0; p < cols; p += Floats::size) {
        if (differ(part(a, p, cols), part(b, p, cols))) return false;
    }
    return true;
}

// A row that equals itself moved by one is constant.
bool constant(const float* row, std::int64_t cols) { return equal(row, row + 1, cols - 1); }

bool usable(const float* rows, std::int64_t stride, std::int64_t n, std::int64_t cols,
            bool constants, std::uint8_t* usable) {
    const float* first = nullptr;
    bool same = true;
    for (std::int64_t i = 0; i < n; ++i) {
        const float* row = rows + i * stride;
        usable[i] = finite(row, cols) && (constants || !constant(row, cols));
        if (!usable[i]) continue;
        if (first == nullptr) {
            first = row;
        } else if (same) {
            same = equal(first, row, cols);
        }
    }
    return same;
}

}  // namespace

extern const UsableRows usable_rows_of = {usable};

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
