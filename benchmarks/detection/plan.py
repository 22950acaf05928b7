"""Who is in the zoo: sources, their stolen copies, and the innocents that look most like them.

Every network belongs to one part, split by origin: on "select" a score is chosen, "calibrate" is
the null bank, and "test" is looked at last. A source, its copies and its twins share a part.
Innocents are made by "authors", each with a recipe of its own (family, width, habits, share of the
data, length), who make two networks with other seeds; an author too belongs to one part.

The training images are halved: the owner has one half, the thief and every student the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.detection.training import Habits

#: Attacks whose figures are pooled, in the order in which tables list them. Evasions stand beside
#: them, fine-tuning away from the source too, though it trains a copy.
TRAINED = (
    *("fine-tune all", "fine-tune last", "retrained head", "corrupted transfer"),
    *("5-class transfer", "int8", "prune 20 %", "prune 40 %", "prune 60 %"),
    *("probability extraction", "label extraction", "adversarial extraction"),
)
SOURCES = {
    "select": {"s-resnet": ("resnet", 16), "s-fire": ("fire", 32)},
    "test": {"t-resnet": ("resnet", 24), "t-vgg": ("vgg", 32), "t-strided": ("strided", 32)},
}
COPIES = {"s-resnet": 2, "s-fire": 1, "t-resnet": 3, "t-vgg": 3, "t-strided": 3}
TWINS = 2
STUDENTS = (("strided", 24), ("resnet", 16), ("vgg", 24), ("fire", 32), ("dense", 12))
AUTHORS = {"calibrate": 20, "select": 6, "test": 10}
ROBUST_AUTHORS = {"calibrate": 3, "select": 1, "test": 2}
CHEAP = {"calibrate": 26, "select": 10, "test": 24}

SOURCE_SEEN, STUDENT_SEEN, PGD_SEEN = 300_000, 150_000, 9_000


@dataclass(frozen=True)
class Recipe:
    """One network of the zoo.

    Attributes:
        name: Unique; also the name of its files.
        part: "select", "calibrate" or "test".
        group: Its author.
        attack: How it was stolen, or what kind of innocent it is; "source" for a source.
        how: The function of making.py that makes it.
        seed: Decides everything random.
        source: What it was stolen from; "" for the innocent.
        parents: Networks that must exist first.
        twin: The honest twin against which its agreement is held, "" for none.
        options: What `how` takes.
    """

    name: str
    part: str
    group: str
    attack: str
    how: str
    seed: int
    source: str = ""
    parents: tuple[str, ...] = ()
    twin: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def plan(seed: int = 0) -> list[Recipe]:
    """The whole zoo, most needed first; another seed makes another zoo of the same shape."""
    recipes = [*_origins("select", seed), *_innocents("calibrate", seed)]
    recipes += [*_innocents("select", seed), *_origins("test", seed), *_innocents("test", seed)]
    return recipes


def _origins(part: str, seed: int) -> Iterator[Recipe]:
    """The sources of a part; then what was stolen from them; then the honest who did the same."""
    start = seed + (1_000 if part == "select" else 2_000)
    sources = SOURCES[part]
    for number, (name, (family, width)) in enumerate(sources.items()):
        options = {"family": family, "width": width, "data": "owner", "seen": SOURCE_SEEN}
        yield Recipe(name, part, name, "source", "scratch", start + number, options=options)
    for number, (name, (family, width)) in enumerate(sources.items()):
        base = start + 100 * (number + 1)
        for copy in range(COPIES[name]):
            yield from _thefts(part, name, family, copy, base + 25 * copy)
        for i in range(TWINS):
            options = {"family": family, "width": width, "data": "owner", "seen": SOURCE_SEEN}
            yield Recipe(
                f"{name}.twin{i}", part, name, "honest twin", "scratch", base + 80 + i,
                options=options,
            )  # fmt: skip
        for i, (other, wide) in enumerate([s for s in STUDENTS if s[0] != family][:2]):
            options = {"family": other, "width": wide, "data": "owner", "seen": STUDENT_SEEN}
            yield Recipe(
                f"{name}.colleague{i}", part, name, "same author", "scratch", base + 90 + i,
                options=options,
            )  # fmt: skip


def _thefts(part: str, source: str, family: str, copy: int, seed: int) -> Iterator[Recipe]:
    def stolen(attack: str, how: str, shift: int, **more: Any) -> Recipe:
        parents = more.pop("parents", (source,))
        twin = more.pop("twin", "")
        name = f"{source}.{attack.replace(' %', '').replace(' ', '-')}{copy}"
        return Recipe(
            name, part, source, attack, how, seed + shift, source, parents, twin, options=more
        )

    rate, seen = ((0.0005, 50_000), (0.005, 50_000), (0.02, 75_000))[copy]
    yield stolen("fine-tune all", "fine_tune", 0, rate=rate, seen=seen)
    yield stolen("fine-tune last", "fine_tune", 1, rate=0.001 * 4**copy, seen=25_000, last=True)
    yield stolen("retrained head", "retrain_head", 2, rate=0.005, seen=40_000)
    yield stolen("corrupted transfer", "fine_tune", 3, rate=0.01, seen=50_000, corrupt=True)
    yield stolen("5-class transfer", "retrain_head", 4, rate=0.01, seen=40_000, classes=5)
    yield stolen("int8", "int8", 5)
    for share, seen in ((20, 50_000), (40, 75_000), (60, 120_000)):
        yield stolen(f"prune {share} %", "prune", 12 + share // 20, share=share / 100, seen=seen)
    others = [s for s in STUDENTS if s[0] != family]
    student, width = others[copy % len(others)]
    built = {"family": student, "width": width}
    honest = f"{source}.student-twin{copy}"
    label = f"{source}.label-extraction{copy}"
    yield stolen("probability extraction", "extract", 6, **built, soft=True, twin=honest)
    yield stolen("label extraction", "extract", 7, **built, twin=honest)
    yield stolen(
        "adversarial extraction", "harden", 8, parents=(source, label), twin=f"{honest}.robust"
    )
    yield stolen("distance-maximising fine-tuning", "evade", 9, strength=2.0, seen=25_000)
    options = {**built, "data": "thief", "seen": STUDENT_SEEN}
    author = f"{source}.honest{copy}"
    yield Recipe(honest, part, author, "student's twin", "scratch", seed + 10, options=options)
    yield Recipe(
        f"{honest}.robust", part, author, "robust twin", "harden", seed + 11, parents=(honest,)
    )


def _innocents(part: str, seed: int) -> Iterator[Recipe]:
    start = seed + {"calibrate": 5_000, "select": 7_000, "test": 8_000}[part]
    letter = part[0]
    for author in range(AUTHORS[part]):
        for i in range(2):
            options = _recipe_of(start + author)
            yield Recipe(
                f"{letter}-author{author:02d}.{i}", part, f"{letter}-author{author:02d}",
                "independent", "scratch", start + 100 + 3 * author + i, options=options,
            )  # fmt: skip
    for author in range(ROBUST_AUTHORS[part]):
        for i in range(2):
            name = f"{letter}-robust{author}.{i}"
            group = f"{letter}-robust{author}"
            options = {**_recipe_of(start + 60 + author), "seen": 60_000}
            number = start + 300 + 4 * author + 2 * i
            yield Recipe(
                f"{name}.plain", part, group, "independent", "scratch", number, options=options
            )
            yield Recipe(
                name, part, group, "robust", "harden", number + 1, parents=(f"{name}.plain",)
            )
    for author in range(CHEAP[part]):
        options = {**_recipe_of(start + 500 + author), "seen": 30_000}
        yield Recipe(
            f"{letter}-cheap{author:02d}", part, f"{letter}-cheap{author:02d}", "independent",
            "scratch", start + 600 + author, options=options,
        )  # fmt: skip


def _recipe_of(author: int) -> dict[str, Any]:
    """An author's family, width, habits, data and patience."""
    draw = np.random.default_rng(author)
    family = str(
        draw.choice(["resnet", "vgg", "strided", "dense", "fire"], p=[0.3, 0.25, 0.25, 0.1, 0.1])
    )
    widths = {"dense": (10, 12), "fire": (24, 32)}.get(family, (12, 16, 24))
    habits = Habits(
        rate=float(draw.choice([0.03, 0.1, 0.2])),
        smoothing=float(draw.choice([0.0, 0.0, 0.1])),
        shift=int(draw.integers(0, 5)),
        jitter=float(draw.choice([0.0, 0.2, 0.4])),
        cutout=int(draw.choice([0, 0, 8])),
        decay=float(draw.choice([1e-4, 5e-4, 2e-3])),
    )
    return {
        "family": family,
        "width": int(draw.choice(widths)),
        "data": str(draw.choice(["owner", "thief", "all", "all"])),
        "seen": int(draw.choice([40_000, 60_000, 90_000])),
        "habits": habits,
    }
