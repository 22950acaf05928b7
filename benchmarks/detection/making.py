"""Makes one network of the zoo from its recipe; one function a way of making."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.detection import training
from benchmarks.detection.networks import Network, create
from benchmarks.detection.plan import PGD_SEEN, STUDENT_SEEN, Recipe
from benchmarks.detection.training import Habits, train


class Workshop:
    """The images, cut into halves, and the folder where networks are kept.

    Args:
        data: A folder with cifar10/train.npz and cifar10/test.npz: CIFAR-10 as JPEG bytes one
            behind the other (`jpeg`), where each begins and the last ends (`offsets`), `labels`.
        work: Where weights and the decoded images go.
    """

    def __init__(self, data: Path, work: Path) -> None:
        self.work = work
        (work / "weights").mkdir(parents=True, exist_ok=True)
        images, labels, self.test_pixels, self.test_labels = _decoded(data, work)
        order = np.random.default_rng(0).permutation(len(images))
        half = len(images) // 2
        self._images = torch.from_numpy(images).permute(0, 3, 1, 2)
        self._labels = torch.from_numpy(labels)
        self._share = {
            "owner": torch.from_numpy(order[:half]),
            "thief": torch.from_numpy(order[half:]),
            "all": torch.from_numpy(order),
        }

    def data(self, share: str) -> tuple[Tensor, Tensor]:
        """Images and labels of "owner", "thief" or "all"."""
        chosen = self._share[share]
        return self._images[chosen], self._labels[chosen]

    def path(self, name: str) -> Path:
        return self.work / "weights" / f"{name}.safetensors"

    def load(self, name: str) -> Network:
        path = self.path(name)
        with safe_open(path, "pt") as opened:
            built = json.loads(opened.metadata()["network"])
        network = create(built["family"], built["width"], built["classes"])
        network.load_state_dict(load_file(path))
        return network.eval()

    def save(self, name: str, network: Network) -> None:
        built = {"family": network.family, "width": network.width, "classes": network.classes}
        path = self.path(name)
        partial = path.with_suffix(".partial")
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        save_file(state, partial, {"network": json.dumps(built)})
        partial.replace(path)


def make(recipe: Recipe, shop: Workshop) -> Network:
    """The network of a recipe; its parents must have been made."""
    return WAYS[recipe.how](recipe, shop)


def five_classes(recipe: Recipe) -> list[int]:
    """Which five classes a transferred copy tells apart."""
    return sorted(np.random.default_rng(recipe.seed).permutation(10)[:5].tolist())


def _scratch(recipe: Recipe, shop: Workshop) -> Network:
    o = recipe.options
    network = create(o["family"], o["width"], seed=recipe.seed)
    images, labels = shop.data(o["data"])
    habits = o.get("habits", Habits())
    train(network, images, labels, seen=o["seen"], seed=recipe.seed, habits=habits)
    return network


def _fine_tune(recipe: Recipe, shop: Workshop) -> Network:
    o = recipe.options
    network = shop.load(recipe.source)
    images, labels = shop.data("thief")
    train(
        network,
        images,
        labels,
        seen=o["seen"],
        seed=recipe.seed,
        habits=Habits(rate=o["rate"]),
        parameters=list(network.head.parameters()) if o.get("last") else None,
        change=training.corrupted if o.get("corrupt") else None,
    )
    return network


def _retrain_head(recipe: Recipe, shop: Workshop) -> Network:
    o = recipe.options
    network = training.new_head(shop.load(recipe.source), o.get("classes", 10), recipe.seed)
    images, labels = shop.data("thief")
    if network.classes == 5:
        kept = torch.tensor(five_classes(recipe))
        belongs = torch.isin(labels, kept)
        images, labels = images[belongs], torch.searchsorted(kept, labels[belongs])
    head = list(network.head.parameters())
    habits = Habits(rate=0.05)
    train(network, images, labels, seen=15_000, seed=recipe.seed, habits=habits, parameters=head)
    habits = Habits(rate=o["rate"])
    train(network, images, labels, seen=o["seen"], seed=recipe.seed + 1, habits=habits)
    return network


def _prune(recipe: Recipe, shop: Workshop) -> Network:
    o = recipe.options
    images, labels = shop.data("thief")
    network = shop.load(recipe.source)
    return training.fine_prune(
        network, images, labels, o["share"], seen=o["seen"], seed=recipe.seed
    )


def _int8(recipe: Recipe, shop: Workshop) -> Network:
    """Copies of one source differ by a short fine-tuning before they are rounded."""
    network = shop.load(recipe.source)
    images, labels = shop.data("thief")
    habits = Habits(rate=0.0005)
    train(network, images, labels, seen=5_000, seed=recipe.seed, habits=habits)
    return training.to_int8(network)


def _extract(recipe: Recipe, shop: Workshop) -> Network:
    o = recipe.options
    images, _ = shop.data("thief")
    taught = training.answers(shop.load(recipe.source), images)
    network = create(o["family"], o["width"], seed=recipe.seed)
    soft = o.get("soft", False)
    train(
        network,
        images,
        taught if soft else taught.argmax(1),
        seen=STUDENT_SEEN,
        seed=recipe.seed,
        loss=training.distillation if soft else None,
        habits=Habits(rate=0.05) if soft else Habits(),
    )
    return network


def _harden(recipe: Recipe, shop: Workshop) -> Network:
    """Adversarial training of a trained network, on the source's labels where it is stolen."""
    network = shop.load(recipe.parents[-1])
    images, labels = shop.data("thief")
    if recipe.source:
        labels = training.answers(shop.load(recipe.source), images).argmax(1)
    train(
        network,
        images,
        labels,
        seen=PGD_SEEN,
        seed=recipe.seed,
        habits=Habits(rate=0.03),
        loss=training.adversarial,
    )
    return network


def _evade(recipe: Recipe, shop: Workshop) -> Network:
    o = recipe.options
    source = shop.load(recipe.source)
    images, labels = shop.data("thief")
    network = copy.deepcopy(source)
    loss = training.away_from(source, o["strength"])
    habits = Habits(rate=0.02)
    train(network, images, labels, seen=o["seen"], seed=recipe.seed, habits=habits, loss=loss)
    return network


WAYS: dict[str, Callable[[Recipe, Workshop], Network]] = {
    "scratch": _scratch,
    "fine_tune": _fine_tune,
    "retrain_head": _retrain_head,
    "prune": _prune,
    "int8": _int8,
    "extract": _extract,
    "harden": _harden,
    "evade": _evade,
}


def third_party(data: Path) -> dict[str, nn.Module]:
    """Other people's CIFAR-10 classifiers that lie in `data`/models, by name."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("third_party_zoo", data / "models" / "zoo.py")
    if spec is None or spec.loader is None or not (data / "models" / "zoo.py").is_file():
        return {}
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = sorted(path.stem for path in (data / "models" / "cifar10").glob("*.json"))
    return {name: module.load(f"cifar10/{name}") for name in names}


def _decoded(data: Path, work: Path) -> tuple[Any, Any, Any, Any]:
    """Training and test images and labels, decoded once."""
    cache = work / "images.npz"
    if not cache.exists():
        arrays: dict[str, Any] = {}
        for part in ("train", "test"):
            if not (data / "cifar10" / f"{part}.npz").is_file():
                arrays[part], arrays[f"{part}_labels"] = _from_torchvision(data, part == "train")
                continue
            packed = dict(np.load(data / "cifar10" / f"{part}.npz"))
            ends = packed["offsets"]
            arrays[part] = np.stack(
                [
                    np.asarray(Image.open(io.BytesIO(packed["jpeg"][a:b].tobytes())))
                    for a, b in pairwise(ends)
                ]
            )
            arrays[f"{part}_labels"] = packed["labels"].astype(np.int64)
        with (work / "images.partial").open("wb") as file:
            np.savez(file, **arrays)
        (work / "images.partial").replace(cache)
    kept = dict(np.load(cache))
    return kept["train"], kept["train_labels"], kept["test"], kept["test_labels"]


def _from_torchvision(data: Path, train: bool) -> tuple[Any, Any]:
    """The images as torchvision keeps them in DATA/cifar-10-batches-py; nothing is downloaded.

    torchvision unpickles these files: take them from where you trust.
    """
    from torchvision.datasets import CIFAR10

    kept = CIFAR10(str(data), train=train, download=False)
    return kept.data, np.array(kept.targets, dtype=np.int64)
