"""The store: nothing is lost, nothing is torn, and a foreign file is told from ours."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from sacfast.errors import ShapeError, StoreError
from sacfast.fingerprint import Fingerprint, FingerprintKey
from sacfast.store import ModelRecord, NullRecord, PairRecord, ScanRecord, Store


def fingerprint(name="a" * 64, dtype="float32", shape=(5, 3), kind="logits"):
    values = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    return Fingerprint(FingerprintKey(name, "p" * 64, "", kind), values, 2, 3, 0.5)


def scan_record(probes="p" * 64):
    return ScanRecord(
        probe_digest=probes,
        facts={"registry": "r", "p_floor": 0.1, "warnings": ["ä\n<b>"]},
        models=(
            ModelRecord("source", "s", "s", "ok", "", "d", "pp", "logits"),
            ModelRecord("suspect", "x\n\x1b[31m", "g", "failed", "is broken"),
        ),
        pairs=(
            PairRecord("a", "s", "stolen", 0.9, 3.0, 0.01, 0.02, 0.1),
            PairRecord("x\n\x1b[31m", "", "not comparable"),
        ),
        nulls=(NullRecord("s", "logits", math.nan, (0.1, -0.25)),),
    )


@pytest.mark.parametrize(
    ("dtype", "shape", "kind"),
    [("float32", (5, 3), "logits"), ("float64", (2, 1), "probs"), ("int64", (7,), "labels")],
)
def test_a_fingerprint_comes_back_as_it_went_in(tmp_path, dtype, shape, kind):
    given = fingerprint(dtype=dtype, shape=shape, kind=kind)
    with Store(tmp_path / "s.db") as store:
        assert not store.has_fingerprint(given.key)
        store.add_fingerprint(given)
        assert store.has_fingerprint(given.key)
    with Store(tmp_path / "s.db", read_only=True) as store:
        found = store.fingerprint(given.key)
    assert found.outputs.dtype == given.outputs.dtype
    np.testing.assert_array_equal(found.outputs, given.outputs)
    assert (found.digits, found.k, found.seconds) == (2, 3, 0.5)


def test_the_first_outputs_of_a_key_stay(tmp_path):
    first = fingerprint()
    with Store(tmp_path / "s.db") as store:
        store.add_fingerprint(first)
        store.add_fingerprint(Fingerprint(first.key, first.outputs + 1))
        np.testing.assert_array_equal(store.fingerprint(first.key).outputs, first.outputs)


def test_a_scan_comes_back_as_it_went_in(tmp_path):
    given = scan_record()
    with Store(tmp_path / "s.db") as store:
        store.add_probes("p" * 64, {"kind": "jpeg"})
        assert store.add_scan(given) == 1
        assert store.add_scan(given) == 2
        found = store.scan()
        assert found.id == 2
        assert store.scan(1).id == 1
        assert store.probes("p" * 64) == {"kind": "jpeg"}
    assert found.models == given.models
    assert found.facts == given.facts
    assert found.pairs[0] == given.pairs[0]
    assert math.isnan(found.pairs[1].score)
    assert found.nulls[0].scores == (0.1, -0.25)
    assert math.isnan(found.nulls[0].threshold)


def test_a_scan_is_written_whole_or_not_at_all(tmp_path):
    broken = scan_record()
    twice = ScanRecord(broken.probe_digest, {"x": {1, 2}}, broken.models, broken.pairs)
    with Store(tmp_path / "s.db") as store:
        store.add_probes("p" * 64, {})
        with pytest.raises(TypeError):
            store.add_scan(twice)
        with pytest.raises(StoreError, match="can't be written"):
            store.add_scan(scan_record(probes="unknown"))
        assert store.scan_ids() == []


def test_foreign_and_newer_files_are_named(tmp_path):
    (tmp_path / "text.db").write_text("not a database, but long enough to look at " * 30)
    with pytest.raises(StoreError, match="can't be opened"):
        Store(tmp_path / "text.db")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreError, match="another program's SQLite file"):
        Store(tmp_path / "other.db")
    Store(tmp_path / "new.db").close()
    with sqlite3.connect(tmp_path / "new.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="schema version 1, got 99"):
        Store(tmp_path / "new.db")
    with pytest.raises(StoreError, match="no file at"):
        Store(tmp_path / "absent.db", read_only=True)
    with pytest.raises(StoreError, match="can't be opened"):
        Store(tmp_path / "no-such-folder" / "s.db")


def test_what_is_not_there_is_an_error(tmp_path):
    with Store(tmp_path / "s.db") as store:
        with pytest.raises(StoreError, match="no outputs of model"):
            store.fingerprint(fingerprint().key)
        with pytest.raises(StoreError, match="holds no finished scan"):
            store.scan()
        with pytest.raises(StoreError, match="holds no scan 7"):
            store.scan(7)
        with pytest.raises(StoreError, match="knows no probe set"):
            store.probes("x")


def test_a_damaged_row_is_an_error_not_a_crash(tmp_path):
    given = fingerprint()
    with Store(tmp_path / "s.db") as store:
        store.add_fingerprint(given)
        store._db.execute("UPDATE fingerprints SET outputs = x'00'")
        with pytest.raises(StoreError, match="do not fit"):
            store.fingerprint(given.key)
        store._db.execute("UPDATE fingerprints SET dtype = 'object'")
        with pytest.raises(StoreError, match="do not fit"):
            store.fingerprint(given.key)


def test_two_writers_share_a_store(tmp_path):
    def write(letter: str) -> None:
        with Store(tmp_path / "s.db") as store:
            for i in range(40):
                store.add_fingerprint(fingerprint(name=f"{letter}{i}"))

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store(tmp_path / "s.db") as store:
        assert store._all("SELECT count(*) FROM fingerprints") == [(120,)]


def test_kill_9_loses_at_most_what_was_in_flight(tmp_path):
    script = f"""
import os, numpy as np
from sacfast.store import Store
from sacfast.fingerprint import Fingerprint, FingerprintKey
store = Store({str(tmp_path / "s.db")!r})
for i in range(10):
    key = FingerprintKey(f"m{{i}}", "p", "", "logits")
    store.add_fingerprint(Fingerprint(key, np.ones((2, 2))))
store._db.execute("BEGIN IMMEDIATE")
store._db.execute("INSERT INTO probe_sets VALUES ('torn', '{{}}')")
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    with Store(tmp_path / "s.db") as store:
        assert store._all("SELECT count(*) FROM fingerprints") == [(10,)]
        assert store._all("SELECT count(*) FROM probe_sets") == [(0,)]


def test_a_fingerprint_is_frozen_and_two_dimensional():
    values = np.ones((2, 2), dtype=np.float32)
    made = Fingerprint(FingerprintKey("m", "p", "", "logits"), values)
    values[0, 0] = 7
    assert made.outputs[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        made.outputs[0, 0] = 2
    with pytest.raises(ShapeError, match="of kind labels must have 1 dimension"):
        Fingerprint(FingerprintKey("m", "p", "", "labels"), values)


def test_many_open_a_new_store_at_once(tmp_path):
    """Going over to the write-ahead log is where SQLite does not wait by itself."""
    failures = []

    def open_them(gate):
        for i in range(20):
            gate.wait()
            try:
                Store(tmp_path / f"{i}.db").close()
            except StoreError as error:
                failures.append(str(error))

    gate = threading.Barrier(4)
    threads = [threading.Thread(target=open_them, args=(gate,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
