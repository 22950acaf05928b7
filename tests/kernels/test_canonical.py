"""Answers of every kind, in the form that the correlation takes; finer ones made coarser."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import rankdata

from sacfast.errors import ArgumentError, DtypeError, ShapeError
from sacfast.kernels import access_mode, canonical_outputs, correlation, label_correlation
from sacfast.kernels.canonical import KINDS, LADDER

#: Settings under which every kind can be asked for, the rounding so fine that no label changes.
SETTINGS_OF = {"rounded": {"digits": 12}, "topk": {"k": 2}}


@pytest.fixture
def logits(rng):
    return (3 * rng.normal(size=(20, 7))).astype(np.float32)


def test_logits_pass_as_they_are(logits):
    np.testing.assert_array_equal(canonical_outputs(logits, "logits"), logits)
    assert canonical_outputs(logits.astype(np.float64), "logits").dtype == np.float64
    logits[0, 0] = np.inf
    np.testing.assert_array_equal(canonical_outputs(logits, "logits"), logits)


def test_log_probabilities_get_a_floor():
    rows = np.log([[0.5, 0.5, 1.0], [0.7, 0.2, 0.1]])
    rows[0, 2] = -np.inf
    found = canonical_outputs(rows, "logprobs")
    assert found[0].tolist() == pytest.approx(np.log([0.5, 0.5, 0.05]).tolist())
    np.testing.assert_array_equal(found[1], rows[1])


def test_probabilities_get_the_floor_of_the_model():
    p = np.array([[0.5, 0.5, 0.0], [0.7, 0.2, 0.1]])
    found = canonical_outputs(p, "probs")
    np.testing.assert_allclose(found, np.log([[0.5, 0.5, 0.05], [0.7, 0.2, 0.1]]))
    batch = canonical_outputs(np.stack([p, np.full((2, 3), 1 / 3)]), "probs")
    np.testing.assert_array_equal(batch[0], found)  # the other model's smallest doesn't matter


@pytest.mark.parametrize(("dtype", "smallest"), [(np.float64, 5e-324), (np.float32, 1e-45)])
def test_half_the_smallest_number_there_is_has_a_logarithm(dtype, smallest):
    p = np.array([[smallest, 1.0], [0.0, 1.0]], dtype=dtype)
    found = canonical_outputs(p, "probs")
    expected = np.log(float(p[0, 0])) + np.log([1.0, 0.5])
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def test_a_little_more_than_one_is_one():
    p = np.array([[0.5, 1.0000001], [0.25, 0.75]], dtype=np.float32)
    assert p.max() > 1
    np.testing.assert_allclose(canonical_outputs(p, "probs"), np.log([[0.5, 1], [0.25, 0.75]]))
    assert access_mode(p, "probs", "probs").max() == 1
    with pytest.raises(ArgumentError, match=r"in \[0, 1\], got values from 0.25\d+ to 1.00001\d+"):
        canonical_outputs(np.maximum(p, np.float32(0.25)) * np.float32(1.00001), "probs")


@pytest.mark.parametrize("number", [np.uint8, np.uint64, np.int32])
def test_settings_of_every_integer_type(logits, number):
    p = softmax(logits, axis=1)
    np.testing.assert_array_equal(
        canonical_outputs(p, "topk", digits=number(2), k=number(3)),
        canonical_outputs(p, "topk", digits=2, k=3),
    )


def test_rounded_probabilities_have_the_floor_of_the_rounding(logits):
    p = softmax(logits.astype(np.float64), axis=1)
    rounded = np.round(p, 2)
    assert (rounded == 0).any()
    expected = np.log(np.where(rounded > 0, rounded, 0.005))
    found = canonical_outputs(p, "probs", digits=2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(canonical_outputs(p, "rounded", digits=2), found)
    assert np.isfinite(canonical_outputs(np.zeros((2, 3)), "rounded", digits=1)).all()


def test_top_k_does_not_see_what_is_left_out(rng):
    p = softmax(rng.normal(size=(20, 7)), axis=1)
    left_out = np.argsort(np.argsort(-p, axis=1), axis=1) >= 3
    rest = np.where(left_out, p, 0).sum(axis=1, keepdims=True) / 4
    rest = np.minimum(rest, np.where(left_out, 1, p).min(axis=1, keepdims=True) / 2)
    found = canonical_outputs(p, "topk", k=3)
    np.testing.assert_allclose(found, np.log(np.where(left_out, rest, p)), rtol=1e-9)
    for what in (0.0, np.nan):
        np.testing.assert_array_equal(
            canonical_outputs(np.where(left_out, what, p), "topk", k=3), found
        )


@pytest.mark.parametrize(
    ("row", "digits", "rest"),
    [
        ([0.5, 0.25, 0.0, 0.0], None, 0.125),
        ([0.9, 0.1, 0.0, 0.0], None, 1e-7),  # nothing is left to 1
        ([0.4, 0.1, 0.0, 0.0], None, 0.05),  # no more than half of the last one named
        ([0.99, 0.01, 0.0, 0.0], 2, 0.005),
        ([0.88, 0.08, 0.0, 0.0], 2, 0.02),
        ([1.0, 0.0, 0.0, 0.0], 2, 0.005),
    ],
)
def test_what_top_k_leaves_to_the_others(row, digits, rest):
    rows = np.array([row, row[::-1], [0.7, 0.1, 0.15, 0.05]])
    found = canonical_outputs(rows, "topk", k=2, digits=digits)
    filled = np.where(rows > 0, rows, rest)
    filled[2] = [0.7, 0.075, 0.15, 0.075]
    np.testing.assert_allclose(found, np.log(filled), rtol=1e-9)


def test_top_k_of_equal_ones_takes_the_earlier_class():
    rows = np.array([[0.2, 0.3, 0.2, 0.2, 0.1], [0.6, 0.1, 0.1, 0.1, 0.1]])
    alike = np.array([[0.2, 0.3, 0.1, 0.1, 0.1], [0.6, 0.1, 0.05, 0.05, 0.05]])
    np.testing.assert_allclose(canonical_outputs(rows, "topk", k=2), np.log(alike), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16])
def test_labels_become_one_hot_rows(rng, dtype):
    labels = rng.choice([3, 7, 100], 30).astype(dtype)
    rows = canonical_outputs(labels, "labels")
    assert rows.shape == (30, 3)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(np.array([3, 7, 100])[rows.argmax(axis=1)], labels)
    np.testing.assert_array_equal(rows.sum(axis=1), np.ones(30))
    np.testing.assert_array_equal(correlation(rows, center="none"), label_correlation(labels))


def test_labels_of_a_batch_and_of_a_list():
    batch = canonical_outputs(np.array([[1, 1, 2], [5, 2, 5]]), "labels")
    assert batch.tolist() == [[[1, 0], [1, 0], [0, 1]], [[0, 1], [1, 0], [0, 1]]]
    models = canonical_outputs([np.array([1, 1, 2]), np.array([5, 2, 5])], "labels")
    assert [one.tolist() for one in models] == [[[1, 0], [1, 0], [0, 1]], [[0, 1], [1, 0], [0, 1]]]
    np.testing.assert_array_equal(batch, models)


def test_a_batch_of_labels_is_as_wide_as_its_widest_model():
    labels = np.array([[1, 1, -1, 2], [9, 5, 7, 5], [-1, -1, -1, -1]])
    batch = canonical_outputs(labels, "labels")
    models = canonical_outputs(list(labels), "labels")
    assert batch.shape == (3, 4, 3)
    assert np.isnan(batch[0, 2]).all()
    assert np.isnan(batch[2]).all()
    np.testing.assert_array_equal(batch[0, [0, 1, 3]], [[1, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(batch[1], models[1])
    answered = [0, 1, 3]
    np.testing.assert_allclose(
        correlation(batch[0, answered]), correlation(models[0][answered]), rtol=0, atol=1e-6
    )
    assert canonical_outputs(labels[:0], "labels").shape == (0, 4, 1)


def test_a_batch_of_labels_grows_with_its_models_not_with_their_square(rng):
    labels = rng.integers(0, 2**62, (50, 20))  # no two alike
    assert canonical_outputs(labels, "labels").shape == (50, 20, 20)


def test_a_negative_label_is_no_answer():
    rows = canonical_outputs(np.array([4, -1, 4]), "labels")
    np.testing.assert_array_equal(rows, [[1], [np.nan], [1]])
    assert np.isnan(canonical_outputs(np.array([-1, -1]), "labels")).all()


def test_scores_become_ranks_that_no_warp_changes(rng):
    scores = np.round(rng.normal(size=(20, 9)), 1)  # with ties
    ranks = canonical_outputs(scores, "scores")
    expected = (rankdata(scores).reshape(scores.shape) - 0.5) / scores.size
    np.testing.assert_allclose(ranks, expected, rtol=1e-14)
    np.testing.assert_array_equal(canonical_outputs(1 / (1 + np.exp(-scores)), "scores"), ranks)
    assert ranks.min() > 0
    assert ranks.max() < 1


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_decisions_become_zero_or_one(rng, dtype):
    decisions = rng.integers(0, 2, (5, 4)).astype(dtype)
    rows = canonical_outputs(decisions, "decisions")
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, decisions.astype(np.float32))
    tensor = canonical_outputs(torch.from_numpy(decisions), "decisions")
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), rows)


def test_embeddings_lose_their_mean_and_a_rotation_does_not_matter(rng):
    embeddings = rng.normal(2.0, 1.0, (20, 8))
    rotation, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    rows = canonical_outputs(embeddings, "embeddings")
    np.testing.assert_allclose(rows.mean(axis=0), np.zeros(8), atol=1e-14)
    np.testing.assert_allclose(
        correlation(canonical_outputs(embeddings @ rotation + 5, "embeddings"), center="none"),
        correlation(rows, center="none"),
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("labels", "logits")])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_without_an_answer_stays_nan_and_changes_no_other(rng, kind, bad):
    rows = softmax(rng.normal(size=(9, 4)), axis=1)
    if kind == "logprobs":
        rows = np.log(rows)
    if kind == "decisions":
        rows = np.round(rows)
    settings = SETTINGS_OF.get(kind, {})
    expected = canonical_outputs(np.delete(rows, 3, axis=0), kind, **settings)
    rows[3] = bad
    for given in (rows, np.where(np.arange(4) == 0, rows, np.nan_to_num(rows, posinf=0))):
        if kind == "topk" and np.isnan(bad) and given is not rows:
            continue  # a lone NaN is a class that was left out
        found = canonical_outputs(given, kind, **settings)
        assert np.isnan(found[3]).all()
        np.testing.assert_array_equal(np.delete(found, 3, axis=0), expected)
    assert np.isnan(canonical_outputs(np.full((2, 3), bad), kind, **settings)).all()


def test_log_probabilities_of_huge_logits():
    rows = np.array([[1e308, -1e308, 1e308], [1.0, 1.0, 1.0]])
    logs = access_mode(rows, "logits", "logprobs")
    np.testing.assert_allclose(logs[0], [np.log(0.5), -np.inf, np.log(0.5)])
    np.testing.assert_allclose(access_mode(rows, "logits", "probs")[0], [0.5, 0, 0.5])
    assert access_mode(np.full((1, 2), 1e308), "logprobs", "probs").tolist() == [[1, 1]]
    narrow = np.array([[3e38, -3e38]], dtype=np.float32)
    assert access_mode(narrow, "logits", "logprobs").tolist() == [[0, -np.inf]]


@pytest.mark.parametrize(("dtype", "huge"), [(np.float64, 1.7e308), (np.float32, 3.4e38)])
def test_an_embedding_that_centring_takes_out_of_range_is_no_answer(rng, dtype, huge):
    rows = rng.normal(size=(5, 3)).astype(dtype)
    rows[:, 0] = -0.4 * huge
    rows[0, 0] = huge
    found = canonical_outputs(rows, "embeddings")
    assert found.dtype == dtype
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()


def test_embeddings_whose_mean_is_out_of_range_are_no_answers():
    assert np.isnan(canonical_outputs(np.full((5, 3), 1.7e308), "embeddings")).all()


def test_a_nan_with_odd_bits_is_a_nan():
    rows = np.ones((3, 2), dtype=np.float16)
    rows.view(np.uint16)[1, 0] = 0x7C01  # signalling
    for given in (rows, torch.from_numpy(rows)):
        found = canonical_outputs(given, "scores")
        np.testing.assert_array_equal(np.isnan(np.asarray(found)).any(axis=1), [False, True, False])


def test_forms_and_frameworks_are_kept(logits):
    p = softmax(logits, axis=1)
    for kind, given in (("logits", logits), ("probs", p), ("scores", p), ("embeddings", p)):
        one = canonical_outputs(given, kind)
        assert one.dtype == np.float32
        np.testing.assert_array_equal(canonical_outputs(given[None], kind)[0], one)
        listed = canonical_outputs([torch.from_numpy(given), given[:, :3]], kind)
        assert isinstance(listed[0], torch.Tensor)
        assert listed[1].shape == (20, 3)
        np.testing.assert_array_equal(listed[0].numpy(), one)
        assert canonical_outputs(given[None][:0], kind).shape == (0, 20, 7)
    assert (
        canonical_outputs(torch.ones(2, 3, dtype=torch.bfloat16), "logits").dtype == torch.float32
    )


# ---- access modes --------------------------------------------------------------------------------


def test_from_logits_down_the_ladder(logits):
    rows = logits.astype(np.float64)
    p = softmax(rows, axis=1)
    np.testing.assert_allclose(access_mode(rows, "logits", "logprobs"), log_softmax(rows, axis=1))
    np.testing.assert_allclose(access_mode(rows, "logits", "probs"), p)
    rounded = np.round(p, 2)
    np.testing.assert_allclose(access_mode(rows, "logits", "rounded", digits=2), rounded)
    np.testing.assert_allclose(access_mode(rows, "logits", "probs", digits=2), rounded)
    kept = access_mode(rows, "logits", "topk", k=2)
    assert ((kept > 0).sum(axis=1) == 2).all()
    np.testing.assert_allclose(kept[kept > 0], p[kept > 0])
    labels = access_mode(rows, "logits", "labels")
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, rows.argmax(axis=1))


@pytest.mark.parametrize("target", LADDER)
def test_every_way_down_ends_in_the_same_answer(logits, target):
    rows = logits.astype(np.float64)
    settings = SETTINGS_OF.get(target, {})
    straight = access_mode(rows, "logits", target, **settings)
    for step in LADDER[: LADDER.index(target)]:
        stop = access_mode(rows, "logits", step, **SETTINGS_OF.get(step, {}))
        np.testing.assert_allclose(
            access_mode(stop, step, target, **settings), straight, rtol=1e-12, atol=1e-12
        )


def test_a_model_passed_through_a_mode_is_what_the_service_gives(logits):
    service = np.round(softmax(logits.astype(np.float64), axis=1), 3)
    ours = access_mode(logits.astype(np.float64), "logits", "probs", digits=3)
    np.testing.assert_array_equal(
        canonical_outputs(ours, "probs", digits=3), canonical_outputs(service, "probs", digits=3)
    )


def test_logits_and_log_probabilities_correlate_alike(logits):
    logs = access_mode(logits, "logits", "logprobs")
    np.testing.assert_allclose(
        correlation(canonical_outputs(logs, "logprobs")), correlation(logits), rtol=0, atol=2e-6
    )


def test_equal_ones_give_the_first_label_and_no_answer_gives_none():
    rows = np.array([[1.0, 2.0, 2.0], [np.nan, 1.0, 0.0]])
    assert access_mode(rows, "logits", "labels").tolist() == [1, -1]
    assert np.isnan(access_mode(rows, "logits", "probs")[1]).all()
    left_out = np.array([[np.nan, 0.3, 0.4]])
    assert access_mode(left_out, "topk", "labels").tolist() == [2]
    assert access_mode(np.full((1, 2, 3), np.nan), "probs", "labels").tolist() == [[-1, -1]]


def test_face_answers_pass_to_themselves_only(rng):
    scores = rng.normal(size=(4, 3))
    for kind in ("scores", "embeddings", "decisions"):
        np.testing.assert_array_equal(access_mode(scores, kind, kind), scores)
        with pytest.raises(ArgumentError, match=f'`as_kind` must be one of "{kind}" for kind'):
            access_mode(scores, kind, "labels")
    labels = np.array([[1, 2, 3]])
    np.testing.assert_array_equal(access_mode(labels, "labels", "labels"), labels)


def test_access_modes_come_in_numpy_and_in_their_form(logits):
    tensor = torch.from_numpy(logits)
    one = access_mode(tensor, "logits", "probs")
    assert isinstance(one, np.ndarray)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(access_mode([tensor], "logits", "probs")[0], one)
    np.testing.assert_array_equal(access_mode(tensor[None], "logits", "labels").shape, (1, 20))


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: canonical_outputs(x, "softmax"), ArgumentError, "`kind` must be one of"),
        (
            lambda x: canonical_outputs(x, "logits", digits=2),
            ArgumentError,
            "`digits` must go with",
        ),
        (
            lambda x: canonical_outputs(x, "probs", k=2),
            ArgumentError,
            '`k` must go with kind "topk"',
        ),
        (lambda x: canonical_outputs(x, "topk"), ArgumentError, "`k` must be given"),
        (lambda x: canonical_outputs(x, "rounded"), ArgumentError, "`digits` must be given for"),
        (lambda x: access_mode(x, "probs", "rounded"), ArgumentError, '"rounded", got None'),
        (
            lambda x: access_mode(x, "rounded", "probs"),
            ArgumentError,
            '"rounded", "topk", "labels" for kind="rounded"',
        ),
        (lambda x: canonical_outputs(x, "topk", k=0), ArgumentError, "`k` must be >= 1, got 0"),
        (lambda x: canonical_outputs(x, "topk", k=9), ArgumentError, "number of classes, 3, got 9"),
        (lambda x: canonical_outputs(x, "probs", digits=-1), ArgumentError, "must be >= 0, got -1"),
        (lambda x: canonical_outputs(x, "probs", digits=18), ArgumentError, "at most 17, got 18"),
        (lambda x: access_mode(x, "probs", "probs", digits=309), ArgumentError, "at most 17"),
        (lambda x: canonical_outputs(x, ["probs"]), ArgumentError, "`kind` must be one of"),
        (lambda x: canonical_outputs(x, "probs", digits=1.5), DtypeError, "must be an integer"),
        (
            lambda x: canonical_outputs(x + 1, "probs"),
            ArgumentError,
            r"in \[0, 1\].*from 1.5 to 1.5",
        ),
        (lambda x: canonical_outputs(-x, "topk", k=1), ArgumentError, r"in \[0, 1\]"),
        (lambda x: canonical_outputs(x, "decisions"), ArgumentError, "must be 0 or 1, got 0.5"),
        (lambda x: canonical_outputs(x, "labels"), DtypeError, "must be integers, got float64"),
        (lambda x: canonical_outputs(x[0], "logits"), ShapeError, r"\(N, C\) or \(S, N, C\)"),
        (
            lambda x: canonical_outputs([x[None]], "logits"),
            ShapeError,
            r"`outputs\[0\]` must be \(N",
        ),
        (lambda x: canonical_outputs(x[:0], "scores"), ShapeError, "not empty"),
        (lambda x: canonical_outputs(x[:, :1], "probs"), ShapeError, r"2 classes, got \(4, 1\)"),
        (lambda x: access_mode([x[:, :1]], "logits", "labels"), ShapeError, "at least 2 classes"),
        (
            lambda x: access_mode(x, "probs", "logits"),
            ArgumentError,
            '"probs", "rounded", "topk", "labels" for',
        ),
        (
            lambda x: access_mode(x, "logits", "probs", k=2),
            ArgumentError,
            "`k` must go with as_kind",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(np.full((4, 3), 0.5))
