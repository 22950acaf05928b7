"""The facets of the scores figure."""

from __future__ import annotations

import math

import pytest

from sacfast.report.figures import facets
from sacfast.report.summary import verdict_rows
from sacfast.store import ModelRecord, NullRecord, PairRecord, ScanRecord


def suspect(name: str) -> ModelRecord:
    return ModelRecord("suspect", name, "", "ok", outputs_kind="logits")


def shown(models, pairs, nulls) -> dict[tuple[str, str], list[str]]:
    """The suspects of every facet."""
    record = ScanRecord("p", {}, tuple(models), tuple(pairs), tuple(nulls))
    rows = verdict_rows(record)
    return {
        (facet["source"], facet["mode"]): [rows[i].pair.suspect for i in facet["rows"]]
        for facet in facets(record, rows)
    }


def test_facet_carries_the_bank_and_the_threshold() -> None:
    nulls = (
        NullRecord("mine", "logits", 0.25, (0.1, -0.1, math.nan)),
        NullRecord("mine", "labels", math.nan, (0.0,)),
    )
    found = facets(ScanRecord("p", {}, (), (), nulls), [])
    assert [(facet["threshold"], facet["null"]) for facet in found] == [
        (0.25, [0.1, -0.1]),
        (None, [0.0]),
    ]


def test_suspects_stand_beside_the_bank_in_their_own_access_mode() -> None:
    modes = ["probs to 2 decimals", "top-5", "labels"]
    models = [suspect(name) for name in "abc"]
    pairs = [
        PairRecord(name, "mine", "no evidence", 0.5, mode=mode)
        for name, mode in zip("abc", modes, strict=True)
    ]
    nulls = [NullRecord("mine", mode, 0.5, (0.1,)) for mode in modes]
    assert shown(models, pairs, nulls) == {
        ("mine", mode): [name] for name, mode in zip("abc", modes, strict=True)
    }


def test_facet_with_the_most_pressing_suspect_comes_first() -> None:
    pairs = [
        PairRecord("a", "mine", "no evidence", 0.1, mode="labels"),
        PairRecord("b", "mine", "suspicious", 0.4, mode="logits"),
        PairRecord("b", "other", "stolen", 0.5, mode="logits"),
    ]
    nulls = [NullRecord("other", "labels", 0.5, (0.1,)), NullRecord("mine", "labels", 0.5, (0.1,))]
    assert list(shown([suspect("a"), suspect("b")], pairs, nulls)) == [
        ("other", "logits"), ("mine", "logits"), ("mine", "labels"), ("other", "labels"),
    ]  # fmt: skip


@pytest.mark.parametrize("score", [0.5, math.nan])
def test_scores_without_a_bank_get_a_facet_of_their_own(score) -> None:
    pair = PairRecord("a", "mine", "not comparable", score, mode="logits")
    nulls = [NullRecord("other", "logits", 0.5, (0.1,))]
    expected = {("other", "logits"): []}
    if score == 0.5:
        expected["mine", "logits"] = ["a"]
    assert shown([suspect("a")], [pair], nulls) == expected
