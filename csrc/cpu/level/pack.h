// pack.h: the rows of one model transposed, centred and brought to length 1.
//
//   raw   [classes][stride]          class k of row i at k * stride + i; T is float or double
//   pack  [classes][stride] float32  the unit rows, likewise; may lie where raw lies
//
// Rows are handled in groups of `group`: a group's values of one class are one cache line of
// float32. `stride` is a multiple of it; rows that fill up the last group are 0. Transposing comes
// first, so that whatever is summed or scaled along a row runs vertically, row beside row in the
// lanes of a register, and no sum is ever taken across a register but that of a class mean.
//
// Instructions on v4 per 16 values, beside loads and stores: 4 shuffles to transpose; float64 on
// two registers: 4 for the squares; 3 to scale (float32: a factor in three parts). Centring takes 4
// for the row means, 6 for the class means, 4 more for the squares, 11 to scale and round. Square
// roots and quotients come last, for all rows at once, in float32 with one step of Newton's method.
//
// Numerics. Everything between the raw value and the one rounding to float32 is float64, and in the
// same order on every level. A sum of float32 in float64 loses next to nothing (29 spare bits), so
// that a mean of equal values is that value; float64 values are averaged twice (the mean, then the
// mean of what is left) and scaled by a power of two before they are squared.
#pragma once

#include <cstdint>

#include "cpu/level.h"

namespace sacfast {

constexpr std::int64_t group = 16;  // rows that are packed together

template <typename T>
struct Packing {
    // raw(k, i) = class k of row i of `count` <= group rows, `row_stride` elements apart.
    void (*transpose)(const T* rows, std::int64_t row_stride, std::int64_t count,
                      std::int64_t classes, T* raw, std::int64_t stride);
    // Of each row: its mean over the classes.
    void (*row_means)(const T* raw, std::int64_t stride, std::int64_t rows, std::int64_t classes,
                      double* mean);
    // Of each class: the mean over the rows, after the rows' own means.
    void (*class_means)(const T* raw, std::int64_t stride, std::int64_t rows, std::int64_t classes,
                        const double* row_mean, double* mean);
    // The unit rows: raw, less the row's mean (where row_mean isn't null), less the class's mean
    // (likewise), over the length of that; 0 where the length is at most `residue` times (the row's
    // |mean| + `class_size`), NaN where it is not finite. `scratch` holds 2 * stride values.
    void (*normalise)(const T* raw, std::int64_t stride, std::int64_t rows, std::int64_t classes,
                      const double* row_mean, const double* class_mean, double residue,
                      double class_size, double* scratch, float* pack);
};

SACFAST_TABLE(Packing<float>, packing)
SACFAST_TABLE(Packing<double>, packing_of_doubles)

}  // namespace sacfast
