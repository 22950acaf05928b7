"""A zoo's outputs and the truth about it; scores of its models, each made once.

Every model's correlation, and every inner product of two, is taken once for a method and a set of
probes (`sacfast.resampling`). Studies then draw from that as many null banks as they like.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from benchmarks.detection.plan import TRAINED
from sacfast import benjamini_hochberg
from sacfast.detector import p_values, sign
from sacfast.evaluation.archive import Archive, coarsened, read_archive, shortened
from sacfast.evaluation.comparisons import Comparisons, Roles, comparable, roles
from sacfast.evaluation.measures import measures
from sacfast.evaluation.truth import Model, Truth, read_truth
from sacfast.resampling import Draw, Resampling

Row = dict[str, Any]


class Missing(Exception):
    """The zoo does not hold what a study needs."""


class Scored:
    """Sources, suspects and null bank of a part on one probe set, by one method."""

    def __init__(self, archive: Archive, cast: Roles, method: Any, center: Any) -> None:
        self.archive, self.cast, self.method = archive, cast, method
        self._places = {m.name: i for i, m in enumerate((*cast.suspects, *cast.bank))}
        self._resampling = Resampling(
            archive.form([m.name for m in cast.sources]),
            archive.form(list(self._places)),
            method=method,
            center=center,
        )

    def draw(self, bank: Sequence[Model], suspects: Sequence[Model], groups: Sequence[str]) -> Draw:
        """Scores of some of the suspects against all sources, and those of some null bank."""
        left, right = ([self._places[m.name] for m in some] for some in (suspects, bank))
        return self._resampling.draw(left, right, groups)

    def compared(self, bank: Sequence[Model] | None = None) -> Comparisons:
        """All suspects, against the whole null bank or a smaller one."""
        bank = self.cast.bank if bank is None else bank
        groups = [m.group for m in bank]
        draw = self.draw(bank, self.cast.suspects, groups)
        return self.table(self.cast.suspects, draw, groups)

    def with_p(
        self, draw: Draw, groups: Sequence[str], twins: int = 0
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The scores that were drawn, and their p-values; the last `twins` are owner twins."""
        way = sign(self.method)
        return draw.score, p_values(way * draw.score, way * draw.null, groups, twins=twins)

    def table(self, suspects: Sequence[Model], draw: Draw, groups: Sequence[str]) -> Comparisons:
        """Comparisons of what was drawn, without the papers' distance beside them."""
        return together(
            self.method, self.archive.name, self.cast, suspects, *self.with_p(draw, groups)
        )


def together(
    method: str,
    probes: str,
    cast: Roles,
    suspects: Sequence[Model],
    score: NDArray[np.float64],
    p: NDArray[np.float64] | None = None,
) -> Comparisons:
    """Comparisons (S, V) of the sources of a cast; p is NaN where it is not known."""
    none = np.full_like(score, np.nan)
    names = tuple(m.name for m in cast.sources)
    p = none if p is None else p
    q = benjamini_hochberg(p)
    return Comparisons(method, probes, names, tuple(suspects), score, none, p, q, none)


@dataclass(frozen=True, eq=False)
class Zoo:
    """The outputs of a zoo and the truth about it.

    Attributes:
        truth: Its truth file.
        part: The part that is looked at.
        archives: By name, those of study/ as "study/NAME".
        paths: Their files.
    """

    truth: Truth
    part: str
    archives: dict[str, Archive]
    paths: dict[str, Path]
    _scored: dict[tuple[Any, ...], Scored] = field(default_factory=dict)
    _casts: dict[tuple[str, ...], Roles] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, part: str) -> Zoo:
        paths = {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
        paths |= {f"study/{p.stem}": p for p in sorted((folder / "study").glob("*.safetensors"))}
        archives = {name: read_archive(path) for name, path in paths.items()}
        return cls(read_truth(folder / "models.csv"), part, archives, paths)

    def of(self, part: str) -> Zoo:
        """The same zoo, with another part looked at."""
        return self if part == self.part else Zoo(self.truth, part, self.archives, self.paths)

    def archive(self, name: str, count: int | None = None, access: str = "") -> Archive:
        """An archive, its first `count` probes, made coarser."""
        if name not in self.archives:
            raise Missing(f"outputs on the probe set {name}")
        archive = self.archives[name]
        if count is not None:
            archive = shortened(archive, count)
        return coarsened(archive, access) if access else archive

    def labels(self, name: str) -> list[Any]:
        """The true labels of a probe set, from the metadata of its archive."""
        with safe_open(self.paths[name], framework="numpy") as file:
            labels = list(json.loads((file.metadata() or {}).get("labels", "[]")))
        if len(labels) != self.archive(name).probes:
            raise Missing(f"true labels of the probe set {name}")
        return labels

    def cast(self, *names: str) -> Roles:
        """Who is what among the models that answered on all of these probe sets."""
        if names not in self._casts:
            chosen = [self.archive(name) for name in names]
            present = set.intersection(*(set(archive.outputs) for archive in chosen))
            everyone = [m for name, m in self.truth.models.items() if name in present]
            present -= set(comparable(chosen, everyone))
            self._casts[names] = roles(self.truth, self.part, present, 0)
        return self._casts[names]

    def scored(
        self, name: str, method: str, count: int | None = None, access: str = "", center: Any = None
    ) -> Scored:
        """Scores by a method on a probe set; made once."""
        key = (name, method, count, access, center)
        if key not in self._scored:
            archive = self.archive(name, count, access)
            self._scored[key] = Scored(archive, self.cast(name), method, center)
        return self._scored[key]

    def measured(self, comparisons: Comparisons) -> dict[str, Any]:
        """All measures of evaluate, pooled over the trained attacks."""
        return measures(comparisons, self.truth, TRAINED, "score", None, 0)

    def pooled(self, comparisons: Comparisons) -> Row:
        """AUC with its interval, TPR at 1 and 5 % FPR, the share called stolen at FDR 5 %."""
        return self.figures(self.measured(comparisons)["pooled"])

    @staticmethod
    def figures(found: dict[str, Any]) -> Row:
        """The same of a pooled entry of `measured`, or of one attack's."""
        row = {
            "auc": rounded(found["auc"]),
            "auc_interval": [rounded(x) for x in found["auc_interval"]],
            **{f"tpr_at_{n}": rounded(found["tpr"][f"0.0{n}"]["value"]) for n in (1, 5)},
            "called": rounded(found["called"]),
        }
        return {key: value for key, value in row.items() if value is not None}


def rounded(value: float | None) -> float | None:
    """Five decimals; None stays None."""
    return None if value is None else round(float(value), 5)


def mean_of(rows: Iterable[Row], keys: Sequence[str]) -> Row:
    """Means of some columns over rows that have them."""
    table = list(rows)
    return {
        key: rounded(float(np.mean([row[key] for row in table])))
        for key in keys
        if table and all(key in row for row in table)
    }
