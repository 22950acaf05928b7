"""What a thief changes in a copy's answers for free: logits (N, C) in, logits of another face out.

Nothing here knows the copy's weights. Who reads the answers reads them as logits still.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Change = Callable[[Rows, np.random.Generator], Rows]


def shift(rows: Rows, generator: np.random.Generator) -> Rows:
    """A constant added to all logits of an answer, another one each time."""
    return rows + generator.normal(0, 10, size=(len(rows), 1))


def class_bias(rows: Rows, generator: np.random.Generator) -> Rows:
    """A constant a class."""
    return rows + generator.normal(0, 3, size=rows.shape[1])


def temperature(rows: Rows, _: np.random.Generator) -> Rows:
    """Flatter by 3."""
    return rows / 3


def permutation(rows: Rows, generator: np.random.Generator) -> Rows:
    """Classes in another order."""
    return rows[:, generator.permutation(rows.shape[1])]


def noise(size: float) -> Change:
    """Gaussian noise of this share of the logits' own standard deviation."""

    def change(rows: Rows, generator: np.random.Generator) -> Rows:
        return rows + generator.normal(0, size * rows.std(), size=rows.shape)

    return change


def root(rows: Rows, _: np.random.Generator) -> Rows:
    """A signed square root of the logits: the order stays."""
    own = _middle(rows)
    return np.asarray(np.sign(own) * np.sqrt(np.abs(own)))


def saturated(rows: Rows, _: np.random.Generator) -> Rows:
    """The hyperbolic tangent of the standardised logits."""
    own = _middle(rows)
    return np.asarray(np.tanh(own / own.std()))


def ranks(rows: Rows, _: np.random.Generator) -> Rows:
    """Which class comes first, second, third, and nothing else."""
    return np.asarray(rows.argsort(axis=1).argsort(axis=1), dtype=np.float64)


def _middle(rows: Rows) -> Rows:
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


#: The four that must change nothing, then the others.
FREE: dict[str, Change] = {
    "logit shift": shift,
    "per-class bias": class_bias,
    "temperature": temperature,
    "permutation": permutation,
    "noise 10 %": noise(0.1),
    "noise 25 %": noise(0.25),
    "noise 50 %": noise(0.5),
    "square-root warp": root,
    "tanh warp": saturated,
    "ranks only": ranks,
}
EXACT = ("logit shift", "per-class bias", "temperature", "permutation")
#: Answers made coarser: sources and null bank follow, as in a scan.
COARSER = {
    "2 decimals": "rounded:2",
    "1 decimal": "rounded:1",
    "top-3": "topk:3",
    "labels": "labels",
}
#: Attacks of models.csv that hide a fine-tuned copy.
HIDING = (
    *("input re-JPEG", "input resize", "input blur", "input median", "ensemble"),
    "distance-maximising fine-tuning",
)


def evaded(name: str, model: str, answers: NDArray[Any]) -> NDArray[np.float32]:
    """A model's answers after a free evasion; every model draws numbers of its own."""
    generator = np.random.default_rng([*name.encode(), *model.encode()])
    return FREE[name](answers.astype(np.float64), generator).astype(np.float32)
