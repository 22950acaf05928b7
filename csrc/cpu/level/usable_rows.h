// usable_rows.h: which rows of a matrix can be correlated at all.
//
//   in   rows    [n][cols] float32, `stride` elements from row to row
//   out  usable  [n]: 1 where every number of the row is finite and, unless constants are allowed,
//                not all are equal; else 0
//   returns whether all usable rows hold the same numbers (true for fewer than two)
//
// One pass at the speed of memory: a row that varies is known by its first vectors, so only the
// look for NaN and Inf reads all of it.
#pragma once

#include <cstdint>

#include "cpu/level.h"

namespace sacfast {

struct UsableRows {
    bool (*usable)(const float* rows, std::int64_t stride, std::int64_t n, std::int64_t cols,
                   bool constants, std::uint8_t* usable);
};

SACFAST_TABLE(UsableRows, usable_rows_of)

}  // namespace sacfast
