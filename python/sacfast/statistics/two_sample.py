"""Are the scores of stolen models larger than those of independent ones at all? Two tests.

The papers report such a p-value for every attack. It says whether a score carries information, not
how well single models can be told apart, and it shrinks with the number of models: the measures of
metrics.py are what counts. Both tests are one-sided, high = stolen, and take one value a model.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike

from sacfast.statistics.metrics import finite_1d


def welch_p(stolen: ArrayLike, independent: ArrayLike) -> float:
    """P-value of Welch's t-test for "stolen models score higher on average".

    Args:
        stolen: Scores of stolen models, (n,), high = stolen.
        independent: Scores of independent models, (m,).

    Returns:
        A number in [0, 1]; NaN where a group has fewer than two members or neither varies.

    Raises:
        ArgumentError: If either is empty or holds NaN or Inf.

    Source: docs/method.md, Measures; the two-sample test of the papers, its kind reconstructed.
    """
    from scipy.stats import ttest_ind

    a = finite_1d("welch_p", "stolen", stolen)
    b = finite_1d("welch_p", "independent", independent)
    if min(a.size, b.size) < 2 or (np.ptp(a) == 0 and np.ptp(b) == 0):
        return math.nan
    with warnings.catch_warnings():  # scores that hardly differ, as those of copies that are exact
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(ttest_ind(a, b, equal_var=False, alternative="greater").pvalue)


def mann_whitney_p(stolen: ArrayLike, independent: ArrayLike) -> float:
    """P-value of the Mann–Whitney test for "stolen models tend to score higher".

    Exact where no two scores are equal; with ties the normal approximation with the correction for
    ties, for which there is no exact table.

    Args:
        stolen: Scores of stolen models, (n,), high = stolen.
        independent: Scores of independent models, (m,).

    Returns:
        A number in [0, 1].

    Raises:
        ArgumentError: If either is empty or holds NaN or Inf.

    Source: docs/method.md, Measures.
    """
    from scipy.stats import mannwhitneyu

    a = finite_1d("mann_whitney_p", "stolen", stolen)
    b = finite_1d("mann_whitney_p", "independent", independent)
    both = np.concatenate([a, b])
    if np.ptp(both) == 0:
        return 1.0
    tied = len(np.unique(both)) < both.size
    method = "asymptotic" if tied else "exact"
    return float(mannwhitneyu(a, b, alternative="greater", method=method).pvalue)
