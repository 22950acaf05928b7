// model_table.cuh: where the outputs and the words of every model lie, in device memory.
//
// The host has a list of models, of any length; kernels need a table. It is spread out on the
// device from runs of models (matrices alike, at a constant distance: a batch is one run), some
// hundred of which fit into the arguments of a launch: no copy from the host, no waiting.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/element.cuh"
#include "cuda/unit_rows.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

struct Source {  // one model's outputs; no padding: it is copied as a whole
    const std::byte* data;
    std::int64_t row_stride, col_stride;  // bytes
    std::int64_t first_class;             // of its class means
    std::int64_t cols;
    ElementType type;
};

// Words of a row of `cols` classes.
inline std::int64_t words_of(std::int64_t cols, Word word) {
    return word == Word::float32 ? cols : (cols + 1) / 2;
}

// Fills both tables, one entry a model; `stride` words lie between a model's words.
void model_table(const std::vector<Matrix>& models, Word word, std::int64_t stride, Source* sources,
                 UnitModel* described, Stream stream);

}  // namespace sacfast::cuda
