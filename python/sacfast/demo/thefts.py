"""The ways of stealing a network that the demo tries.

A thief either holds the source's weights and disguises them (fine-tuning, a new last layer,
pruning), or only puts images to it and teaches another network its answers (extraction, from
probabilities or from labels). Each function takes the source and the thief's own images and
returns the stolen network; the source is left as it was. The recipes follow the papers' in kind;
numbers of steps and learning rates are made for networks of this size.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from sacfast.demo.networks import RATE, create, train

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["extract", "fine_tune", "prune", "train_last_layer"]

PRUNING_STEP = 0.2


def fine_tune(
    source: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    steps: int,
    rate: float,
    seed: int,
) -> nn.Module:
    """Train all layers of a copy further on the thief's images."""
    return train(copy.deepcopy(source), images, labels, steps=steps, rate=rate, seed=seed)


def train_last_layer(
    source: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    steps: int,
    anew: bool,
    seed: int,
) -> nn.Module:
    """Train a copy's classifier only, from its own weights or (`anew`) from random ones."""
    import torch

    stolen = copy.deepcopy(source)
    head: nn.Module = stolen.get_classifier()  # type: ignore[operator]
    if anew:
        torch.manual_seed(seed)
        head.reset_parameters()  # type: ignore[operator]
    only = list(head.parameters())
    return train(stolen, images, labels, steps=steps, rate=RATE, seed=seed, only=only)


def prune(
    source: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    fraction: float,
    steps: int,
    rate: float,
    seed: int,
) -> nn.Module:
    """Silence the filters that fire least in each residual block; fine-tune after every fifth.

    The filters are those of the block's first convolution, ranked by their mean activation on
    the thief's images. What was silenced stays zero while the rest is trained.
    """
    stolen = copy.deepcopy(source)
    rounds = round(fraction / PRUNING_STEP)
    for number in range(1, rounds + 1):
        silent = _quietest(stolen, images, fraction * number / rounds)
        _silence(silent)
        train(
            stolen,
            images,
            labels,
            steps=steps,
            rate=rate,
            seed=seed + number,
            after_step=partial(_silence, silent),
        )
    return stolen


def extract(
    source: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    architecture: str,
    labels_only: bool,
    steps: int,
    seed: int,
) -> nn.Module:
    """Teach another architecture what the source answers to the thief's images, each asked once.

    The thief sees probabilities (as good as logits to one who learns them softened) or, with
    `labels_only`, the winning class. The images' own labels are left unused: the source's answers
    take their place.
    """
    import torch

    del labels
    with torch.no_grad():
        answers = source(images)
    taught = answers.argmax(dim=1) if labels_only else answers
    network = create(architecture, seed)
    return train(network, images, taught, steps=steps, rate=RATE, seed=seed)


def _blocks(network: nn.Module) -> list[Any]:
    return [m for m in network.modules() if hasattr(m, "conv1") and hasattr(m, "conv2")]


def _quietest(
    network: nn.Module, images: torch.Tensor, fraction: float
) -> list[tuple[Any, torch.Tensor]]:
    """For each residual block: itself and the filters of its first convolution that fire least."""
    import torch

    activity: list[tuple[Any, torch.Tensor]] = []

    def note(block: Any, output: torch.Tensor) -> None:
        activity.append((block, output.relu().mean(dim=(0, 2, 3))))

    hooks = [
        b.bn1.register_forward_hook(lambda _, __, out, b=b: note(b, out)) for b in _blocks(network)
    ]
    with torch.inference_mode():
        network.eval()(images)
    for hook in hooks:
        hook.remove()
    return [(block, mean.argsort()[: int(fraction * len(mean))]) for block, mean in activity]


def _silence(silent: list[tuple[Any, torch.Tensor]]) -> None:
    import torch

    with torch.no_grad():
        for block, filters in silent:
            for parameter in (block.conv1.weight, block.bn1.weight, block.bn1.bias):
                parameter[filters] = 0.0
