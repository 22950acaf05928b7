"""Makes the models of faces_plan.py: trains, fine-tunes, prunes, distils, extracts.

One process, one core. A model whose weights are in the working folder is not made again.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.detection.faces_networks import (
    BATCH,
    MARGIN,
    SIDE,
    Embedder,
    centred,
    embed,
    fit,
    inputs,
)
from benchmarks.detection.faces_plan import Model, plan

MOST_PHOTOGRAPHS = 30  # of one person
SEEN, OWNED, LEARNT = 36, 80, 60  # people in probes and references; the owner's; an author's


class Photographs:
    """Photographs, each a JPEG, with the number of its person, and who learns which people."""

    def __init__(self, data: Path) -> None:
        with np.load(data, allow_pickle=False) as opened:
            stored = {key: opened[key] for key in ("jpeg", "offsets", "labels")}
        self._jpeg, self._offsets = stored["jpeg"].tobytes(), stored["offsets"]
        self._labels = stored["labels"].astype(np.int64)
        order = np.random.default_rng(20).permutation(int(self._labels.max()) + 1)
        self.seen = order[:SEEN]
        self.owned = order[SEEN : SEEN + OWNED]
        self.others = order[SEEN + OWNED :]
        self._pixels: dict[int, NDArray[np.uint8]] = {}

    def people(self, whose: str) -> NDArray[np.int64]:
        """ "owner" -> the owner's people; an author's or thief's name -> their sixty others."""
        if whose == "owner":
            return self.owned
        seed = list(whose.encode())
        return np.random.default_rng(seed).choice(self.others, LEARNT, replace=False)

    def image(self, place: int) -> NDArray[np.uint8]:
        """uint8 (56, 56, 3)."""
        if place not in self._pixels:
            data = self._jpeg[self._offsets[place] : self._offsets[place + 1]]
            side = SIDE + MARGIN
            with Image.open(io.BytesIO(data)) as opened:
                small = opened.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
            self._pixels[place] = np.asarray(small)
        return self._pixels[place]

    def of(
        self, people: NDArray[np.int64], most: int = MOST_PHOTOGRAPHS
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Photographs (M, 56, 56, 3) of some people and (M,) which of them each shows."""
        places = [np.flatnonzero(self._labels == person)[:most] for person in people]
        pixels = np.stack([self.image(int(place)) for group in places for place in group])
        return pixels, np.repeat(np.arange(len(people)), [len(group) for group in places])


def verification(embeddings: NDArray[Any], labels: NDArray[np.int64]) -> dict[str, float]:
    """How well pairs of photographs are told apart: equal error rate, and two thresholds.

    Returns:
        "accuracy", 1 - the equal error rate; "eer", the cosine at which both errors are equal;
        "far1", the cosine that 1 % of the pairs of two people exceed.
    """
    rows = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    upper = np.triu_indices(len(rows), 1)
    cosines, same = (rows @ rows.T)[upper], (labels[:, None] == labels[None, :])[upper]
    order = np.argsort(-cosines)
    accepted = np.cumsum(~same[order]) / (~same).sum()
    refused = 1 - np.cumsum(same[order]) / same.sum()
    equal = int(np.argmin(np.abs(accepted - refused)))
    return {
        "accuracy": float(1 - (accepted[equal] + refused[equal]) / 2),
        "eer": float(cosines[order[equal]]),
        "far1": float(np.quantile(cosines[~same], 0.99)),
    }


def make_all(data: Path, work: Path) -> None:
    """Makes every model of the plan whose weights are not in `work` yet."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    photographs = Photographs(data)
    pixels, labels = photographs.of(photographs.seen)
    unseen = centred(inputs(pixels))
    models = plan()
    for number, model in enumerate(models, 1):
        weights, diary = work / f"{model.name}.safetensors", work / f"{model.name}.json"
        if diary.exists():
            continue
        start = time.process_time()
        network = _made(model, photographs, work)
        state = network.state_dict()
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, weights)
        known = verification(embed(network, unseen), labels)
        known["seconds"] = round(time.process_time() - start, 1)
        diary.write_text(json.dumps(known))
        print(
            f"{number}/{len(models)} {model.name}: accuracy {known['accuracy']:.3f}, "
            f"{known['seconds']} s",
            flush=True,
        )


def loaded(model: Model, work: Path) -> Embedder:
    """A model of the plan that has been made."""
    network = Embedder(model.family, model.width, model.size)
    network.load_state_dict(load_file(work / f"{model.name}.safetensors"))
    return network.eval().to(memory_format=torch.channels_last)


def _made(model: Model, photographs: Photographs, work: Path) -> Embedder:
    torch.manual_seed(model.seed)
    pixels, labels = photographs.of(photographs.people(model.people))
    photos = inputs(pixels)
    network = Embedder(model.family, model.width, model.size).to(memory_format=torch.channels_last)
    source = next((other for other in plan() if other.name == model.source), None)
    settings: dict[str, Any] = {
        "epochs": model.epochs,
        "rate": model.rate,
        "seed": model.seed,
        "strength": model.strength,
    }
    if source is None or model.attack in ("fine-tune", "prune"):
        after = None
        if source is not None:
            network = loaded(source, work)
            if model.amount:
                after = _prune(network, model.amount)
        head = _head(model, int(labels.max()) + 1)
        people = torch.from_numpy(labels)
        fit(
            network,
            photos,
            lambda e, places: head(e, people[torch.from_numpy(places)]),
            head=head,
            after_step=after,
            **settings,
        )
        return network
    teacher = loaded(source, work)
    answers = torch.from_numpy(embed(teacher, centred(photos)))
    loss, head = _theft(model.attack, functional.normalize(answers), labels)
    fit(network, photos, loss, head=head, **settings)
    return network


def _head(model: Model, people: int) -> nn.Module:
    kinds: dict[str, Callable[[], nn.Module]] = {
        "arcface": lambda: ArcFaceLoss(people, model.size, margin=17.0, scale=24),
        "cosface": lambda: CosFaceLoss(people, model.size, margin=0.2, scale=24),
    }
    return kinds[model.head]()


def _prune(network: nn.Module, amount: float) -> Callable[[], None]:
    """Sets the filters with the smallest weights of each convolution to zero, and keeps them so."""
    masks = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.in_channels > 3:
            size = layer.weight.detach().abs().sum(dim=(1, 2, 3))
            kept = torch.ones_like(size)
            kept[size.argsort()[: int(amount * len(size))]] = 0.0
            masks.append((layer.weight, kept[:, None, None, None]))

    @torch.no_grad()
    def apply() -> None:
        for weight, kept in masks:
            weight.mul_(kept)

    apply()
    return apply


def _theft(
    attack: str, answers: Tensor, labels: NDArray[np.int64]
) -> tuple[Callable[[Tensor, NDArray[np.int64]], Tensor], nn.Module | None]:
    """The loss that makes a student answer as the source: by its embeddings, scores or decisions.

    The source's service was asked about the thief's own photographs, each pair of a batch.
    """
    if attack == "distil embeddings":

        def by_embeddings(e: Tensor, places: NDArray[np.int64]) -> Tensor:
            cosine = functional.cosine_similarity(e, answers[torch.from_numpy(places)])
            return 10 * (1 - cosine).mean()

        return by_embeddings, None
    if attack == "distil scores":

        def by_scores(e: Tensor, places: NDArray[np.int64]) -> Tensor:
            rows, wanted = functional.normalize(e), answers[torch.from_numpy(places)]
            return 100 * (rows @ rows.T - wanted @ wanted.T).square().mean()

        return by_scores, None
    threshold = verification(answers.numpy(), labels)["eer"]
    scale = nn.Linear(1, 1)  # from cosines to log-odds
    with torch.no_grad():
        scale.weight.fill_(10.0)
        scale.bias.fill_(-10.0 * threshold)
    others = ~torch.eye(BATCH, dtype=torch.bool)

    def by_decisions(e: Tensor, places: NDArray[np.int64]) -> Tensor:
        rows, wanted = functional.normalize(e), answers[torch.from_numpy(places)]
        pairs = others[: len(rows), : len(rows)]
        yes = ((wanted @ wanted.T)[pairs] >= threshold).float()
        odds = scale((rows @ rows.T)[pairs][:, None])[:, 0]
        weight = torch.where(yes > 0, (1 - yes.mean()) / yes.mean().clamp(min=0.02), 1.0)
        return (functional.binary_cross_entropy_with_logits(odds, yes, weight)) * 3

    return by_decisions, scale
