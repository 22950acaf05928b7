"""Balanced probabilities: what they are, and what they do not move under."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from sacfast.kernels import correlation
from sacfast.kernels.balanced import balanced


@pytest.fixture
def logits(rng):
    return 3 * rng.normal(size=(60, 7)) + rng.normal(size=7)


def test_they_are_probabilities_of_one_confidence_in_classes_as_likely(logits):
    p = balanced(logits)
    np.testing.assert_allclose(p.sum(axis=1), np.ones(60), rtol=1e-12)
    np.testing.assert_allclose(p.mean(axis=0), np.full(7, 1 / 7), rtol=0.01)
    assert p.max(axis=1).mean() == pytest.approx(0.6, abs=1e-9)


def test_what_a_thief_changes_for_free_changes_nothing(rng, logits):
    p = balanced(logits)
    shift, bias = rng.normal(size=(60, 1)), 3 * rng.normal(size=7)
    for changed in (logits + shift, logits + bias, 0.05 * logits, 40 * logits + bias + shift):
        np.testing.assert_allclose(balanced(changed), p, rtol=0, atol=1e-9)
    np.testing.assert_allclose(balanced(log_softmax(logits, axis=1)), p, rtol=0, atol=1e-12)
    order = rng.permutation(7)
    np.testing.assert_allclose(balanced(logits[:, order]), p[:, order], rtol=0, atol=1e-12)
    turned = rng.permutation(60)
    np.testing.assert_allclose(balanced(logits[turned]), p[turned], rtol=0, atol=1e-12)


def test_balanced_once_is_balanced(logits):
    once = balanced(logits)
    np.testing.assert_allclose(balanced(np.log(once)), once, rtol=0, atol=0.01)


def test_the_answer_of_every_probe_stays_the_same_where_classes_were_balanced(rng):
    labels = np.arange(60) % 5
    logits = 4 * np.eye(5)[labels] + rng.normal(size=(60, 5))
    agree = balanced(logits).argmax(axis=1) == softmax(logits, axis=1).argmax(axis=1)
    assert agree.mean() > 0.9


def test_rows_that_say_nothing_stay_constant(logits):
    logits[[3, 8]] = [[1.0], [-2.5]]
    p = balanced(logits)
    constant = p.max(axis=1) == p.min(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(constant), [3, 8])
    np.testing.assert_array_equal(p[3], np.full(7, 1 / 7))


@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [0.1, -0.7, 3.3], [-1e300, 1e300, 5.0]])
def test_rows_that_are_all_alike_say_nothing(row):
    rows = np.tile(row, (9, 1)) + np.arange(9)[:, None]
    np.testing.assert_array_equal(balanced(rows), np.full((9, 3), 1 / 3))


def test_classes_that_are_never_answered_do_no_harm(logits):
    logits[:, 2] = -30.0
    p = balanced(logits)
    assert np.isfinite(p).all()
    assert np.isfinite(correlation(p)).all()


def test_huge_logits(logits):
    np.testing.assert_allclose(balanced(1e300 * logits), balanced(logits), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 2), (2, 2), (2, 9), (300, 2), (5, 400)])
def test_every_shape(rng, shape):
    p = balanced(rng.normal(size=shape))
    assert p.shape == shape
    np.testing.assert_allclose(p.sum(axis=1), np.ones(len(p)), rtol=1e-12)


def test_one_sure_answer_after_another(rng):
    rows = np.where(np.eye(6)[rng.integers(0, 6, 40)] > 0, 0.0, np.log(1e-300))
    assert np.isfinite(balanced(rows)).all()
