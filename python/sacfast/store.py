"""What is known about every model, in one SQLite file that survives a crash at any moment.

    probe_sets    digest, facts                               what the models were shown
    fingerprints  key, outputs                                what they answered, once for all scans
    scans         id, created, facts                          one row a finished scan
    scan_models   scan, role, name, status, reason, digests   every source, null model and suspect
    scan_pairs    scan, suspect, source, scores, verdict      every comparison
    scan_nulls    scan, source, scores of the null bank       what the p-values rest on

A fingerprint is committed the moment it exists, so an interrupted scan loses only the models in
flight and the next run goes on from there. A scan's rows are written together at its end.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ArgumentError, StoreError
from sacfast.fingerprint import Fingerprint, FingerprintKey

SCHEMA_VERSION = 1
APPLICATION_ID = 0x5AC_FA57
_PATIENCE = 30.0  # seconds to wait for another writer

_SCHEMA = """
CREATE TABLE probe_sets (
    digest TEXT PRIMARY KEY,
    facts  TEXT NOT NULL
);
CREATE TABLE fingerprints (
    model_digest         TEXT NOT NULL,
    probe_digest         TEXT NOT NULL,
    preprocessing_digest TEXT NOT NULL,
    outputs_kind         TEXT NOT NULL,
    digits  INTEGER,
    k       INTEGER,
    dtype   TEXT NOT NULL,
    shape   TEXT NOT NULL,
    outputs BLOB NOT NULL,
    seconds REAL NOT NULL,
    created TEXT NOT NULL,
    PRIMARY KEY (model_digest, probe_digest, preprocessing_digest, outputs_kind)
);
CREATE TABLE scans (
    id      INTEGER PRIMARY KEY,
    created TEXT NOT NULL,
    probe_digest TEXT NOT NULL REFERENCES probe_sets (digest),
    facts   TEXT NOT NULL
);
CREATE TABLE scan_models (
    scan     INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    role     TEXT NOT NULL,
    name     TEXT NOT NULL,
    "group"  TEXT NOT NULL,
    status   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    preprocessing_digest TEXT NOT NULL,
    outputs_kind TEXT NOT NULL,
    digits   INTEGER,
    k        INTEGER,
    weights_digest TEXT NOT NULL,
    copy_of  TEXT NOT NULL,
    dropped  INTEGER NOT NULL,
    PRIMARY KEY (scan, position)
);
CREATE TABLE scan_pairs (
    scan     INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    suspect  TEXT NOT NULL,
    source   TEXT NOT NULL,
    verdict  TEXT NOT NULL,
    score REAL, z REAL, p REAL, q REAL, distance REAL,
    mode     TEXT NOT NULL,
    at_floor INTEGER NOT NULL,
    PRIMARY KEY (scan, position)
);
CREATE TABLE scan_nulls (
    scan     INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    source   TEXT NOT NULL,
    mode     TEXT NOT NULL,
    threshold REAL,
    scores   TEXT NOT NULL,
    PRIMARY KEY (scan, position)
);
"""

#: The verdicts, the most pressing first: a model that can't be judged stands above the innocent.
#: The last is no verdict: an entry of the registry that is a source or a null model itself.
VERDICTS = ("stolen", "suspicious", "not comparable", "no evidence", "left out")

#: Said of a comparison at the smallest p-value that the bank can give, where that is not enough.
AT_THE_FLOOR = "at the floor of the null bank, which is too small to say more"

_DTYPES = {"float32", "float64", "int64"}


@dataclass(frozen=True)
class ModelRecord:
    """One model's row in a scan.

    Attributes:
        role: "source", "null" or "suspect".
        name: Its name in the registry.
        group: The group that it shares with models of the same author or family.
        status: "ok"; "failed" or "refused" (it gave no outputs); "source" or "null model" where
            an entry of the registry plays that role itself and is no suspect.
        reason: Why, in one sentence, or what else is to be known of it.
        model_digest, preprocessing_digest, outputs_kind: As in `FingerprintKey`; "" where the
            model could not be read.
        digits, k: As in `Fingerprint`.
        weights_digest: SHA-256 of the weights or answers alone, whatever the config says.
        copy_of: The source whose weights it holds byte for byte, or "".
        dropped: Probes that could not be used (NaN, Inf or constant outputs).
    """

    role: str
    name: str
    group: str
    status: str
    reason: str = ""
    model_digest: str = ""
    preprocessing_digest: str = ""
    outputs_kind: str = ""
    digits: int | None = None
    k: int | None = None
    weights_digest: str = ""
    copy_of: str = ""
    dropped: int = 0

    def key(self, probe_digest: str) -> FingerprintKey:
        """The key of its outputs on a probe set."""
        return FingerprintKey(
            self.model_digest, probe_digest, self.preprocessing_digest, self.outputs_kind
        )


@dataclass(frozen=True)
class PairRecord:
    """One comparison of a suspect with a source; numbers are NaN where it could not be made.

    Attributes:
        verdict: One of `VERDICTS`.
        score: The detector's score; high = stolen, but for method "paper".
        z: The score in standard deviations of the null bank.
        p: Conformal p-value. q: its Benjamini–Hochberg adjustment over the scan.
        distance: The papers' distance, small = stolen.
        mode: The access mode in which both were compared, e.g. "probs to 2 decimals".
        at_floor: Suspicious with the smallest p-value that the bank can give: `AT_THE_FLOOR`.
    """

    suspect: str
    source: str
    verdict: str
    score: float = math.nan
    z: float = math.nan
    p: float = math.nan
    q: float = math.nan
    distance: float = math.nan
    mode: str = ""
    at_floor: bool = False


def note(pair: PairRecord, model: ModelRecord) -> str:
    """What is to be said of a comparison besides its numbers, in one line; mostly nothing."""
    own = (
        f"its weights are those of source {pair.source}, byte for byte"
        if model.copy_of and model.copy_of == pair.source
        else ""
    )
    return "; ".join(filter(None, [model.reason, own, AT_THE_FLOOR * pair.at_floor]))


@dataclass(frozen=True)
class NullRecord:
    """The null bank's scores against one source, in one access mode.

    Attributes:
        mode: The access mode in which they were scored.
        threshold: A suspect beyond this score would have been called stolen by this scan (above
            it, or below for method "paper"); NaN if none could be.
        scores: (m,) the bank's, each member with its own group left out.
    """

    source: str
    mode: str
    threshold: float
    scores: tuple[float, ...]


@dataclass(frozen=True)
class ScanRecord:
    """One finished scan: everything that its report shows, short of the outputs themselves.

    Attributes:
        facts: JSON: registry, method, ridge, fdr, reach (text), warnings, versions, seconds ….
        models: Sources, null bank and suspects, in the order in which they were listed.
        pairs: The comparisons, most suspicious first.
        nulls: The null bank's scores a source and access mode.
        id, created: Given by the store; UTC, ISO 8601.
    """

    probe_digest: str
    facts: Mapping[str, Any]
    models: tuple[ModelRecord, ...]
    pairs: tuple[PairRecord, ...]
    nulls: tuple[NullRecord, ...] = ()
    id: int = 0
    created: str = ""

    def verdicts(self) -> dict[str, str]:
        """The verdict on each suspect that has a row: the most pressing of its comparisons."""
        worst: dict[str, str] = {}
        for pair in self.pairs:
            held = worst.setdefault(pair.suspect, pair.verdict)
            worst[pair.suspect] = min(held, pair.verdict, key=VERDICTS.index)
        return worst

    def role(self, role: str) -> tuple[ModelRecord, ...]:
        """The models of one role."""
        return tuple(model for model in self.models if model.role == role)


@dataclass
class Store:
    """A fingerprint store, opened; use it in a ``with`` block or call `close`.

    Args:
        path: The SQLite file; made where it does not exist. ":memory:" keeps it in memory.
        read_only: Open an existing store without the right to change it.

    Raises:
        StoreError: If the file is not a store of this version, or can't be opened.
    """

    path: Path | str
    read_only: bool = False
    _db: sqlite3.Connection = field(init=False, repr=False)

    def __post_init__(self) -> None:
        target = str(self.path)
        if self.read_only and not Path(target).is_file():
            raise StoreError(f"Store: `path` must be a fingerprint store, got no file at {target}")
        uri = f"{Path(target).absolute().as_uri()}?mode=ro" if self.read_only else target
        try:
            self._db = sqlite3.connect(
                uri, uri=self.read_only, timeout=_PATIENCE, isolation_level=None
            )
            self._open()
        except sqlite3.Error as error:
            raise StoreError(f"Store: `path` {target} can't be opened: {error}") from error

    def _open(self) -> None:
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables:
            application = self._db.execute("PRAGMA application_id").fetchone()[0]
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if application != APPLICATION_ID:
                self._db.close()
                raise StoreError(
                    f"Store: `path` must be a fingerprint store, got another program's SQLite "
                    f"file: {self.path}"
                )
            if version != SCHEMA_VERSION:
                self._db.close()
                raise StoreError(
                    f"Store: `path` must have schema version {SCHEMA_VERSION}, got {version}: "
                    f"{self.path}"
                )
        if not self.read_only:
            self._to_wal()
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            if not tables:
                # BEGIN IMMEDIATE, then look again: another scan may have made it meanwhile.
                with self._transaction():
                    if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                        for statement in _SCHEMA.split(";"):
                            self._db.execute(statement)
                        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _to_wal(self) -> None:
        """Asks for the write-ahead log; of several that open a new file, all but one must wait.

        SQLite does not wait here by itself, as it does elsewhere: two that hold a read lock and
        want more would wait for each other.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def close(self) -> None:
        """Closes the file; the store can't be used afterwards."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"Store: {self.path} can't be written: {error}") from error

    # -- probes and fingerprints ---------------------------------------------------------------

    def add_probes(self, digest: str, facts: Mapping[str, Any]) -> None:
        """Notes a probe set; one that is already known stays as it is."""
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO probe_sets VALUES (?, ?)", (digest, json.dumps(dict(facts)))
            )

    def probes(self, digest: str) -> Mapping[str, Any]:
        """The facts of a probe set that was noted here.

        Raises:
            StoreError: If this store has never seen it.
        """
        row = self._one("SELECT facts FROM probe_sets WHERE digest = ?", (digest,))
        if row is None:
            raise StoreError(f"Store.probes: {self.path} knows no probe set {digest}")
        facts: Mapping[str, Any] = json.loads(row[0])
        return facts

    def add_fingerprint(self, fingerprint: Fingerprint) -> None:
        """Commits one fingerprint; the same key is written once, the first stays.

        Raises:
            StoreError: If the store can't be written (read-only, full disk, locked).
        """
        outputs = fingerprint.outputs
        if str(outputs.dtype) not in _DTYPES:
            raise ArgumentError(
                f"Store.add_fingerprint: `fingerprint.outputs` must be one of {sorted(_DTYPES)}, "
                f"got {outputs.dtype}"
            )
        little = outputs.astype(outputs.dtype.newbyteorder("<"), copy=False)
        row = (
            *fingerprint.key,
            fingerprint.digits,
            fingerprint.k,
            str(outputs.dtype),
            json.dumps(outputs.shape),
            little.tobytes(),
            fingerprint.seconds,
            _now(),
        )
        with self._transaction():
            self._db.execute(
                f"INSERT OR IGNORE INTO fingerprints VALUES ({', '.join('?' * len(row))})", row
            )

    def has_fingerprint(self, key: FingerprintKey) -> bool:
        """Whether a model's outputs are known already."""
        return self._one(f"SELECT 1 FROM fingerprints WHERE {_KEY}", key) is not None

    def fingerprint(self, key: FingerprintKey) -> Fingerprint:
        """The fingerprint of a key.

        Raises:
            StoreError: If it is not in the store, or its bytes do not fit its shape.
        """
        row = self._one(
            f"SELECT digits, k, dtype, shape, outputs, seconds FROM fingerprints WHERE {_KEY}", key
        )
        if row is None:
            raise StoreError(
                f"Store.fingerprint: {self.path} has no outputs of model {key.model_digest} "
                f"on probes {key.probe_digest}"
            )
        digits, k, dtype, shape, outputs, seconds = row
        return Fingerprint(key, _array(outputs, dtype, shape), digits, k, seconds)

    # -- scans ---------------------------------------------------------------------------------

    def add_scan(self, scan: ScanRecord) -> int:
        """Writes a finished scan, all or nothing, and returns its number."""
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO scans (created, probe_digest, facts) VALUES (?, ?, ?)",
                (_now(), scan.probe_digest, json.dumps(dict(scan.facts))),
            )
            number = int(cursor.lastrowid or 0)
            self._insert(
                "scan_models",
                [
                    (number, i, *(getattr(model, f.name) for f in fields(model)))
                    for i, model in enumerate(scan.models)
                ],
            )
            self._insert(
                "scan_pairs",
                [
                    (number, i, *(getattr(pair, f.name) for f in fields(pair)))
                    for i, pair in enumerate(scan.pairs)
                ],
            )
            self._insert(
                "scan_nulls",
                [
                    (number, i, n.source, n.mode, n.threshold, json.dumps(n.scores))
                    for i, n in enumerate(scan.nulls)
                ],
            )
        return number

    def scan_ids(self) -> list[int]:
        """The numbers of all finished scans, oldest first."""
        return [row[0] for row in self._all("SELECT id FROM scans ORDER BY id")]

    def scan(self, number: int | None = None) -> ScanRecord:
        """One finished scan.

        Args:
            number: Its number; None for the latest.

        Raises:
            StoreError: If there is no such scan.
        """
        known = self.scan_ids()
        if number is None and known:
            number = known[-1]
        if number not in known:
            asked = "finished scan" if number is None else f"scan {number}"
            raise StoreError(f"Store.scan: {self.path} holds no {asked}")
        created, probe_digest, facts = self._all(
            "SELECT created, probe_digest, facts FROM scans WHERE id = ?", (number,)
        )[0]
        models = self._all(
            f"SELECT {', '.join(_MODEL_COLUMNS)} FROM scan_models WHERE scan = ? ORDER BY position",
            (number,),
        )
        pairs = self._all(
            f"SELECT {', '.join(_PAIR_COLUMNS)} FROM scan_pairs WHERE scan = ? ORDER BY position",
            (number,),
        )
        nulls = self._all(
            "SELECT source, mode, threshold, scores FROM scan_nulls "
            "WHERE scan = ? ORDER BY position",
            (number,),
        )
        return ScanRecord(
            probe_digest=probe_digest,
            facts=json.loads(facts),
            models=tuple(ModelRecord(*row) for row in models),
            pairs=tuple(_pair(*row) for row in pairs),
            nulls=tuple(
                NullRecord(source, mode, _nan(threshold), tuple(json.loads(scores)))
                for source, mode, threshold, scores in nulls
            ),
            id=number,
            created=created,
        )

    # -- plumbing ------------------------------------------------------------------------------

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def _all(self, query: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, tuple(arguments)).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"Store: {self.path} can't be read: {error}") from error

    def _one(self, query: str, arguments: Sequence[Any]) -> tuple[Any, ...] | None:
        rows = self._all(query, arguments)
        return rows[0] if rows else None


_MODEL_COLUMNS = tuple(f'"{field.name}"' for field in fields(ModelRecord))
_PAIR_COLUMNS = tuple(field.name for field in fields(PairRecord))
_KEY = " AND ".join(f"{column} = ?" for column in FingerprintKey._fields)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _pair(suspect: str, source: str, verdict: str, *numbers_and_marks: Any) -> PairRecord:
    *numbers, mode, at_floor = numbers_and_marks
    score, z, p, q, distance = map(_nan, numbers)
    return PairRecord(suspect, source, verdict, score, z, p, q, distance, mode, bool(at_floor))


def _nan(value: float | None) -> float:
    """SQLite stores NaN as NULL."""
    return math.nan if value is None else float(value)


def _array(data: bytes, dtype: str, shape: str) -> NDArray[Any]:
    extent = tuple(json.loads(shape))
    if dtype not in _DTYPES or len(data) != np.dtype(dtype).itemsize * math.prod(extent):
        raise StoreError(f"Store: outputs of {len(data)} bytes do not fit {dtype} {extent}")
    little = np.frombuffer(data, dtype=np.dtype(dtype).newbyteorder("<"))
    return little.astype(dtype).reshape(extent)
