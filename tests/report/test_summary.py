"""The scan in a sentence, the counts and the rows."""

from __future__ import annotations

import pytest

from sacfast.access import cost
from sacfast.report.summary import (
    access,
    counts,
    facts,
    sentence,
    verdict_rows,
    visible,
)
from sacfast.store import AT_THE_FLOOR, ModelRecord, PairRecord, ScanRecord


def scan(verdicts: dict[str, list[str]], statuses: dict[str, str] | None = None) -> ScanRecord:
    """Suspects with one verdict a source; those of `statuses` were not compared."""
    models = [ModelRecord("suspect", name, "", "ok", "", "", "", "logits") for name in verdicts]
    models += [
        ModelRecord("suspect", n, "", status, "why") for n, status in (statuses or {}).items()
    ]
    pairs = [
        PairRecord(name, f"source-{i}", verdict, 0.5, 1.0, 0.1, 0.2, 0.3)
        for name, given in verdicts.items()
        for i, verdict in enumerate(given)
    ]
    pairs += [
        PairRecord(name, "", "left out" if status == "source" else "not comparable")
        for name, status in (statuses or {}).items()
    ]
    return ScanRecord("p", {"fdr": 0.05}, tuple(models), tuple(pairs))


@pytest.mark.parametrize(
    ("verdicts", "statuses", "said"),
    [
        ({}, {}, "There was no suspect to compare."),
        ({}, {"a": "source"}, "There was no suspect to compare."),
        ({"a": ["stolen"]}, {}, "The only suspect is a stolen copy of source-0 at FDR 0.05."),
        (
            {"a": ["stolen"], "b": ["no evidence"]},
            {"c": "failed"},
            "1 of 3 suspects is a stolen copy of source-0 at FDR 0.05.",
        ),
        (
            {"a": ["stolen", "no evidence"], "b": ["no evidence", "stolen"]},
            {},
            "2 of 2 suspects are stolen copies of 2 sources at FDR 0.05.",
        ),
        (
            {"a": ["suspicious"], "b": ["no evidence"]},
            {"c": "refused"},
            "Nothing can be called stolen among 3 suspects at FDR 0.05; 1 is suspicious; "
            "1 could not be judged.",
        ),
        ({"a": ["no evidence"]}, {}, "No evidence of theft among 1 suspect at FDR 0.05."),
        ({}, {"a": "failed", "b": "failed"}, "Nothing could be judged among 2 suspects."),
    ],
)
def test_sentence(verdicts, statuses, said) -> None:
    assert sentence(scan(verdicts, statuses)) == said


def test_suspect_counts_once_by_its_worst_verdict() -> None:
    record = scan(
        {"a": ["no evidence", "stolen"], "b": ["suspicious", "not comparable"]},
        {"c": "failed", "d": "source"},
    )
    assert record.verdicts() == {
        "a": "stolen", "b": "suspicious", "c": "not comparable", "d": "left out",
    }  # fmt: skip
    assert list(counts(record).values()) == [1, 1, 1, 0, 1]


def test_rows_list_broken_models_above_the_innocent() -> None:
    record = scan({"a": ["no evidence"], "b": ["stolen"]}, {"c": "failed", "d": "source"})
    rows = [row.cells() for row in verdict_rows(record)]
    assert [(row[0], row[2]) for row in rows] == [
        ("b", "stolen"), ("c", "not comparable"), ("a", "no evidence"), ("d", "left out"),
    ]  # fmt: skip
    assert rows[0] == ["b", "source-0", "stolen", 0.5, 1.0, 0.1, 0.2, 0.3, "logits", "ok"]
    assert rows[1] == ["c", None, "not comparable", *[None] * 6, "failed: why"]


def test_dropped_probes_are_told_beside_the_reason() -> None:
    model = ModelRecord("suspect", "a", "", "ok", dropped=3)
    pair = PairRecord("a", "source", "no evidence")
    [row] = verdict_rows(ScanRecord("p", {}, (model,), (pair,)))
    assert row.cells()[9] == "ok: 3 probes dropped"


def test_note_stands_on_the_comparison_that_it_is_of() -> None:
    model = ModelRecord("suspect", "a", "", "ok", copy_of="source-1", dropped=1)
    pairs = (
        PairRecord("a", "source-0", "suspicious", at_floor=True),
        PairRecord("a", "source-1", "suspicious"),
        PairRecord("a", "source-2", "no evidence"),
    )
    rows = verdict_rows(ScanRecord("p", {}, (model,), pairs))
    assert [row.cells()[9] for row in rows] == [
        f"ok: {AT_THE_FLOOR}; 1 probe dropped",
        "ok: its weights are those of source source-1, byte for byte; 1 probe dropped",
        "ok: 1 probe dropped",
    ]


def test_each_access_mode_that_occurred_is_told_once_the_finest_first() -> None:
    modes = ["labels", "top-3", "", "logits", "labels", "rounded to 2 decimals", "top-5", "odd\x1b"]
    pairs = tuple(PairRecord(f"s{i}", "v", "no evidence", mode=m) for i, m in enumerate(modes))
    ordered = ["logits", "rounded to 2 decimals", "top-5", "top-3", "labels", "odd\\x1b"]
    assert access(ScanRecord("p", {}, (), pairs)) == [cost(mode) for mode in ordered]


def test_facts_are_flattened_and_said_in_words() -> None:
    told = facts(
        {
            "a_b": {"c": 0.1 + 0.2, "d": None},
            "on": True,
            "list": list(range(9)),
            "reach": "x",
            "path": "/srv/models/mine",
            "empty": [],
        }
    )
    assert told == [
        ("a b · c", "0.3"), ("a b · d", "–"), ("on", "yes"), ("list", "0, 1, 2, 3, … 9 in all"),
        ("path", "mine"), ("empty", "none"),
    ]  # fmt: skip


def test_visible_leaves_printable_text_alone() -> None:
    assert visible("ünï 🦊 <b>") == "ünï 🦊 <b>"
    assert visible("a\r\u202eb\ud800") == r"a\r\u202eb\ud800"
