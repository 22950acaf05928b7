"""How the networks of the zoo are trained, stolen and disguised (docs/method.md, Attacks).

Lengths are counted in images seen, never in seconds, so that a seed gives the same network on a
slow day. Convolutions run in bfloat16 with channels last: two to three times as fast on CPUs that
know it, and as good for networks of this size.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.detection.networks import Network

BATCH = 128
_PGD_STEPS, _PGD_RADIUS = 10, 4 / 255
_TEMPERATURE, _ALPHA = 20.0, 0.9
_PRUNE_ROUNDS = 3

Images = Tensor  # uint8 (M, 3, 32, 32), channels last in memory
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
Change = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Habits:
    """What differs between people who train networks.

    Attributes:
        rate: Peak learning rate, falling linearly after a short warm-up.
        smoothing: Label smoothing.
        shift: Largest random translation in pixels.
        jitter: Largest relative change of contrast and brightness.
        cutout: Side of a square that is blanked, 0 for none.
        decay: Weight decay.
    """

    rate: float = 0.1
    smoothing: float = 0.0
    shift: int = 3
    jitter: float = 0.0
    cutout: int = 0
    decay: float = 5e-4


def as_input(images: Images) -> Tensor:
    """uint8 -> float32 in 0..1."""
    return images.float().div_(255).contiguous(memory_format=torch.channels_last)


def answers(network: nn.Module, images: Images, batch: int = 500) -> Tensor:
    """Logits (M, C), float32."""
    network.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=False):
        return torch.cat([network(as_input(part)).float() for part in images.split(batch)])


def cross_entropy(smoothing: float = 0.0) -> Loss:
    """The usual loss; targets are labels."""

    def loss(network: nn.Module, batch: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(batch)
        return functional.cross_entropy(logits.float(), targets, label_smoothing=smoothing)

    return loss


def distillation(network: nn.Module, batch: Tensor, targets: Tensor) -> Tensor:
    """Probability extraction: T = 20, alpha = 0.9; targets are the source's logits."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(batch)
    soft = functional.kl_div(
        functional.log_softmax(logits.float() / _TEMPERATURE, 1),
        functional.log_softmax(targets / _TEMPERATURE, 1),
        reduction="batchmean",
        log_target=True,
    )
    hard = functional.cross_entropy(logits.float(), targets.argmax(1))
    return _ALPHA * _TEMPERATURE**2 * soft + (1 - _ALPHA) * hard


def adversarial(network: nn.Module, batch: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy, half of it on the worst images that ten PGD steps find within 4/255.

    The other half is on the images as they are: on worst images alone networks of this size lose
    15 to 20 points of accuracy in a short training, and a copy so poor is no theft that counts.
    """
    training = network.training
    network.eval()
    moved = batch + torch.empty_like(batch).uniform_(-_PGD_RADIUS, _PGD_RADIUS)
    for _ in range(_PGD_STEPS):
        moved = moved.detach().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(moved)
        (slope,) = torch.autograd.grad(functional.cross_entropy(logits.float(), targets), moved)
        moved = moved.detach() + _PGD_RADIUS / 4 * slope.sign()
        moved = (batch + (moved - batch).clamp(-_PGD_RADIUS, _PGD_RADIUS)).clamp(0, 1)
    network.train(training)
    usual = cross_entropy()
    return (usual(network, batch, targets) + usual(network, moved.detach(), targets)) / 2


def train(
    network: nn.Module,
    images: Images,
    targets: Tensor,
    *,
    seen: int,
    seed: int,
    habits: Habits = Habits(),
    loss: Loss | None = None,
    parameters: list[nn.Parameter] | None = None,
    change: Change | None = None,
    after_step: Callable[[], None] | None = None,
) -> nn.Module:
    """Trains in place on `seen` images in all, with SGD; returns the network in eval mode.

    Args:
        network: What to train.
        images, targets: The training set; targets as the loss takes them.
        seen: Images seen, in batches of 128.
        seed: Decides batches and augmentation.
        habits: How.
        loss: Of network, batch and targets; None: cross-entropy.
        parameters: What to train, everything else frozen, statistics included; None: everything.
        change: Done to every batch after augmentation.
        after_step: Called after every step.
    """
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    loss = loss or cross_entropy(habits.smoothing)
    chosen = list(network.parameters()) if parameters is None else parameters
    optimiser = torch.optim.SGD(
        chosen, habits.rate, momentum=0.9, nesterov=True, weight_decay=habits.decay
    )
    network.train(parameters is None)
    steps = max(1, seen // BATCH)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        done = step / steps
        for group in optimiser.param_groups:
            group["lr"] = habits.rate * min(1.0, 0.1 + done / 0.1) * (1 - done)
        if len(order) < BATCH:
            order = torch.randperm(len(images), generator=draw)
        picked, order = order[:BATCH], order[BATCH:]
        batch = _augment(as_input(images[picked]), habits, draw)
        if change is not None:
            batch = change(batch, draw)
        value = loss(network, batch, targets[picked])
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if after_step is not None:
            after_step()
    return network.eval()


def _augment(batch: Tensor, habits: Habits, draw: torch.Generator) -> Tensor:
    """One shift, flip, contrast and blank square for the whole batch: cheap, and as good."""
    side, pad = batch.shape[-1], habits.shift
    if pad:
        top, left = torch.randint(0, 2 * pad + 1, (2,), generator=draw).tolist()
        padded = functional.pad(batch, (pad,) * 4, mode="reflect")
        batch = padded[:, :, top : top + side, left : left + side]
    if torch.rand((), generator=draw) < 0.5:
        batch = batch.flip(3)
    if habits.jitter:
        gain, lift = ((torch.rand(2, generator=draw) - 0.5) * 2 * habits.jitter).tolist()
        batch = ((batch - 0.5) * (1 + gain) + 0.5 + lift / 2).clamp(0, 1)
    if habits.cutout:
        top, left = torch.randint(0, side - habits.cutout, (2,), generator=draw).tolist()
        batch = batch.clone()
        batch[:, :, top : top + habits.cutout, left : left + habits.cutout] = 0.47
    return batch.contiguous(memory_format=torch.channels_last)


# ---- thefts --------------------------------------------------------------------------------------


def corrupted(batch: Tensor, draw: torch.Generator) -> Tensor:
    """Noise on one batch, blur on the next: the data of the thief who transfers."""
    if torch.rand((), generator=draw) < 0.5:
        return (batch + 0.1 * torch.randn(batch.shape, generator=draw)).clamp(0, 1)
    return functional.avg_pool2d(functional.pad(batch, (1,) * 4, mode="reflect"), 3, 1)


def new_head(network: Network, classes: int, seed: int) -> Network:
    """The same body under an untrained classifier."""
    torch.manual_seed(seed)
    changed = copy.deepcopy(network)
    changed.head = nn.Linear(4 * network.width, classes)
    changed.classes = classes
    return changed


def fine_prune(
    network: Network, images: Images, targets: Tensor, share: float, *, seen: int, seed: int
) -> Network:
    """Takes out the least active channels of every convolution in rounds, fine-tuning after each.

    A channel is taken out by setting scale and shift of its normalisation to zero, and holding
    them there.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    dead = [torch.zeros(layer.num_features, dtype=torch.bool) for layer in layers]

    def hold() -> None:
        with torch.no_grad():
            for layer, gone in zip(layers, dead, strict=True):
                layer.weight[gone] = 0
                layer.bias[gone] = 0

    for step in range(1, _PRUNE_ROUNDS + 1):
        activity = _activity(network, layers, images[:512])
        for layer, mean, gone in zip(layers, activity, dead, strict=True):
            wanted = round(share * step / _PRUNE_ROUNDS * layer.num_features)
            gone[mean.masked_fill(gone, -1).argsort()[:wanted]] = True
        hold()
        habits = Habits(rate=0.02)
        part = seen // _PRUNE_ROUNDS
        train(network, images, targets, seen=part, seed=seed + step, habits=habits, after_step=hold)
    return network


def _activity(network: Network, layers: list[nn.BatchNorm2d], images: Images) -> list[Tensor]:
    means: dict[int, Tensor] = {}

    def keep(layer: nn.Module, _: object, output: Tensor) -> None:
        means[id(layer)] = output.relu().mean((0, 2, 3))

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    answers(network, images)
    for hook in hooks:
        hook.remove()
    return [means[id(layer)] for layer in layers]


def to_int8(network: Network) -> Network:
    """Weights rounded to 255 levels per output channel, as integer inference holds them."""
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                flat = layer.weight.flatten(1)
                scale = flat.abs().amax(1).clamp_min(1e-12) / 127
                rounded = (flat / scale[:, None]).round() * scale[:, None]
                layer.weight.copy_(rounded.view_as(layer.weight))
    return network


def away_from(source: nn.Module, strength: float) -> Loss:
    """Cross-entropy, less the distance of the batch's correlations from the source's."""

    def relations(logits: Tensor) -> Tensor:
        centred = logits.float() - logits.float().mean(1, keepdim=True)
        rows = functional.normalize(centred - centred.mean(0))
        return rows @ rows.T

    def loss(network: nn.Module, batch: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(batch)
            with torch.no_grad():
                taught = source(batch)
        distance = (relations(logits) - relations(taught)).abs().mean()
        return functional.cross_entropy(logits.float(), targets) - strength * distance

    return loss
