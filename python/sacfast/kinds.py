"""The forms in which a model may answer, and what goes with each.

The first five are one ladder of access, from the finest to the coarsest: finer answers can be made
coarser, never the other way round. The others belong to face verification, and each compares with
its own kind only.
"""

from __future__ import annotations

LADDER = ("logits", "logprobs", "probs", "topk", "labels")
KINDS = (*LADDER, "scores", "decisions", "embeddings")

#: Which kinds take `digits`, the decimals that a service rounds to, and `k`, the classes it names.
SETTINGS = {"digits": ("probs", "topk"), "k": ("topk",)}
