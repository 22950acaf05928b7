#include "cpu/correlation_segments.h"

#include <algorithm>

#include "cpu/level/row_tiles.h"

namespace sacfast {
namespace {

constexpr std::int64_t slack = 4 * line_floats;  // what pads a piece, or is written behind it

std::int64_t rounded_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

}  // namespace

void CorrelationSegments::run(const Matrix* models, std::int64_t count, std::int64_t next,
                              const CorrelationKind& kind, std::int64_t capacity,
                              const std::function<void(const Segment&)>& body) {
    const std::int64_t n = models[0].rows, pairs = n * (n - 1) / 2;
    const std::int64_t most = std::min(pairs, capacity + pair_chunk + row_strip * n);
    const std::int64_t stride = odd_lines(most + slack);
    float* buffer = buffer_.at_least(count * stride);
    if (rows_.size() < static_cast<std::size_t>(count)) {
        rows_.resize(static_cast<std::size_t>(count));
    }
    fetches_.assign(static_cast<std::size_t>(count), Fetch{nullptr, nullptr, 0});
    for (std::int64_t m = 0; m < count; ++m) {
        rows_[static_cast<std::size_t>(m)].prepare(models[m], kind);
        if (m < next) fetches_[static_cast<std::size_t>(m)] = fetch_of(models[count + m]);
    }

    std::int64_t start = 0, filled = 0;  // the piece's first pair; how much of it is written
    for (std::int64_t i = 0; i < n;) {
        std::int64_t end = i;
        while (end < n && packed_offset(end, n) - start < capacity) {
            end = std::min(n, end + row_strip);
        }
        for (std::int64_t m = 0; m < count; ++m) {  // all its rows while its pack is in the cache
            const auto model = static_cast<std::size_t>(m);
            rows_[model].rows(i, end, buffer + m * stride + filled, &fetches_[model]);
        }
        filled = packed_offset(end, n) - start;
        i = end;
        const bool last = start + filled == pairs;
        const std::int64_t size = last ? filled : filled / pair_chunk * pair_chunk;
        const std::int64_t padded = rounded_up(size, row_tiles().lanes);
        for (std::int64_t m = 0; last && m < count; ++m) {
            float* row = buffer + m * stride;
            std::fill(row + size, row + padded, 0.0f);
        }
        if (size > 0) body(Segment{buffer, stride, start, size, padded});
        if (last) break;
        for (std::int64_t m = 0; m < count; ++m) {
            float* row = buffer + m * stride;
            std::copy(row + size, row + filled, row);
        }
        start += size;
        filled -= size;
    }
}

}  // namespace sacfast
