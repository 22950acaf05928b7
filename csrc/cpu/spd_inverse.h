// spd_inverse.h: the inverse of a symmetric positive definite matrix.
//
//   in   a    [m, m]          any floating-point type and strides; its upper triangle is read
//   out  out  float64 [m, m]  exactly symmetric
//   returns   m, or the index of the first pivot that is not positive (out is then undefined)
//
// Oracle: kernels/reference.py, spd_inverse. One thread, one order: a BLAS changes the bits of an
// inverse with its thread count.
//
// Cholesky a = U^T U, then U^-1 by back substitution, then U^-1 U^-T; every inner loop adds a
// multiple of one row to another, or takes an inner product (inner_products.h). A pivot counts as
// not positive when at most m * 2^-52 of the diagonal element that it came from: what is left is
// then rounding. Backward stable: relative error about m * 2^-53 * condition number.
#pragma once

#include <cstdint>

#include "tensor_ref.h"

namespace sacfast {

std::int64_t spd_inverse(const Matrix& a, double* out);

}  // namespace sacfast
