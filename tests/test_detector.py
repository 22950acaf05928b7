"""The detector against the method written down literally, and the promises around it."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sacfast import Detector
from sacfast.errors import ArgumentError, DtypeError, NullBankError, ShapeError
from tests.oracle import packed, partial_scores
from tests.tolerances import SCORE


def models(generator, count, probes, classes=10, common=None, spread=1.0, dtype=np.float32):
    """Outputs that share a structure, as models of one task do."""
    shared = generator.standard_normal((probes, classes)) if common is None else common
    noise = generator.standard_normal((count, probes, classes))
    return (shared + spread * noise).astype(dtype)


@pytest.fixture(scope="module")
def world():
    """A source, its copy, a bank of 30 and innocents, on 40 probes."""
    generator = np.random.default_rng(5)
    common = generator.standard_normal((40, 10))
    bank = models(generator, 30, 40, common=common)
    source = models(generator, 1, 40, common=common)
    copy = source + 0.5 * generator.standard_normal(source.shape).astype(np.float32)
    innocent = models(generator, 8, 40, common=common)
    return {"sources": source, "bank": bank, "suspects": np.concatenate([copy, innocent])}


@pytest.mark.parametrize("probes", [3, 5, 16, 65, 200, 800])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_partial_scores_equal_the_method(probes, classes):
    generator = np.random.default_rng(probes * classes)
    common = generator.standard_normal((probes, classes))
    bank = models(generator, 12, probes, classes, common)
    sources = models(generator, 2, probes, classes, common)
    suspects = np.concatenate([sources[:1] + 0.1, models(generator, 3, probes, classes, common)])
    groups = list("aabbccddeeff")
    detector = Detector(sources, bank, groups=groups, method="partial")
    expected, null = partial_scores(suspects, sources, bank, groups)
    np.testing.assert_allclose(detector.scores(suspects).score, expected, rtol=0, atol=SCORE)
    np.testing.assert_allclose(detector.null_scores, null, rtol=0, atol=SCORE)


def test_row_scales_over_six_decades():
    generator = np.random.default_rng(2)
    scale = np.logspace(-3, 3, 50)[:, None]
    bank = models(generator, 20, 50) * scale.astype(np.float32)
    sources = models(generator, 1, 50) * scale.astype(np.float32)
    suspects = models(generator, 4, 50) * scale[::-1].astype(np.float32)
    expected, null = partial_scores(suspects, sources, bank)
    detector = Detector(sources, bank, method="partial")
    np.testing.assert_allclose(detector.scores(suspects).score, expected, rtol=0, atol=SCORE)
    np.testing.assert_allclose(detector.null_scores, null, rtol=0, atol=SCORE)


def test_z_and_p_come_from_the_bank(world):
    groups = [i // 3 for i in range(30)]
    detector = Detector(world["sources"], world["bank"], groups=groups)
    scores = detector.scores(world["suspects"])
    null = detector.null_scores[:, 0]
    z = (scores.score[:, 0] - null.mean()) / null.std(ddof=1)
    np.testing.assert_allclose(scores.z[:, 0], z)
    for value, p in zip(scores.score[:, 0], scores.p[:, 0], strict=True):
        means = [(null[3 * g : 3 * g + 3] >= value).mean() for g in range(10)]
        assert p == pytest.approx((1 + sum(means)) / 11)
    assert scores.p_floor == 1 / 11
    assert scores.p[0, 0] == scores.p_floor
    assert detector.nulls == 10


@pytest.mark.parametrize("probes", [40, 100])
def test_pearson_needs_no_bank_and_equals_numpy(probes):
    generator = np.random.default_rng(6)
    sources, suspects = models(generator, 1, probes), models(generator, 8, probes)
    suspects[0] += sources[0]
    found = Detector(sources, [], method="pearson").scores(suspects)
    source = packed(sources[0])
    expected = [np.corrcoef(packed(o), source)[0, 1] for o in suspects]
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=0, atol=SCORE)
    assert (found.p == 1).all()
    assert np.isnan(found.z).all()


def test_paper_is_the_distance_of_raw_outputs_small_is_stolen(world):
    detector = Detector(world["sources"], world["bank"], method="paper")
    found = detector.scores(world["suspects"])
    source = packed(world["sources"][0], "none")
    expected = [np.abs(packed(o, "none") - source).mean() for o in world["suspects"]]
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=0, atol=1e-6)
    assert found.score[0, 0] == found.score.min()
    assert found.p[0, 0] == found.p_floor
    assert found.z[0, 0] == found.z.max() > 2


def test_the_copy_stands_out_and_the_innocents_do_not(world):
    found = Detector(world["sources"], world["bank"]).scores(world["suspects"])
    assert found.p[0, 0] == found.p_floor == 1 / 31
    assert found.z[0, 0] > 5
    assert found.p[1:, 0].mean() > 0.2


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.floats(0.01, 100),
    st.floats(-1e3, 1e3),
    st.permutations(list(range(10))),
)
def test_free_evasions_change_nothing(seed, temperature, shift, order):
    # Temperature, a shift a row, a bias a class and a permutation of the classes.
    generator = np.random.default_rng(seed)
    bank = models(generator, 8, 30, dtype=np.float64)
    source = models(generator, 1, 30, dtype=np.float64)
    suspect = models(generator, 1, 30, dtype=np.float64)
    evaded = (suspect / temperature + shift * generator.standard_normal((1, 30, 1)))[..., order]
    evaded = evaded + shift * generator.standard_normal(10)
    detector = Detector(source, bank)
    np.testing.assert_allclose(
        detector.scores(evaded).score, detector.scores(suspect).score, rtol=0, atol=SCORE
    )


def test_any_batch_split_gives_the_same_bits(world):
    detector = Detector(world["sources"], world["bank"])
    whole = detector.scores(world["suspects"])
    for i in range(len(world["suspects"])):
        one = detector.scores(world["suspects"][i : i + 1])
        np.testing.assert_array_equal(one.score[0], whole.score[i])
        np.testing.assert_array_equal(one.z[0], whole.z[i])


def test_any_thread_count_gives_the_same_bits():
    script = """
import numpy as np, sys
from sacfast import Detector
g = np.random.default_rng(0)
bank, sources, suspects = (g.standard_normal((n, 90, 10)) for n in (150, 3, 20))
d = Detector(sources, bank)
s = d.scores(suspects)
sys.stdout.write((s.score.tobytes() + s.z.tobytes() + d.null_scores.tobytes()).hex())
"""
    found = set()
    for threads in ("1", "2", "3", "16"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        run = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        )
        found.add(run.stdout)
    assert len(found) == 1


def test_a_dropped_probe_is_dropped_for_everybody(world):
    suspects = world["suspects"].copy()
    suspects[0, 3] = np.nan
    suspects[1, 7, 2] = np.inf
    suspects[2, 9] = 4.0
    found = Detector(world["sources"], world["bank"]).scores(suspects)
    for i, probe in enumerate((3, 7, 9)):
        kept = np.delete(np.arange(40), probe)
        smaller = Detector(world["sources"][:, kept], world["bank"][:, kept])
        expected = smaller.scores(suspects[i : i + 1, kept])
        np.testing.assert_array_equal(found.score[i], expected.score[0])
        np.testing.assert_array_equal(found.p[i], expected.p[0])
        np.testing.assert_array_equal(found.z[i], expected.z[0])
    np.testing.assert_array_equal(found.dropped, [1, 1, 1, 0, 0, 0, 0, 0, 0])
    assert found.reasons == (None,) * 9


def test_a_constant_row_is_seen_on_the_raw_row():
    # 0.1 + 1e5 is constant; centring it in float32 would leave a residue.
    generator = np.random.default_rng(0)
    bank, source = models(generator, 6, 20), models(generator, 1, 20)
    suspect = models(generator, 1, 20)
    suspect[0, 4] = np.float32(1e5 + 0.1)
    assert Detector(source, bank).scores(suspect).dropped[0] == 1


def test_probes_unusable_in_the_bank_are_dropped_for_all(world):
    bank = world["bank"].copy()
    bank[4, 11] = np.nan
    found = Detector(world["sources"], bank).scores(world["suspects"])
    assert (found.dropped == 1).all()


def test_too_many_unusable_probes_are_not_comparable_never_innocent(world):
    suspects = world["suspects"].copy()
    suspects[0, :9] = np.nan
    suspects[1, :8] = np.nan
    suspects[2] = suspects[2, :1]
    found = Detector(world["sources"], world["bank"]).scores(suspects)
    assert found.reasons[0] == "answers NaN, Inf or one constant on 9 of 40 probes"
    assert found.reasons[1] is None
    assert found.reasons[2] == "answers the same on every probe"
    for values in (found.score, found.z, found.p):
        assert np.isnan(values[[0, 2]]).all()
        assert not np.isnan(values[1]).any()


def test_many_different_gaps_do_not_pile_up(world):
    suspects = np.repeat(world["suspects"][:1], 12, axis=0)
    for i in range(12):
        suspects[i, i] = np.nan
    detector = Detector(world["sources"], world["bank"])
    assert not np.isnan(detector.scores(suspects).score).any()
    assert len(detector._frames) <= 5
    np.testing.assert_array_equal(detector.null_scores, detector.null_scores)


def test_lists_tensors_and_half_precision_are_taken(world):
    torch = pytest.importorskip("torch")
    expected = Detector(world["sources"], world["bank"]).scores(world["suspects"])
    detector = Detector(list(world["sources"]), torch.from_numpy(world["bank"].copy()))
    found = detector.scores([torch.from_numpy(o.copy()) for o in world["suspects"]])
    np.testing.assert_array_equal(found.score, expected.score)
    half = Detector(world["sources"], world["bank"]).scores(world["suspects"].astype(np.float16))
    np.testing.assert_allclose(half.score, expected.score, atol=5e-3)


def test_models_with_other_numbers_of_classes_are_compared():
    generator = np.random.default_rng(3)
    bank = [generator.standard_normal((30, c)) for c in (3, 5, 10, 10, 7, 20)]
    sources = [generator.standard_normal((30, 10))]
    suspects = [sources[0][:, :5], generator.standard_normal((30, 4))]
    expected, _ = partial_scores(suspects, sources, bank)
    found = Detector(sources, bank, method="partial").scores(suspects)
    np.testing.assert_allclose(found.score, expected, rtol=0, atol=SCORE)


def test_ties_count_against_the_suspect():
    # k members of the bank answer exactly as the source does: whatever the rounding, p is
    # (k + 1) / (m + 1), never less.
    generator = np.random.default_rng(0)
    one_hot = np.eye(4)[generator.integers(0, 4, (25, 100))]
    for k in (1, 5, 24):
        bank = np.concatenate([np.repeat(one_hot[:1], k, axis=0), one_hot[1 : 25 - k + 1]])
        found = Detector(one_hot[:1], bank).scores(one_hot[:1])
        assert found.p[0, 0] == pytest.approx((k + 1) / (len(bank) + 1))


def test_one_suspect_never_ends_the_batch(world):
    # A member of the bank that says something on probe 5 alone is empty without it, and
    # a suspect can choose which probe goes.
    member = np.zeros((40, 10), dtype=np.float32)
    member[:, 0] = 1
    member[5] = np.arange(10)
    bank = np.concatenate([world["bank"], member[None]])
    suspects = world["suspects"].copy()
    suspects[3, 5] = np.nan
    found = Detector(world["sources"], bank).scores(suspects)
    assert not np.isnan(found.score).any()
    assert not np.isnan(found.z).any()
    assert found.p[3, 0] >= 2 / 32  # the empty member counts against it

    few = models(np.random.default_rng(1), 23, 8)
    gap = models(np.random.default_rng(2), 2, 8)
    gap[1, 0] = np.nan
    both = Detector(few[:1], few[1:], ridge=0.0).scores(gap)
    assert not np.isnan(both.score[0, 0])
    assert both.reasons[1] is not None


def test_a_source_that_says_nothing_is_named_not_the_suspects(world):
    generator = np.random.default_rng(0)
    flat = generator.standard_normal(10) + generator.standard_normal((40, 1))
    with pytest.raises(ArgumentError, match=r"`sources\[1\]` must relate the probes"):
        Detector([world["sources"][0], flat], world["bank"])


def test_later_changes_of_the_arrays_change_nothing(world):
    sources, bank = world["sources"].copy(), world["bank"].copy()
    detector = Detector(sources, bank)
    suspect = world["suspects"][:1].copy()
    suspect[0, 0] = np.nan
    expected = Detector(world["sources"], world["bank"]).scores(suspect).score
    sources[:], bank[:] = 0, 0
    np.testing.assert_array_equal(detector.scores(suspect).score, expected)


def test_no_suspects_no_scores(world):
    found = Detector(world["sources"], world["bank"]).scores([])
    assert found.score.shape == found.p.shape == (0, 1)
    assert found.reasons == ()


def test_two_probes_are_one_pair_and_show_nothing():
    generator = np.random.default_rng(3)
    detector = Detector(models(generator, 1, 2), models(generator, 5, 2))
    found = detector.scores(models(generator, 2, 2))
    assert np.isnan(found.score).all()
    assert "varies in no way" in str(found.reasons[0])


def test_reach_counts_groups(world):
    detector = Detector(world["sources"], world["bank"], groups=[i % 7 for i in range(30)])
    assert detector.reach(20, 0.05).p_floor == 1 / 8


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"method": "best"},
            ArgumentError,
            "`method` must be one of partial, balanced, pearson, paper",
        ),
        ({"ridge": -1.0}, ArgumentError, "`ridge` must be a finite number >= 0, got -1.0"),
        ({"center": "both"}, ArgumentError, "`center` must be None"),
        ({"groups": [1, 2]}, ShapeError, "Detector: `groups` must have one label a member"),
        ({"groups": 3}, DtypeError, "`groups` must be a sequence of labels, got int"),
        ({"groups": [[1]] * 30}, DtypeError, "`groups` must hold hashable labels"),
        ({"ridge": "x"}, DtypeError, "`ridge` must be a number, got str"),
        ({"sources": None}, DtypeError, "`sources` must be an array, got NoneType"),
        ({"sources": []}, ArgumentError, "`sources` must hold at least one model"),
        ({"sources": np.ones((40, 10))}, ShapeError, "must be \\(S, N, C\\) or a list"),
        ({"null_bank": [np.ones((39, 10))]}, ShapeError, "`null_bank\\[0\\]` must have the 40"),
        (
            {"null_bank": [np.ones((40, 10))]},
            NullBankError,
            "`null_bank\\[0\\]` must be comparable",
        ),
        ({"sources": [np.arange(40)]}, (ShapeError, DtypeError), "`sources\\[0\\]`"),
        ({"null_bank": [["x"]]}, DtypeError, "`null_bank\\[0\\]` must be an array, got list"),
    ],
)
def test_bad_arguments_are_named(world, change, error, message):
    arguments = {"sources": world["sources"], "null_bank": world["bank"], **change}
    with pytest.raises(error, match=message):
        Detector(arguments.pop("sources"), arguments.pop("null_bank"), **arguments)


def test_bad_suspects_are_named(world):
    detector = Detector(world["sources"], world["bank"])
    with pytest.raises(ShapeError, match="pass outputs\\[None\\]"):
        detector.scores(world["suspects"][0])
    with pytest.raises(ShapeError, match="`outputs\\[1\\]` must have the 40 probes"):
        detector.scores([world["suspects"][0], world["suspects"][0][:39]])


def test_dependent_bank_without_ridge_is_named(world):
    twice = np.concatenate([world["bank"], world["bank"]])
    with pytest.raises(NullBankError, match="must be linearly independent"):
        Detector(world["sources"], twice, ridge=0.0)
