// usable_rows.h: which probes a model answered in a way that can be compared.
//
//   in   models  S matrices [N, C_s]  outputs, any floating-point type and strides
//   out  usable  uint8 [S, N]         1 where a row is finite and (unless constants are allowed)
//                                     its numbers are not all equal; else 0
//        same    uint8 [S]            1 where all usable rows of the model are equal
//
// float64 is looked at as float64: numbers that float32 would round into one stay apart.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor_ref.h"

namespace sacfast {

void usable_rows(const std::vector<Matrix>& models, bool constants, int threads,
                 std::uint8_t* usable, std::uint8_t* same);

}  // namespace sacfast
