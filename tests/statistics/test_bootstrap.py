"""Draws by cluster, and the middle of their values."""

from __future__ import annotations

import numpy as np
import pytest

from sacfast.errors import ArgumentError
from sacfast.statistics import bootstrap_weights, percentile_interval


def test_a_cluster_comes_up_as_one_and_the_count_of_clusters_is_kept():
    clusters = ["a", "a", "b", "c", "c", "c"]
    weights = bootstrap_weights(clusters, 200, np.random.default_rng(0))
    assert weights.shape == (6, 200)
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[3], weights[5])
    np.testing.assert_array_equal(weights[[0, 2, 3]].sum(axis=0), 3)
    assert weights.std() > 0.5


def test_the_interval_of_a_mean_is_about_two_standard_errors():
    generator = np.random.default_rng(1)
    values = generator.standard_normal(400)
    weights = bootstrap_weights(range(400), 2000, generator)
    low, high = percentile_interval(values @ weights / 400)
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)


def test_refuses_nothing_at_all():
    with pytest.raises(ArgumentError, match="must not be empty"):
        bootstrap_weights([], 10, np.random.default_rng(0))
    with pytest.raises(ArgumentError, match="`values` must hold numbers"):
        percentile_interval([np.nan])
    assert percentile_interval([np.nan, 1.0, 1.0]) == (1.0, 1.0)
