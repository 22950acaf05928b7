"""The forms in which a model may answer, and what goes with each.

The first six are one ladder of access, from the finest to the coarsest: finer answers can be made
coarser, never the other way round. The others belong to face verification, and each compares with
its own kind only.

    logits     numbers before the softmax
    logprobs   their log-softmax
    probs      their softmax
    rounded    the same, rounded to `digits` decimals
    topk       only the `k` largest probabilities (rounded too where `digits` are given)
    labels     the number of the class
    embeddings, scores, decisions      a vector a face · a score a pair · yes or no a pair
"""

from __future__ import annotations

LADDER = ("logits", "logprobs", "probs", "rounded", "topk", "labels")
KINDS = (*LADDER, "scores", "decisions", "embeddings")

#: Kinds that are about pairs of images: a row a probe, a column a reference image.
VERIFICATION = ("scores", "decisions")

#: Which kinds take `digits`, the decimals that a service rounds to, and `k`, the classes it names.
SETTINGS = {"digits": ("rounded", "topk"), "k": ("topk",)}

#: The setting that a kind can't do without.
NEEDS = {"rounded": "digits", "topk": "k"}


def settled_kind(kind: str, digits: object) -> str:
    """The one value of a kind: probabilities that come with decimals are "rounded"."""
    return "rounded" if kind == "probs" and digits is not None else kind
