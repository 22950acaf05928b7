"""The facets of the scores figure."""

from __future__ import annotations

import math

from sacfast.report.figures import facets
from sacfast.store import ModelRecord, NullRecord, PairRecord, ScanRecord


def test_facet_carries_the_bank_and_the_threshold() -> None:
    nulls = (
        NullRecord("mine", "logits", 0.25, (0.1, -0.1, math.nan)),
        NullRecord("mine", "labels", math.nan, (0.0,)),
    )
    assert facets(ScanRecord("p", {}, (), (), nulls)) == [
        {"source": "mine", "kind": "logits", "threshold": 0.25, "null": [0.1, -0.1]},
        {"source": "mine", "kind": "labels", "threshold": None, "null": [0.0]},
    ]


def test_scores_without_a_bank_get_a_facet_of_their_own() -> None:
    models = tuple(ModelRecord("suspect", n, "", "ok", outputs_kind=k) for n, k in ["ab", "cd"])
    pairs = (
        PairRecord("a", "mine", "no evidence", 0.5),
        PairRecord("c", "mine", "not comparable"),
    )
    nulls = (NullRecord("other", "b", 0.5, (0.1,)),)
    shown = facets(ScanRecord("p", {}, models, pairs, nulls))
    assert [(facet["source"], facet["kind"]) for facet in shown] == [
        ("other", "b"), ("mine", "b"),
    ]  # fmt: skip
