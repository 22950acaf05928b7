"""Many null banks from one Gram matrix give what a detector built anew gives."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sacfast import Detector
from sacfast.errors import ArgumentError, NullBankError
from sacfast.resampling import Resampling

rng = np.random.default_rng(0)
TASK = rng.standard_normal((30, 5))
SOURCES = list((TASK + rng.standard_normal((2, 30, 5))).astype(np.float32))
MODELS = list((TASK + rng.standard_normal((14, 30, 5))).astype(np.float32))
GROUPS = ["a", "a", "b", "c", "c", "c", "d", "e"]


@pytest.mark.parametrize(
    ("method", "center"),
    [
        ("balanced", None),
        *product(["partial", "pearson", "paper"], [None, "row"]),
    ],
)
def test_a_draw_is_a_detector_with_that_bank(method, center):
    resampling = Resampling(SOURCES, MODELS, method=method, center=center)
    for bank in ([0, 3, 5, 7, 8, 9, 11, 12], [13, 1, 2, 4, 6, 5, 7, 10]):
        suspects = [i for i in range(14) if i not in bank]
        drawn = resampling.draw(suspects, bank, GROUPS)
        detector = Detector(
            SOURCES, [MODELS[i] for i in bank], groups=GROUPS, method=method, center=center
        )
        expected = detector.scores([MODELS[i] for i in suspects])
        np.testing.assert_allclose(drawn.score, expected.score, atol=1e-9)
        np.testing.assert_allclose(drawn.null, detector.null_scores, atol=1e-9)


def test_a_probe_that_one_model_answers_unusably_is_left_out_for_all():
    broken = [model.copy() for model in MODELS]
    broken[3][4] = np.nan
    kept = np.delete(np.arange(30), 4)
    bank = [0, 1, 2, 5, 6]
    found = Resampling(SOURCES, broken).draw([8, 9], bank)
    short = Resampling([s[kept] for s in SOURCES], [m[kept] for m in MODELS]).draw([8, 9], bank)
    np.testing.assert_allclose(found.score, short.score)


def test_the_default_is_the_detector_s():
    assert Resampling(SOURCES, MODELS).method == Detector(SOURCES, MODELS).method == "partial"
    with pytest.raises(ArgumentError, match="Resampling: `method` must be 'partial', 'pearson' or"):
        Resampling(SOURCES, MODELS, method="balanced", center="row")


def test_what_cannot_be_compared_is_refused():
    silent = [*MODELS, np.full((30, 5), 2.0, np.float32)]
    with pytest.raises(ArgumentError, match="model 16 must be comparable, got one that answers"):
        Resampling(SOURCES, silent)
    holed = [model.copy() for model in MODELS]
    for i in range(7):
        holed[i][i] = np.nan
    with pytest.raises(NullBankError, match="together must leave 80% of the 30 probes usable"):
        Resampling(SOURCES, holed)
