"""Studies of what models are asked and how their answers are compared; see the package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection.studies.zoo import Missing, Row, Scored, Zoo, mean_of, together
from sacfast.evaluation.archive import Archive
from sacfast.evaluation.comparisons import Roles
from sacfast.kernels import correlation, correlation_distance

#: The probe set of studies that need but one, and how many of its probes they take.
MAIN, PROBES = "jpeg", 400
COUNTS = (10, 25, 50, 100, 200, 400, 800)
BLOCKS = 3
QUALITIES = (7, 10, 15, 18, 25)
KINDS = (
    *("jpeg25", "noise", "normal", "cutmix", "cutmix_paper", "transpose"),
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur"),
    *("motion_blur", "zoom_blur", "snow", "fog", "brightness", "contrast"),
    *("elastic_transform", "pixelate", "jpeg_compression"),
)
CENTRES = ("double", "row", "none")
BANKS = (5, 10, 20, 40, 80)
DRAWS = 5
#: Misclassified probes that a source must have.
LEAST = 10
ACCESS = (
    *("logits", "logprobs", "probs", "rounded:4", "rounded:3", "rounded:2", "rounded:1"),
    *("topk:5", "topk:3", "topk:1", "labels"),
)
LADDER = ("paper", "pearson", "partial", "balanced")
#: What the benchmark of faces measured, and what it calls the kinds of answers there: scores are
#: computed from embeddings, so the two are one.
FACES = Path(__file__).parents[2] / "results" / "faces.json"
FACE_KINDS = {
    "embeddings": "scores",
    "scores": "scores",
    "decisions": "decisions at FAR 1 %",
}


def probes(zoo: Zoo) -> Iterator[Row]:
    """The mean of up to three blocks of N probes."""
    for name in [name for name in zoo.archives if "/" not in name]:
        archive = zoo.archive(name)
        counts = sorted({count for count in COUNTS if count < archive.probes} | {archive.probes})
        for count in counts:
            for method in ("balanced", "partial", "paper"):
                blocks = range(min(BLOCKS, archive.probes // count))
                found = [_block(zoo, name, method, i * count, count) for i in blocks]
                keys = ("auc", "tpr_at_1", "tpr_at_5", "called")
                yield {
                    "series": f"{method}, {name}",
                    "x": count,
                    "blocks": len(found),
                    **mean_of(found, keys),
                }


def _block(zoo: Zoo, name: str, method: str, start: int, count: int) -> Row:
    if start == 0:
        return zoo.pooled(zoo.scored(name, method, count).compared())
    archive = zoo.archive(name)
    outputs = {model: rows[start : start + count] for model, rows in archive.outputs.items()}
    block = Scored(replace(archive, outputs=outputs), zoo.cast(name), method, None)
    return zoo.pooled(block.compared())


def quality(zoo: Zoo) -> Iterator[Row]:
    for number in QUALITIES:
        for method in ("balanced", "partial", "paper"):
            found = zoo.pooled(zoo.scored(f"study/jpeg{number}", method).compared())
            yield {"series": method, "x": number, **found}


def kinds(zoo: Zoo) -> Iterator[Row]:
    for kind in KINDS:
        for method in ("partial", "balanced", "paper"):
            found = zoo.pooled(zoo.scored(f"study/{kind}", method).compared())
            yield {"series": method, "x": "jpeg" if kind == "jpeg25" else kind, **found}


def centring(zoo: Zoo) -> Iterator[Row]:
    for name in [name for name in zoo.archives if "/" not in name]:
        count = min(200, zoo.archive(name).probes)
        for method in LADDER:
            for center in CENTRES if method != "balanced" else ("double",):
                found = zoo.pooled(zoo.scored(name, method, count, center=center).compared())
                yield {"series": name, "x": f"{method}, {center}", **found}
        for center in CENTRES:
            for normalized in (False, True):
                found = _by_kernel(zoo, name, count, center, normalized)
                kernel = "rbf_normalized" if normalized else "rbf"
                yield {"series": name, "x": f"paper, {center}, {kernel}", **found}


def _by_kernel(zoo: Zoo, name: str, count: int, center: str, normalized: bool) -> Row:
    """The papers' distance of rbf correlations."""
    archive, cast = zoo.archive(name, count), zoo.cast(name)
    options: dict[str, Any] = {"center": center, "kernel": "rbf", "rbf_normalized": normalized}
    sources = correlation(archive.form([m.name for m in cast.sources]), **options)
    suspects = archive.form([m.name for m in cast.suspects])
    distance = np.asarray(correlation_distance(suspects, sources, **options), dtype=np.float64)
    return zoo.pooled(together("paper", name, cast, cast.suspects, distance))


def bank(zoo: Zoo) -> Iterator[Row]:
    """Groups are drawn, five times a size; "called" is the mean over attacks of q <= 0.05."""
    names = sorted({m.group for m in zoo.cast(MAIN).bank})
    for method in ("balanced", "partial", "pearson"):
        scored = zoo.scored(MAIN, method, PROBES)
        for size in [*(size for size in BANKS if size < len(names)), len(names)]:
            for draw in range(DRAWS if size < len(names) else 1):
                drawn = np.random.default_rng([draw, size]).permutation(len(names))[:size]
                chosen = {names[i] for i in drawn}
                members = [m for m in scored.cast.bank if m.group in chosen]
                found = zoo.pooled(scored.compared(members))
                yield {
                    "series": method,
                    "x": size,
                    "draw": draw,
                    "models": len(members),
                    "p_floor": round(1 / (size + 1), 5),
                    **found,
                }


def access(zoo: Zoo) -> Iterator[Row]:
    for mode in ACCESS:
        for method in ("balanced", "partial", "paper"):
            found = zoo.pooled(zoo.scored(MAIN, method, PROBES, mode).compared())
            yield {"series": method, "x": mode, **found}


def power_table(zoo: Zoo, rows: list[Row]) -> dict[str, Any]:
    """What `sacfast.access.read_table` reads, from the rows of `access`."""
    modes = []
    for row in [row for row in rows if row["series"] == "partial"]:
        kind, _, number = row["x"].partition(":")
        value = int(number) if number else None
        modes.append(
            {
                "kind": kind,
                "digits": value if kind == "rounded" else None,
                "k": value if kind == "topk" else None,
                "auc": round(row["auc"], 4),
                "tpr": round(row["tpr_at_1"], 4),
            }
        )
    cast = zoo.cast(MAIN)
    copies = sum(m.stolen for m in cast.suspects)
    return {
        "study": "python -m benchmarks.detection.studies access --ship",
        "on": f"{copies} copies and {len(cast.suspects) - copies} innocent CIFAR-10 models",
        "modes": [*modes, *_of_faces()],
    }


def _of_faces() -> Iterator[Row]:
    """What the benchmark of faces measured: direct form, three owner twins, strict decisions."""
    measured = json.loads(FACES.read_text())["table"]
    wanted = {"part": "test", "form": "direct", "method": "partial", "owner_twins": 3}
    rows = {row["access"]: row for row in measured if wanted.items() <= row.items()}
    for kind, access in FACE_KINDS.items():
        row = rows[access]
        yield {
            "kind": kind,
            "digits": None,
            "k": None,
            "auc": round(row["auc"], 4),
            "tpr": round(row["tpr_at_5_fpr"], 4),
            "fpr": 0.05,
            "on": f"{row['stolen']} copies of face models, three owner twins in the bank",
        }


def ablation(zoo: Zoo) -> Iterator[Row]:
    """Each step of the score, and more or other probes, on the part of choices and on the test."""
    for part in ("select", "test"):
        own = zoo.of(part)
        for method in LADDER:
            name = f"{method} double" if method == "pearson" else method
            for count in (200, 400, 800):
                found = own.pooled(own.scored(MAIN, method, count).compared())
                yield {"series": f"{name}, {part}", "x": f"{count} {MAIN}", **found}
            found = own.pooled(_summed(own, method))
            yield {"series": f"{name}, {part}", "x": "jpeg + noise", **found}


def _summed(zoo: Zoo, method: str) -> Any:
    """The mean of the scores on two probe sets."""
    both = [zoo.scored(name, method, 800) for name in ("jpeg", "noise")]
    cast = zoo.cast("jpeg", "noise")
    groups = [m.group for m in cast.bank]
    draws = [one.draw(cast.bank, cast.suspects, groups) for one in both]
    mean = type(draws[0])(*(np.mean(pair, axis=0) for pair in zip(*draws, strict=True)))
    return both[0].table(cast.suspects, mean, groups)


def misclassified(zoo: Zoo) -> Iterator[Row]:
    """Probes of "normal" that a source gets wrong [SAC]; as many random ones, five times.

    Each source has probes of its own, and so scores of its own.
    """
    archive, cast = zoo.archive("normal"), zoo.cast("normal")
    labels = np.array([int(label) for label in zoo.labels("normal")])
    wrong = {
        source.name: np.flatnonzero(archive.outputs[source.name].argmax(axis=1) != labels)
        for source in cast.sources
    }
    if min(map(len, wrong.values())) < LEAST:
        raise Missing(f"{LEAST} probes that a source misclassifies")
    for method in ("balanced", "partial", "paper"):
        for how, draws in (("misclassified", 1), ("random", DRAWS)):
            for draw in range(draws):
                generator = np.random.default_rng(draw)
                chosen = {
                    name: own
                    if how == "misclassified"
                    else generator.permutation(archive.probes)[: len(own)]
                    for name, own in wrong.items()
                }
                score = _by_source(archive, cast, method, chosen)
                found = zoo.pooled(together(method, how, cast, cast.suspects, score))
                counts = {name: len(own) for name, own in wrong.items()}
                yield {"series": how, "x": method, "draw": draw, "probes": counts, **found}


def _by_source(archive: Archive, cast: Roles, method: str, chosen: dict[str, Any]) -> Any:
    """(S, V) scores, each source on its own probes."""
    columns = []
    for source in cast.sources:
        at = chosen[source.name]
        own = replace(archive, outputs={n: rows[at] for n, rows in archive.outputs.items()})
        alone = replace(cast, sources=(source,))
        columns.append(Scored(own, alone, method, None).compared().score)
    return np.concatenate(columns, axis=1)
