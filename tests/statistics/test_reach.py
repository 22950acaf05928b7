"""What a bank can show, against Benjamini–Hochberg itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacfast import benjamini_hochberg
from sacfast.errors import ArgumentError, DtypeError
from sacfast.statistics import reach


def test_the_figures_of_the_method():
    assert reach(0, 20, 0.05).nulls_needed(8) == 49
    assert reach(0, 5000, 0.05).nulls_needed(10) == 9999
    assert reach(49, 20, 0.05).min_hits == 8


@given(st.integers(0, 300), st.integers(1, 200), st.sampled_from([0.01, 0.05, 0.1, 0.2]))
def test_min_hits_is_the_fewest_that_can_be_called(nulls, pairs, fdr):
    found = reach(nulls, pairs, fdr)

    def called(hits: int) -> bool:
        p = np.ones(pairs)
        p[:hits] = found.p_floor
        return bool((benjamini_hochberg(p) <= fdr * (1 + 1e-12)).any())

    if found.possible:
        assert called(found.min_hits)
    if found.min_hits > 1:
        assert not called(min(found.min_hits - 1, pairs))


def test_it_says_so_in_words():
    assert "nothing can be called stolen" in str(reach(5, 20, 0.05))
    assert "at least 8 stand out together" in str(reach(49, 20, 0.05))
    assert "a single copy can be called stolen" in str(reach(999, 20, 0.05))


def test_refuses_impossible_arguments():
    with pytest.raises(ArgumentError, match="`fdr` must lie in"):
        reach(10, 10, 0.0)
    with pytest.raises(ArgumentError, match="must be >= 0"):
        reach(-1, 10, 0.05)
    with pytest.raises(DtypeError, match="`nulls` must be an integer, got float"):
        reach(2.5, 10, 0.05)
    with pytest.raises(ArgumentError, match="`hits` must be >= 1"):
        reach(10, 10, 0.05).nulls_needed(0)
