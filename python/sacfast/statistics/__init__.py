"""Numbers in, numbers out: p-values against a null bank, error control over a scan, measures.

``conformal``   a p-value from the scores of innocent models, with or without groups
``fdr``         Benjamini–Hochberg over a whole scan
``reach``       what a null bank of a given size can show at all

Where the truth is known:

``metrics``     AUC, ROC, TPR at a fixed FPR with exact intervals, F1
``two_sample``  Welch's t-test and the exact Mann–Whitney test, as the papers report them
``uniformity``  how far p-values of innocent models are from uniform
``bootstrap``   models drawn again, by author, for intervals
"""

from __future__ import annotations

from sacfast.statistics.bootstrap import bootstrap_weights, percentile_interval
from sacfast.statistics.conformal import conformal_p
from sacfast.statistics.fdr import benjamini_hochberg
from sacfast.statistics.metrics import (
    auc,
    clopper_pearson,
    f1,
    roc_curve,
    threshold_at_fpr,
    tpr_at_fpr,
)
from sacfast.statistics.reach import Reach, reach
from sacfast.statistics.two_sample import mann_whitney_p, welch_p
from sacfast.statistics.uniformity import KolmogorovSmirnov, kolmogorov_smirnov

__all__ = [
    "KolmogorovSmirnov",
    "Reach",
    "auc",
    "benjamini_hochberg",
    "bootstrap_weights",
    "clopper_pearson",
    "conformal_p",
    "f1",
    "kolmogorov_smirnov",
    "mann_whitney_p",
    "percentile_interval",
    "reach",
    "roc_curve",
    "threshold_at_fpr",
    "tpr_at_fpr",
    "welch_p",
]
