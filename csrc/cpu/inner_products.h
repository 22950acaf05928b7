// inner_products.h: the inner product of every row of a with every row of b, in float64.
//
//   in   a    [A, P]          any floating-point type and strides
//        b    [B, P]          likewise
//   out  out  float64 [A, B]
//
// Oracle: kernels/reference.py, inner_products. One task per 48 x 48 results; both sides' rows are
// converted a segment of 512 numbers at a time, and the tiles of level/double_tiles.h read them
// from the L2 cache. Of a matrix with itself only half is computed.
//
// Numerics. float64 in 16 lanes (8 on v3, 4 on the baseline), added as a tree per segment, the
// segments in order: the order depends on P alone, so a result depends on its two rows only, not on
// A, B, its place or the threads (a BLAS makes no such promise, and a p-value that is a count of
// "null score >= score" needs it). Error at most (P/512 + 512/4 + 8) * 2^-53 * sum |a_p b_p|.
#pragma once

#include <cstdint>

#include "tensor_ref.h"

namespace sacfast {

void inner_products(const Matrix& a, const Matrix& b, int threads, double* out);

// <a, b> of n values in the same order.
double inner_product(const double* a, const double* b, std::int64_t n);

}  // namespace sacfast
