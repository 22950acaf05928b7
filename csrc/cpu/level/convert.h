// convert.h: elements that lie one after the other, as float32 or float64.
//
//   in   n elements of one type, any alignment
//   out  n float32 or float64
//
// One instruction converts a vector (float16 by F16C on v3 and v4), so the speed is the memory's.
// To a wider type exact; float64 to float32 rounds to nearest, beyond 3.4e38 to an infinity.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/level.h"

namespace sacfast {

struct Convert {
    void (*halves_to_floats)(const std::byte* in, std::int64_t n, float* out);
    void (*halves_to_doubles)(const std::byte* in, std::int64_t n, double* out);
    void (*bfloats_to_floats)(const std::byte* in, std::int64_t n, float* out);
    void (*bfloats_to_doubles)(const std::byte* in, std::int64_t n, double* out);
    void (*floats_to_doubles)(const std::byte* in, std::int64_t n, double* out);
    void (*doubles_to_floats)(const std::byte* in, std::int64_t n, float* out);
};

SACFAST_TABLE(Convert, convert)

}  // namespace sacfast
