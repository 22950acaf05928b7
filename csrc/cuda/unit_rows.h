// unit_rows.h: the outputs of S models, centred, as rows of length 1 in the form that tiles read.
//
//   in   models  S matrices [N, C_s]   device memory, any floating-point type and strides
//   out  words   model s: [W_s][stride] 32-bit words, transposed: word w of row i at w * stride + i
//
// A word is one float32 class (W_s = C_s), or two bfloat16 ones, classes 2w and 2w+1
// (W_s = ceil(C_s / 2); a class that isn't there is 0). Rows N .. stride - 1 are 0.
//
// Oracle: kernels/reference.py, normalised; the rules for zero rows, NaN and huge numbers are those
// of cpu/normalise.h. Sums are taken in float64.
#pragma once

#include <vector>

#include "center.h"
#include "cuda/launch.h"
#include "tensor_ref.h"

namespace sacfast::cuda {

enum class Word { float32, bfloat16_pair };

// What a product's tiles read.
inline Word word_for(Product product) {
    return product == Product::bfloat16 ? Word::bfloat16_pair : Word::float32;
}

struct UnitModel {        // in device memory
    std::int64_t offset;  // of the model's first word
    std::int32_t words;   // W_s
    std::int32_t zeros;   // how many of its rows are zero rows
};

struct UnitRows {  // device addresses
    const float* words;
    const UnitModel* models;  // [S]
    std::int64_t rows;        // N
    std::int64_t stride;      // N rounded up to a multiple of 64
    std::int32_t most_words;  // the largest W_s
};

// Scratch for all of `models`: the fixed bytes and those of every model. `unit_rows` takes it from
// the front of `scratch`.
constexpr std::int64_t unit_rows_fixed_bytes = 5 * 256;
std::int64_t unit_model_bytes(const Matrix& model, Word word);
std::int64_t unit_rows_bytes(const std::vector<Matrix>& models, Word word);

UnitRows unit_rows(const std::vector<Matrix>& models, Center center, Word word, Scratch scratch,
                   Stream stream);

}  // namespace sacfast::cuda
