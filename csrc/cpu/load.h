// load.h: reads elements of any type and stride into plain arrays.
//
//   in   Vector   n elements, any byte stride, any alignment
//   out  n float64, float32 or int64
//
// float16 and bfloat16 convert exactly. float64 to float32 rounds to nearest; beyond 3.4e38 it
// gives an infinity. uint64 to int64 keeps the bits, so that equal labels stay equal.
#pragma once

#include <cstdint>

#include "tensor_ref.h"

namespace sacfast {

void load(const Vector& in, double* out);
void load(const Vector& in, float* out);
void load_labels(const Vector& in, std::int64_t* out);

}  // namespace sacfast
