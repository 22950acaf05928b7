"""What a method is worth, an attack and pooled: measures of `Comparisons` where the truth is known.

A stolen model counts once, by its score against the source that it was stolen from. An innocent one
is compared with every source. Two AUCs are told apart: within a source (`auc`: a copy only against
innocents compared with the same source, which forgives a score that is higher for one source than
for another), and with one threshold for all sources (`auc_one_threshold`). The TPR at 1 % and 5 %
FPR always has one threshold for all sources, as a registry scan has.

Pooled figures are means over a list of attacks fixed beforehand. A suspect that could not be
compared is missed if it was stolen and left out if it is innocent. Scores of a stolen model against
sources that it was not stolen from are no part of any of these; `wrong_source` speaks of them.

Intervals are 95 %: exact (Clopper–Pearson) for the TPR of an attack, elsewhere percentiles of a
bootstrap that draws the stolen models of each attack one by one and innocent ones by group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.evaluation.comparisons import Comparisons
from sacfast.evaluation.truth import Truth
from sacfast.statistics import (
    bootstrap_weights,
    clopper_pearson,
    f1,
    mann_whitney_p,
    percentile_interval,
    roc_curve,
    threshold_at_fpr,
    welch_p,
)

_Float = NDArray[np.float64]

FPRS = (0.01, 0.05)
#: A suspect is accused by its p-value at this level, or called stolen at this FDR.
LEVEL = 0.05
_DRAWS = 1000
#: The attack whose copies the papers' threshold is set on, where there are any.
MIDPOINT_ATTACK = "adversarial extraction"


@dataclass(frozen=True, eq=False)
class _Sides:
    """The two sides of a comparison, high = stolen."""

    comparisons: Comparisons
    stolen: list[int]  # rows
    innocent: list[int]
    copies: _Float  # (n,) against the own source
    others: _Float  # (m, V)
    wins: _Float  # (n, m) 1, ½ or 0 against the same source
    wins_anywhere: _Float  # (n, m) the mean over the sources
    stolen_weights: _Float  # (n, draws)
    innocent_weights: _Float  # (m, draws)

    @property
    def dealt(self) -> _Float:
        """(m,) one value an innocent model, against one source each in turn: for tests that take
        independent values."""
        columns = np.arange(len(self.others)) % self.others.shape[1]
        dealt: _Float = self.others[np.arange(len(self.others)), columns]
        return dealt


def can_be_measured(comparisons: Comparisons, statistic: str) -> bool:
    """Whether any stolen and any innocent suspect have a value."""
    values = comparisons.values(statistic)
    known = np.asarray(np.isfinite(values).all(axis=1))
    return all(bool(known[comparisons.rows(stolen=side)].any()) for side in (True, False))


def measures(
    comparisons: Comparisons,
    truth: Truth,
    attacks: Sequence[str],
    statistic: str,
    midpoint: float | None,
    seed: int,
) -> dict[str, Any]:
    """All measures, as plain data (docs/evaluation.md names every key).

    Args:
        comparisons: What is measured.
        truth: The truth file.
        attacks: The attacks that are pooled.
        statistic: "score" or "z".
        midpoint: The papers' threshold, set on other models; None where there is none.
        seed: Of the bootstrap.
    """
    sides = _sides(comparisons, statistic, seed)
    thresholds = {fpr: threshold_at_fpr(sides.others.ravel(), fpr) for fpr in FPRS}
    names = list(dict.fromkeys(comparisons.suspects[row].attack for row in sides.stolen))
    by_attack = {
        name: _attack(sides, truth, name, thresholds, midpoint)
        for name in [*(a for a in attacks if a in names), *(n for n in names if n not in attacks)]
    }
    return {
        "probes": comparisons.probes,
        "method": comparisons.method,
        "pooled": _pooled(sides, [a for a in attacks if a in names], thresholds, by_attack),
        "attacks": by_attack,
        "innocents": _innocents(sides, thresholds),
        "wrong_source": _wrong_source(sides),
        "thresholds": {
            "midpoint": midpoint,
            **{f"fpr_{fpr:g}": value for fpr, value in thresholds.items()},
        },
    }


def midpoint_threshold(comparisons: Comparisons, statistic: str) -> tuple[float, str] | None:
    """The papers' threshold: half-way between the means of innocent and of extracted models.

    The extraction is the adversarial one; reconstructed from the papers. Where no copy was made by
    that attack, all copies are taken.

    Returns:
        The threshold and the attack it was set on; None where a side has no values.
    """
    if not can_be_measured(comparisons, statistic):
        return None
    values = comparisons.values(statistic)
    rows = comparisons.rows(stolen=True)
    named = [row for row in rows if comparisons.suspects[row].attack == MIDPOINT_ATTACK]
    copies = [values[row, comparisons.own(row)] for row in named or rows]
    middle = (np.nanmean(copies) + np.nanmean(values[comparisons.rows(stolen=False)])) / 2
    return float(middle), MIDPOINT_ATTACK if named else "all attacks"


def _sides(comparisons: Comparisons, statistic: str, seed: int) -> _Sides:
    values = comparisons.values(statistic)
    stolen = comparisons.rows(stolen=True)
    innocent = [i for i in comparisons.rows(stolen=False) if not np.isnan(values[i]).any()]
    others = values[innocent]
    copies = np.array([values[row, comparisons.own(row)] for row in stolen])
    # A copy that can't be compared is missed by every threshold.
    lowest = min(np.nanmin(copies, initial=math.inf), others.min()) - 1.0
    copies = np.where(np.isnan(copies), lowest, copies)
    wins = (copies[:, None, None] > others) + 0.5 * (copies[:, None, None] == others)
    own = np.array([comparisons.own(row) for row in stolen])
    generator = np.random.default_rng(seed)
    groups = [comparisons.suspects[row].group for row in innocent]
    attacks = np.array([comparisons.suspects[row].attack for row in stolen])
    weights = np.empty((len(stolen), _DRAWS))
    for attack in dict.fromkeys(attacks.tolist()):  # an attack keeps its number of copies
        drawn = bootstrap_weights(range(int((attacks == attack).sum())), _DRAWS, generator)
        weights[attacks == attack] = drawn
    return _Sides(
        comparisons,
        stolen,
        innocent,
        copies,
        others,
        wins[np.arange(len(stolen)), :, own],
        wins.mean(axis=2),
        weights,
        bootstrap_weights(groups, _DRAWS, generator),
    )


def _attack(
    sides: _Sides, truth: Truth, name: str, thresholds: dict[float, float], midpoint: float | None
) -> dict[str, Any]:
    comparisons = sides.comparisons
    chosen = [i for i, row in enumerate(sides.stolen) if comparisons.suspects[row].attack == name]
    rows = [sides.stolen[i] for i in chosen]
    own = [comparisons.own(row) for row in rows]
    models = [comparisons.suspects[row] for row in rows]
    copies, wins = sides.copies[chosen], sides.wins[chosen]
    fpr, tpr = roc_curve(copies, sides.others.ravel())
    return {
        "stolen": len(chosen),
        "not_comparable": int(np.isnan(comparisons.score[rows, own]).sum()),
        "auc": float(wins.mean()),
        "auc_interval": percentile_interval(_auc_draws(sides, chosen, sides.wins)),
        "auc_one_threshold": float(sides.wins_anywhere[chosen].mean()),
        "auc_by_source": {
            source: float(wins[np.array(own) == v].mean())
            for v, source in enumerate(comparisons.sources)
            if v in own
        },
        "tpr": {f"{x:g}": _tpr(copies, threshold) for x, threshold in thresholds.items()},
        "welch_p": plain(welch_p(copies, sides.dealt)),
        "mann_whitney_p": mann_whitney_p(copies, sides.dealt),
        "f1": _f1(sides, chosen, midpoint),
        "called": _mean(comparisons.q[rows, own] <= LEVEL, comparisons.q),
        "score": _average(comparisons.score[rows, own]),
        "z": _average(comparisons.z[rows, own]),
        "distance": _average(comparisons.distance[rows, own]),
        "innocent_distance": _average(comparisons.distance[sides.innocent][:, own]),
        "accuracy_lost": _average(
            [
                m.source_accuracy - m.accuracy
                for m in models
                if m.accuracy is not None and m.source_accuracy is not None
            ]
        ),
        "agreement": _average([m.agreement for m in models if m.agreement is not None]),
        **_beside_twins(sides, truth, chosen),
        "roc": {"fpr": _short(fpr), "tpr": _short(tpr)},
    }


def _beside_twins(sides: _Sides, truth: Truth, chosen: list[int]) -> dict[str, Any]:
    """Copies against their honest twins: what was copied at all, and whether the score shows it."""
    comparisons = sides.comparisons
    excess, above = [], []
    place = {comparisons.suspects[row].name: i for i, row in enumerate(sides.innocent)}
    for i in chosen:
        row = sides.stolen[i]
        model = comparisons.suspects[row]
        more = truth.excess_agreement(model)
        if more is not None:
            excess.append(more)
        if model.twin in place:
            above.append(sides.copies[i] > sides.others[place[model.twin], comparisons.own(row)])
    return {
        "excess_agreement": _average(excess),
        "not_above_twin": sum(more <= 0 for more in excess) if excess else None,
        "scores_above_twin": _average(above),
    }


def _pooled(
    sides: _Sides, attacks: list[str], thresholds: dict[float, float], known: dict[str, Any]
) -> dict[str, Any]:
    """Means over the attacks of the list."""
    names = [sides.comparisons.suspects[row].attack for row in sides.stolen]
    chosen = {name: [i for i, own in enumerate(names) if own == name] for name in attacks}
    if not attacks:
        return {"attacks": []}

    def mean(key: str) -> float:
        return float(np.mean([known[name][key] for name in attacks]))

    tprs = {}
    for fpr, threshold in thresholds.items():
        hit = (sides.copies > threshold).astype(float)
        draws = [_weighted(hit[i][:, None], sides.stolen_weights[i]) for i in chosen.values()]
        tprs[f"{fpr:g}"] = {
            "value": float(np.mean([hit[i].mean() for i in chosen.values()])),
            "interval": percentile_interval(np.mean(draws, axis=0)),
        }
    draws = [_auc_draws(sides, i, sides.wins) for i in chosen.values()]
    anywhere = [_auc_draws(sides, i, sides.wins_anywhere) for i in chosen.values()]
    f1s = {rule: [known[name]["f1"][rule] for name in attacks] for rule in ("midpoint", "p")}
    return {
        "attacks": attacks,
        "stolen": sum(len(i) for i in chosen.values()),
        "innocent": len(sides.innocent),
        "auc": mean("auc"),
        "auc_interval": percentile_interval(np.mean(draws, axis=0)),
        "auc_one_threshold": mean("auc_one_threshold"),
        "auc_one_threshold_interval": percentile_interval(np.mean(anywhere, axis=0)),
        "tpr": tprs,
        "f1": {
            rule: None if any(v is None for v in values) else float(np.mean(values))
            for rule, values in f1s.items()
        },
        "called": None if any(known[a]["called"] is None for a in attacks) else mean("called"),
    }


def _innocents(sides: _Sides, thresholds: dict[float, float]) -> dict[str, Any]:
    """Innocent models by kind: who is likeliest to be accused. A model counts once, by the share of
    the sources against which it is."""
    comparisons = sides.comparisons
    kinds = [comparisons.suspects[row].attack for row in sides.innocent]
    found = {}
    for kind in dict.fromkeys(kinds):
        at = [i for i, own in enumerate(kinds) if own == kind]
        rows = [sides.innocent[i] for i in at]
        found[kind] = {
            "models": len(at),
            "score": _average(comparisons.score[rows]),
            "z": _average(comparisons.z[rows]),
            "p_low": _mean(comparisons.p[rows] <= LEVEL, comparisons.p),
            "fpr": {
                f"{fpr:g}": float((sides.others[at] > threshold).mean())
                for fpr, threshold in thresholds.items()
            },
            "called": _mean(comparisons.q[rows] <= LEVEL, comparisons.q),
        }
    return found


def _wrong_source(sides: _Sides) -> dict[str, Any]:
    """Stolen models against sources that are not theirs."""
    comparisons = sides.comparisons
    values = comparisons.values("score")
    wrong, right = [], []
    for row in sides.stolen:
        own = comparisons.own(row)
        wrong += [comparisons.p[row, v] for v in range(len(comparisons.sources)) if v != own]
        if not np.isnan(values[row]).any():
            right.append(bool(values[row].argmax() == own))
    p = np.array(wrong)
    return {
        "pairs": len(wrong),
        "p_low": _mean(p[~np.isnan(p)] <= LEVEL, p),
        "own_source_first": _average(right) if len(comparisons.sources) > 1 else None,
    }


def _f1(sides: _Sides, chosen: list[int], midpoint: float | None) -> dict[str, float | None]:
    """F1 of an attack at the papers' threshold and at p <= LEVEL, neither set on these models.

    False alarms are a mean over the sources: an innocent model counts once.
    """
    comparisons = sides.comparisons
    rows = [sides.stolen[i] for i in chosen]
    by_midpoint = by_p = None
    if midpoint is not None:
        hits = float((sides.copies[chosen] > midpoint).sum())
        alarms = float((sides.others > midpoint).mean(axis=1).sum())
        by_midpoint = f1(hits, alarms, len(chosen) - hits)
    if not np.isnan(comparisons.p).all():
        own = [comparisons.own(row) for row in rows]
        hits = float((comparisons.p[rows, own] <= LEVEL).sum())
        alarms = float((comparisons.p[sides.innocent] <= LEVEL).mean(axis=1).sum())
        by_p = f1(hits, alarms, len(chosen) - hits)
    return {"midpoint": by_midpoint, "p": by_p}


def _tpr(copies: _Float, threshold: float) -> dict[str, Any]:
    hits = int((copies > threshold).sum())
    return {"value": hits / len(copies), "interval": clopper_pearson(hits, len(copies))}


def _auc_draws(sides: _Sides, chosen: list[int], wins: _Float) -> _Float:
    """The AUC of an attack's stolen models in every draw of the bootstrap."""
    innocent = sides.innocent_weights
    by_copy = wins[chosen] @ innocent / innocent.sum(axis=0)
    return _weighted(by_copy, sides.stolen_weights[chosen])


def _weighted(values: _Float, weights: _Float) -> _Float:
    """Means over the first axis with weights (n, draws)."""
    means: _Float = (values * weights).sum(axis=0) / weights.sum(axis=0)
    return means


def plain(value: float) -> float | None:
    """None in the place of what JSON does not have."""
    return float(value) if math.isfinite(value) else None


def _average(values: Any) -> float | None:
    known = np.asarray(values, dtype=np.float64).ravel()
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else None


def _mean(hits: NDArray[np.bool_], table: _Float) -> float | None:
    """The share of hits, None where the whole table they come from is empty."""
    return float(hits.mean()) if hits.size and not np.isnan(table).all() else None


def _short(values: _Float) -> list[float]:
    return [round(float(value), 5) for value in values]
