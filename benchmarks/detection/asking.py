"""Puts the probe sets to every network of the zoo and packs what they answer.

`python -m benchmarks.detection.asking --data DATA --work WORK --out DIR [--watch]`

Writes DIR/models.csv, the truth, and DIR/NAME.safetensors for every probe set: one float16 tensor
of logits (N, C) a network. That is all that `sacfast evaluate` and the studies read: figures can
be made again without training. Networks asked already are not asked again; with --watch it waits
for the rest of the zoo.

Beside the trained copies there are some that cost the thief nothing to make: a copy behind an
input filter (re-JPEG, resize, blur, median) and a copy whose probabilities are averaged with an
innocent's.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from safetensors.numpy import save_file
from torch import Tensor, nn

import sacfast
from benchmarks.detection.making import Workshop, five_classes, third_party
from benchmarks.detection.plan import TRAINED, Recipe, plan
from benchmarks.detection.training import answers

Pixels = NDArray[np.uint8]

#: Test images that accuracy and agreement are measured on; probes are taken from the others.
MEASURED = 4_000
SEED = 0
COUNTS = {"jpeg": 800, "noise": 300, "normal": 300}
#: For the studies of probe kinds: fewer probes, put to fewer networks.
STUDY_COUNT = 100
STUDY = {
    **{f"jpeg{quality}": {"kind": "jpeg", "quality": quality} for quality in (7, 10, 15, 18, 25)},
    **{
        kind: {"kind": kind}
        for kind in (
            *("noise", "normal", "cutmix", "cutmix_paper", "transpose"),
            *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur"),
            *("motion_blur", "zoom_blur", "snow", "fog", "brightness", "contrast"),
            *("elastic_transform", "pixelate", "jpeg_compression"),
        )
    },
}
COLUMNS = (
    *("model", "source", "attack", "group", "part", "accuracy", "source_accuracy"),
    *("agreement", "twin", "twin_agreement", "trained"),
)


def probe_sets(pixels: Pixels, labels: NDArray[Any]) -> dict[str, sacfast.ProbeSet]:
    """The probe sets of the zoo, by name; the shorter ones show the first images of the longest.

    Those of the studies have names that begin with "study/".
    """
    wanted: dict[str, dict[str, Any]] = {
        kind: {"kind": kind, "count": count} for kind, count in COUNTS.items()
    }
    for name, how in STUDY.items():
        wanted[f"study/{name}"] = {**how, "count": STUDY_COUNT}
    named = [str(label) for label in labels]
    return {
        name: sacfast.build_probes(pixels, **how, select="random", seed=SEED, labels=named)
        for name, how in wanted.items()
    }


def studied(recipe: Recipe) -> bool:
    """Whether a network takes part in the studies of probe kinds: about every third of the zoo."""
    if recipe.part == "select" or "+" in recipe.name or recipe.name.endswith("2"):
        return False
    if recipe.attack == "independent":
        return recipe.name.endswith(".0")
    return "twin" in recipe.attack or recipe.source != "" or recipe.attack in ("source", "robust")


# ---- copies that need no training ----------------------------------------------------------------


def _rejpeg(image: Image.Image) -> Image.Image:
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=50)
    return Image.open(packed)


def _resize(image: Image.Image) -> Image.Image:
    width, height = image.size
    small = image.resize((width * 3 // 4, height * 3 // 4), Image.Resampling.BICUBIC)
    return small.resize((width, height), Image.Resampling.BICUBIC)


FILTERS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "re-JPEG": _rejpeg,
    "resize": _resize,
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "median": lambda image: image.filter(ImageFilter.MedianFilter(3)),
}


def filtered(pixels: Pixels, name: str) -> Pixels:
    """What a network behind an input filter gets to see."""
    made = [np.asarray(FILTERS[name](Image.fromarray(image))) for image in pixels]
    return np.stack(made).astype(np.uint8)


# ---- asking --------------------------------------------------------------------------------------


class Asker:
    """Asks networks and keeps their answers in WORK/answers, one file a network."""

    def __init__(self, data: Path, work: Path) -> None:
        self.shop = Workshop(data, work)
        self.folder = work / "answers"
        self.folder.mkdir(exist_ok=True)
        order = np.random.default_rng(SEED).permutation(len(self.shop.test_labels))
        self._measured = order[:MEASURED]
        others = order[MEASURED:]
        self.sets = probe_sets(self.shop.test_pixels[others], self.shop.test_labels[others])
        self._images = {
            **{name: probes.pixels for name, probes in self.sets.items()},
            "measured": self.shop.test_pixels[self._measured],
        }
        self.labels = self.shop.test_labels[self._measured]
        self._seen = {"": {name: _tensor(images) for name, images in self._images.items()}}

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def ask(self, name: str, network: nn.Module, through: str = "", *, study: bool = False) -> None:
        """Keeps a network's answers, to images put through an input filter."""
        if through not in self._seen:
            self._seen[through] = {
                key: _tensor(filtered(images, through))
                for key, images in self._images.items()
                if "/" not in key
            }
        seen = self._seen[through]
        seen = {key: images for key, images in seen.items() if study or "/" not in key}
        self.keep(name, {key: answers(network, images).numpy() for key, images in seen.items()})

    def keep(self, name: str, logits: dict[str, NDArray[np.float32]]) -> None:
        partial = self.folder / "partial.npz"
        np.savez(partial, **{key: value.astype(np.float16) for key, value in logits.items()})  # type: ignore[arg-type]
        partial.replace(self.path(name))

    def logits(self, name: str) -> dict[str, NDArray[np.float32]]:
        kept = np.load(self.path(name))
        return {key: kept[key].astype(np.float32) for key in kept.files}


def _tensor(images: Pixels) -> Tensor:
    return torch.from_numpy(images.copy()).permute(0, 3, 1, 2)


def ask_all(asker: Asker, recipes: list[Recipe], data: Path, *, watch: bool) -> None:
    """Asks every network that is there; with `watch`, waits for those that are not."""
    for name, network in third_party(data).items():
        if not asker.path(name).exists():
            asker.ask(name, network.eval(), study=True)
    left = list(recipes)
    while left:
        for recipe in left:
            if asker.shop.path(recipe.name).exists() and not asker.path(recipe.name).exists():
                network = asker.shop.load(recipe.name)
                asker.ask(recipe.name, network, study=studied(recipe))
        left = [r for r in left if not asker.path(r.name).exists()]
        if not watch:
            break
        time.sleep(10)
    for recipe in disguises(recipes):
        if asker.path(recipe.name).exists() or not asker.path(recipe.source).exists():
            continue
        if recipe.how == "filter" and asker.shop.path(recipe.parents[0]).exists():
            network = asker.shop.load(recipe.parents[0])
            asker.ask(recipe.name, network, recipe.options["filter"])
        elif recipe.how == "ensemble" and all(asker.path(p).exists() for p in recipe.parents):
            both = [asker.logits(parent) for parent in recipe.parents]
            asker.keep(recipe.name, {key: _averaged(*(o[key] for o in both)) for key in both[0]})


def disguises(recipes: list[Recipe]) -> list[Recipe]:
    """Fine-tuned copies behind each filter, and averaged with an innocent student."""
    made = []
    for recipe in recipes:
        if recipe.attack != "fine-tune all":
            continue
        number = recipe.name[-1]
        for name in FILTERS:
            made.append(
                Recipe(
                    f"{recipe.name}+{name}",
                    recipe.part,
                    recipe.group,
                    f"input {name}",
                    "filter",
                    0,
                    recipe.source,
                    (recipe.name,),
                    options={"filter": name},
                )
            )
        innocent = f"{recipe.source}.student-twin{number}"
        made.append(
            Recipe(
                f"{recipe.name}+innocent",
                recipe.part,
                recipe.group,
                "ensemble",
                "ensemble",
                0,
                recipe.source,
                (recipe.name, innocent),
            )
        )
    return made


def _averaged(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    both = torch.stack([torch.from_numpy(x).log_softmax(1) for x in (a, b)])
    return (both.logsumexp(0) - np.log(2)).numpy()


# ---- the truth -----------------------------------------------------------------------------------


def truth(asker: Asker, recipes: list[Recipe], data: Path) -> list[dict[str, Any]]:
    """One row a network that was asked: who it is, how good, how like its source."""
    rows = []
    votes = {}
    for recipe in [*recipes, *disguises(recipes)]:
        if asker.path(recipe.name).exists():
            votes[recipe.name] = asker.logits(recipe.name)["measured"]
    for recipe in [*recipes, *disguises(recipes)]:
        if recipe.name not in votes:
            continue
        own = votes[recipe.name]
        classes = five_classes(recipe) if own.shape[1] == 5 else list(range(10))
        row = {
            "model": recipe.name,
            "source": recipe.source,
            "attack": recipe.attack,
            "group": recipe.group,
            "part": recipe.part,
            "accuracy": _agreement(own, _among(asker.labels, classes), asker.labels, classes),
        }
        like = recipe.source or (recipe.name.split(".")[0] if recipe.group != recipe.name else "")
        if like in votes and like != recipe.name:
            source = votes[like][:, classes]
            row["source_accuracy"] = _agreement(
                source, _among(asker.labels, classes), asker.labels, classes
            )
            row["agreement"] = _agreement(own, source.argmax(1), asker.labels, classes)
        if recipe.source:
            row["trained"] = "yes" if recipe.attack in TRAINED else "no"
        if recipe.twin in votes:
            row["twin"] = recipe.twin
            row["twin_agreement"] = float((votes[recipe.twin].argmax(1) == source.argmax(1)).mean())
        rows.append(row)
    folder = data / "models" / "cifar10"
    for number, name in enumerate(sorted({p.stem for p in folder.glob("*.json")})):
        author = name.split("_")[0] if name.startswith("akamaster") else name
        if asker.path(name).exists():
            rows.append(
                {
                    "model": name,
                    "source": "",
                    "attack": "third party",
                    "group": author,
                    "part": _third_party_part(author, number),
                    "accuracy": _agreement(
                        asker.logits(name)["measured"], asker.labels, asker.labels, range(10)
                    ),
                }
            )
    return rows


def _third_party_part(author: str, number: int) -> str:
    if author == "akamaster":
        return "test"
    return ("calibrate", "calibrate", "select", "test")[number % 4]


def _among(labels: NDArray[Any], classes: Any) -> NDArray[Any]:
    """The labels as places among some classes."""
    return np.searchsorted(np.asarray(classes), labels)


def _agreement(
    logits: NDArray[Any], wanted: NDArray[Any], labels: NDArray[Any], classes: Any
) -> float:
    """How often the answer is the wanted one, over the images of these classes."""
    belongs = np.isin(labels, list(classes))
    return round(float((logits.argmax(1) == wanted)[belongs].mean()), 4)


def pack(asker: Asker, rows: list[dict[str, Any]], out: Path) -> None:
    """Writes the truth and one archive a probe set."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "models.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for name, probes in asker.sets.items():
        tensors = {}
        for row in rows:
            kept = np.load(asker.path(row["model"]))
            if name in kept.files:
                tensors[row["model"]] = kept[name]
        facts = {k: v for k, v in probes.facts().items() if k not in ("sources", "skipped")}
        about = {
            "outputs_kind": "logits",
            "labels": json.dumps(facts.pop("labels")),
            "probe_digest": probes.digest,
            "probes": json.dumps(facts, sort_keys=True),
        }
        path = out / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, about)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="holds cifar10/ and models/")
    parser.add_argument("--work", type=Path, required=True, help="holds the zoo's weights")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "zoo")
    parser.add_argument("--seed", type=int, default=0, help="that of the zoo")
    parser.add_argument("--watch", action="store_true", help="wait until the zoo is complete")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    asker = Asker(chosen.data, chosen.work)
    recipes = plan(chosen.seed)
    ask_all(asker, recipes, chosen.data, watch=chosen.watch)
    pack(asker, truth(asker, recipes, chosen.data), chosen.out)


if __name__ == "__main__":
    main()
