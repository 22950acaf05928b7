"""The detector on verification scores: the two forms, yes/no suspects, owner twins."""

from __future__ import annotations

import numpy as np
import pytest

from sacfast import Detector
from sacfast.errors import ArgumentError, NullBankError, ShapeError
from tests.oracle import partial_score, partial_scores
from tests.tolerances import SCORE

N, R = 40, 12


def flattened(scores):
    """The direct form written down: double-centred, one row."""
    s = np.asarray(scores, dtype=np.float64)
    return (s - s.mean(axis=0) - s.mean(axis=1, keepdims=True) + s.mean()).ravel()


@pytest.fixture(scope="module")
def world():
    """Scores (N, R): all share a task; source, copy, twins and an honest model share its data."""
    generator = np.random.default_rng(11)
    common, data = generator.standard_normal((2, N, R))

    def models(count, base, spread=1.0):
        return (base + spread * generator.standard_normal((count, N, R))).astype(np.float32)

    bank = models(12, common)
    source = models(1, common + data)
    return {
        "source": source,
        "bank": bank,
        "twins": models(3, common + data),
        "honest": models(6, common + data),
        "copy": source + 0.5 * generator.standard_normal(source.shape).astype(np.float32),
    }


def test_direct_equals_the_method(world):
    groups = list("aabbccddeeff")
    suspects = np.concatenate([world["copy"], world["honest"]])
    detector = Detector(world["source"], world["bank"], groups=groups, form="direct")
    source, bank = flattened(world["source"][0]), [flattened(o) for o in world["bank"]]
    expected = [partial_score(flattened(o), source, bank) for o in suspects]
    found = detector.scores(suspects)
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=0, atol=SCORE)
    for i, member in enumerate(bank):
        others = [c for c, group in zip(bank, groups, strict=True) if group != groups[i]]
        null = partial_score(member, source, others)
        assert detector.null_scores[i, 0] == pytest.approx(null, abs=SCORE)


def test_fri_is_the_correlation_of_the_features(world):
    suspects = np.concatenate([world["copy"], world["honest"]])
    expected, null = partial_scores(suspects, world["source"], world["bank"])
    detector = Detector(world["source"], world["bank"], form="fri")
    np.testing.assert_allclose(detector.scores(suspects).score, expected, rtol=0, atol=SCORE)
    np.testing.assert_allclose(detector.null_scores, null, rtol=0, atol=SCORE)


def test_direct_with_pearson_is_numpy_s(world):
    found = Detector(world["source"], [], method="pearson", form="direct").scores(world["honest"])
    source = flattened(world["source"][0])
    expected = [np.corrcoef(flattened(o), source)[0, 1] for o in world["honest"]]
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=0, atol=SCORE)


def test_owner_twins_are_rows_of_the_bank_and_one_group_in_p(world):
    twins = world["twins"]
    detector = Detector(world["source"], world["bank"], form="direct", owner_twins=twins)
    source = flattened(world["source"][0])
    rows = [flattened(o) for o in (*world["bank"], *twins)]
    suspects = np.concatenate([world["copy"], world["honest"]])
    found = detector.scores(suspects)
    expected = [partial_score(flattened(o), source, rows) for o in suspects]
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=0, atol=SCORE)
    null = detector.null_scores[:, 0]
    for i, member in enumerate(rows):  # a twin is scored with the other twins still in X
        others = rows[:i] + rows[i + 1 :]
        assert null[i] == pytest.approx(partial_score(member, source, others), abs=SCORE)
    assert detector.nulls == 13
    assert found.p_floor == 1 / 14
    for score, p in zip(found.score[:, 0], found.p[:, 0], strict=True):
        above = null >= score
        expected = (1 + above[:12].sum() + above[12:].mean()) / 14
        if above[12:].any():  # no higher than a twin: at least its rank among them
            expected = max(expected, (1 + above[12:].sum()) / 4)
        assert p == pytest.approx(expected)
    assert found.p[0, 0] == 1 / 14
    assert found.p[1:, 0].max() >= 0.5


@pytest.mark.parametrize("power", [-900, -100, 100, 1000])
def test_scores_of_any_size_are_compared(world, power):
    detector = Detector(world["source"], world["bank"], form="direct")
    scores = np.asarray(world["source"][0], np.float64)
    np.testing.assert_array_equal(
        detector.scores([np.ldexp(scores, power)]).score, detector.scores([scores]).score
    )


def test_owner_twins_tell_theft_from_the_same_training_data(world):
    def spread(**twins):
        detector = Detector(world["source"], world["bank"], form="direct", **twins)
        honest = detector.scores(world["honest"]).score.mean()
        return detector.scores(world["copy"]).score[0, 0] - honest

    assert spread(owner_twins=world["twins"]) > spread() + 0.1


def test_twins_serve_a_classifier_s_outputs_and_each_method_too(world):
    for method in ("partial", "pearson", "paper"):
        detector = Detector(
            world["source"], world["bank"], method=method, owner_twins=world["twins"]
        )
        assert len(detector.null_scores) == 15
        assert detector.scores(world["copy"]).p[0, 0] == 1 / 14


def test_no_to_every_pair_is_an_answer_not_a_dropped_probe(world):
    yes = (world["copy"] > np.quantile(world["copy"], 0.98)).astype(np.float32)
    assert (yes.max(axis=2) == yes.min(axis=2)).mean() > 0.5
    for form in ("fri", "direct"):
        found = Detector(world["source"], world["bank"], form=form).scores(yes)
        assert found.reasons == (None,)
        assert found.dropped[0] == 0
        assert np.isfinite(found.score).all()
    outputs = Detector(world["source"], world["bank"]).scores(yes)
    assert outputs.reasons[0].startswith("answers NaN, Inf or one constant on")


@pytest.mark.parametrize("form", ["fri", "direct"])
def test_what_says_nothing_is_not_comparable(world, form):
    detector = Detector(world["source"], world["bank"], form=form)
    refused = np.zeros((1, N, R), np.float32)
    assert detector.scores(refused).reasons == ("answers the same on every probe",)
    broken = world["copy"].copy()
    broken[0, :9, 3] = np.nan
    assert "on 9 of 40 probes" in detector.scores(broken).reasons[0]
    broken = world["copy"].copy()
    broken[0, :4, 3] = np.nan
    found = detector.scores(broken)
    assert (found.dropped[0], found.reasons[0]) == (4, None)


def test_a_suspect_that_varies_by_rows_alone_is_not_comparable(world):
    rows = np.broadcast_to(np.linspace(0.1, 0.9, N, dtype=np.float32)[:, None], (N, R))
    found = Detector(world["source"], world["bank"], form="direct").scores(rows[None])
    assert found.reasons[0].startswith("varies in no way")


def test_any_batch_split_gives_the_same_bits(world):
    suspects = np.concatenate([world["copy"], world["honest"]])
    detector = Detector(world["source"], world["bank"], form="direct", owner_twins=world["twins"])
    whole = detector.scores(suspects)
    for i in range(len(suspects)):
        np.testing.assert_array_equal(detector.scores(suspects[i : i + 1]).score[0], whole.score[i])


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"form": "whole"}, ArgumentError, "`form` must be 'outputs', 'fri' or 'direct'"),
        ({"form": "direct", "method": "paper"}, ArgumentError, "'direct', which has neither"),
        ({"form": "direct", "center": "row"}, ArgumentError, "'direct', which has neither"),
        ({"owner_twins": np.zeros((1, N - 1, R))}, ShapeError, "`owner_twins.0.` must have the 40"),
        (
            {"form": "fri", "owner_twins": np.ones((1, N, R + 1))},
            ShapeError,
            "must have the 12 reference images",
        ),
        (
            {"owner_twins": np.zeros((1, N, R))},
            NullBankError,
            "`owner_twins.0.` must be",
        ),
    ],
)
def test_bad_input_is_named(world, settings, error, words):
    with pytest.raises(error, match=words):
        Detector(world["source"], world["bank"], **settings)


def test_a_suspect_asked_about_other_references_is_an_error(world):
    detector = Detector(world["source"], world["bank"], form="direct")
    with pytest.raises(ShapeError, match=r"`outputs\[0\]` must have the 12 reference images"):
        detector.scores(world["copy"][:, :, :-1])


@pytest.mark.parametrize("method", ["partial", "pearson"])
def test_decisions_are_held_against_a_bank_that_decides(world, method):
    everyone = [*world["bank"], *world["twins"]]
    detector = Detector(
        world["source"],
        world["bank"],
        form="direct",
        method=method,
        owner_twins=world["twins"],
    )

    def decided(scores, yes):
        return (scores > np.quantile(scores, 1 - yes)).astype(np.float32)

    suspects = [decided(o, 0.1) for o in (*world["copy"], *world["honest"])]
    found = detector.scores(suspects)
    source = flattened(world["source"][0])
    rows = [flattened(o) for o in everyone]
    coarse = [flattened(decided(o, 0.1)) for o in everyone]
    null = []
    for i, member in enumerate(coarse):
        others = rows[:i] + rows[i + 1 :]
        null.append(
            partial_score(member, source, others)
            if method == "partial"
            else np.corrcoef(member, source)[0, 1]
        )
    null = np.array(null)
    np.testing.assert_allclose(detector.null_scores_at(0.1)[:, 0], null, rtol=0, atol=SCORE)
    expected = (found.score[:, 0] - null.mean()) / null.std(ddof=1)
    np.testing.assert_allclose(found.z[:, 0], expected, rtol=1e-3)
    if method == "partial":
        assert found.p[0, 0] == found.p_floor
        # What honest models of the owner's data score is lower too when they say yes and no.
        assert null[12:].mean() < 0.9 * detector.null_scores[12:, 0].mean()
    together = detector.scores([suspects[0], world["copy"][0]])
    np.testing.assert_array_equal(together.p[0], found.p[0])
    np.testing.assert_array_equal(together.p[1], detector.scores(world["copy"]).p[0])


def test_a_bank_of_decisions_stays_as_it_is(world):
    bank = [(o > 1).astype(np.float32) for o in world["bank"]]
    detector = Detector(world["source"], bank, form="direct")
    # The same sums, split differently between products that are known and new ones.
    np.testing.assert_allclose(detector.null_scores_at(0.03), detector.null_scores, atol=1e-12)
