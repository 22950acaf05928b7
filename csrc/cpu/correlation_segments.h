// correlation_segments.h: the packed correlations of a few models, piece by piece, in the cache.
//
// For work that needs each correlation once and keeps none. The models' packed triangles are
// written side by side into one buffer, a piece at a time; whoever asked reads the piece before the
// next one overwrites it. A piece starts at a multiple of `pair_chunk` pairs, so that sums over it
// are the sums that pairwise_distance.h and row_tiles.h take over the whole triangle.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cpu/buffer.h"
#include "cpu/correlation.h"
#include "tensor_ref.h"

namespace sacfast {

struct Segment {
    const float* rows;    // one row a model, zeros behind `size` up to `padded`
    std::int64_t stride;  // elements from one model's row to the next
    std::int64_t first;   // the first pair
    std::int64_t size;    // pairs; a multiple of pair_chunk in all segments but the last
    std::int64_t padded;  // size, rounded up to whole vectors
};

// The buffers of one worker, used again for every group of models.
class CorrelationSegments {
  public:
    // Calls body(segment) for each piece of at least `capacity` pairs (the last may be shorter) of
    // the correlations of `count` models with equally many rows. Meanwhile the outputs of the
    // `next` models behind them are fetched, which the same worker is likely to take next.
    void run(const Matrix* models, std::int64_t count, std::int64_t next,
             const CorrelationKind& kind, std::int64_t capacity,
             const std::function<void(const Segment&)>& body);

  private:
    std::vector<CorrelationRows> rows_;
    std::vector<Fetch> fetches_;
    Buffer<float> buffer_;
};

}  // namespace sacfast
