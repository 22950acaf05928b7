// vector.h: the vectors that the kernels in this folder are written with, one form per level.
//
//   Floats   Floats::size float32: 16 on v4, 8 on v3, 4 on baseline
//   Doubles  as many float64, in two registers: the same lanes at twice the precision
//   Shorts   2 * Floats::size int16
//   Ints     Floats::size int32: sums of products of Shorts
//
// sums(x) takes Floats::size vectors and returns one: lane i is the sum over the lanes of x[i],
// added as a tree, the same for every i. Transposing as it adds, it costs three instructions a
// vector.
//
// A kernel names no instruction: it uses the operations of vector_v4.h, which says what each does;
// the other two have the same. Loads and stores take any address; `stream` an aligned one (it
// writes past the caches: for results that nobody reads soon). fma rounds once on v3 and v4; the
// baseline has no fused instruction and rounds twice.
//
// keep(x) does nothing to x but tells the compiler that it may have changed: GCC then holds a
// loaded vector in its register instead of loading it again in every instruction that uses it.
#pragma once

#include <cstdint>

#define SACFAST_INLINE inline __attribute__((always_inline))

namespace sacfast {
namespace SACFAST_LEVEL {

// std::min is not to be had here: cpu/level.h says why.
SACFAST_INLINE constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) {
    return a < b ? a : b;
}

}  // namespace SACFAST_LEVEL
}  // namespace sacfast

#if defined(__AVX512F__)
#include "cpu/level/vector_v4.h"
#elif defined(__AVX2__)
#include "cpu/level/vector_v3.h"
#else
#include "cpu/level/vector_baseline.h"
#endif

namespace sacfast {
namespace SACFAST_LEVEL {

// total += sum, Floats::size numbers in memory; sum becomes what that addition lost.
SACFAST_INLINE void add_chain(float* total, Floats& sum) {
    const Floats before = load(total), after = add(before, sum);
    store(total, after);
    sum = sub(sum, sub(after, before));
}

}  // namespace SACFAST_LEVEL
}  // namespace sacfast
