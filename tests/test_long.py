"""What takes more than a minute: `make test-all`."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from sacfast import Detector, correlation, correlation_distance
from sacfast.demo.run import found
from tests.oracle import packed, partial_scores
from tests.tolerances import CORRELATION, CORRELATION_DISTANCE, SCORE

pytestmark = pytest.mark.long


def test_the_demo_finds_the_copies(tmp_path):
    """The whole demo as a newcomer runs it, held to its bar."""
    command = Path(sysconfig.get_path("scripts")) / "sacfast"
    subprocess.run([command, "demo", "--out", tmp_path / "demo"], check=True)
    findings = found(tmp_path / "demo")
    counted = [f for f in findings if f.stolen and f.attack != "labels"]
    assert sum(f.flagged for f in counted) >= 6
    assert (tmp_path / "demo" / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize("probes", [2, 50, 200, 800])
@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
def test_everything_agrees_with_the_oracle_over_the_whole_range(probes, classes):
    generator = np.random.default_rng(probes + classes)
    scale = 10.0 ** generator.uniform(-3, 3, (probes, 1))
    common = generator.standard_normal((probes, classes))

    def models(count):
        return [
            scale * (common + generator.standard_normal((probes, classes))) for _ in range(count)
        ]

    sources, bank, suspects = models(2), models(12), models(3)
    expected = np.stack([packed(o) for o in sources])
    ours = correlation(sources)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=CORRELATION)
    distances = np.stack([packed(o) for o in suspects])[:, None] - expected
    tolerance = CORRELATION_DISTANCE + CORRELATION  # both sides are float32 correlations
    np.testing.assert_allclose(
        correlation_distance(suspects, ours), np.abs(distances).mean(axis=2), rtol=0, atol=tolerance
    )
    if probes > 2:
        scores, null = partial_scores(suspects, sources, bank)
        detector = Detector(sources, bank, method="partial")
        np.testing.assert_allclose(detector.scores(suspects).score, scores, rtol=0, atol=SCORE)
        np.testing.assert_allclose(detector.null_scores, null, rtol=0, atol=SCORE)
