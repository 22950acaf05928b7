"""Every suspect against every source, by one method on one probe set, with the truth beside it.

They come from two places. From outputs: the sources and suspects of one part of the truth file are
scored by a `Detector` whose null bank are the innocents of the part "calibrate". From a finished
scan: its rows are taken as they are.

Where there are several probe sets, each is compared by itself, and their scores are added (their
mean is taken) for one more set of comparisons: probe kinds go into separate matrices, never into
one (docs/method.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.detector import (
    Detector,
    Method,
    method_for,
    not_comparable,
    p_values,
    sign,
    usable_probes,
)
from sacfast.errors import ArgumentError
from sacfast.evaluation.archive import Archive
from sacfast.evaluation.truth import Model, Truth
from sacfast.statistics import benjamini_hochberg
from sacfast.text import one_line

_Float = NDArray[np.float64]

_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, eq=False)
class Comparisons:
    """S suspects against V sources.

    Attributes:
        method: The method of the score, or "scan" for that of a scan which does not say.
        probes: The probe set's name.
        sources: Names of the sources.
        suspects: The suspects' rows of the truth file.
        score: (S, V) as the method gives it; NaN where the suspect is not comparable.
        z, p, q: (S, V); q over all of these comparisons. NaN where there are none.
        distance: (S, V) the papers' distance; NaN where there is none.
    """

    method: str
    probes: str
    sources: tuple[str, ...]
    suspects: tuple[Model, ...]
    score: _Float
    z: _Float
    p: _Float
    q: _Float
    distance: _Float

    def values(self, statistic: str) -> _Float:
        """The scores or the z, (S, V), high = stolen."""
        return self.z if statistic == "z" else sign(self.method) * self.score

    def rows(self, *, stolen: bool) -> list[int]:
        """Where the stolen suspects stand, or the innocent ones."""
        return [i for i, model in enumerate(self.suspects) if model.stolen == stolen]

    def own(self, row: int) -> int:
        """The column of the source from which a suspect was stolen."""
        return self.sources.index(self.suspects[row].source)


@dataclass(frozen=True)
class Roles:
    """Who is what in an evaluation: rows of the truth file that are present in what is evaluated.

    Attributes:
        sources: Those from which a suspect was stolen.
        suspects: Stolen and innocent models of the part.
        bank: The null bank.
        twins: Owner twins, as in `Detector`.
    """

    sources: tuple[Model, ...]
    suspects: tuple[Model, ...]
    bank: tuple[Model, ...]
    twins: tuple[Model, ...] = ()


def roles(
    truth: Truth, part: str, present: set[str], seed: int, owner_twins: Sequence[str] = ()
) -> Roles:
    """Roles of the models that are present.

    Innocents whose names match a pattern of `owner_twins` are no suspects but owner twins.

    The null bank are the innocents of the part "calibrate". Where the file knows no parts, half of
    the innocents' groups, drawn by the seed, are taken for it.

    Raises:
        ArgumentError: If there is no stolen or no innocent suspect, no null bank of two, or no
            innocent of the part that a pattern matches.
    """
    stolen = [m for m in truth.stolen(part) if {m.name, m.source} <= present and not m.destroyed]
    innocents = [m for m in truth.innocents(part) if m.name in present]
    twins = [m for m in innocents if any(fnmatchcase(m.name, p) for p in owner_twins)]
    for pattern in owner_twins:
        if not any(fnmatchcase(m.name, pattern) for m in twins):
            raise ArgumentError(
                f"evaluate: `owner_twins` must match innocents of the part {part!r}, "
                f"got {pattern!r}"
            )
    innocents = [m for m in innocents if m not in twins]
    bank = [m for m in truth.innocents("calibrate") if m.name in present]
    if not truth.parted:
        chosen = halved([m.group for m in innocents], seed)
        bank = [m for m in innocents if m.group in chosen]
        innocents = [m for m in innocents if m.group not in chosen]
    for what, models, least in (("stolen model", stolen, 1), ("innocent model", innocents, 1)):
        if len(models) < least:
            raise ArgumentError(
                f"evaluate: `what` must hold at least one {what} of the part {part!r}, got none"
            )
    if len(bank) < 2:
        raise ArgumentError(
            "evaluate: `what` must hold at least 2 innocent models as a null bank, "
            f"got {len(bank)}",
            hint='those whose part is "calibrate" in the truth file',
        )
    named = {m.source for m in stolen}
    sources = [m for name, m in truth.models.items() if name in named]
    return Roles(tuple(sources), (*stolen, *innocents), tuple(bank), tuple(twins))


def halved(groups: Sequence[str], seed: int) -> set[str]:
    """Half of the groups, drawn by a seed."""
    names = sorted(set(groups))
    drawn = np.random.default_rng(seed).permutation(len(names))
    return {names[i] for i in drawn[: (len(names) + 1) // 2]}


def comparable(archives: Sequence[Archive], models: Sequence[Model]) -> dict[str, str]:
    """The models that can't be compared on one of the probe sets, and why."""
    unfit: dict[str, str] = {}
    for archive in archives:
        names = [model.name for model in models]
        for name, outputs in zip(names, archive.form(names), strict=True):
            reason = not_comparable(outputs, usable_probes(outputs))
            if reason:
                unfit.setdefault(name, f"{reason} ({archive.name})")
    return unfit


def from_outputs(
    archives: Sequence[Archive], cast: Roles, methods: Sequence[Method]
) -> list[Comparisons]:
    """Comparisons by each method on each probe set, then on all of them together."""
    found: dict[Method, list[_Scored]] = {method: [] for method in methods}
    for archive in archives:
        sources = archive.form([m.name for m in cast.sources])
        suspects = archive.form([m.name for m in cast.suspects])
        bank = archive.form([m.name for m in cast.bank])
        twins = archive.form([m.name for m in cast.twins])
        groups = [m.group for m in cast.bank]
        for method in methods:
            used = method_for(method, archive.kind)
            detector = Detector(
                sources,
                bank,
                groups=groups,
                method=used,
                center=archive.center,
                owner_twins=twins,
            )
            scores = detector.scores(suspects)
            found[method].append(
                _Scored(archive.name, scores.score, scores.z, scores.p, detector.null_scores)
            )
    if len(archives) > 1:
        groups = [m.group for m in cast.bank]
        for method in methods:
            found[method].append(_added(found[method], sign(method), groups, len(cast.twins)))
    return [
        _comparisons(method, scored, paper.score, cast)
        for i, paper in enumerate(found["paper"])
        for method, scored in ((method, found[method][i]) for method in methods)
    ]


@dataclass(frozen=True, eq=False)
class _Scored:
    """What a detector says on one probe set, or several together."""

    probes: str
    score: _Float
    z: _Float
    p: _Float
    null: _Float


def _added(parts: Sequence[_Scored], signed: float, groups: Sequence[str], twins: int) -> _Scored:
    score = np.mean([part.score for part in parts], axis=0)
    null = np.mean([part.null for part in parts], axis=0)
    known = np.where(np.isfinite(null), null, np.nan)
    z = signed * (score - np.nanmean(known, axis=0)) / np.nanstd(known, axis=0, ddof=1)
    groups = [*groups, *(["owner twins"] * twins)]
    p = p_values(signed * score, signed * null, groups, twins=twins)
    return _Scored(" + ".join(part.probes for part in parts), score, z, p, null)


def _comparisons(method: str, scored: _Scored, distance: _Float, cast: Roles) -> Comparisons:
    return Comparisons(
        method,
        scored.probes,
        tuple(m.name for m in cast.sources),
        cast.suspects,
        scored.score,
        scored.z,
        scored.p,
        benjamini_hochberg(scored.p),
        distance,
    )


def _check_row(row: Mapping[str, Any]) -> None:
    for name, allowed in (("suspect", str), ("source", (str, type(None)))):
        if not isinstance(row[name], allowed):
            raise _not_in_a_scan(row, name)
    for name in ("score", "z", "p", "q", "distance"):
        cell = row[name]
        known = cell is not None and cell == cell  # NaN is as good as none
        if known and (not isinstance(cell, (int, float)) or isinstance(cell, bool)):
            raise _not_in_a_scan(row, name)
        if known and (not -_LARGEST <= cell <= _LARGEST or (name in "pq" and not 0 <= cell <= 1)):
            raise _not_in_a_scan(row, name)


def _not_in_a_scan(row: Mapping[str, Any], name: str) -> ArgumentError:
    who, cell = (one_line(str(row[key])[:100], 100) for key in ("suspect", name))
    return ArgumentError(
        f"evaluate: `what` must hold a scan's rows, got one of {who} whose {name} is {cell}"
    )


def from_scan(
    rows: Sequence[Mapping[str, Any]], truth: Truth, part: str, method: str | None
) -> list[Comparisons]:
    """Comparisons of a scan: by its own method, and by the papers' distance.

    Args:
        rows: Those of a scan's results.
        truth: The truth file.
        part: The part whose suspects count.
        method: The scan's method, where it is known.

    Raises:
        ArgumentError: If the rows are none of a scan, or no stolen or innocent suspect is in them.
    """
    for row in rows:
        if not {"suspect", "source", "score", "z", "p", "q", "distance"} <= set(row):
            raise ArgumentError(
                "evaluate: `what` must hold a scan's rows, got one with the columns "
                f"{', '.join(sorted(map(str, row)))[:200]}"
            )
        _check_row(row)
    by_pair = {(row["suspect"], row["source"]): row for row in rows}
    sources = [name for name in truth.models if any(row["source"] == name for row in rows)]
    present = {row["suspect"] for row in rows} - set(sources)
    stolen = [m for m in truth.stolen(part) if m.name in present and not m.destroyed]
    sources = [name for name in sources if any(m.source == name for m in stolen)]
    stolen = [m for m in stolen if m.source in sources]
    innocents = [m for m in truth.innocents(part) if m.name in present]
    if not stolen or not innocents:
        raise ArgumentError(
            f"evaluate: `what` must hold stolen and innocent suspects of the part {part!r}, got "
            f"{len(stolen)} and {len(innocents)}"
        )
    suspects = (*stolen, *innocents)

    def column(name: str) -> _Float:
        cells = [
            [by_pair.get((model.name, source), {}).get(name) for source in sources]
            for model in suspects
        ]
        return np.array(
            [[math.nan if cell is None else float(cell) for cell in row] for row in cells]
        )

    score, distance = column("score"), column("distance")
    by_distance = method == "paper" or np.array_equal(score, distance, equal_nan=True)
    names = ("paper" if by_distance else method or "scan", "scan", tuple(sources), suspects)
    found = [Comparisons(*names, score, column("z"), column("p"), column("q"), distance)]
    if not by_distance:
        none = np.full_like(score, np.nan)
        found.append(Comparisons("paper", *names[1:], distance, none, none, none, distance))
    return found
