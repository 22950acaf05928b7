"""FRI of embeddings, scores and decisions against its formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group, rankdata

from sacfast import fri
from sacfast.errors import ArgumentError, DtypeError, ShapeError

R, N, E = 6, 20, 8


@pytest.fixture(scope="module")
def embeddings():
    return np.random.default_rng(4).standard_normal((R + N, E))


def cosines(embeddings):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return unit[R:] @ unit[:R].T


def rarity(scores):
    return -np.log(1 - (rankdata(scores) - 0.5).reshape(scores.shape) / scores.size)


def test_embeddings_become_the_rarity_of_their_cosines(embeddings):
    found = fri(embeddings, "embeddings", references=R)
    assert (found.shape, found.dtype) == ((N, R), np.float32)
    np.testing.assert_allclose(found, rarity(cosines(embeddings)), rtol=1e-6)


def test_scores_of_the_same_model_say_the_same(embeddings):
    by_scores = fri(cosines(embeddings), "scores", references=R)
    np.testing.assert_array_equal(by_scores, fri(embeddings, "embeddings", references=R))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 30), st.floats(-3, 3))
def test_a_service_s_sigmoid_changes_nothing(seed, slope, bias):
    scores = np.random.default_rng(seed).uniform(-1, 1, (N, R))
    warped = 1 / (1 + np.exp(-(slope * scores + bias)))
    np.testing.assert_array_equal(
        fri(warped, "scores", references=R), fri(scores, "scores", references=R)
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_neither_does_a_rotation_nor_a_length(seed):
    generator = np.random.default_rng(seed)
    # On a grid, or two cosines closer than rounding could change places.
    embeddings = generator.integers(-3, 4, (R + N, E)) + 0.5
    rotated = embeddings @ ortho_group.rvs(E, random_state=generator)
    rotated *= generator.uniform(0.5, 2, (R + N, 1))
    before, after = (np.round(cosines(e), 9) for e in (embeddings, rotated))
    np.testing.assert_array_equal(before, after)
    rank_before, rank_after = (
        1 - np.exp(-fri(e, "embeddings", references=R).astype(float)) for e in (embeddings, rotated)
    )
    ties = max(np.unique(before, return_counts=True)[1])
    assert np.abs(rank_after - rank_before).max() <= ties / (N * R)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_decisions_stay_what_they_are(dtype):
    yes = np.random.default_rng(0).random((N, R)) < 0.2
    np.testing.assert_array_equal(fri(yes.astype(dtype), "decisions", references=R), yes)


def test_a_probe_without_an_answer_is_a_row_of_nan(embeddings):
    broken = embeddings.copy()
    broken[R + 3, 2] = np.nan
    for values, kind in ((broken, "embeddings"), (cosines(broken), "scores")):
        found = fri(values, kind, references=R)
        assert np.isnan(found[3]).all()
        assert np.isfinite(np.delete(found, 3, axis=0)).all()


def test_a_reference_without_an_answer_is_an_error(embeddings):
    broken = embeddings.copy()
    broken[1, 0] = np.inf
    with pytest.raises(ArgumentError, match="finite on the reference images"):
        fri(broken, "embeddings", references=R)


@pytest.mark.parametrize(
    ("outputs", "kind", "references", "error", "words"),
    [
        (np.ones((R, E)), "embeddings", R, ShapeError, r"must be \(R \+ N, E\) with R = 6"),
        (np.ones(R), "embeddings", R, ShapeError, r"got \(6,\)"),
        (np.ones((N, R + 1)), "scores", R, ShapeError, r"must be \(N, R\) with R = 6"),
        (np.ones((0, R)), "scores", R, ShapeError, r"N >= 1"),
        (np.full((N, R), 2), "decisions", R, ArgumentError, "must be 0 or 1"),
        (np.ones((N, R)), "logits", R, ArgumentError, "`kind` must be"),
        (np.ones((N, R)), "scores", 0, ArgumentError, "`references` must be >= 1"),
        (np.ones((N, R)), "scores", 2.5, DtypeError, "`references` must be an integer"),
        (np.ones((R + N, E), int), "embeddings", R, DtypeError, "fri"),
    ],
)
def test_bad_input_is_named(outputs, kind, references, error, words):
    with pytest.raises(error, match=words):
        fri(outputs, kind, references=references)
