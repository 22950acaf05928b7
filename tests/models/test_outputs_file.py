"""Answers that were collected elsewhere: every number type, every kind, and what is asked back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from sacfast.errors import ModelError
from sacfast.models import open_model
from sacfast.probes.probe_set import ProbeSet

LOGITS = np.random.default_rng(2).normal(0, 3, (6, 10))

MakeProbes = Callable[..., ProbeSet]


def write_npy(folder: Path, array: Any, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "outputs.npy", array)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "i1", "i8", "u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_files_of_every_type(
    tmp_path: Path, make_probes: MakeProbes, dtype: str, order: Any
) -> None:
    array = np.asarray(np.abs(LOGITS), dtype, order=order)
    answers = open_model(write_npy(tmp_path, array)).outputs(make_probes(6))
    assert answers.dtype == np.float32
    np.testing.assert_array_equal(answers, array.astype(np.float32))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "bfloat16", "i4"])
def test_safetensors_of_every_type(tmp_path: Path, make_probes: MakeProbes, dtype: str) -> None:
    array = LOGITS.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    save_file({"outputs": array}, tmp_path / "service.safetensors")
    answers = open_model(tmp_path / "service.safetensors").outputs(make_probes(6))
    np.testing.assert_array_equal(answers, array.astype(np.float32))


def test_whole_numbers_in_one_axis_are_labels(tmp_path: Path, make_probes: MakeProbes) -> None:
    np.save(tmp_path / "service.npy", np.arange(6, dtype=np.uint8))
    model = open_model(tmp_path / "service.npy")
    answers = model.outputs(make_probes(6))
    assert (model.outputs_kind, answers.dtype) == ("labels", np.int64)
    np.testing.assert_array_equal(answers, range(6))


@pytest.mark.parametrize("labels", [[3] * 6, [-1] * 6, [-1, 3] * 3])
def test_labels_of_fewer_than_two_classes_say_nothing(tmp_path: Path, labels: list[int]) -> None:
    np.save(tmp_path / "service.npy", np.array(labels))
    with pytest.raises(ModelError, match=r"must name at least 2 classes, this one names [01]"):
        open_model(tmp_path / "service.npy")


@pytest.mark.parametrize("kind", ["probs", "scores", "embeddings", "logprobs", "logits"])
def test_the_kind_is_what_the_config_says(
    tmp_path: Path, make_probes: MakeProbes, kind: str
) -> None:
    probs = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    model = open_model(write_npy(tmp_path, probs, outputs_kind=kind))
    assert model.outputs_kind == kind
    assert model.outputs(make_probes(6)).shape == probs.shape


def test_settings_from_metadata(tmp_path: Path, make_probes: MakeProbes) -> None:
    probes = make_probes(6)
    probs = np.zeros((6, 10), np.float32)
    probs[:, :3] = 0.25
    metadata = {"outputs_kind": "topk", "digits": "2", "k": "3", "probe_digest": probes.digest}
    save_file({"outputs": probs}, tmp_path / "outputs.safetensors", metadata)
    model = open_model(tmp_path)
    assert (model.outputs_kind, model.digits, model.k) == ("topk", 2, 3)
    np.testing.assert_array_equal(model.outputs(probes), probs)
    with pytest.raises(ModelError, match="belong to the probe set"):
        model.outputs(make_probes(6, seed=1))


@pytest.mark.parametrize("low", [0.0, np.nan])
def test_what_a_top_k_leaves_out_is_no_fault(
    tmp_path: Path, make_probes: MakeProbes, low: float
) -> None:
    probs = np.full((6, 10), low)
    probs[:, 2] = 0.75
    model = open_model(write_npy(tmp_path, probs, outputs_kind="topk", k=1))
    np.testing.assert_array_equal(model.outputs(make_probes(6)), probs.astype(np.float32))


def test_some_rows_may_be_nan_but_not_all(tmp_path: Path, make_probes: MakeProbes) -> None:
    some = LOGITS.copy()
    some[1:, 3] = np.nan
    answers = open_model(write_npy(tmp_path / "some", some)).outputs(make_probes(6))
    np.testing.assert_array_equal(answers, some.astype(np.float32))
    some[0, 0] = np.inf
    with pytest.raises(ModelError, match="every answer holds NaN or Inf"):
        open_model(write_npy(tmp_path / "all", some))


def test_log_probabilities_may_be_minus_infinity(tmp_path: Path, make_probes: MakeProbes) -> None:
    logs = -np.abs(LOGITS)
    logs[:, 0] = -np.inf
    model = open_model(write_npy(tmp_path, logs, outputs_kind="logprobs"))
    np.testing.assert_array_equal(model.outputs(make_probes(6)), logs.astype(np.float32))


@pytest.mark.parametrize("array", [np.ones((6, 10)) / 10, np.eye(6, dtype=bool), np.eye(6)])
def test_numbers_between_0_and_1_are_asked_about(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "service.npy", array)
    with pytest.raises(ModelError, match="say which by outputs_kind"):
        open_model(tmp_path / "service.npy")


def test_the_digest_is_of_the_numbers_and_of_what_they_are(tmp_path: Path) -> None:
    def digest(name: str, array: Any, **config: Any) -> str:
        model = open_model(write_npy(tmp_path / name, array, **config))
        numbers.append(model.weights_digest)
        return model.digest

    numbers: list[str] = []
    probs = np.full((6, 10), 0.1)
    digests = [
        digest("a", probs, outputs_kind="probs"),
        digest("b", probs, outputs_kind="scores"),
        digest("c", probs, outputs_kind="probs", digits=2),
        digest("d", probs * 2, outputs_kind="probs"),
        digest("e", probs.reshape(12, 5), outputs_kind="probs"),
    ]
    assert len(set(digests)) == len(digests)
    assert digest("f", probs, outputs_kind="probs", author="me") == digests[0]
    assert [number == numbers[0] for number in numbers] == [True, True, True, False, False, True]


@pytest.mark.parametrize(
    ("kind", "digits", "k", "reason"),
    [
        ("logits", 3, None, "`digits` goes with rounded and topk, not logits"),
        ("probs", None, 3, "`k` goes with topk, not probs"),
        ("topk", None, None, "topk needs `k`"),
        ("topk", None, 0, "`k` must be a whole number from 1 to 10, got 0"),
        ("topk", None, 11, "`k` must be a whole number from 1 to 10, got 11"),
        ("probs", -1, None, "`digits` must be a whole number from 0 to 17, got -1"),
        ("probs", 18, None, "`digits` must be a whole number from 0 to 17, got 18"),
        ("rounded", None, None, "rounded needs `digits`, the decimals that its probabilities are"),
        ("rounded", 2, 3, "`k` goes with topk, not rounded"),
        ("topk", 0, 1, ""),
        ("topk", 17, 10, ""),
        ("topk", None, 3, ""),
        ("rounded", 2, None, ""),
    ],
)
def test_settings_go_with_their_kind(
    tmp_path: Path, kind: str, digits: int | None, k: int | None, reason: str
) -> None:
    # More rows than classes: the number of probes bounds nothing.
    folder = write_npy(tmp_path, np.full((12, 10), 0.12345), outputs_kind=kind, digits=digits, k=k)
    if reason:
        with pytest.raises(ModelError, match=reason):
            open_model(folder)
    else:
        model = open_model(folder)
        assert (model.digits, model.k) == (digits, k)


def test_probabilities_with_decimals_are_rounded(tmp_path: Path) -> None:
    probs = np.full((12, 10), 0.12345)
    models = [
        open_model(write_npy(tmp_path / kind, probs, outputs_kind=kind, digits=2))
        for kind in ("probs", "rounded")
    ]
    assert [model.outputs_kind for model in models] == ["rounded", "rounded"]
    assert models[0].digest == models[1].digest


@pytest.mark.parametrize("kind", ["probs", "rounded", "topk"])
@pytest.mark.parametrize("digits", [1, 2, 3, 4, None])
def test_decimals_are_recognised(tmp_path: Path, digits: int | None, kind: str) -> None:
    exact = np.random.default_rng(0).dirichlet(np.ones(8), 30).astype(np.float32)
    answers = exact if digits is None else np.round(exact, digits)
    folder = write_npy(tmp_path, answers, outputs_kind=kind, k=8 if kind == "topk" else None)
    if kind == "rounded" and digits is None:
        with pytest.raises(ModelError, match="rounded needs `digits`"):
            open_model(folder)
    else:
        model = open_model(folder)
        assert model.digits == digits
        assert model.outputs_kind == ("rounded" if digits and kind == "probs" else kind)


@pytest.mark.parametrize("far", [0.0, 1e-12, 1e-5])
def test_answers_near_zero_and_one_alone_are_not_taken_for_rounded(
    tmp_path: Path, far: float
) -> None:
    sure = np.abs(np.eye(8)[np.arange(40) % 8] - far)
    model = open_model(write_npy(tmp_path, sure, outputs_kind="probs"))
    assert (model.outputs_kind, model.digits) == ("probs", None)
