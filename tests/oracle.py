"""The partial score written down from docs/method.md, in float64, sharing no code with it.

`sacfast.kernels.reference` is the oracle of the array functions; this one judges the detector.
"""

from __future__ import annotations

import numpy as np


def packed(outputs, center="double"):
    """(N, C) -> (P,) float64."""
    o = np.asarray(outputs, dtype=np.float64)
    if center in ("row", "double"):
        o = o - o.mean(axis=1, keepdims=True)
    if center == "double":
        o = o - o.mean(axis=0, keepdims=True)
    norms = np.linalg.norm(o, axis=1, keepdims=True)
    o = np.divide(o, norms, out=np.zeros_like(o), where=norms > 0)
    return (o @ o.T)[np.triu_indices(len(o), 1)]


def residual(c, bank, ridge):
    """What the bank does not explain of a packed correlation."""
    x = np.stack([np.ones_like(c), *bank])
    gram = x @ x.T
    return c - x.T @ np.linalg.solve(gram + ridge * np.diag(np.diag(gram)), x @ c)


def partial_score(suspect, source, bank, ridge=0.02):
    a, b = residual(suspect, bank, ridge), residual(source, bank, ridge)
    return np.corrcoef(a, b)[0, 1]


def partial_scores(suspects, sources, bank, groups=None, ridge=0.02):
    """Scores (S, V) and the bank's own (m, V), each member without its group."""
    cs, cv, cb = ([packed(o) for o in models] for models in (suspects, sources, bank))
    labels = list(range(len(bank))) if groups is None else list(groups)
    scores = np.array([[partial_score(s, v, cb, ridge) for v in cv] for s in cs])
    null = np.empty((len(bank), len(sources)))
    for i, member in enumerate(cb):
        others = [c for c, label in zip(cb, labels, strict=True) if label != labels[i]]
        null[i] = [partial_score(member, v, others, ridge) for v in cv]
    return scores, null
