"""Access modes: in which form a model answers, and what that costs.

A mode is a kind of outputs with its settings, such as "rounded to 2 decimals" or "top-3". The
coarser a suspect's answers, the less of a theft shows in them, even when sources and null bank are
made as coarse. How much was measured on models that really were stolen; the table lies beside this
file, in access_power.json:

    {"study": how it was measured, "on": what it was measured on,
     "modes": [{"kind": "labels", "digits": null, "k": null, "auc": 0.86, "tpr": 0.51}, ...]}

`auc` and `tpr` are those of the default score, `tpr` at 1 % FPR, with sources and null bank in the
suspects' mode. Logits for classifiers and embeddings for faces are what the others are compared
with. A mode that was not measured borrows the figures of the best one that was and is no finer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from sacfast.kinds import KINDS, LADDER, SETTINGS, settled_kind

_NOTHING = 0.005  # of AUC: less is no loss that such a study can show
_FORM = re.compile(r"(?:(?P<kind>[a-z]+)|top-(?P<k>\d+))(?: to (?P<digits>\d+) decimals)?")


class Mode(NamedTuple):
    """An access mode: a kind of outputs with its settings."""

    kind: str
    digits: int | None = None
    k: int | None = None

    def __str__(self) -> str:
        name = f"top-{self.k}" if self.kind == "topk" else self.kind
        return name if self.digits is None else f"{name} to {self.digits} decimals"

    @classmethod
    def read(cls, text: str) -> Mode | None:
        """The mode that has this text; None if none has."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        digits, k = (None if found[name] is None else int(found[name]) for name in ("digits", "k"))
        kind = settled_kind(found["kind"] or "topk", digits)
        if kind not in KINDS or (digits is not None and kind not in SETTINGS["digits"]):
            return None
        return cls(kind, digits, k)


def common_mode(modes: Iterable[Mode]) -> Mode | None:
    """The finest mode that all of these can be brought to, or None where there is none.

    The coarsest kind, with the fewest decimals and classes that any of them gives.
    """
    given = set(modes)
    if any(mode.kind not in LADDER for mode in given):
        return given.pop() if len(given) == 1 else None
    kind = max((mode.kind for mode in given), key=LADDER.index)
    digits = [mode.digits for mode in given if mode.digits is not None]
    k = [mode.k for mode in given if mode.k is not None]
    return Mode(
        kind,
        min(digits) if digits and kind in SETTINGS["digits"] else None,
        min(k) if k and kind in SETTINGS["k"] else None,
    )


class Power(NamedTuple):
    """What a score reaches in one mode.

    Attributes:
        auc: Macro-average over the attacks.
        tpr: Likewise, at the false positive rate `fpr`.
        fpr: 0.01, and 0.05 for faces, of which fewer were measured.
        on: The models; "" where the table says it for all.
    """

    auc: float
    tpr: float
    fpr: float = 0.01
    on: str = ""


class Table(NamedTuple):
    """What was measured: how, on what, and the power of each mode."""

    study: str
    on: str
    modes: dict[Mode, Power]


def read_table(data: Any) -> Table:
    """A table from its JSON.

    Raises:
        KeyError, TypeError, ValueError: If it is not such a table.
    """
    modes = {}
    for row in data["modes"]:
        mode = Mode(row["kind"], row["digits"], row["k"])
        power = Power(
            float(row["auc"]), float(row["tpr"]), float(row.get("fpr", 0.01)), row.get("on", "")
        )
        if Mode.read(str(mode)) != mode:
            raise ValueError(f"no access mode: {mode!r}")
        if mode in modes or not all(0 <= share <= 1 for share in power[:3]):
            raise ValueError(f"{mode} stands there twice, or with {power}")
        modes[mode] = power
    return Table(str(data["study"]), str(data["on"]), modes)


@cache
def measured() -> Table:
    """The table that comes with the package."""
    return read_table(json.loads((files("sacfast") / "access_power.json").read_text("utf-8")))


def cost(text: str, table: Table | None = None) -> str:
    """One sentence on what an access mode, as it stands in a scan, costs in power.

    Args:
        text: The mode, e.g. "top-3".
        table: Where to look it up; None: the table that comes with the package.
    """
    table = measured() if table is None else table
    mode = Mode.read(text)
    if mode is None:
        return f"{text}: what this form of answers costs in power has not been measured."
    finest = Mode("logits" if mode.kind in LADDER else "embeddings")
    best = table.modes.get(finest)
    if mode == finest:
        return f"{mode}: the finest answers there are{_reached(best, table)}."
    no_finer = [known for known in table.modes if common_mode([mode, known]) == known]
    if best is None or not no_finer:
        return f"{mode}: coarser than {finest}; what that costs has not been measured yet."
    known = max(no_finer, key=lambda other: table.modes[other].auc)
    there = table.modes[known]
    lost = best.auc - there.auc
    says = f"costs {lost:.2f} of AUC" if lost >= _NOTHING else "costs next to nothing"
    if known != mode:
        says = f"not measured, but {known}, which is no finer, {says}"
    return (
        f"{mode}: {says} against {finest} (AUC {there.auc:.2f} and {best.auc:.2f}, "
        f"{there.tpr:.0%} and {best.tpr:.0%} found at {100 * there.fpr:g} % FPR, "
        f"{there.on or table.on})."
    )


def costs(modes: Iterable[str]) -> list[str]:
    """One sentence for each of the modes of a scan, as `cost` words it, the finest first."""

    def fineness(text: str) -> tuple[float, ...]:
        mode = Mode.read(text)
        if mode is None:
            return (math.inf,)
        fewer = (-math.inf if n is None else -n for n in (mode.digits, mode.k))
        return (KINDS.index(mode.kind), *fewer)

    return [cost(text) for text in sorted(set(modes), key=fineness)]


def _reached(power: Power | None, table: Table) -> str:
    if power is None:
        return ""
    found = f"{power.tpr:.0%} found at {100 * power.fpr:g} % FPR"
    return f" (AUC {power.auc:.2f}, {found}, {power.on or table.on})"
