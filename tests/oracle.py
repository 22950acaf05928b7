"""Partial score and balanced probabilities written down from docs/method.md, sharing no code.

`sacfast.kernels.reference` is the oracle of the array functions; this one judges the detector.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax


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


def balanced(outputs):
    """(N, C) logits or log-probabilities -> balanced probabilities."""
    z = np.asarray(outputs, dtype=np.float64)
    z = z - z.mean(axis=1, keepdims=True)
    z = z - z.mean(axis=0)
    z = cooled(z / np.sqrt((z**2).mean()), 8)
    for _ in range(6):
        likely = softmax(z, axis=1).mean(axis=0)
        z = cooled(z - np.log(np.maximum(likely, 0.5 / len(z))), 1)
    return softmax(z, axis=1)


def cooled(z, reach):
    """z / T with a mean largest probability of 0.6, |log T| at most `reach`."""

    def excess(log_t):
        return softmax(z / np.exp(log_t), axis=1).max(axis=1).mean() - 0.6

    if excess(-reach) < 0:
        return z / np.exp(-reach)
    if excess(reach) > 0:
        return z / np.exp(reach)
    return z / np.exp(brentq(excess, -reach, reach, xtol=1e-14, rtol=1e-14))
