"""Cosine scores against reference images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sacfast.errors import ShapeError
from sacfast.kernels import fri_features, reference
from tests import tolerances


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("n", "r", "e"), [(1, 1, 1), (2, 3, 5), (17, 64, 16), (97, 15, 65)])
def test_agrees_with_the_oracle(rng, n, r, e, dtype):
    probes = rng.normal(size=(3, n, e)).astype(dtype)
    references = rng.normal(size=(3, r, e)).astype(dtype)
    scores = fri_features(probes, references)
    assert scores.dtype == np.float32
    expected = reference.fri_features(probes, references)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=tolerances.CORRELATION)


def test_one_model_is_the_batch_of_one_and_strides_do_not_matter(rng):
    probes, references = rng.normal(size=(2, 9, 8)), rng.normal(size=(2, 5, 8))
    batch = fri_features(probes, references)
    np.testing.assert_array_equal(fri_features(probes[1], references[1]), batch[1])
    turned = fri_features(probes[::-1, ::-1, ::-1], references[::-1, :, ::-1].copy())
    np.testing.assert_allclose(turned, batch[::-1, ::-1], rtol=0, atol=2 * tolerances.CORRELATION)


def test_a_rotation_of_the_embeddings_does_not_matter(rng):
    probes, references = rng.normal(size=(1, 9, 8)), rng.normal(size=(1, 5, 8))
    rotation, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    np.testing.assert_allclose(
        fri_features(probes @ rotation, references @ rotation),
        fri_features(probes, references),
        rtol=0,
        atol=2 * tolerances.CORRELATION,
    )


def test_zero_embeddings_score_zero_and_nan_stays_with_its_row(rng):
    probes, references = rng.normal(size=(4, 3)), rng.normal(size=(2, 3))
    probes[0], probes[1, 0] = 0, np.nan
    scores = fri_features(probes, references)
    assert (scores[0] == 0).all()
    assert np.isnan(scores[1]).all()
    assert np.isfinite(scores[2:]).all()


def test_the_same_bits_for_any_number_of_threads_and_torch_for_torch(rng, set_threads):
    probes, references = torch.randn(7, 20, 16), torch.randn(7, 10, 16)
    set_threads(1)
    once = fri_features(probes, references)
    assert isinstance(once, torch.Tensor)
    for count in (2, 3, 16):
        set_threads(count)
        assert torch.equal(fri_features(probes, references), once)


def test_no_models_give_an_empty_result():
    assert fri_features(np.ones((0, 4, 3)), np.ones((0, 2, 3))).shape == (0, 4, 2)


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ((2, 5, 7), r"must be \(2, R, 8\) with R >= 1, got \(2, 5, 7\)"),
        ((3, 5, 8), r"must be \(2, R, 8\)"),
        ((5, 8), r"must be \(2, R, 8\)"),
        ((2, 0, 8), r"must be \(2, R, 8\)"),
    ],
)
def test_errors(references, message):
    with pytest.raises(ShapeError, match=message):
        fri_features(np.ones((2, 9, 8)), np.ones(references))
    with pytest.raises(ShapeError, match=r"`probe_embeddings` must be \(S, N, E\) or \(N, E\)"):
        fri_features(np.ones(8), np.ones((2, 8)))
