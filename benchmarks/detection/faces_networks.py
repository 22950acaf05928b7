"""Five families of small face-embedding networks, and how they are trained, on one core.

Each takes 48×48 colour photographs and gives an embedding; a family is a way of building the body,
a width its size. A stem of stride 2 and bfloat16 make an epoch of 1,300 photographs a matter of
a second. The heads are ArcFace and CosFace from pytorch-metric-learning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

SIDE = 48  # what a network sees
MARGIN = 8  # photographs are kept this much larger, for random crops
BATCH = 64


def _conv(in_channels: int, channels: int, side: int = 3, stride: int = 1, groups: int = 1) -> Any:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, side, stride, side // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(in_channels, channels, stride=stride),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        same = stride == 1 and in_channels == channels
        self.short = (
            nn.Identity() if same else nn.Conv2d(in_channels, channels, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.short(x))


class _Branches(nn.Module):
    """Convolutions of three sizes side by side."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.one = _conv(in_channels, quarter, 1)
        self.three = nn.Sequential(_conv(in_channels, quarter, 1), _conv(quarter, half))
        self.five = nn.Sequential(_conv(in_channels, quarter, 1), _conv(quarter, quarter, 5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x)], dim=1)


class _Dense(nn.Module):
    """Each convolution sees everything before it."""

    def __init__(self, in_channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_conv(in_channels + i * growth, growth) for i in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return x


def _resnet(w: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(3, w, 3, 2),
        _Residual(w, w, 1),
        _Residual(w, 2 * w, 2),
        _Residual(2 * w, 4 * w, 2),
    )


def _vgg(w: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(3, w, 3, 2),
        _conv(w, w),
        nn.MaxPool2d(2),
        _conv(w, 2 * w),
        _conv(2 * w, 2 * w),
        nn.MaxPool2d(2),
        _conv(2 * w, 4 * w),
    )


def _inception(w: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(3, w, 3, 2),
        nn.MaxPool2d(2),
        _Branches(w, 2 * w),
        _Branches(2 * w, 2 * w),
        nn.MaxPool2d(2),
        _Branches(2 * w, 4 * w),
    )


def _dense(w: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(3, w, 3, 2),
        nn.MaxPool2d(2),
        _Dense(w, w // 2, 4),
        _conv(3 * w, 2 * w, 1),
        nn.MaxPool2d(2),
        _Dense(2 * w, w // 2, 4),
    )


def _alex(w: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(3, w, 7, 3),
        _conv(w, 2 * w, 5),
        nn.MaxPool2d(2),
        _conv(2 * w, 4 * w),
    )


FAMILIES: dict[str, Callable[[int], nn.Sequential]] = {
    "resnet": _resnet,
    "vgg": _vgg,
    "inception": _inception,
    "dense": _dense,
    "alex": _alex,
}


class Embedder(nn.Module):
    """A body of one family, mean-pooled over a 2×2 grid, and a linear embedding."""

    def __init__(self, family: str, width: int, size: int) -> None:
        super().__init__()
        self.body = FAMILIES[family](width)
        self.embedding = nn.Sequential(
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.BatchNorm1d(16 * width),
            nn.Linear(16 * width, size, bias=False),
            nn.BatchNorm1d(size),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.embedding(self.body(x))
        return out


def inputs(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (N, H, W, 3) -> float32 (N, 3, H, W) around 0, channels last."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    return (x.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def batches(
    count: int, epochs: float, rng: np.random.Generator
) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """Places of the images of each batch, with the share of the training that is done."""
    steps = max(1, int(epochs * count / BATCH))
    order = np.concatenate([rng.permutation(count) for _ in range(int(epochs) + 2)])
    for step in range(steps):
        yield step / steps, order[step * BATCH : (step + 1) * BATCH]


def augmented(photos: Tensor, strength: int, rng: np.random.Generator) -> Tensor:
    """A random crop for the batch (up to `strength` pixels off centre) and a flip for each."""
    middle = MARGIN // 2
    top, left = (middle + int(rng.integers(-strength, strength + 1)) for _ in range(2))
    crop = photos[:, :, top : top + SIDE, left : left + SIDE]
    flip = torch.from_numpy(rng.random(len(crop)) < 0.5)[:, None, None, None]
    brightness = torch.from_numpy(rng.uniform(0.85, 1.15, (len(crop), 1, 1, 1)).astype(np.float32))
    x = torch.where(flip, crop.flip(3), crop) * brightness
    return x.contiguous(memory_format=torch.channels_last)


def centred(photos: Tensor) -> Tensor:
    """The middle of each photograph, as a network sees it when it is used."""
    m = MARGIN // 2
    return photos[:, :, m : m + SIDE, m : m + SIDE].contiguous(memory_format=torch.channels_last)


def fit(
    network: nn.Module,
    photos: Tensor,
    loss: Callable[[Tensor, NDArray[np.int64]], Tensor],
    *,
    epochs: float,
    rate: float,
    seed: int,
    strength: int = 4,
    head: nn.Module | None = None,
    after_step: Callable[[], None] | None = None,
) -> None:
    """Trains in place: SGD with Nesterov momentum, a warm-up and a cosine down to nothing."""
    rng = np.random.default_rng(seed)
    parameters = [*network.parameters(), *(head.parameters() if head is not None else ())]
    optimiser = torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    network.train()
    for done, places in batches(len(photos), epochs, rng):
        share = min(1.0, (done + 0.01) / 0.1) * 0.5 * (1 + np.cos(np.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate * share
        x = augmented(photos[torch.from_numpy(places)], strength, rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            embeddings = network(x)
        optimiser.zero_grad()
        loss(embeddings.float(), places).backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        if after_step is not None:
            after_step()
    network.eval()


@torch.inference_mode()
def embed(network: nn.Module, x: Tensor) -> NDArray[np.float32]:
    """float32 (N, E) embeddings of images as a network sees them."""
    network.eval()
    parts = [network(x[i : i + 256]).float() for i in range(0, len(x), 256)]
    return np.asarray(torch.cat(parts).numpy())
