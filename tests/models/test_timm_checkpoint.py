"""Checkpoints: the answers are the network's own, and digests tell models apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load, save

from sacfast.errors import ModelError
from sacfast.models import open_model
from sacfast.models.timm_checkpoint import TimmCheckpoint
from sacfast.probes.probe_set import ProbeSet
from tests.hostile import CLASSES, SIZE, config_of, weights_of

Checkpoint = Callable[..., Path]
MakeProbes = Callable[..., ProbeSet]


@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet", "test_vit"])
def test_answers_are_those_of_the_network(
    architecture: str, checkpoint: Checkpoint, make_probes: MakeProbes
) -> None:
    weights = weights_of(architecture, {}, 3)
    folder = checkpoint(weights=weights, architecture=architecture, model_args=None)
    probes = make_probes(9)
    network = timm.create_model(
        architecture,
        num_classes=CLASSES,
        pretrained_cfg_overlay={"input_size": (3, SIZE, SIZE)},
    ).eval()
    network.load_state_dict(load(weights))
    inputs = torch.from_numpy(probes.pixels.transpose(0, 3, 1, 2) / np.float32(255))
    with torch.inference_mode():
        expected = network((inputs - 0.5) / 0.25).numpy()
    answers = open_model(folder).outputs(probes)
    assert answers.dtype == np.float32
    # One batch here and there: the same operations on the same numbers.
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-5)


def test_answers_come_out_the_same_twice_and_leave_the_callers_random_state(
    checkpoint: Checkpoint, make_probes: MakeProbes
) -> None:
    model, probes = open_model(checkpoint()), make_probes()
    torch.manual_seed(5)
    first = model.outputs(probes)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))
    np.testing.assert_array_equal(first, model.outputs(probes))


def test_batches_don_t_show(
    checkpoint: Checkpoint, make_probes: MakeProbes, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, probes = open_model(checkpoint()), make_probes(7)
    whole = model.outputs(probes)
    monkeypatch.setattr("sacfast.models.timm_checkpoint._BATCH_PIXELS", 2 * SIZE * SIZE)
    np.testing.assert_allclose(model.outputs(probes), whole, rtol=0, atol=1e-6)


def test_probes_of_another_size_are_resized(
    checkpoint: Checkpoint, make_probes: MakeProbes
) -> None:
    assert open_model(checkpoint()).outputs(make_probes(4, 50, 41)).shape == (4, CLASSES)


def test_a_network_with_one_channel(
    checkpoint: Checkpoint, tiny_weights: bytes, make_probes: MakeProbes
) -> None:
    tensors = load(tiny_weights)
    tensors["patch_embed.proj.weight"] = tensors["patch_embed.proj.weight"].sum(1, keepdim=True)
    settings = {"input_size": [1, SIZE, SIZE], "mean": [0.5], "std": [0.25], "crop_pct": 1.0}
    gray = open_model(checkpoint("gray", save(tensors), pretrained_cfg=settings))
    colour = open_model(checkpoint("colour"))
    pixels = make_probes().pixels[..., :1].repeat(3, axis=3)
    probes = ProbeSet(pixels, "normal", {}, make_probes().sources)
    # On grey probes the sum of three filters answers as the three do.
    np.testing.assert_allclose(gray.outputs(probes), colour.outputs(probes), rtol=0, atol=1e-5)


def test_half_precision_weights_are_run_in_single(
    checkpoint: Checkpoint, tiny_weights: bytes, make_probes: MakeProbes
) -> None:
    tensors = {name: tensor.half() for name, tensor in load(tiny_weights).items()}
    single = {name: tensor.float() for name, tensor in tensors.items()}
    probes = make_probes()
    halves = open_model(checkpoint("half", save(tensors))).outputs(probes)
    np.testing.assert_array_equal(halves, open_model(checkpoint("x", save(single))).outputs(probes))


def test_the_digest_is_of_what_the_network_is(checkpoint: Checkpoint, tiny_weights: bytes) -> None:
    plain = open_model(checkpoint("plain"))
    described = open_model(checkpoint("described", license="mit", label_names=["a"] * CLASSES))
    assert described.digest == plain.digest
    flipped = bytearray(tiny_weights)
    flipped[-1] ^= 1
    others = [
        open_model(checkpoint("weights", bytes(flipped))),
        open_model(checkpoint("args", model_args={"embed_dim": 8, "depth": 1, "num_heads": 2})),
        open_model(checkpoint("architecture", architecture="test_vit2")),
    ]
    assert len({model.digest for model in [plain, *others]}) == 4
    sha256 = hashlib.sha256(tiny_weights).hexdigest()
    weights = [model.weights_digest for model in [plain, described, *others]]
    assert weights == [
        sha256,
        sha256,
        hashlib.sha256(flipped).hexdigest(),
        sha256,
        sha256,
    ]


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({"depth": 1000}, "depth"),
        ({"depth": 10**400}, "depth"),
        ({"depth_mult": 1e308}, "depth_mult"),
        ({"depths": [1, 1000, -1000]}, "depths"),
        ({"layers": [500, 500]}, "layers"),
    ],
)
def test_more_blocks_than_the_weights_can_fill_are_not_built(
    checkpoint: Checkpoint, args: dict[str, Any], name: str
) -> None:
    reason = f"{name!r} asks for more blocks than the [0-9]+ tensors"
    with pytest.raises(ModelError, match=reason):
        open_model(checkpoint(model_args=args))


def test_every_type_of_number_is_read_as_safetensors_reads_it(
    checkpoint: Checkpoint,
) -> None:
    numbers = torch.arange(-3, 5)
    names = (
        "bool uint8 int8 int16 uint16 float16 bfloat16 int32 uint32 float32 int64 uint64 float64 "
        "float8_e4m3fn float8_e5m2"
    )
    tensors = {name: numbers.abs().to(getattr(torch, name)).reshape(2, 4) for name in names.split()}
    tensors |= {"empty": torch.zeros(0, 3), "scalar": torch.tensor(2.5)}
    data = save(tensors)
    model = open_model(checkpoint(weights=data))
    assert isinstance(model, TimmCheckpoint)
    state, expected = model._state(), load(data)
    assert set(state) == set(expected)
    for name, tensor in expected.items():
        assert (state[name].dtype, state[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(state[name].double(), tensor.double())


def test_preprocessing_has_a_digest_of_its_own(checkpoint: Checkpoint) -> None:
    settings = config_of("x")["pretrained_cfg"]
    plain = open_model(checkpoint("plain"))
    other = open_model(checkpoint("other", pretrained_cfg={**settings, "std": [0.2, 0.2, 0.2]}))
    assert other.digest == plain.digest
    assert other.preprocessing_digest != plain.preprocessing_digest


def test_old_configs_without_pretrained_cfg(checkpoint: Checkpoint) -> None:
    flat = config_of("x")["pretrained_cfg"]
    nested = open_model(checkpoint("nested"))
    old = open_model(checkpoint("old", pretrained_cfg=None, **flat))
    assert old.preprocessing_digest == nested.preprocessing_digest
    assert old.digest == nested.digest


def test_a_tag_on_the_architecture_is_ignored(checkpoint: Checkpoint) -> None:
    tagged = open_model(checkpoint("tagged", architecture="test_vit.r160_in1k"))
    assert tagged.digest == open_model(checkpoint("plain")).digest


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([torch.zeros(6, CLASSES)], "answers with a list"),
        (torch.zeros(6, CLASSES, 1), "with the shape"),
        (torch.full((6, CLASSES), torch.nan), "every answer holds NaN or Inf"),
    ],
)
def test_answers_that_are_none(
    checkpoint: Checkpoint,
    make_probes: MakeProbes,
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
    reason: str,
) -> None:
    monkeypatch.setattr(
        "timm.models.vision_transformer.VisionTransformer.forward", lambda *_: answer
    )
    with pytest.raises(ModelError, match=reason):
        open_model(checkpoint()).outputs(make_probes(6))


def test_timm_is_never_asked_for_pretrained_weights(
    checkpoint: Checkpoint, make_probes: MakeProbes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    create = timm.create_model

    def spy(name: str, **settings: Any) -> Any:
        asked.append(settings)
        return create(name, **settings)

    monkeypatch.setattr(timm, "create_model", spy)
    folder = checkpoint(
        pretrained=True, pretrained_cfg={**config_of("x")["pretrained_cfg"], "url": "x"}
    )
    open_model(folder).outputs(make_probes())
    assert json.loads((folder / "config.json").read_text())["pretrained"] is True
    assert [settings["pretrained"] for settings in asked] == [False]
    assert asked[0]["pretrained_cfg_overlay"] == {"input_size": (3, SIZE, SIZE)}
