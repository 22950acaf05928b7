"""Do the error rates hold? Null banks drawn again and again, and what they say of other innocents.

In every split the groups (authors) of all innocent models are dealt: most become the null bank,
the rest are held out. The conformal p-values of the held-out models should be uniform, or at least
not too often small. Then a registry is made of the held-out models and as many stolen ones, and
scanned for each source with Benjamini–Hochberg: the share of innocents among those called stolen is
the false discovery proportion, whose mean should not exceed the FDR that was asked.

Splits overlap, so the interval of P(p <= 0.1) comes from a bootstrap over groups, and the standard
error of the mean false discovery proportion, taken over the splits, speaks of the draws alone and
not of another zoo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sacfast.detector import Method, method_for, p_values, sign
from sacfast.errors import ArgumentError
from sacfast.evaluation.archive import Archive
from sacfast.evaluation.comparisons import Comparisons
from sacfast.evaluation.truth import Model
from sacfast.resampling import Draw, Resampling
from sacfast.statistics import (
    benjamini_hochberg,
    bootstrap_weights,
    clopper_pearson,
    kolmogorov_smirnov,
    percentile_interval,
)

_Float = NDArray[np.float64]

#: The FDR asked for.
LEVELS = (0.05, 0.1, 0.2)
#: The level at which calibration is judged.
CHECKED = 0.1
#: The share of the innocent models that become the null bank.
BANK_SHARE = 0.7
_BINS = 20
_DRAWS = 1000


class _Split(NamedTuple):
    """Positions in the innocent models, and of the stolen ones drawn for each source."""

    bank: NDArray[np.intp]
    held_out: NDArray[np.intp]
    stolen: list[NDArray[np.intp]]


class _Tally:
    """What one method on one probe set says over the splits."""

    def __init__(self, innocents: int) -> None:
        self.p: list[_Float] = []
        self.low = np.zeros(innocents)  # summed over splits
        self.times = np.zeros(innocents)
        self.proportions: dict[float, list[float]] = {level: [] for level in LEVELS}
        self.power: dict[float, list[float]] = {level: [] for level in LEVELS}


def calibration(
    archives: Sequence[Archive],
    sources: Sequence[Model],
    innocents: Sequence[Model],
    stolen: Sequence[Model],
    methods: Sequence[Method],
    splits: int,
    seed: int,
    step: Callable[[str], None],
) -> dict[tuple[str, str], dict[str, Any]]:
    """Calibration and FDR of every method on every probe set, and on all of them together.

    Args:
        archives: The outputs, one archive a probe set.
        sources: The sources that are scanned for.
        innocents: All innocent models, of which null banks are drawn by group.
        stolen: Copies of these sources.
        methods: Methods of `Detector`.
        splits: How many null banks are drawn.
        seed: Of the draws.
        step: Called after every split.

    Returns:
        Plain data by (probe set, method): "calibration" and "fdr".

    Raises:
        ArgumentError: If there are fewer than 4 groups of innocent models.
    """
    groups = [model.group for model in innocents]
    if len(set(groups)) < 4:
        raise ArgumentError(
            "evaluate: `truth` must name at least 4 groups of innocent models for splits, "
            f"got {len(set(groups))}",
            hint="or leave calibration out with splits=0",
        )
    columns = {source.name: v for v, source in enumerate(sources)}
    own = np.array([columns[model.source] for model in stolen], dtype=np.intp)
    resamplings = {
        (archive.name, method): Resampling(
            archive.form([m.name for m in sources]),
            archive.form([m.name for m in (*innocents, *stolen)]),
            method=method_for(method, archive.kind),
            center=archive.center,
        )
        for archive in archives
        for method in methods
    }
    together = " + ".join(archive.name for archive in archives)
    names = dict.fromkeys([*(archive.name for archive in archives), together])
    tallies = {(name, m): _Tally(len(innocents)) for name in names for m in methods}
    for number in range(splits):
        split = _split(groups, own, len(sources), np.random.default_rng([seed, number]))
        suspects = [*split.held_out, *range(len(innocents), len(innocents) + len(stolen))]
        bank_groups = [groups[i] for i in split.bank]
        for method in methods:
            draws = [
                resamplings[archive.name, method].draw(suspects, split.bank.tolist(), bank_groups)
                for archive in archives
            ]
            by_name = dict(zip((archive.name for archive in archives), draws, strict=True))
            by_name[together] = Draw(
                np.mean([draw.score for draw in draws], axis=0),
                np.mean([draw.null for draw in draws], axis=0),
            )
            for name, draw in by_name.items():
                p = p_values(sign(method) * draw.score, sign(method) * draw.null, bank_groups)
                _count(tallies[name, method], p, split)
        step(f"split {number + 1}")
    generator = np.random.default_rng(seed)
    weights = bootstrap_weights(groups, _DRAWS, generator)
    return {key: _summary(tally, weights, splits) for key, tally in tallies.items()}


def _split(
    groups: Sequence[str], own: NDArray[np.intp], sources: int, generator: np.random.Generator
) -> _Split:
    """Deals the groups, the first ones drawn into the null bank until its share is reached, and
    draws as many stolen models for each source as innocents are held out, or all there are."""
    names = sorted(set(groups))
    codes = np.array([names.index(group) for group in groups])
    sizes = np.bincount(codes)
    order = generator.permutation(len(names))
    before = np.cumsum(sizes[order]) - sizes[order]
    chosen = before < BANK_SHARE * len(groups)
    chosen[-1] = False  # something must be held out
    banked = np.zeros(len(names), dtype=bool)
    banked[order[chosen]] = True
    held_out = np.flatnonzero(~banked[codes])
    stolen = [
        generator.permutation(np.flatnonzero(own == v))[: len(held_out)] for v in range(sources)
    ]
    return _Split(np.flatnonzero(banked[codes]), held_out, stolen)


def _count(tally: _Tally, p: _Float, split: _Split) -> None:
    """Enters the p-values (S, V) of one split: held-out innocents first, then all stolen models."""
    innocent, stolen = p[: len(split.held_out)], p[len(split.held_out) :]
    tally.p.append(innocent)
    tally.low[split.held_out] += (innocent <= CHECKED).mean(axis=1)
    tally.times[split.held_out] += 1
    found: dict[float, list[tuple[float, float]]] = {level: [] for level in LEVELS}
    for v, drawn in enumerate(split.stolen):
        q = benjamini_hochberg(np.concatenate([innocent[:, v], stolen[drawn, v]]))
        for level in LEVELS:
            called = q <= level * (1 + 1e-9)
            false, right = int(called[: len(innocent)].sum()), int(called[len(innocent) :].sum())
            found[level].append((false / max(1, false + right), right / max(1, len(drawn))))
    for level, pairs in found.items():
        proportion, power = np.mean(pairs, axis=0)
        tally.proportions[level].append(float(proportion))
        tally.power[level].append(float(power))


def _summary(tally: _Tally, weights: _Float, splits: int) -> dict[str, Any]:
    p = np.concatenate([one.ravel() for one in tally.p])
    p = p[~np.isnan(p)]
    held = np.where(tally.times > 0, tally.low / np.maximum(tally.times, 1), 0.0)
    counted = weights * (tally.times > 0)[:, None]
    draws = (held[:, None] * counted).sum(axis=0) / counted.sum(axis=0)
    by_split = [float((one <= CHECKED).mean()) for one in tally.p]
    return {
        "calibration": {
            "splits": splits,
            "bank_share": BANK_SHARE,
            "innocent": int((tally.times > 0).sum()),
            "p_low": float(np.mean(by_split)),
            "p_low_interval": percentile_interval(draws),
            "p_low_sd_over_splits": float(np.std(by_split)),
            **_uniformity(p),
        },
        "fdr": [
            {
                "asked": level,
                "obtained": float(np.mean(tally.proportions[level])),
                "standard_error": float(np.std(tally.proportions[level], ddof=1) / splits**0.5)
                if splits > 1
                else None,
                "power": float(np.mean(tally.power[level])),
                "registries": splits,
            }
            for level in LEVELS
        ],
    }


def _uniformity(p: _Float) -> dict[str, Any]:
    if not p.size:
        raise ArgumentError(
            "evaluate: `what` must hold innocent models that can be scored, got none on so few "
            "probes",
            hint="with two probes nothing correlates; splits=0 leaves calibration out",
        )
    counts, _ = np.histogram(np.minimum(p, 1.0), bins=_BINS, range=(0.0, 1.0))
    distance = kolmogorov_smirnov(p)
    return {
        "checked": CHECKED,
        "ks": distance.distance,
        "ks_excess": distance.excess,
        "histogram": (counts / counts.sum()).round(6).tolist(),
    }


def of_one_scan(comparisons: Comparisons) -> dict[str, Any] | None:
    """The same of a single scan, which has one null bank and one registry: no splits, no standard
    errors. None where it has no p-values."""
    innocent = comparisons.p[comparisons.rows(stolen=False)]
    known = innocent[~np.isnan(innocent)]
    if not known.size:
        return None
    low = int((known <= CHECKED).sum())
    rows = comparisons.rows(stolen=True)
    own_q = comparisons.q[rows, [comparisons.own(row) for row in rows]]
    innocent_q = comparisons.q[comparisons.rows(stolen=False)]
    fdr = []
    for level in LEVELS:
        right = int((own_q <= level * (1 + 1e-9)).sum())
        false = int((innocent_q <= level * (1 + 1e-9)).sum())
        fdr.append(
            {
                "asked": level,
                "obtained": false / max(1, false + right),
                "standard_error": None,
                "power": right / len(rows),
                "registries": 1,
            }
        )
    return {
        "calibration": {
            "splits": 0,
            "bank_share": None,
            "innocent": len(comparisons.rows(stolen=False)),
            "p_low": low / known.size,
            "p_low_interval": clopper_pearson(low, known.size),
            "p_low_sd_over_splits": None,
            **_uniformity(known),
        },
        "fdr": fdr,
    }
