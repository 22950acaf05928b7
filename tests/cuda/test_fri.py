"""FRI scores on the simulated GPU, against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sacfast.kernels import reference
from tests import tolerances
from tests.cuda import calls

PRODUCTS = ("fma", "tf32x3", "bfloat16")


def made(shape: tuple[int, ...], seed: int = 3) -> Any:
    return np.random.default_rng(seed).normal(0.5, 2.0, shape).astype(np.float32)


def assert_right(scores: Any, probes: Any, references: Any, product: str) -> None:
    expected = reference.fri_features(probes, references)
    tolerance = tolerances.CUDA_CORRELATION[product]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(
    ("probes", "references"),
    [(1, 1), (1, 33), (31, 2), (32, 32), (33, 31), (64, 64), (65, 63), (70, 128), (130, 97)],
)
def test_agrees_with_the_oracle(plain, product, probes, references):
    for size in (1, 7, 8, 17, 64, 100):
        left, right = made((2, probes, size)), made((2, references, size), seed=4)
        scores = calls.fri_features(plain, left, right, product=product)
        assert_right(scores, left, right, product)


@pytest.mark.parametrize("order", [(0, 0), (1, 0), (5, 20)])
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(("probes", "references"), [(3, 1), (33, 40), (64, 50)])
def test_no_race_whatever_the_order_of_threads(checked, order, product, probes, references):
    checked.configure(seed=order[0], preempt=order[1])
    left, right = made((3, probes, 26)), made((3, references, 26), seed=4)
    scores = calls.fri_features(checked, left, right, product=product)
    assert_right(scores, left, right, product)


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_same_bits_whatever_the_rounds_and_the_grid(plain, product):
    left, right = made((4, 40, 19)), made((4, 9, 19), seed=4)
    scores = calls.fri_features(plain, left, right, product=product)
    for share, multiprocessors in ((0.0, 1), (0.5, 132)):
        plain.machine((8, 0, multiprocessors))
        again = calls.fri_features(plain, left, right, product=product, share=share)
        np.testing.assert_array_equal(again, scores)
    alone = calls.fri_features(plain, left[2:3], right[2:3], product=product)
    np.testing.assert_array_equal(alone[0], scores[2])


def test_a_zero_embedding_scores_zero_and_one_without_a_number_is_nan(plain):
    left, right = made((1, 5, 8)), made((1, 4, 8), seed=4)
    left[0, 1], left[0, 2, 3], right[0, 2] = 0, np.nan, 0
    for product in PRODUCTS:
        scores = calls.fri_features(plain, left, right, product=product)[0]
        assert (scores[1] == 0).all()
        assert np.isnan(scores[2]).all()
        assert (scores[[0, 1, 3, 4], 2] == 0).all()
        assert (scores[[0, 3, 4]][:, [0, 1, 3]] != 0).all()


def test_scores_stay_within_one(plain):
    left = made((1, 33, 60))
    for product in PRODUCTS:
        scores = calls.fri_features(plain, left, np.concatenate([left, -left], 1), product=product)
        assert scores.max() <= 1
        assert scores.min() >= -1


def test_too_little_scratch_is_refused(plain):
    left, right = calls.Placed(plain, made((2, 5, 8))), calls.Placed(plain, made((2, 4, 8)))
    least, _ = plain.cuda.fri_features_scratch(left.ref, right.ref, "fma")
    _, out = calls.result(plain, (2, 5, 4), np.float32)
    scratch = calls.Scratch(plain, (least - 1, least - 1))
    with pytest.raises(ValueError, match=f"fri_features: at least {least} bytes of scratch"):
        plain.cuda.fri_features(left.ref, right.ref, "fma", scratch.place, out)
