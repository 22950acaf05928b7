"""The PyTorch rival computes the same as the oracle: only then is a race with it fair."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sacfast.kernels import reference, torch_reference
from tests import tolerances


@pytest.mark.parametrize("center", ["double", "row", "none"])
@pytest.mark.parametrize(("models", "probes", "classes"), [(1, 2, 2), (9, 17, 10), (300, 65, 7)])
def test_correlation_and_distance(rng, models, probes, classes, center):
    outputs = rng.normal(size=(models, probes, classes)).astype(np.float32)
    tolerance = tolerances.torch_correlation(classes)
    tensor = torch.from_numpy(outputs)
    expected = reference.correlation(outputs, center=center)
    packed = torch_reference.correlation(tensor, center=center)
    np.testing.assert_allclose(packed, expected, rtol=0, atol=4 * tolerance)

    sources = packed[:3]
    distance = torch_reference.correlation_distance(tensor, sources, center=center)
    wanted = reference.correlation_distance(outputs, sources.numpy(), center=center)
    np.testing.assert_allclose(distance, wanted, rtol=0, atol=8 * tolerance)
    np.testing.assert_allclose(
        torch_reference.pairwise_distance(sources),
        reference.pairwise_distance(sources.numpy(), sources.numpy()),
        rtol=0,
        atol=8 * tolerance,
    )


def test_fri(rng):
    probes, references = rng.normal(size=(2, 9, 8)), rng.normal(size=(2, 5, 8))
    scores = torch_reference.fri_features(
        torch.from_numpy(probes).float(), torch.from_numpy(references).float()
    )
    expected = reference.fri_features(probes, references)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=tolerances.torch_correlation(8))
