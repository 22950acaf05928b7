#include "cpu/fixed_rows.h"

#include <algorithm>

#include "cpu/level/row_tiles.h"
#include "cpu/load.h"

namespace sacfast {
namespace {

constexpr std::int64_t converted_rows = 32;  // at a time
constexpr std::int64_t converted_pairs = 4 * pair_chunk;

}  // namespace

FixedRows::FixedRows(const Matrix& rows)
    : rows_(rows), in_place_(in_place<float>(rows)), whole_(rows.cols / pair_chunk * pair_chunk) {
    const std::int64_t rest = rows.cols - whole_, lanes = row_tiles().lanes;
    tail_stride_ = (rest + lanes - 1) / lanes * lanes + lanes;
    tails_.assign(static_cast<std::size_t>(rows.rows * tail_stride_), 0.0f);
    for (std::int64_t k = 0; k < rows.rows; ++k) {
        const Vector row = rows.row(k);
        load(Vector{row.data + whole_ * row.stride, rest, row.stride, row.dtype},
             tails_.data() + k * tail_stride_);
    }
}

void FixedRows::pieces(std::int64_t first, std::int64_t size, std::vector<float>& scratch,
                       const Body& body) const {
    const std::int64_t end = std::min(first + size, whole_), lanes = row_tiles().lanes;
    if (in_place_ && first < end) {
        const float* data = reinterpret_cast<const float*>(rows_.data);
        body(data + first, rows_.row_stride / static_cast<std::int64_t>(sizeof(float)), 0,
             rows_.rows, 0, end - first);
    }
    constexpr std::int64_t stride = converted_pairs + 16;
    for (std::int64_t p = first; !in_place_ && p < end; p += converted_pairs) {
        const std::int64_t n = std::min(converted_pairs, end - p);
        scratch.resize(static_cast<std::size_t>(converted_rows * stride));
        for (std::int64_t k = 0; k < rows_.rows; k += converted_rows) {
            const std::int64_t some = std::min(converted_rows, rows_.rows - k);
            for (std::int64_t r = 0; r < some; ++r) {
                const Vector row = rows_.row(k + r);
                load(Vector{row.data + p * row.stride, n, row.stride, row.dtype},
                     scratch.data() + r * stride);
            }
            body(scratch.data(), stride, k, some, p - first, n);
        }
    }
    if (first + size > whole_) {
        const std::int64_t n = (first + size - whole_ + lanes - 1) / lanes * lanes;
        body(tails_.data(), tail_stride_, 0, rows_.rows, whole_ - first, n);
    }
}

}  // namespace sacfast
