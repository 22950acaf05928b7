"""How far a result may lie from the float64 oracle, and why: the only table of tolerances.

U = 2^-24 is the relative error of rounding to float32 (half a unit in the last place); rounding a
result of at most 1 costs at most U / 2 when it is written. The oracle's own error, about 1e-15, is
nowhere visible.
"""

from __future__ import annotations

U = 2.0**-24
U64 = 2.0**-53

#: Cosine of two rows of length 1. Both operands are rounded to float32 (2 U of the sum of |a b|,
#: which is at most 1); sums are kept in chains of 16 products whose own roundings alone remain: 3 U
#: where all products are equal and every rounding errs to one side, the worst of all numbers of
#: classes up to 4096, far less otherwise; the result is rounded (U / 2).
CORRELATION = 5.5 * U

#: float64 throughout, rounded once to float32: U / 2 for values up to 1; doubled for the exponent,
#: whose float64 error is multiplied by itself.
RBF = U

#: exp(-2 (1 - c)) has a slope of at most 2 in c.
RBF_NORMALISED = 2 * CORRELATION + U

#: Cosines on a GPU, by product: csrc/cuda/gram.cuh proves them. Operands 2 U, or rounded to 8 bits;
#: the splits into two TF32 numbers 32 U; a chain of 64 FMAs, 7 instructions of tensor cores at 18 U
#: or 8 at 34 U.
CUDA_CORRELATION = {
    "fma": 66 * U,
    "tf32x3": 160 * U,
    "bfloat16": 2.0**-7 + 2.0**-16 + 272 * U,
}

#: Mean |a - b| of values in [-1, 1] by 2 sum max(a, b) - sum a - sum b. The worst inputs are
#: constant rows, whose roundings all go one way: per number 2.6 U in a chain of 8 pairs (4 sums of
#: 8 to 16, each rounded by up to 8 U, and half of that below), 1 to 4.5 U in the sums of chains;
#: such a row counts once, so two add up to 7 to 14 U at the worst, of which 6 U were ever seen.
PAIRWISE_DISTANCE = 8 * U

#: The mean of errors of correlations, and that of the distance.
CORRELATION_DISTANCE = CORRELATION + PAIRWISE_DISTANCE

#: What the detector promises; the partial score is a ratio of float64 sums over
#: correlations whose errors are CORRELATION, divided by residuals of no less than a few percent.
SCORE = 1e-5

#: Balanced probabilities: both sides find log T to 1e-12 or better, seven times over, and what one
#: search leaves the next ones carry on, never as much as ten times as large.
BALANCED = 1e-10

#: What double centring, a temperature or a softmax round away before balancing moves a float32
#: correlation by U at most; residuals of a few percent magnify that.
SAME_ANSWERS = 1e-6


def inner_product(pairs: int, magnitude: float) -> float:
    """Of two float64 sums of `pairs` products in any order, `magnitude` the sum of |a b|."""
    return 2 * (pairs + 1) * U64 * magnitude


def torch_correlation(classes: int) -> float:
    """PyTorch adds C products in float32, after a mean and a norm in float32: (C + 5) U at most."""
    return (classes + 5) * U
