"""The heat maps: the right correlations, of the right probes, in one order."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from sacfast.fingerprint import FingerprintKey
from sacfast.report.heatmap import MAX_PROBES, MAX_SOURCES, heat_maps
from sacfast.store import Store
from tests.oracle import packed


@pytest.fixture
def maps(store):
    """Heat maps of an invented scan, each panel's triangle decoded, and the scan's raw outputs."""

    def made(**scan):
        with Store(store(**scan)) as opened:
            record = opened.scan()
            found = heat_maps(record, opened)
            raw = {
                (model.role, model.name): opened.fingerprint(
                    FingerprintKey(model.model_digest, record.probe_digest, "", model.outputs_kind)
                ).outputs
                for model in record.models
                if scan.get("keep_outputs", True)
            }
        for one in found:
            for panel in one["panels"]:
                panel["map"] = np.frombuffer(base64.b64decode(panel["map"]), np.int8) / 100
        return found, raw

    return made


def test_panels_are_source_top_suspects_and_one_independent(maps) -> None:
    [one], _ = maps()
    assert [panel["role"] for panel in one["panels"]] == ["source", *["suspect"] * 3, "independent"]
    assert [panel.get("verdict") for panel in one["panels"]] == [None, *["stolen"] * 3, None]
    assert one["source"] == "mine/resnet"


def test_maps_hold_the_correlations_of_their_probes(maps) -> None:
    [one], raw = maps()
    order = np.array(one["probes"])
    assert sorted(order) == list(range(60))
    for panel in one["panels"]:
        role = {"independent": "null"}.get(panel["role"], panel["role"])
        square = np.eye(60)
        square[np.triu_indices(60, 1)] = packed(raw[role, panel["name"]])
        square = np.maximum(square, square.T) + np.minimum(square, square.T) - np.eye(60)
        shown = square[np.ix_(order, order)][np.triu_indices(60, 1)]
        # Half a hundredth of rounding, and float32.
        np.testing.assert_allclose(panel["map"], shown, atol=0.0051)


def test_order_puts_probes_together_that_the_source_finds_alike(maps) -> None:
    [one], raw = maps()
    source = packed(raw["source", "mine/resnet"])

    def neighbours(order):
        square = np.zeros((60, 60))
        square[np.triu_indices(60, 1)] = source
        square += square.T
        return square[order[:-1], order[1:]].mean()

    assert neighbours(one["probes"]) > neighbours(list(range(60))) + 0.3


def test_many_probes_are_thinned_evenly(maps) -> None:
    [one], _ = maps(probes=450, nulls=2, innocent=0)
    assert len(one["probes"]) == MAX_PROBES
    assert one["of"] == 450
    assert np.diff(sorted(one["probes"])).max() <= 3
    assert all(len(panel["map"]) == MAX_PROBES * (MAX_PROBES - 1) // 2 for panel in one["panels"])


def test_probes_that_a_model_did_not_answer_are_left_out_for_all(maps) -> None:
    [one], _ = maps(broken_probes=(3, 5))
    assert one["dropped"] == 2
    assert sorted(one["probes"]) == [i for i in range(60) if i not in (3, 5)]


def test_labels_are_drawn_beside_logits(maps) -> None:
    [one], _ = maps(kind="labels")
    assert len(one["panels"]) == 5
    assert all(np.abs(panel["map"]).max() <= 1 for panel in one["panels"])


def test_several_sources_that_of_the_most_pressing_suspect_first(maps) -> None:
    sources = [f"mine/model-{i:02d}" for i in range(MAX_SOURCES + 2)]
    found, _ = maps(sources=[*sources[1:], sources[0]][::-1], nulls=3)
    assert [one["source"] for one in found[:1]] == [sources[0]]
    assert len(found) == MAX_SOURCES


def test_no_outputs_no_maps(maps) -> None:
    assert maps(keep_outputs=False)[0] == []
