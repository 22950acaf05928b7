"""Six tiny networks out of timm's own list: made, trained, saved, loaded.

Each is a well-known architecture cut down by `model_args` until 150 steps on 16×16 digits take
about a second on one core and give 95–99 % accuracy. A saved network is what a Hugging Face
repository of timm holds: `config.json` and `model.safetensors`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sacfast.demo.digits import SIDE

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "ARCHITECTURES",
    "RATE",
    "SOURCE_ARCHITECTURE",
    "accuracy",
    "create",
    "inputs",
    "load",
    "save",
    "train",
]

SOURCE_ARCHITECTURE = "resnet10t"
ARCHITECTURES: dict[str, dict[str, Any]] = {
    SOURCE_ARCHITECTURE: {"channels": [16, 24, 32, 48], "stem_width": 8},
    "resnet18": {"channels": [16, 24, 32, 32], "layers": [1, 1, 1, 1], "stem_width": 8},
    "resnetv2_18": {"channels": [16, 24, 32, 48], "layers": [1, 1, 1, 1], "stem_chs": 16},
    "test_resnet": {"channels": [16, 24, 32, 48], "stem_width": 8},
    "test_efficientnet": {},
    "densenet121": {"growth_rate": 8, "block_config": [2, 2]},
}
CLASSES = 10
MEAN, STD = 0.3, 0.38  # of the digits' pixels, in [0, 1]
RATE = 1e-2  # peak learning rate of a network that is trained from scratch
BATCH = 64
TEMPERATURE = 20.0  # softens both sides where another model's probabilities are learnt
SHIFT = 1  # pixels by which a batch is moved at random


def create(architecture: str, seed: int) -> nn.Module:
    """An untrained network; the seed decides its initial weights."""
    import timm
    import torch

    torch.manual_seed(seed)
    network: nn.Module = timm.create_model(
        architecture, num_classes=CLASSES, **ARCHITECTURES[architecture]
    )
    return network.to(memory_format=torch.channels_last)


def inputs(pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
    """uint8 (N, 16, 16, 3) -> float32 (N, 3, 16, 16), as `config.json` tells every loader."""
    import torch

    scaled = (torch.from_numpy(pixels.astype(np.float32)) / 255 - MEAN) / STD
    return scaled.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def train(
    network: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    *,
    steps: int,
    rate: float,
    seed: int,
    only: list[nn.Parameter] | None = None,
    after_step: Callable[[], None] | None = None,
) -> nn.Module:
    """Train in place with AdamW under a warmed-up cosine schedule; returns the network.

    Args:
        network: What to train.
        images: float32 (M, 3, 16, 16).
        targets: What to answer: labels, int64 (M,), or another model's logits, float32 (M, 10).
        steps: Batches of 64, each moved by up to a pixel.
        rate: Peak learning rate.
        seed: Decides the batches and their shifts.
        only: Parameters to train; the rest, normalisation statistics included, stays as it is.
        after_step: Called after each step.
    """
    import torch
    from torch.nn import functional

    draw = torch.Generator().manual_seed(seed)
    parameters = list(network.parameters()) if only is None else only
    optimiser = torch.optim.AdamW(parameters, rate, weight_decay=0.05, fused=True)
    network.train(only is None)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        warm = min(1.0, (step + 1) / (0.15 * steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * warm * (1 + math.cos(math.pi * step / steps)) / 2
        if len(order) < BATCH:
            order = torch.randperm(len(images), generator=draw)
        chosen, order = order[:BATCH], order[BATCH:]
        top, left = torch.randint(0, 2 * SHIFT + 1, (2,), generator=draw).tolist()
        padded = functional.pad(images[chosen], (SHIFT,) * 4, value=-MEAN / STD)
        batch = padded[:, :, top : top + SIDE, left : left + SIDE]
        logits = network(batch)
        if targets.is_floating_point():
            loss = _distillation(logits, targets[chosen])
        else:
            loss = functional.cross_entropy(logits, targets[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if after_step is not None:
            after_step()
    return network.eval()


def _distillation(logits: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional

    return TEMPERATURE**2 * functional.kl_div(
        functional.log_softmax(logits / TEMPERATURE, dim=1),
        functional.log_softmax(taught / TEMPERATURE, dim=1),
        reduction="batchmean",
        log_target=True,
    )


def accuracy(
    network: nn.Module, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]
) -> float:
    """The share of right answers, in [0, 1]."""
    import torch

    with torch.inference_mode():
        answer = network.eval()(inputs(pixels)).argmax(dim=1).numpy()
    return float((answer == labels).mean())


def save(network: nn.Module, architecture: str, folder: Path) -> None:
    """Write `config.json` and `model.safetensors`; the folder appears when both are complete."""
    from safetensors.torch import save_file

    config = {
        "architecture": architecture,
        "num_classes": CLASSES,
        "model_args": ARCHITECTURES[architecture],
        "pretrained_cfg": {
            "input_size": [3, SIDE, SIDE],
            "mean": [MEAN] * 3,
            "std": [STD] * 3,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
        },
    }
    unfinished = folder.with_name(f".{folder.name}.part")
    unfinished.mkdir(parents=True, exist_ok=True)
    (unfinished / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, unfinished / "model.safetensors")
    unfinished.replace(folder)


def load(architecture: str, folder: Path) -> nn.Module:
    """A network that `save` wrote, ready to answer."""
    from safetensors.torch import load_file

    network = create(architecture, seed=0)
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return network.eval()
