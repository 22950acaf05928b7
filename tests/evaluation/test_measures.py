"""Measures of comparisons that were worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sacfast.evaluation.comparisons import Comparisons
from sacfast.evaluation.measures import can_be_measured, measures, midpoint_threshold
from sacfast.evaluation.truth import Model, Truth

NONE = math.nan


def model(name, source="", attack="", **more):
    return Model(name, source, attack or "innocent", name, "test", **more)


SUSPECTS = (
    model("a.tune", "a", "tune", accuracy=0.8, source_accuracy=0.9, agreement=0.9, twin="i1"),
    model("b.tune", "b", "tune"),
    model("a.adv", "a", "adversarial extraction"),
    model("i1", agreement=0.95),
    model("i2"),
    model("i3", attack="robust"),
    model("i4"),
)
#: Scores against a, then b: those against b are higher whoever is compared.
SCORE = np.array(
    [[0.6, 0.9], [0.7, 1.4], [0.2, 0.3], [0.1, 1.0], [0.3, 1.1], [0.5, 1.2], [0.0, 1.3]]
)
P = np.array(
    [[0.01, 0.5], [0.5, 0.01], [0.5, 0.9], [0.04, 0.9], [0.3, 0.9], [0.02, 0.9], [0.9, 0.9]]
)
TRUTH = Truth({m.name: m for m in (model("a", attack="source"), *SUSPECTS)}, True)


def comparisons(score=SCORE, method="partial"):
    return Comparisons(
        method, "jpeg", ("a", "b"), SUSPECTS, score, score * 2, P, np.minimum(P * 3, 1), 1 - score
    )


def measured(score=SCORE, statistic="score", midpoint=0.4, attacks=("tune",), method="partial"):
    return measures(comparisons(score, method), TRUTH, attacks, statistic, midpoint, 0)


def test_a_source_with_higher_scores_is_forgiven_within_it_only():
    tune = measured()["attacks"]["tune"]
    assert tune["stolen"] == 2
    assert tune["auc"] == 1.0  # 0.6 above all of a's, 1.4 above all of b's
    assert tune["auc_by_source"] == {"a": 1.0, "b": 1.0}
    assert tune["auc_one_threshold"] == pytest.approx((4 / 8 + 8 / 8) / 2)
    # Of 8 comparisons of innocents none may exceed the threshold: it is 1.3, which 1.4 exceeds.
    assert tune["tpr"]["0.05"]["value"] == 0.5
    low, high = tune["tpr"]["0.05"]["interval"]
    assert (low, high) == pytest.approx((0.0126, 0.9874), abs=1e-4)


def test_an_attack_that_failed():
    adversarial = measured()["attacks"]["adversarial extraction"]
    assert adversarial["auc"] == pytest.approx(2 / 4)  # above 0.1 and 0.0, below 0.3 and 0.5
    assert adversarial["tpr"]["0.01"]["value"] == 0.0
    assert adversarial["mann_whitney_p"] > 0.5


def test_a_copy_that_cannot_be_compared_is_missed_and_an_innocent_left_out():
    score = SCORE.copy()
    score[0] = NONE
    tune = measured(score)["attacks"]["tune"]
    assert tune["not_comparable"] == 1
    assert tune["auc"] == 0.5
    score = SCORE.copy()
    score[5] = NONE
    found = measured(score)
    assert found["pooled"]["innocent"] == 3
    assert "robust" not in found["innocents"]


def test_f1_by_the_midpoint_and_by_p():
    tune = measured(midpoint=0.4)["attacks"]["tune"]
    # Both copies exceed 0.4. Against a one innocent does, against b all four: 2.5 a source.
    assert tune["f1"]["midpoint"] == pytest.approx(2 * 2 / (2 * 2 + 2.5))
    # p <= 0.05: both copies; i1 and i3, each against one source of two.
    assert tune["f1"]["p"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert measured(midpoint=None)["attacks"]["tune"]["f1"]["midpoint"] is None


def test_beside_twins_and_truth():
    tune = measured()["attacks"]["tune"]
    assert tune["excess_agreement"] == pytest.approx(-0.05)
    assert tune["not_above_twin"] == 1
    assert tune["scores_above_twin"] == 1.0  # 0.6 against 0.1, both against a
    assert tune["accuracy_lost"] == pytest.approx(0.1)
    assert tune["called"] == 1.0
    assert tune["distance"] == pytest.approx((0.4 - 0.4) / 2)


def test_innocents_by_kind_and_wrong_sources():
    found = measured()
    assert found["innocents"]["robust"]["p_low"] == 0.5
    assert found["innocents"]["innocent"]["models"] == 3
    assert found["wrong_source"] == {"pairs": 3, "p_low": 0.0, "own_source_first": 1 / 3}


def test_pooled_is_a_mean_over_the_attacks_asked_for():
    both = measured(attacks=("tune", "adversarial extraction"))["pooled"]
    assert both["auc"] == pytest.approx(0.75)
    assert both["tpr"]["0.05"]["value"] == pytest.approx(0.25)
    low, high = both["auc_interval"]
    assert low < 0.75 < high
    assert measured(attacks=("tune",))["pooled"]["auc"] == 1.0
    assert measured(attacks=())["pooled"] == {"attacks": []}


def test_the_papers_distance_is_small_for_the_stolen():
    by_distance = measured(-SCORE, method="paper")["attacks"]["tune"]
    assert by_distance["auc"] == 1.0
    assert by_distance["score"] == pytest.approx(-1.0)


def test_the_midpoint_lies_between_innocents_and_extracted_copies():
    innocent = SCORE[3:].mean()
    assert midpoint_threshold(comparisons(), "score") == pytest.approx(
        ((innocent + 0.2) / 2, "adversarial extraction")
    )
    middle, _ = midpoint_threshold(comparisons(), "z")
    assert middle == pytest.approx(innocent + 0.2)
    assert midpoint_threshold(comparisons(np.full_like(SCORE, NONE)), "score") is None
    assert not can_be_measured(comparisons(np.full_like(SCORE, NONE)), "score")
