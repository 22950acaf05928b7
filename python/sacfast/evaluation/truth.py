"""The truth file: which models are sources, which are stolen from them, which are innocent.

A CSV table, one row a model. `model`, `source` and `attack` must be there:

    model            its name in the scan or in the outputs
    source           the model that it was stolen from; empty: innocent
    attack           how it was stolen, or what kind of innocent it is; "source" marks a source
    group            its author or origin; models of one group are not independent draws
    part             select (on which a method is chosen), calibrate (the null bank) or test
    accuracy         on its task, in 0..1
    source_accuracy  of its source on the same task; the source's own row may say it instead
    agreement        share of images on which it answers as its source does
    twin             a copy's honest twin: a model made the same way without the source
    twin_agreement   of that twin with the copy's source; the twin's own row may say it instead
    trained          no: a disguise or an evasion, listed, but not pooled

Other columns are kept as they are. An empty cell is one that is not known.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sacfast.errors import ArgumentError
from sacfast.text import one_line

PARTS = ("select", "calibrate", "test")
#: A copy whose accuracy fell further below its source's is no copy worth finding.
MAX_FALL = 0.15

_NEEDED = ("model", "source", "attack")
_SHARES = ("accuracy", "source_accuracy", "agreement", "twin_agreement")
_KNOWN = (*_NEEDED, *_SHARES, "group", "part", "twin", "trained")
_SOURCE = "source"


@dataclass(frozen=True)
class Model:
    """One row of the truth file.

    Attributes:
        name: Its name.
        source: What it was stolen from; "" for sources and innocents.
        attack: How, or the kind of innocent; "source" for a source.
        group: Its author; its own name where the file says nothing.
        part: "select", "calibrate" or "test".
        accuracy, agreement, twin_agreement: In [0, 1]; None where not known.
        source_accuracy: Its source's accuracy, from the source's row where its own says nothing.
        twin: The name of its honest twin, "" for none.
        trained: Whether it is one of the attacks that are pooled unless others are named.
        other: Cells of other columns.
    """

    name: str
    source: str
    attack: str
    group: str
    part: str
    accuracy: float | None = None
    source_accuracy: float | None = None
    agreement: float | None = None
    twin_agreement: float | None = None
    twin: str = ""
    trained: bool = True
    other: Mapping[str, str] = field(default_factory=dict)

    @property
    def stolen(self) -> bool:
        """Whether it is a copy of a source."""
        return bool(self.source)

    @property
    def is_source(self) -> bool:
        """Whether it is a source itself."""
        return self.attack == _SOURCE

    @property
    def destroyed(self) -> bool:
        """Whether the attack cost it so much accuracy that it does not count."""
        if not self.stolen or self.accuracy is None or self.source_accuracy is None:
            return False
        return self.source_accuracy - self.accuracy > MAX_FALL + 1e-9


@dataclass(frozen=True)
class Truth:
    """A truth file.

    Attributes:
        models: Every row, by name, in the file's order.
        parted: Whether the file says which part a model belongs to.
    """

    models: Mapping[str, Model]
    parted: bool

    def stolen(self, part: str) -> list[Model]:
        """The copies of a part."""
        return [model for model in self.models.values() if model.stolen and model.part == part]

    def innocents(self, part: str) -> list[Model]:
        """The innocent models of a part, sources left out."""
        return [
            model
            for model in self.models.values()
            if not (model.stolen or model.is_source) and model.part == part
        ]

    def excess_agreement(self, model: Model) -> float | None:
        """How much more often a copy answers as its source does than its honest twin.

        None where either is not known. Where it is nil, nothing was copied that could be found.
        """
        twin = self.models.get(model.twin)
        honest = model.twin_agreement
        if honest is None and twin is not None:
            honest = twin.agreement
        return None if model.agreement is None or honest is None else model.agreement - honest


def read_truth(path: Path) -> Truth:
    """Reads and checks a truth file.

    Raises:
        ArgumentError: If it can't be read, or says what can't be; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"evaluate: `truth` must be a CSV file, got {path}: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = list(reader.fieldnames or ())
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ArgumentError(
            f"evaluate: `truth` must be a CSV file, got {path}, line {reader.line_num}: {error}"
        ) from error
    _check_columns(columns)
    models: dict[str, Model] = {}
    for line, row in rows:
        model = _model(line, row)
        if model.name in models:
            raise _wrong(line, f"model {model.name!r} a second time")
        models[model.name] = model
    if not models:
        raise ArgumentError("evaluate: `truth` must hold at least one model, got none")
    return Truth(dict(_completed(models)), "part" in columns)


def _check_columns(columns: list[str]) -> None:
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise ArgumentError(
            f"evaluate: `truth` must have the columns {', '.join(_NEEDED)}, got none named "
            f"{', '.join(missing)}",
            hint="docs/evaluation.md lists all columns",
        )
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise ArgumentError(
            f"evaluate: `truth` must name each column once, got {sorted(twice)[0]!r} twice"
        )


def _model(line: int, row: Mapping[str | None, str | list[str] | None]) -> Model:
    if None in row or any(cell is None for cell in row.values()):
        raise _wrong(line, "another number of cells than the header names")
    cells = {str(name): str(cell).strip() for name, cell in row.items()}
    name, source, attack = (cells[column] for column in _NEEDED)
    if not name:
        raise _wrong(line, "a row without a model's name")
    if source and not attack:
        raise _wrong(line, f"{name!r}, stolen from {source!r}, without an attack")
    if source and attack == _SOURCE:
        raise _wrong(line, f"{name!r} as a source that has a source, {source!r}")
    part = cells.get("part") or "test"
    if part not in PARTS:
        raise _wrong(line, f"the part {part!r}, which must be one of {', '.join(PARTS)}")
    trained = cells.get("trained", "").lower() or "yes"
    if trained not in ("yes", "no"):
        raise _wrong(line, f"`trained` {trained!r}, which must be yes, no or empty")
    return Model(
        name,
        source,
        attack or "innocent",
        cells.get("group") or name,
        part,
        **{column: _share(line, column, cells) for column in _SHARES},
        twin=cells.get("twin", ""),
        trained=trained == "yes",
        other={column: cell for column, cell in cells.items() if column not in _KNOWN},
    )


def _completed(models: Mapping[str, Model]) -> Iterator[tuple[str, Model]]:
    """Every model, with its source's accuracy; errors where sources and twins are not there."""
    for name, model in models.items():
        source = models.get(model.source)
        if model.stolen and (source is None or not source.is_source):
            raise ArgumentError(
                f"evaluate: `truth` must list the source {model.source!r} of {name!r} with the "
                f"attack {_SOURCE!r}, got {'none' if source is None else repr(source.attack)}"
            )
        twin = models.get(model.twin)
        if model.twin and (twin is None or twin.stolen or twin.is_source):
            raise ArgumentError(
                f"evaluate: `truth` must list the twin {model.twin!r} of {name!r} as an innocent "
                f"model, got {'none' if twin is None else repr(twin.attack)}"
            )
        own = model.source_accuracy
        accuracy = own if own is not None or source is None else source.accuracy
        yield name, replace(model, source_accuracy=accuracy)


def _share(line: int, column: str, cells: Mapping[str, str]) -> float | None:
    cell = cells.get(column, "")
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise _wrong(line, f"{column} {cell!r}, which must be a number in 0..1")
    return value


def _wrong(line: int, got: str) -> ArgumentError:
    return ArgumentError(
        f"evaluate: `truth` must be a table of models, got on line {line} {one_line(got, 300)}"
    )
