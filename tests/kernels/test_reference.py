"""The oracle itself, against libraries and arithmetic that share no code with it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from sacfast.kernels import reference

TIGHT = {"rtol": 0, "atol": 1e-13}  # float64 on both sides


def test_row_centred_correlation_is_pearson(rng):
    outputs = rng.normal(3.0, 2.0, (3, 20, 7))
    expected = [reference.packed(np.corrcoef(one)) for one in outputs]
    np.testing.assert_allclose(reference.correlation(outputs, center="row"), expected, **TIGHT)


def test_uncentred_correlation_is_cosine(rng):
    outputs = rng.normal(3.0, 2.0, (3, 20, 7))
    expected = [1 - pdist(one, "cosine") for one in outputs]
    np.testing.assert_allclose(reference.correlation(outputs, center="none"), expected, **TIGHT)


def test_doubly_centred_correlation_by_loops(rng):
    o = rng.normal(3.0, 2.0, (6, 4))
    a = [
        [o[i, c] - sum(o[i]) / 4 - sum(o[:, c]) / 6 + o.sum() / 24 for c in range(4)]
        for i in range(6)
    ]
    expected = [
        sum(x * y for x, y in zip(a[i], a[j], strict=True))
        / (sum(x * x for x in a[i]) * sum(y * y for y in a[j])) ** 0.5
        for i in range(6)
        for j in range(i + 1, 6)
    ]
    np.testing.assert_allclose(reference.correlation([o])[0], expected, **TIGHT)


@pytest.mark.parametrize("sigma", [None, 1.7])
def test_rbf_is_scipys_distance_in_a_gaussian(rng, sigma):
    outputs = rng.normal(size=(20, 7))
    distance = pdist(outputs)
    width = np.median(distance) if sigma is None else sigma
    expected = np.exp(-(distance**2) / (2 * width**2))
    found = reference.correlation([outputs], center="none", kernel="rbf", sigma=sigma)[0]
    np.testing.assert_allclose(found, expected, **TIGHT)


def test_normalised_rbf_is_the_gaussian_of_unit_rows(rng):
    outputs = rng.normal(size=(20, 7))
    unit = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    found = reference.correlation([outputs], center="none", kernel="rbf", rbf_normalized=True)[0]
    np.testing.assert_allclose(found, np.exp(-pdist(unit, "sqeuclidean")), **TIGHT)


def test_distance_is_scipys_cityblock_over_the_pairs(rng):
    a, b = rng.normal(size=(4, 30)), rng.normal(size=(5, 30))
    expected = cdist(a, b, "cityblock") / 30
    np.testing.assert_allclose(reference.pairwise_distance(a, b), expected, **TIGHT)


def test_fri_is_scipys_cosine(rng):
    probes, references = rng.normal(size=(2, 6, 5)), rng.normal(size=(2, 3, 5))
    expected = [1 - cdist(x, r, "cosine") for x, r in zip(probes, references, strict=True)]
    np.testing.assert_allclose(reference.fri_features(probes, references), expected, **TIGHT)


def test_zero_rows_correlate_zero():
    outputs = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0]])
    assert reference.correlation([outputs], center="none")[0].tolist() == [
        0,
        pytest.approx(2**-0.5),
        0,
    ]
    constant = np.array([[0.1] * 1000, np.arange(1000.0), np.arange(1000.0) ** 2])
    assert reference.correlation([constant], center="row")[0][:2].tolist() == [0, 0]
