"""The balanced score against its definition, what it may not move under, and odd answers.

Warnings are errors here: no answer of a model, however odd, may cause one.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from sacfast import Detector
from sacfast.detector import method_for
from sacfast.errors import ArgumentError
from sacfast.kernels import canonical_outputs
from sacfast.kernels.balanced import balanced
from sacfast.kinds import KINDS
from tests.oracle import balanced as slowly_balanced
from tests.oracle import partial_scores
from tests.tolerances import BALANCED, SAME_ANSWERS, SCORE

pytestmark = pytest.mark.filterwarnings("error")


def logits(generator, count, probes, classes, task):
    """Answers of models of one task, each sure of something else."""
    return 2 * (task + generator.standard_normal((count, probes, classes)))


@pytest.fixture
def world(rng):
    """A source, a bank of 12, and three suspects of which the first is a copy."""
    task = rng.standard_normal((40, 10))
    sources, bank, others = (logits(rng, count, 40, 10, task) for count in (1, 12, 2))
    copy = sources + 0.5 * rng.standard_normal(sources.shape)
    return sources, bank, np.concatenate([copy, others])


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def check(sources, bank, suspects, groups=None):
    detector = Detector(sources, bank, groups=groups, method="balanced")
    roles = ([slowly_balanced(one) for one in models] for models in (suspects, sources, bank))
    expected, null = partial_scores(*roles, groups)
    found = detector.scores(suspects)
    np.testing.assert_allclose(found.score, expected, rtol=0, atol=SCORE)
    np.testing.assert_allclose(detector.null_scores, null, rtol=0, atol=SCORE)


@pytest.mark.parametrize("probes", [5, 40, 130])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_scores_equal_the_method(rng, probes, classes):
    task = rng.standard_normal((probes, classes))
    sources, bank, others = (logits(rng, n, probes, classes, task) for n in (2, 12, 3))
    for one in (*sources, *bank):
        np.testing.assert_allclose(balanced(one), slowly_balanced(one), rtol=0, atol=BALANCED)
    copy = sources[0] + 0.1 * rng.standard_normal(task.shape)
    check(sources, bank, [copy, *others], list("aabbccddeeff"))


def test_models_with_other_numbers_of_classes(rng):
    bank = [3 * rng.standard_normal((30, c)) for c in (3, 5, 10, 10, 7, 20)]
    source = 3 * rng.standard_normal((30, 10))
    check([source], bank, [source[:, :5], rng.standard_normal((30, 4)), rng.random((30, 2))])


def test_dropped_probes_count_for_nothing_in_what_is_balanced(world):
    sources, bank, suspects = world
    holed = suspects.copy()
    holed[:, [3, 17]] = np.nan
    kept = np.delete(np.arange(40), [3, 17])
    found = Detector(sources, bank, method="balanced").scores(holed)
    short = Detector(sources[:, kept], bank[:, kept], method="balanced").scores(suspects[:, kept])
    np.testing.assert_array_equal(found.score, short.score)
    np.testing.assert_array_equal(found.p, short.p)
    np.testing.assert_array_equal(found.dropped, [2, 2, 2])
    check(sources[:, kept], bank[:, kept], suspects[:, kept])


def test_the_method_for_every_kind():
    kept = [kind for kind in KINDS if method_for("balanced", kind) == "balanced"]
    assert kept == ["logits", "logprobs", "probs", "rounded", "topk", "labels"]
    assert {method_for("balanced", kind) for kind in KINDS} == {"balanced", "partial"}
    for asked in ("partial", "pearson", "paper"):
        assert {method_for(asked, kind) for kind in KINDS} == {asked}


@pytest.mark.parametrize(
    "other", [{"form": "fri"}, {"form": "direct"}, {"center": "none"}, {"center": "row"}]
)
def test_where_there_is_nothing_to_balance_it_is_refused(world, other):
    sources, bank, _ = world
    with pytest.raises(ArgumentError, match=r"'pearson' or 'paper' where `form` is not 'outputs'"):
        Detector(sources, bank, method="balanced", **other)


def test_free_evasions_change_nothing(rng, world):
    sources, bank, suspects = world
    detector = Detector(sources, bank, method="balanced")
    expected = detector.scores(suspects)
    assert expected.score[0, 0] > 0.5 > abs(expected.score[1:, 0]).max()
    order = rng.permutation(10)
    for evaded in (
        suspects + 100 * rng.standard_normal((3, 40, 1)),
        suspects + 5 * rng.standard_normal(10),
        suspects / 20,
        suspects * 20,
        suspects[..., order],
        (0.3 * suspects + rng.standard_normal((3, 40, 1)) - rng.standard_normal(10))[..., order],
    ):
        found = detector.scores(evaded)
        np.testing.assert_allclose(found.score, expected.score, rtol=0, atol=SAME_ANSWERS)
        np.testing.assert_array_equal(found.p, expected.p)


def test_logits_and_their_probabilities_are_one_model(world):
    sources, bank, suspects = world
    expected = Detector(sources, bank, method="balanced")
    for kind, softened in (("logprobs", log_softmax), ("probs", softmax)):
        form = [canonical_outputs(softened(o, axis=-1), kind) for o in (sources, bank, suspects)]
        for detector in (expected, Detector(*form[:2], method="balanced")):
            np.testing.assert_allclose(
                detector.scores(form[2]).score,
                expected.scores(suspects).score,
                rtol=0,
                atol=SAME_ANSWERS,
            )
        np.testing.assert_allclose(
            Detector(*form[:2], method="balanced").null_scores,
            expected.null_scores,
            rtol=0,
            atol=SAME_ANSWERS,
        )


def test_any_batch_split_gives_the_same_bits(rng, world):
    sources, bank, suspects = world
    many = [*suspects, *(rng.standard_normal((40, c)) for c in (2, 3, 50))]
    detector = Detector(sources, bank, method="balanced")
    whole = detector.scores(many)
    for i, one in enumerate(many):
        alone = detector.scores([one])
        for name in ("score", "z", "p"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[i])
    np.testing.assert_array_equal(
        Detector(list(sources), list(bank), method="balanced").scores(many).z, whole.z
    )


def never_predicted(x):
    x[..., 0] = -30.0
    return x


def one_hot(x):
    return np.eye(x.shape[-1])[x.argmax(axis=-1)]


def tied(x):
    """In every row the two most likely classes are exactly as likely."""
    return np.maximum(np.minimum(x, np.sort(x, axis=-1)[..., -2:-1]), -1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "odd", [never_predicted, one_hot, tied, lambda x: 1e30 * x, np.round, lambda x: x * 1e-30]
)
@pytest.mark.parametrize("everybody", [False, True])
def test_odd_answers_have_a_score(world, odd, everybody, dtype):
    oddly = [odd(models.copy()).astype(dtype) for models in world]
    sources, bank = oddly[:2] if everybody else world[:2]
    found = Detector(sources, bank, method="balanced").scores(oddly[2])
    for values in (found.score, found.z, found.p):
        assert np.isfinite(values).all()
    assert abs(found.score).max() <= 1 + SAME_ANSWERS
    assert found.reasons == (None,) * 3


@pytest.mark.parametrize("classes", [2, 3, 9])
@pytest.mark.parametrize("probes", [2, 3, 4, 5])
def test_a_handful_of_probes(rng, probes, classes):
    sources, bank, suspects = (rng.standard_normal((n, probes, classes)) for n in (1, 9, 4))
    found = Detector(sources, bank, method="balanced").scores(suspects)
    unknown = np.isnan(found.score[:, 0])
    assert unknown.tolist() == [reason is not None for reason in found.reasons]
    assert unknown.all() if probes == 2 else not unknown.any()
    assert np.isfinite(found.p[~unknown]).all()


def test_two_classes_of_which_one_is_always_answered(rng):
    sources, bank, suspects = (rng.standard_normal((n, 30, 2)) for n in (1, 9, 4))
    suspects[..., 0] += 50
    found = Detector(sources, bank, method="balanced").scores(suspects)
    assert np.isfinite(found.score).all()
    suspects[..., 0] -= 50
    np.testing.assert_allclose(
        found.score,
        Detector(sources, bank, method="balanced").scores(suspects).score,
        rtol=0,
        atol=SAME_ANSWERS,
    )
