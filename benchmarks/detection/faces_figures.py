"""Everything that is measured on face models, from their committed outputs.

Stolen models are compared with their own source, innocent ones with each source; a stolen model is
not compared with the other sources, which learnt the same people. One threshold holds for all
sources. The null bank is the `calibrate` part: twelve models of six authors on other people, and,
where twins are used, three owner twins of the source at hand. What was chosen (that scores enter as
their rarity, see `sacfast.fri`) was chosen on the `select` part.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from scipy.special import ndtri

from sacfast import Detector, canonical_outputs, fri
from sacfast.statistics import auc, tpr_at_fpr

Scores = NDArray[Any]
LEFT_OUT_BELOW = 0.15  # of accuracy lost: such a theft destroyed the model
FPR = 0.05
NOT_COMPARABLE = -10.0  # below any score
BARS = {
    "scores": (0.95, 0.80),
    "decisions": (0.94, 0.75),
    "decisions at FAR 1 %": (0.92, 0.60),
}
WITHOUT_TWINS = (0.90, 0.60)
WAYS = (
    ("direct", "partial", "rarity"),
    ("fri", "partial", "rarity"),
    ("fri", "pearson", "rarity"),
    ("fri", "paper", "cosines"),
)


class Zoo:
    """The models' scores (N, R) and what is true of each."""

    def __init__(self, outputs: Path, truth: Path) -> None:
        with safe_open(outputs, framework="numpy") as file:
            self.scores = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self.facts = dict(file.metadata())
        with truth.open(encoding="utf-8", newline="") as file:
            self.models = {row["model"]: row for row in csv.DictReader(file)}

    def named(self, **known: str) -> list[str]:
        """Names of the models for which all of this holds."""
        return [
            name
            for name, model in self.models.items()
            if all(model[key] == value for key, value in known.items())
        ]

    def answers(self, name: str, access: str) -> Scores:
        """What a service with this model says: scores, or yes and no at its own threshold."""
        scores = self.scores[name].astype(np.float32)
        if access == "scores":
            return scores
        threshold = self.models[name]["eer" if access == "decisions" else "far1"]
        return (scores >= float(threshold)).astype(np.float32)

    def destroyed(self, name: str) -> bool:
        model = self.models[name]
        lost = float(model["source_accuracy"]) - float(model["accuracy"])
        return lost > LEFT_OUT_BELOW


def features(
    zoo: Zoo,
    name: str,
    access: str,
    part: tuple[slice, slice],
    values: str = "rarity",
    evasion: Callable[[Scores], Scores] = lambda scores: scores,
) -> Scores:
    """FRI of a model: the rarity of its scores, or what it was chosen against."""
    answers = evasion(zoo.answers(name, access)[part])
    if access != "scores":
        return fri(answers, "decisions", references=answers.shape[1])
    if values == "cosines":  # as the paper has it
        return answers
    if values == "rarity":
        return fri(answers, "scores", references=answers.shape[1])
    ranks = canonical_outputs(answers, "scores")
    return ranks if values == "ranks" else ndtri(ranks).astype(np.float32)


def compared(
    zoo: Zoo,
    part: str,
    access: str = "scores",
    *,
    form: str = "direct",
    method: str = "partial",
    twins: int = 3,
    ridge: float = 0.02,
    probes: int = 200,
    references: int = 64,
    values: str = "rarity",
    evasion: Callable[[Scores], Scores] = lambda scores: scores,
) -> tuple[dict[str, list[float]], dict[str, list[float]], dict[str, list[float]]]:
    """Scores of the stolen by attack, of the innocent by kind, and all p-values; high = stolen.

    `evasion` is what thieves do to the scores of their services.
    """
    cut = slice(probes), slice(references)

    def of(names: list[str], how: str = "scores") -> list[Scores]:
        return [features(zoo, name, how, cut, values) for name in names]

    bank = zoo.named(part="calibrate", attack="other people")
    innocent = [
        name
        for name in zoo.named(part=part, source="")
        if zoo.models[name]["attack"] not in ("source", "owner twin")
    ]
    stolen: dict[str, list[float]] = defaultdict(list)
    cleared: dict[str, list[float]] = defaultdict(list)
    p: dict[str, list[float]] = defaultdict(list)
    for source in zoo.named(attack="source"):
        own = [f"twin-{source[-1]}{i + 1}" for i in range(twins)]
        detector = Detector(
            of([source]),
            of(bank),
            groups=[zoo.models[name]["group"] for name in bank],
            form=form,  # type: ignore[arg-type]
            method=method,  # type: ignore[arg-type]
            ridge=ridge,
            owner_twins=of(own),
        )
        copies = [name for name in zoo.named(part=part, source=source) if not zoo.destroyed(name)]
        disguised = [features(zoo, name, access, cut, values, evasion=evasion) for name in copies]
        found = detector.scores(disguised + of(innocent, access))
        sign = -1.0 if method == "paper" else 1.0
        for i, name in enumerate(copies + innocent):
            attack = zoo.models[name]["attack"]
            side = stolen if i < len(copies) else cleared
            if found.reasons[i] is None:
                side[attack].append(sign * float(found.score[i, 0]))
                p[attack].append(float(found.p[i, 0]))
            else:  # a service that says no to everybody is not found, and not accused
                side[attack].append(NOT_COMPARABLE)
                p[attack].append(1.0)
    return dict(stolen), dict(cleared), dict(p)


def measured(zoo: Zoo, part: str, access: str = "scores", **how: Any) -> dict[str, Any]:
    """AUC and TPR of one way to compare, per attack and together."""
    stolen, cleared, p = compared(zoo, part, access, **how)
    every = [score for scores in cleared.values() for score in scores]
    honest = [
        score for kind, scores in cleared.items() if kind.startswith("honest") for score in scores
    ]
    pooled = [score for scores in stolen.values() for score in scores]
    tpr, interval = tpr_at_fpr(pooled, every, FPR)
    return {
        "stolen": len(pooled),
        "innocent": len(every),
        "auc": round(float(np.mean([auc(scores, every) for scores in stolen.values()])), 4),
        "auc_against_honest": round(
            float(np.mean([auc(scores, honest) for scores in stolen.values()])), 4
        ),
        "tpr_at_5_fpr": round(tpr, 4),
        "tpr_interval": [round(float(end), 4) for end in interval],
        "by_attack": {
            attack: {
                "n": len(scores),
                "auc": round(auc(scores, every), 4),
                "auc_against_honest": round(auc(scores, honest), 4),
                "tpr_at_5_fpr": round(tpr_at_fpr(scores, every, FPR)[0], 4),
            }
            for attack, scores in stolen.items()
        },
        "p_at_the_floor": {
            kind: round(float(np.mean(np.array(values) <= min(map(min, p.values())))), 3)
            for kind, values in p.items()
        },
    }


def figures(outputs: Path, truth: Path) -> dict[str, Any]:
    """The whole benchmark."""
    zoo = Zoo(outputs, truth)
    table: list[dict[str, Any]] = []
    for part in ("select", "test"):
        for access, bar in BARS.items():
            for twins in (3, 0):
                for form, method, values in WAYS:
                    wanted = bar if twins else WITHOUT_TWINS
                    row = {
                        "part": part,
                        "access": access,
                        "owner_twins": twins,
                        "form": form,
                        "method": method,
                        **measured(
                            zoo, part, access, twins=twins, form=form, method=method, values=values
                        ),
                    }
                    row["bar"] = list(wanted)
                    row["met"] = row["auc"] >= wanted[0] and row["tpr_at_5_fpr"] >= wanted[1]
                    table.append(row)
    return {
        "question": __doc__.splitlines()[0],
        "models": len(zoo.models),
        "probe_digest": zoo.facts["probe_digest"],
        "destroyed": [n for n in zoo.models if zoo.models[n]["source"] and zoo.destroyed(n)],
        "table": table,
        "studies": {
            "owner twins": _study(zoo, "twins", (0, 1, 2, 3)),
            "probes": _study(zoo, "probes", (25, 50, 100, 200)),
            "reference images": _study(zoo, "references", (8, 16, 32, 64)),
            "ridge": _study(zoo, "ridge", (0.002, 0.02, 0.2)),
            "values": _study(zoo, "values", ("rarity", "normal scores", "ranks", "cosines")),
            "evasions": [
                {"evasion": name, **_short(measured(zoo, "test", evasion=evasion))}
                for name, evasion in EVASIONS.items()
            ],
        },
    }


def _study(zoo: Zoo, setting: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """One setting varied on the select part, by the direct form."""
    rows = []
    for value in values:
        for access in BARS:
            found = measured(zoo, "select", access, **{setting: value})
            rows.append({setting: value, "access": access, **_short(found)})
    return rows


def _short(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("auc", "tpr_at_5_fpr")}


def _noisy(sd: float) -> Callable[[Scores], Scores]:
    def noisy(scores: Scores) -> Scores:
        drawn = np.random.default_rng(0).normal(0, sd, scores.shape)
        return (scores + drawn).astype(np.float32)

    return noisy


EVASIONS: dict[str, Callable[[Scores], Scores]] = {
    "none": lambda scores: scores,
    "sigmoid": lambda scores: 1 / (1 + np.exp(4 - 10 * scores)),
    "2 decimals": lambda scores: np.round(scores, 2),
    "1 decimal": lambda scores: np.round(scores, 1),
    "noise of sd 0.1": _noisy(0.1),
    "noise of sd 0.2": _noisy(0.2),
}
