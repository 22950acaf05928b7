"""Numbers in, numbers out: p-values against a null bank, error control over a scan, measures.

``conformal``  a p-value from the scores of innocent models, with or without groups
``fdr``        Benjamini–Hochberg over a whole scan
``reach``      what a null bank of a given size can show at all
``metrics``    AUC and TPR at a fixed FPR with exact intervals, where the truth is known
"""

from __future__ import annotations

from sacfast.statistics.conformal import conformal_p
from sacfast.statistics.fdr import benjamini_hochberg
from sacfast.statistics.metrics import auc, clopper_pearson, tpr_at_fpr
from sacfast.statistics.reach import Reach, reach

__all__ = [
    "Reach",
    "auc",
    "benjamini_hochberg",
    "clopper_pearson",
    "conformal_p",
    "reach",
    "tpr_at_fpr",
]
