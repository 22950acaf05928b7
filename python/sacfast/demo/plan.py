"""Which models a run of the demo makes, and which of them are stolen.

Innocent models all come out of one process: architecture, share of the images and seed are drawn
for each by itself and alike, whether it goes to the null bank or among the suspects. So null
models and innocent suspects are exchangeable one by one, which is what the p-values rest on. Half
of them have the source's architecture, and half of them the source's images: every fourth is a
twin of the source, which differs by nothing but its seed, the hardest kind of innocent there is.

The suspects' numbers are dealt out at random, so no name gives the truth away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from sacfast.demo import thefts
from sacfast.demo.digits import Owner
from sacfast.demo.networks import ARCHITECTURES, RATE, SOURCE_ARCHITECTURE, create, train

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "FULL",
    "NULL_BANK",
    "REGISTRY",
    "SOURCE",
    "Recipe",
    "Size",
    "Theft",
    "is_twin",
    "make_plan",
    "make_source",
]

SOURCE = "source"
NULL_BANK = "null-bank"
REGISTRY = "registry"
STEPS = 150
Attack = Literal["fine-tuning", "last layer", "pruning", "probabilities", "labels"]


@dataclass(frozen=True)
class Theft:
    """One way of stealing: what a reader is told, and the function that does it."""

    attack: Attack
    how: str
    architecture: str
    steal: Callable[..., nn.Module]


def _weights(attack: Attack, how: str, steal: Callable[..., nn.Module], **amount: float) -> Theft:
    return Theft(attack, how, SOURCE_ARCHITECTURE, partial(steal, **amount))


def _fine_tuned(steps: int, rate: float) -> Theft:
    how = f"fine-tuned, {steps} steps at {rate:g}"
    return _weights("fine-tuning", how, thefts.fine_tune, steps=steps, rate=rate)


def _last_layer(how: str, anew: bool) -> Theft:
    return _weights("last layer", how, thefts.train_last_layer, steps=2 * STEPS, anew=anew)


def _pruned(fraction: float) -> Theft:
    how = f"{fraction:.0%} of filters pruned"
    return _weights("pruning", how, thefts.prune, fraction=fraction, steps=75, rate=2e-3)


def _taught(attack: Literal["probabilities", "labels"], architecture: str) -> Theft:
    steal = partial(
        thefts.extract,
        architecture=architecture,
        labels_only=attack == "labels",
        steps=2 * STEPS,
    )
    return Theft(attack, f"{architecture}, by {attack}", architecture, steal)


THEFTS = (
    _fine_tuned(100, 1e-3),
    _fine_tuned(200, 1e-3),
    _fine_tuned(200, 3e-3),
    _last_layer("last layer fine-tuned", anew=False),
    _last_layer("last layer trained anew", anew=True),
    _pruned(0.2),
    _pruned(0.4),
    _pruned(0.6),
    _taught("probabilities", "resnet18"),
    _taught("probabilities", "densenet121"),
    _taught("probabilities", "test_efficientnet"),
    _taught("labels", "resnet18"),
    _taught("labels", "resnetv2_18"),
)


@dataclass(frozen=True)
class Size:
    """How much a run makes."""

    null_models: int = 99
    innocent_suspects: int = 12
    thefts: tuple[Theft, ...] = THEFTS


FULL = Size()


@dataclass(frozen=True)
class Recipe:
    """How one model is made.

    Attributes:
        name: Its folder, relative to the demo's.
        seed: Decides its initial weights and its batches.
        architecture: One of `ARCHITECTURES`.
        share: Whose images it is trained on.
        theft: How it is stolen; None for an innocent model.
    """

    name: str
    seed: int
    architecture: str
    share: Owner
    theft: Theft | None = None

    @property
    def how(self) -> str:
        """What the truth table says of it."""
        if self.theft is not None:
            return self.theft.how
        twin = "twin: " if is_twin(self) else ""
        return f"{twin}{self.architecture}, {self.share}'s images"

    def make(
        self, images: torch.Tensor, labels: torch.Tensor, source: Callable[[], nn.Module]
    ) -> nn.Module:
        """The trained network; only a theft calls for the source."""
        if self.theft is None:
            network = create(self.architecture, self.seed)
            return train(network, images, labels, steps=STEPS, rate=RATE, seed=self.seed)
        return self.theft.steal(source(), images, labels, seed=self.seed)


def make_source(seed: int) -> Recipe:
    """The source: trained on the owner's images."""
    return Recipe(SOURCE, _seeds(seed, 1)[0], SOURCE_ARCHITECTURE, "owner")


def make_plan(seed: int, size: Size = FULL) -> list[Recipe]:
    """Everything but the source: the null bank, then the suspects in the order of their names."""
    innocents = size.null_models + size.innocent_suspects
    suspects = size.innocent_suspects + len(size.thefts)
    seeds = iter(_seeds(seed, 1 + innocents + len(size.thefts))[1:])
    draw = np.random.default_rng((seed, 1))
    names = [f"{NULL_BANK}/null-{number:03}" for number in range(1, size.null_models + 1)]
    names += [f"{REGISTRY}/suspect-{place + 1:02}" for place in draw.permutation(suspects)]
    recipes = [_innocent(name, next(seeds), draw) for name in names[:innocents]]
    for name, theft in zip(names[innocents:], size.thefts, strict=True):
        recipes.append(Recipe(name, next(seeds), theft.architecture, "thief", theft))
    return sorted(recipes, key=lambda recipe: recipe.name)


def is_twin(recipe: Recipe) -> bool:
    """Whether an innocent model differs from the source by nothing but its seed."""
    alike = (SOURCE_ARCHITECTURE, "owner", None)
    return (recipe.architecture, recipe.share, recipe.theft) == alike


def _innocent(name: str, seed: int, draw: np.random.Generator) -> Recipe:
    others = [other for other in ARCHITECTURES if other != SOURCE_ARCHITECTURE]
    architecture = SOURCE_ARCHITECTURE if draw.random() < 0.5 else str(draw.choice(others))
    return Recipe(name, seed, architecture, "owner" if draw.random() < 0.5 else "thief")


def _seeds(seed: int, count: int) -> list[int]:
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(count)]
