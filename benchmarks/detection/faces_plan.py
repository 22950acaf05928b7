"""The face models of the benchmark: who trained what on whose people, and who stole what.

217 people fall into three pools: 36 who are seen in probes and references only, 80 who are the
owner's, and 101 others. Three sources of three families learn the owner's people, and three **owner
twins** of each differ in the seed. **Honest** authors train on the owner's very people (the hard
case; two of them with the sources' own recipes), **other** authors on sixty of the others, and so
does the null bank's, each author with habits of their own. Three thieves have photographs of sixty
others each and steal every source in five ways. Everything of one author or thief is in one part,
so that nothing learnt on the select part has seen the test part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

#: (family, width, embedding size, head) of the sources.
SOURCES = {
    "source-a": ("resnet", 24, 96, "arcface"),
    "source-b": ("vgg", 24, 128, "cosface"),
    "source-c": ("dense", 28, 64, "arcface"),
}
ATTACKS = ("fine-tune", "prune", "distil embeddings", "distil scores", "extract decisions")
PART_OF_THIEF = {"thief-1": "select", "thief-2": "test", "thief-3": "test"}


@dataclass(frozen=True)
class Model:
    """One model of the plan; `attack` names an innocent's kind where `source` is empty."""

    name: str
    attack: str
    group: str
    part: str
    family: str
    width: int
    size: int
    head: str
    people: str  # "owner", or the name whose sixty others it learns
    seed: int
    source: str = ""
    epochs: float = 22.0
    rate: float = 0.05
    strength: int = 4  # of the random crops
    amount: float = 0.0  # share of the filters that is pruned


def plan() -> list[Model]:
    """All models, in the order in which they are made: what the thefts need comes first."""
    return [*_sources(), *_interleaved(list(_innocents()), list(_stolen()))]


def _sources() -> Iterator[Model]:
    for seed, (name, recipe) in enumerate(SOURCES.items()):
        yield Model(name, "source", "owner", "test", *recipe, people="owner", seed=seed)


def _innocents() -> Iterator[Model]:
    for i, (source, recipe) in enumerate(SOURCES.items()):
        for twin in range(3):
            yield Model(
                f"twin-{source[-1]}{twin + 1}",
                "owner twin",
                "owner",
                "calibrate",
                *recipe,
                people="owner",
                seed=100 + 10 * i + twin,
            )
    authors = [
        *((f"bank-{i}", "other people", "calibrate", 2) for i in range(1, 7)),
        *((f"other-{i}", "other people", "select", 3) for i in (1, 2)),
        *((f"other-{i}", "other people", "test", 3) for i in (3, 4, 5)),
        *((f"honest-{i}", "honest, owner's people", "select", 3) for i in (1, 2)),
        *((f"honest-{i}", "honest, owner's people", "test", 3) for i in (3, 4, 5, 6)),
    ]
    families = ("resnet", "vgg", "dense", "inception", "alex")
    for number, (author, attack, part, count) in enumerate(authors):
        owner = attack.startswith("honest")
        habits = {
            "head": ("arcface", "cosface")[number % 2],
            "epochs": (16.0, 20.0, 24.0)[number % 3],
            "strength": (2, 4, 3)[(number // 2) % 3],
            "rate": (0.04, 0.06)[(number // 3) % 2],
        }
        for i in range(count):
            family = families[(2 * number + i) % 5]
            model = Model(
                f"{author}-{i + 1}",
                attack,
                author,
                part,
                family,
                width=(20, 24, 28)[(number + i) % 3],
                size=(64, 96, 128)[(number + 2 * i) % 3],
                people="owner" if owner else author,
                seed=1000 + 10 * number + i,
                **habits,  # type: ignore[arg-type]
            )
            if author in ("honest-2", "honest-6"):  # the sources' own recipes: the hardest
                family, width, size, head = tuple(SOURCES.values())[i]
                model = replace(
                    model,
                    attack="honest twin",
                    family=family,
                    width=width,
                    size=size,
                    head=head,
                    epochs=22.0,
                    strength=4,
                    rate=0.05,
                )
            yield model


def _stolen() -> Iterator[Model]:
    students = ("inception", "resnet", "vgg", "alex", "dense")
    for t, (thief, part) in enumerate(PART_OF_THIEF.items()):
        for s, (source, recipe) in enumerate(SOURCES.items()):
            for a, attack in enumerate(ATTACKS):
                square = (t + s) % 3
                base = Model(
                    f"{thief}-{source[-1]}-{attack.replace(' ', '-')}",
                    attack,
                    thief,
                    part,
                    *recipe,
                    people=thief,
                    seed=5000 + 100 * t + 10 * s + a,
                    source=source,
                )
                if attack == "fine-tune":
                    yield replace(base, epochs=(3.0, 5.0, 8.0)[square], rate=0.01)
                elif attack == "prune":
                    yield replace(base, epochs=4.0, rate=0.01, amount=(0.2, 0.35, 0.5)[square])
                else:
                    yield replace(
                        base,
                        family=students[(2 * t + s + a) % 5],
                        width=(24, 28, 20)[square],
                        epochs=32.0,
                    )


def _interleaved(left: list[Model], right: list[Model]) -> list[Model]:
    """Two lists as one, each spread evenly, so that a half-made benchmark can be looked at."""
    placed = [
        (i / len(models), model) for models in (left, right) for i, model in enumerate(models)
    ]
    return [model for _, model in sorted(placed, key=lambda item: item[0])]
