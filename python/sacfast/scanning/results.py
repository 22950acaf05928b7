"""What a scan found: rows for people and machines, files, and an exit code."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sacfast.errors import ArgumentError, MissingExtraError
from sacfast.files import write_whole
from sacfast.store import VERDICTS, ScanRecord, note

EXIT_NOTHING, EXIT_FLAGGED, EXIT_NOT_JUDGED = 0, 3, 4

#: The columns of a result, in order.
COLUMNS = (
    "suspect",
    "source",
    "verdict",
    "score",
    "z",
    "p",
    "q",
    "distance",
    "mode",
    "dropped",
    "status",
    "reason",
    "model_digest",
)


class Scan:
    """A finished scan.

    Attributes:
        record: Everything that the store holds of it.

    ``scan.rows()`` are its results, ``scan.flagged`` the names of the stolen, ``scan.save(path)``
    writes them to a file, ``scan.exit_code`` is what the command returns.
    """

    def __init__(self, record: ScanRecord) -> None:
        self.record = record

    def rows(self) -> list[dict[str, Any]]:
        """One row a suspect and source, the most pressing first; one row for a suspect without
        outputs. Numbers that could not be computed are None."""
        return list(_rows(self.record))

    @property
    def counts(self) -> dict[str, int]:
        """How many suspects have each verdict; a suspect's is the most pressing of its rows."""
        found = Counter(self.record.verdicts().values())
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def flagged(self) -> list[str]:
        """The suspects called stolen, the clearest first."""
        return [name for name, verdict in self.record.verdicts().items() if verdict == "stolen"]

    @property
    def exit_code(self) -> int:
        """3: something is called stolen. 4: nothing is, but a suspect could not be judged (not
        comparable, at the floor of a null bank that is too small to say more, or with a source's
        very weights behind another config). 0: neither."""
        counts = self.counts
        if counts["stolen"]:
            return EXIT_FLAGGED
        unjudged = any(pair.at_floor for pair in self.record.pairs)
        copies = any(model.copy_of for model in self.record.role("suspect"))
        if counts["not comparable"] or unjudged or copies:
            return EXIT_NOT_JUDGED
        return EXIT_NOTHING

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the rows to a file, whole or not at all.

        Args:
            path: Ends in .jsonl (one JSON object a line), .csv or .parquet (extra `parquet`).

        Returns:
            The path.

        Raises:
            ArgumentError: If the suffix is none of these, or the file can't be written.
            MissingExtraError: If .parquet needs a package that is not there.
        """
        target = Path(path)
        check_out(target)
        try:
            write_whole(target, _WRITERS[target.suffix](self.rows()))
        except OSError as error:
            raise ArgumentError(f"Scan.save: `path` can't be written: {error}") from error
        return target

    def __len__(self) -> int:
        return len(self.rows())

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items())
        return f"<Scan of {self.record.facts.get('registry', '?')}: {counts}>"


def check_out(path: Path) -> None:
    """Raises unless results can be written there; called before hours of work."""
    if path.suffix not in _WRITERS:
        raise ArgumentError(f"scan: `out` must end in {', '.join(_WRITERS)}, got {path.name!r}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ArgumentError(f"scan: `out` must be a file in an existing folder, got {path}")
    if path.suffix == ".parquet":
        _pyarrow()


def _rows(record: ScanRecord) -> Iterator[dict[str, Any]]:
    suspects = {model.name: model for model in record.role("suspect")}
    for pair in record.pairs:
        model = suspects[pair.suspect]
        facts = {**asdict(model), **asdict(pair), "source": pair.source or None}
        facts["reason"] = note(pair, model)
        yield {key: plain(facts[key]) for key in COLUMNS}


def plain(value: Any) -> Any:
    """None in the place of NaN, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _jsonl(rows: list[dict[str, Any]]) -> bytes:
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
    return "".join(lines).encode("utf-8")


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows({name: _no_formula(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue().encode("utf-8")


def _no_formula(cell: Any) -> Any:
    """A name that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") else cell


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    arrow = _pyarrow()
    kinds: Mapping[str, Any] = {
        **dict.fromkeys(COLUMNS, arrow.string()),
        **dict.fromkeys(("score", "z", "p", "q", "distance"), arrow.float64()),
        "dropped": arrow.int64(),
    }
    schema = arrow.schema([(name, kinds[name]) for name in COLUMNS])
    from pyarrow import parquet

    data = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), data)
    return data.getvalue()


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("writing .parquet", "pyarrow", "parquet") from error
    return pyarrow


_WRITERS = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
