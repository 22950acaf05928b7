"""Small convolutional networks of five families for 32×32 images, fast to train on a CPU.

Each family is a well-known idea at its smallest: residual sums, a plain stack with pooling, dense
concatenation, squeeze-and-expand, and strided convolutions without any of these. All shrink the
image early; on one core they train at 2,000 to 6,000 images per second in bfloat16. Their inputs
are RGB in 0..1 (N, 3, 32, 32), their outputs logits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN, STD = 0.473, 0.25


def block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU: what fine-pruning takes channels out of."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = block(inputs, outputs, 3, stride)
        self.second = block(outputs, outputs)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) + self.shortcut(x)


class Concatenate(nn.Module):
    """One convolution whose result is put beside its input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.grow = block(inputs, growth)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.grow(x)], 1)


class Fire(nn.Module):
    """Squeeze by a 1×1 convolution, expand by a 1×1 and a 3×3 one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = block(inputs, outputs // 4, 1)
        self.one = block(outputs // 4, outputs // 2, 1)
        self.three = block(outputs // 4, outputs // 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.squeeze(x)
        return torch.cat([self.one(narrow), self.three(narrow)], 1)


def _resnet(w: int) -> list[nn.Module]:
    return [block(3, w, 3, 2), Residual(w, w, 1), Residual(w, 2 * w, 2), Residual(2 * w, 4 * w, 2)]


def _vgg(w: int) -> list[nn.Module]:
    return [
        *(block(3, w // 2, 3, 2), block(w // 2, w), block(w, w), nn.MaxPool2d(2)),
        *(block(w, 2 * w), block(2 * w, 2 * w), nn.MaxPool2d(2), block(2 * w, 4 * w)),
    ]


def _dense(w: int) -> list[nn.Module]:
    layers: list[nn.Module] = [block(3, 2 * w, 3, 2)]
    channels = 2 * w
    for stage in range(3):
        for _ in range(3):
            layers.append(Concatenate(channels, w))
            channels += w
        if stage < 2:
            layers += [block(channels, channels // 2, 1), nn.AvgPool2d(2)]
            channels //= 2
    return [*layers, block(channels, 4 * w, 1)]


def _fire(w: int) -> list[nn.Module]:
    return [
        *(block(3, w, 3, 2), Fire(w, 2 * w), nn.MaxPool2d(2)),
        *(Fire(2 * w, 4 * w), Fire(4 * w, 4 * w), nn.MaxPool2d(2), Fire(4 * w, 4 * w)),
    ]


def _strided(w: int) -> list[nn.Module]:
    return [
        *(block(3, w, 5, 2), block(w, w), block(w, 2 * w, 3, 2)),
        *(block(2 * w, 2 * w), block(2 * w, 4 * w, 3, 2)),
    ]


FAMILIES: dict[str, Callable[[int], list[nn.Module]]] = {
    "resnet": _resnet,
    "vgg": _vgg,
    "dense": _dense,
    "fire": _fire,
    "strided": _strided,
}


class Network(nn.Module):
    """A body of one family, global average pooling, a linear classifier (`head`)."""

    def __init__(self, family: str, width: int, classes: int = 10) -> None:
        super().__init__()
        self.family, self.width, self.classes = family, width, classes
        self.body = nn.Sequential(*FAMILIES[family](width))
        self.head = nn.Linear(4 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.body((images - MEAN) / STD)
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def create(family: str, width: int, classes: int = 10, seed: int = 0) -> Network:
    """An untrained network; the seed decides its weights."""
    torch.manual_seed(seed)
    return Network(family, width, classes).to(memory_format=torch.channels_last)
