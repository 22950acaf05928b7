// numbers.h: a few integers from the host to scratch, as arguments of kernels: no copy, no waiting.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/launch.h"

namespace sacfast::cuda {

void put_numbers(const std::vector<std::int32_t>& numbers, std::int32_t* to, Stream stream);

}  // namespace sacfast::cuda
