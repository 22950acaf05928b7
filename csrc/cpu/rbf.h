// rbf.h: distances between the centred rows of one model, for the rbf kernel.
//
//   in   outputs    [N, C]       any floating-point type, any strides
//   out  distances  float64 [P]  packed ||a_i - a_j|| / sigma
//
// sigma = 0 means the median of the distances over all pairs (1 where that is 0). float64
// throughout; values are scaled by a power of two before they are squared, so they do not overflow.
// Oracle: kernels/reference.py, _rbf. Runs on the caller's thread.
#pragma once

#include <vector>

#include "cpu/normalise.h"
#include "tensor_ref.h"

namespace sacfast {

std::vector<double> rbf_distances(const Matrix& outputs, Center center, double sigma);

}  // namespace sacfast
