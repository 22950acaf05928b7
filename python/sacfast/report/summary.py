"""What a scan says, as plain data: the sentence, the counts, the rows of the tables, the facts.

A suspect counts once, by the worst verdict that any source gives it; the table has one row a
comparison. A suspect that could not be read has a row as well, above the innocent: a broken model
must not hide at the bottom of the list.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from sacfast.access import costs
from sacfast.store import VERDICTS, ModelRecord, PairRecord, ScanRecord, note
from sacfast.text import visible

_LISTED = 4

#: Facts of a scan that the page shows in places of their own.
_SHOWN_ELSEWHERE = ("reach", "warnings")


def counts(scan: ScanRecord) -> dict[str, int]:
    """How many suspects have each verdict, in the order of `VERDICTS`."""
    found = Counter(scan.verdicts().values())
    return {verdict: found[verdict] for verdict in VERDICTS}


def sentence(scan: ScanRecord) -> str:
    """The outcome of the scan in one sentence."""
    count = counts(scan)
    suspects = sum(count.values()) - count["left out"]
    at = f" at FDR {scan.facts['fdr']:g}" if _is_number(scan.facts.get("fdr")) else ""
    if not suspects:
        return "There was no suspect to compare."
    of_all = f"{suspects:,} suspect{'s' * (suspects != 1)}"
    if count["stolen"]:
        number = "The only suspect" if suspects == 1 else f"{count['stolen']:,} of {of_all}"
        are = "is a stolen copy" if count["stolen"] == 1 else "are stolen copies"
        return f"{number} {are} of {_stolen_sources(scan)}{at}."
    unjudged = count["not comparable"]
    if unjudged == suspects:
        return f"Nothing could be judged among {of_all}."
    tail = f"; {unjudged:,} could not be judged" if unjudged else ""
    if count["suspicious"]:
        are = "is" if count["suspicious"] == 1 else "are"
        tail = f"; {count['suspicious']:,} {are} suspicious{tail}"
        return f"Nothing can be called stolen among {of_all}{at}{tail}."
    return f"No evidence of theft among {of_all}{at}{tail}."


def _stolen_sources(scan: ScanRecord) -> str:
    names = list(dict.fromkeys(p.source for p in scan.pairs if p.verdict == "stolen"))
    if len(names) == 1:
        return visible(names[0])
    return f"{len(names)} sources"


class Row(NamedTuple):
    """One line of the verdict table: a comparison, or a suspect that was never compared."""

    pair: PairRecord
    model: ModelRecord | None

    def cells(self) -> list[Any]:
        """What the line shows, in the order of the template's columns."""
        pair, model = self
        return [
            visible(pair.suspect),
            visible(pair.source) or None,
            pair.verdict,
            *(number(x) for x in (pair.score, pair.z, pair.p, pair.q, pair.distance)),
            visible(pair.mode or (model.outputs_kind if model else "")) or None,
            _status(model, note(pair, model)) if model else None,
        ]


def verdict_rows(scan: ScanRecord) -> list[Row]:
    """One row a comparison, worst verdict first."""
    suspects = {model.name: model for model in scan.role("suspect")}
    rows = [Row(pair, suspects.get(pair.suspect)) for pair in scan.pairs]
    return sorted(rows, key=lambda row: VERDICTS.index(row.pair.verdict))


def _status(model: ModelRecord, told: str) -> str:
    """Status, what is told of the model or the comparison, and dropped probes in one text."""
    dropped = (
        f"{model.dropped:,} probe{'s' * (model.dropped != 1)} dropped" if model.dropped else ""
    )
    remark = "; ".join(filter(None, [visible(told), dropped]))
    return f"{visible(model.status)}: {remark}" if remark else visible(model.status)


def model_rows(scan: ScanRecord) -> list[list[Any]]:
    """One row a model of the scan, whatever its role: who it is, to the digest."""
    return [
        [
            model.role,
            visible(model.name),
            visible(model.group) or None,
            _status(model, model.reason),
            visible(model.outputs_kind) or None,
            visible(model.model_digest) or None,
            visible(model.preprocessing_digest) or None,
        ]
        for model in scan.models
    ]


def number(x: float) -> float | None:
    """Six significant digits; None, shown as a dash, for what is missing or not finite."""
    return float(f"{x:.6g}") if math.isfinite(x) else None


def facts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """JSON facts as (name, text) pairs, nested ones flattened."""
    shown: list[tuple[str, str]] = []
    for key, value in values.items():
        name = visible(str(key)).replace("_", " ")
        if isinstance(value, Mapping):
            shown += [(f"{name} · {inner}", text) for inner, text in facts(value)]
        elif key not in _SHOWN_ELSEWHERE:
            shown.append((name, _text(value)))
    return shown


def _text(value: Any) -> str:
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_text(item) for item in value[:_LISTED]) or "none"
        return f"{shown}, … {len(value):,} in all" if len(value) > _LISTED else shown
    return visible(_local(str(value)))


def _local(text: str) -> str:
    """A path without the folders of the machine that it lies on; other text as it is."""
    for flavour in (PurePosixPath, PureWindowsPath):
        path = flavour(text)
        if path.is_absolute() and path.name:
            return path.name
    return text


def warnings(scan: ScanRecord) -> list[str]:
    """What the scan warned of, one sentence each."""
    given = scan.facts.get("warnings") or []
    return [visible(str(text)) for text in ([given] if isinstance(given, str) else given)]


def access(scan: ScanRecord) -> list[str]:
    """What each access mode that suspects were compared in costs in power, one sentence each."""
    return [visible(line) for line in costs(pair.mode for pair in scan.pairs if pair.mode)]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
