"""AUC and TPR at a fixed FPR against pair counts done by hand and exact intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sacfast.errors import ArgumentError
from sacfast.statistics import (
    auc,
    clopper_pearson,
    f1,
    roc_curve,
    threshold_at_fpr,
    tpr_at_fpr,
)

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=20)


@given(scores, scores)
def test_auc_counts_pairs(stolen, independent):
    wins = sum((s > i) + 0.5 * (s == i) for s in stolen for i in independent)
    assert auc(stolen, independent) == pytest.approx(wins / (len(stolen) * len(independent)))


@given(scores, scores, st.sampled_from([0.0, 0.01, 0.05, 0.5]))
def test_tpr_keeps_the_fpr_and_no_lower_threshold_does(stolen, independent, fpr):
    tpr, (low, high) = tpr_at_fpr(stolen, independent, fpr)
    feasible = [
        threshold
        for threshold in [min(independent) - 1, *independent]
        if sum(i > threshold for i in independent) <= fpr * len(independent) + 1e-9
    ]
    best = max(sum(s > threshold for s in stolen) for threshold in feasible) / len(stolen)
    assert tpr == pytest.approx(best)
    assert low <= tpr <= high


@given(scores, scores)
def test_the_area_under_the_curve_is_the_auc(stolen, independent):
    fpr, tpr = roc_curve(stolen, independent)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    area = ((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1]) / 2).sum()
    assert area == pytest.approx(auc(stolen, independent))


@given(scores, scores, st.sampled_from([0.0, 0.05, 0.5]))
def test_the_threshold_is_that_of_the_tpr(stolen, independent, fpr):
    threshold = threshold_at_fpr(independent, fpr)
    assert np.mean(np.array(independent) > threshold) <= fpr
    assert tpr_at_fpr(stolen, independent, fpr)[0] == np.mean(np.array(stolen) > threshold)


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    precision, recall = 6 / (6 + 2), 6 / (6 + 4)
    assert f1(6, 2, 4) == pytest.approx(2 * precision * recall / (precision + recall))
    assert f1(0, 0, 0) == 0.0
    with pytest.raises(ArgumentError, match="must be >= 0"):
        f1(1, -1, 0)


@given(st.integers(0, 12), st.integers(12, 30))
def test_interval_equals_scipy(hits, trials):
    exact = binomtest(hits, trials).proportion_ci(0.95, method="exact")
    assert clopper_pearson(hits, trials) == pytest.approx((exact.low, exact.high))


def test_refuses_nonsense():
    with pytest.raises(ArgumentError, match="`stolen` must be a non-empty list"):
        auc([], [1.0])
    with pytest.raises(ArgumentError, match="`fpr` must lie in"):
        tpr_at_fpr([1.0], [1.0], 1.0)
    with pytest.raises(ArgumentError, match="got 3 of 2"):
        clopper_pearson(3, 2)
