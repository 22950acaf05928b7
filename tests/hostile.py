"""Registries for tests: models that are broken or hostile, and models that are good.

`make_hostile` writes one folder (or file) per way in which a model can be wrong, and returns for
each of them, by the name under which a registry lists it, a piece of the reason that its row
must give. Whatever in there can run code would write to `canary`.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 10
SIZE = 32
GOOD_ARCHITECTURES = ("test_efficientnet", "test_resnet", "test_vit")

# The smallest network that timm's factory makes quickly: a few thousand parameters.
TINY = {"architecture": "test_vit", "model_args": {"embed_dim": 8, "depth": 1, "num_heads": 1}}


def config_of(architecture: str, **changes: Any) -> dict[str, Any]:
    """A config.json as on the hub; a change to None takes the key out."""
    config = {
        "architecture": architecture,
        "num_classes": CLASSES,
        "pretrained_cfg": {
            "input_size": [3, SIZE, SIZE],
            "mean": [0.5, 0.5, 0.5],
            "std": [0.25, 0.25, 0.25],
            "interpolation": "bicubic",
            "crop_pct": 1.0,
        },
        **changes,
    }
    return {key: value for key, value in config.items() if value is not None}


def make_good(root: Path, count: int, seed: int) -> list[str]:
    """Write `count` timm checkpoints with random weights; returns their names."""
    names = []
    for index in range(count):
        architecture = GOOD_ARCHITECTURES[index % len(GOOD_ARCHITECTURES)]
        folder = root / f"good-{index:02d}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config_of(architecture)))
        (folder / "model.safetensors").write_bytes(weights_of(architecture, {}, seed + index))
        names.append(folder.name)
    return names


def weights_of(architecture: str, model_args: dict[str, Any], seed: int) -> bytes:
    """A safetensors file with the random weights of a network."""
    import timm
    import torch
    from safetensors.torch import save

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = timm.create_model(
            architecture,
            num_classes=CLASSES,
            pretrained_cfg_overlay={"input_size": (3, SIZE, SIZE)},
            **model_args,
        )
    return bytes(save(network.state_dict()))


def make_hostile(root: Path, canary: Path) -> dict[str, str]:
    """Write every hostile model below `root`; returns name -> piece of the reason."""
    root.mkdir(parents=True, exist_ok=True)
    weights = weights_of(TINY["architecture"], TINY["model_args"], 0)
    expected: dict[str, str] = {}
    for make in (_weights, _configs, _code, _outputs, _places):
        found = make(root, weights, _Payload(canary))
        assert not expected.keys() & found.keys()
        expected.update(found)
    return expected


class _Payload:
    """Touches the canary if anybody unpickles it."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> Any:
        return os.open, (str(self._canary), os.O_CREAT | os.O_WRONLY)


def _write(folder: Path, files: dict[str, bytes | dict[str, Any]]) -> None:
    folder.mkdir()
    for name, content in files.items():
        data = json.dumps(content).encode() if isinstance(content, dict) else content
        (folder / name).write_bytes(data)


def _tiny(**changes: Any) -> dict[str, Any]:
    return config_of(**{**TINY, **changes})


def _split(weights: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack("<Q", weights[:8])[0]
    return json.loads(weights[8 : 8 + length]), weights[8 + length :]


def _join(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _changed(weights: bytes, name: str, **changes: Any) -> bytes:
    """The weights with a header that says something else about one tensor."""
    header, data = _split(weights)
    header[name].update(changes)
    return _join(header, data)


def _refilled(weights: bytes, value: float) -> bytes:
    """The weights with one number of one tensor replaced."""
    header, data = _split(weights)
    start = header["head.weight"]["data_offsets"][0]
    return _join(header, data[:start] + struct.pack("<f", value) + data[start + 4 :])


def _weights(root: Path, weights: bytes, payload: _Payload) -> dict[str, str]:
    """A good config beside weights that are wrong."""
    from safetensors.numpy import load, save

    header, data = _split(weights)
    tensors = load(weights)
    first, second = sorted(header, key=lambda name: header[name]["data_offsets"])[:2]
    length = len(weights) - len(data) - 8
    fewer = {name: tensor for name, tensor in tensors.items() if name != "head.weight"}
    wrong = {**tensors, "head.weight": np.zeros((CLASSES + 1, 8), np.float32)}
    whole = {**tensors, "head.weight": np.zeros((CLASSES, 8), np.int32)}
    overlapping = {
        "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "b": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]},
    }
    twice = b'{"a": 1, "a": 2}'
    gap = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}
    cases = {
        "weights-random": (np.random.default_rng(0).bytes(5000), "claims a header of"),
        "weights-empty": (b"", "ends early"),
        "weights-cut-in-length": (weights[:5], "ends early"),
        "weights-cut-in-header": (weights[: 8 + length // 2], "ends early: its header"),
        "weights-cut-in-tensors": (weights[:-7], "ends early: its tensors"),
        "weights-header-of-2-to-60": (struct.pack("<Q", 2**60) + b"{}", "claims a header of"),
        "weights-header-not-json": (struct.pack("<Q", 20) + b"{" * 20, "is not valid JSON"),
        "weights-header-a-list": (_join([], b""), "must hold a JSON object"),
        "weights-header-deep": (
            struct.pack("<Q", 60_000) + b'{"a":' * 12_000,
            "nested too deeply",
        ),
        "weights-no-tensors": (_join({"__metadata__": {"format": "pt"}}, b""), "no tensors"),
        "weights-metadata-no-text": (_join({"__metadata__": {"a": 1}}, b""), "not text"),
        "weights-overlap": (_join(overlapping, bytes(24)), "overlaps another"),
        "weights-gap": (_join(gap, bytes(8)), "leaves a gap"),
        "weights-trailing": (weights + b"more", "4 bytes after its last tensor"),
        "weights-size-and-shape": (_changed(weights, first, shape=[3]), "its shape needs"),
        "weights-negative-shape": (_changed(weights, first, shape=[-1]), "not a list of sizes"),
        "weights-vast-shape": (
            _changed(weights, first, shape=[2**40, 2**40]),
            "its shape needs",
        ),
        "weights-offsets-back": (
            _changed(weights, second, data_offsets=[64, 0]),
            "offsets that are not a range",
        ),
        "weights-unknown-type": (_changed(weights, first, dtype="OBJECT"), "which is not read"),
        "weights-key-twice": (struct.pack("<Q", len(twice)) + twice, "a key occurs twice"),
        "weights-missing-key": (save(fewer), "1 missing (first 'head.weight')"),
        "weights-extra-key": (
            save({**tensors, "backdoor": np.zeros(3, np.float32)}),
            "1 unexpected (first 'backdoor')",
        ),
        "weights-wrong-shape": (save(wrong), "'head.weight' has the shape (11, 8)"),
        "weights-whole-numbers": (save(whole), "has the type torch.int32"),
        "weights-of-nothing-alike": (save({"x": np.zeros(3, np.float32)}), "don't fit"),
        "weights-nan": (_refilled(weights, float("nan")), "hold NaN or Inf"),
        "weights-inf": (_refilled(weights, float("inf")), "hold NaN or Inf"),
    }
    for name, (content, _) in cases.items():
        _write(root / name, {"config.json": _tiny(), "model.safetensors": content})
    _write(root / "weights-vast", {"config.json": _tiny(), "model.safetensors": weights})
    with (root / "weights-vast" / "model.safetensors").open("r+b") as file:
        file.truncate(1 << 40)  # sparse: it takes no room
    vast = "1024.0 GiB, more than the memory limit of"
    return {name: reason for name, (_, reason) in cases.items()} | {"weights-vast": vast}


def _configs(root: Path, weights: bytes, payload: _Payload) -> dict[str, str]:
    """Good weights beside a config that is wrong."""

    def prepared(**changes: Any) -> dict[str, Any]:
        config = _tiny()
        config["pretrained_cfg"].update(changes)
        return config

    def built(**changes: Any) -> dict[str, Any]:
        return _tiny(model_args={**TINY["model_args"], **changes})

    not_own = "must be a name out of timm's own list"
    cases: dict[str, tuple[bytes | dict[str, Any], str]] = {
        "config-not-json": (b"architecture: test_vit", "is not valid JSON"),
        "config-binary": (bytes(range(128, 256)), "is not valid JSON"),
        "config-empty": (b"", "is not valid JSON"),
        "config-a-list": (b"[1, 2]", "must hold a JSON object"),
        "config-giant": (b'{"a": "' + b"x" * (2 << 20) + b'"}', "more than the 1048576"),
        "config-deep": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested too deeply"),
        "config-nested": (b'{"a":' * 50 + b"1" + b"}" * 50, "nested too deeply"),
        "config-nan": (b'{"architecture": "test_vit", "num_classes": NaN}', "not a JSON number"),
        "config-key-twice": (b'{"architecture": "a", "architecture": "b"}', "occurs twice"),
        "config-long-number": (b'{"num_classes": 1' + b"0" * 9000 + b"}", "is not valid JSON"),
        "config-no-architecture": (_tiny(architecture=None), "names no `architecture`"),
        "config-of-transformers": (
            _tiny(architecture=None, architectures=["ViTForImageClassification"]),
            "transformers library, which is not supported yet",
        ),
        "config-unknown-architecture": (
            _tiny(architecture="resnet_of_nobody"),
            "'resnet_of_nobody' is not in timm's list",
        ),
        "config-architecture-number": (_tiny(architecture=5), "must be text"),
        "config-architecture-hub": (_tiny(architecture="hf-hub:evil/model"), not_own),
        "config-architecture-hub-2": (_tiny(architecture="hf_hub:evil/model"), not_own),
        "config-architecture-url": (_tiny(architecture="https://evil.example/m.pth"), not_own),
        "config-architecture-folder": (_tiny(architecture="local-dir:/tmp/evil"), not_own),
        "config-architecture-path": (_tiny(architecture="../../evil"), not_own),
        "config-auto-map": (
            _tiny(auto_map={"AutoModel": "modeling_evil.Evil"}),
            "asks for code of its own",
        ),
        "config-trust-remote-code": (_tiny(trust_remote_code=True), "asks for code of its own"),
        "config-no-classes": (_tiny(num_classes=None), "gives no `num_classes`"),
        "config-classes-text": (_tiny(num_classes="10"), "must be a whole number"),
        "config-classes-vast": (_tiny(num_classes=10**9), "from 2 to 100000"),
        "config-classes-one": (_tiny(num_classes=1), "from 2 to 100000"),
        "config-classes-others": (_tiny(num_classes=12), "'head.weight' has the shape (10, 8)"),
        "config-pretrained-text": (_tiny(pretrained_cfg="default"), "must be an object"),
        "config-input-vast": (prepared(input_size=[3, 10**6, 10**6]), "of 1 to 1024 pixels"),
        "config-input-text": (prepared(input_size="3,32,32"), "of 1 to 1024 pixels"),
        "config-input-other": (prepared(input_size=[3, 64, 64]), "has the shape"),
        "config-channels": (prepared(input_size=[4, 32, 32]), "1 or 3 channels"),
        "config-mean-short": (prepared(mean=[0.5, 0.5]), "mean must have 3 numbers"),
        "config-mean-text": (prepared(mean="0.5"), "mean must be numbers"),
        "config-std-zero": (prepared(std=[0, 0, 0]), "std must be numbers"),
        "config-crop-zero": (prepared(crop_pct=0.0), "crop_pct must be"),
        "config-interpolation": (prepared(interpolation="evil"), "interpolation must be one of"),
        "config-args-a-list": (_tiny(model_args=[1]), "must be an object"),
        "config-args-checkpoint": (
            built(checkpoint_path="/tmp/evil.pt"),
            "may not set 'checkpoint_path'",
        ),
        "config-args-pretrained": (built(pretrained=True), "may not set 'pretrained'"),
        "config-args-overlay": (
            built(pretrained_cfg_overlay={"file": "evil.pt"}),
            "may not set 'pretrained_cfg_overlay'",
        ),
        "config-args-nested": (built(embed_dim={"a": 1}), "a number, a word or a list"),
        "config-args-expression": (built(act_layer="__import__('os')"), "a number, a word or a"),
        "config-args-unknown-layer": (built(act_layer="evil"), "timm can't build test_vit"),
        "config-args-not-its-own": (built(block_config=3), "timm can't build test_vit"),
        "config-depth-vast": (built(depth=10**9), "asks for more blocks than"),
        "config-depths-vast": (built(depths=[10**6, 1]), "asks for more blocks than"),
        "config-memory": (built(embed_dim=10**7), "needs more memory than the limit of"),
    }
    for name, (content, _) in cases.items():
        _write(root / name, {"config.json": content, "model.safetensors": weights})
    return {name: reason for name, (_, reason) in cases.items()}


def _code(root: Path, weights: bytes, payload: _Payload) -> dict[str, str]:
    """Files that would run something, under their own names and under others'."""
    planted = pickle.dumps(payload)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("archive/data.pkl", planted)
        content.writestr("archive/version", "3\n")
    objects = io.BytesIO()
    np.save(objects, np.array([payload], object), allow_pickle=True)

    cases = {
        f"code-{suffix[1:]}": (f"weights{suffix}", data, reason)
        for suffix, data, reason in (
            (".bin", archive.getvalue(), "is a pickle"),
            (".pt", archive.getvalue(), "is a pickle"),
            (".pth", planted, "is a pickle"),
            (".ckpt", planted, "is a pickle"),
            (".pkl", planted, "is a pickle"),
            (".joblib", planted, "is a pickle"),
            (".pt2", archive.getvalue(), "is a program"),
            (".torchscript", archive.getvalue(), "is a program"),
            (".h5", b"\x89HDF\r\n\x1a\n" + planted, "is a Keras file"),
        )
    }
    cases["code-named-safetensors"] = ("model.safetensors", archive.getvalue(), "is a pickle")
    cases["code-pickle-named-safetensors"] = ("model.safetensors", planted, "is a pickle")
    cases["code-named-npy"] = ("outputs.npy", planted, "is a pickle")
    cases["code-in-npy"] = ("outputs.npy", objects.getvalue(), "holds Python objects")
    cases["code-outputs-archive"] = ("outputs.safetensors", archive.getvalue(), "is a pickle")
    for name, (file, data, _) in cases.items():
        _write(root / name, {"config.json": _tiny(), file: data})
    (root / "loose.pkl").write_bytes(planted)
    return {name: reason for name, (_, _, reason) in cases.items()} | {"loose.pkl": "is a pickle"}


def _outputs(root: Path, weights: bytes, payload: _Payload) -> dict[str, str]:
    """Answers that can't be a model's, to a probe set of any size."""
    from safetensors.numpy import save

    def npy(array: Any) -> bytes:
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        return file.getvalue()

    rows = 7
    logits = np.random.default_rng(1).normal(size=(rows, CLASSES)).astype(np.float32)
    good = npy(logits)
    vast = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        vast, {"descr": "<f4", "fortran_order": False, "shape": (10**12, CLASSES)}
    )
    probs = np.abs(logits) / np.abs(logits).sum(1, keepdims=True)
    cases: dict[str, tuple[bytes, dict[str, Any], str]] = {
        "outputs-other-probes": (good, {}, f"answers to {rows} probes, the probe set has"),
        "outputs-nan": (npy(np.full_like(logits, np.nan)), {}, "every answer holds NaN or Inf"),
        "outputs-no-rows": (npy(logits[:0]), {}, "holds no answers"),
        "outputs-no-columns": (npy(logits[:, :0]), {}, "holds no answers"),
        "outputs-one-column": (npy(logits[:, :1]), {}, "this one gives 1"),
        "outputs-three-axes": (npy(logits[None]), {}, "must have 2 axes"),
        "outputs-one-axis": (npy(logits[:, 0]), {}, "must have 2 axes"),
        "outputs-one-number": (npy(np.float32(2)), {}, "holds one number"),
        "outputs-complex": (npy(logits.astype(complex)), {}, "must be real numbers"),
        "outputs-text": (npy(np.array(["a", "b"])), {}, "must be real numbers"),
        "outputs-records": (
            npy(np.zeros(3, [("a", "f4"), ("b", "i4")])),
            {},
            "must be real numbers",
        ),
        "outputs-cut": (good[:-3], {}, "bytes of numbers"),
        "outputs-cut-in-header": (good[:40], {}, "broken header"),
        "outputs-vast": (vast.getvalue(), {}, "bytes of numbers"),
        "outputs-not-numpy": (b"1.0, 2.0, 3.0\n", {}, "is not a numpy file"),
        "outputs-kind-unsaid": (npy(probs), {}, "say which by outputs_kind"),
        "outputs-kind-unknown": (good, {"outputs_kind": "wishes"}, "outputs_kind must be one of"),
        "outputs-no-probs": (good, {"outputs_kind": "probs"}, "must lie between 0 and 1"),
        "outputs-no-decisions": (good, {"outputs_kind": "decisions"}, "must be 0 or 1"),
        "outputs-no-labels": (npy(logits[:, 0]), {"outputs_kind": "labels"}, "whole numbers"),
        "outputs-topk-without-k": (npy(probs), {"outputs_kind": "topk"}, "needs `k`"),
        "outputs-k-vast": (npy(probs), {"outputs_kind": "topk", "k": 99}, "`k` must be a whole"),
        "outputs-digits-astray": (good, {"outputs_kind": "logits", "digits": 3}, "`digits` goes"),
        "outputs-other-digest": (good, {"probe_digest": "0" * 64}, "belong to the probe set"),
    }
    for name, (content, config, _) in cases.items():
        _write(root / name, {"config.json": config, "outputs.npy": content})
    other = {
        "outputs-other-tensor": (save({"answers": logits}), 'no tensor "outputs"'),
        "outputs-kind-in-metadata": (
            save({"outputs": logits}, metadata={"outputs_kind": "wishes"}),
            "outputs_kind must be one of",
        ),
    }
    for name, (content, _) in other.items():
        _write(root / name, {"outputs.safetensors": content})
    (root / "loose.npy").write_bytes(b"\x93NUMPY\x09\x00")
    (root / "loose.safetensors").write_bytes(weights)
    return {
        **{name: reason for name, (_, _, reason) in cases.items()},
        **{name: reason for name, (_, reason) in other.items()},
        "loose.npy": "broken header",
        "loose.safetensors": 'no tensor "outputs"',
    }


def _places(root: Path, weights: bytes, payload: _Payload) -> dict[str, str]:
    """Folders in which something is missing, or is not the file that it seems."""
    config = json.dumps(_tiny()).encode()
    folders: dict[str, dict[str, bytes | dict[str, Any]]] = {
        "place-empty": {},
        "place-notes": {"notes.txt": b"to do"},
        "place-no-config": {"model.safetensors": weights},
        "place-no-weights": {"config.json": config},
        "place-other-name": {"config.json": config, "weights.safetensors": weights},
        "place-onnx": {"config.json": config, "model.onnx": b"\x08\x07"},
        "place-pipe": {"config.json": config},
        "place-pipe-config": {"model.safetensors": weights},
        "place-folder": {"config.json": config},
        "place-link-out": {"config.json": config},
        "place-link-to-device": {"config.json": config},
        "place-link-circle": {"config.json": config},
        "place-link-nowhere": {"config.json": config},
        "place-config-out": {"model.safetensors": weights},
        "place\nof two lines": {},
    }
    for name, files in folders.items():
        _write(root / name, files)
    os.mkfifo(root / "place-pipe" / "model.safetensors")
    os.mkfifo(root / "place-pipe-config" / "config.json")
    (root / "place-folder" / "model.safetensors").mkdir()
    for name, target in (
        ("place-link-out/model.safetensors", "/etc/passwd"),
        ("place-link-to-device/model.safetensors", "/dev/zero"),
        ("place-link-circle/model.safetensors", "model.safetensors"),
        ("place-link-nowhere/model.safetensors", "gone.safetensors"),
        ("place-config-out/config.json", "/etc/passwd"),
        ("place-outside", "/etc"),
        ("circle.safetensors", "circle.safetensors"),
        ("place-long", "x" * 300),
    ):
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.npy")
    return {
        "place-empty": "the folder is empty",
        "place-notes": "nothing in it is recognised",
        "place-no-config": "no config.json",
        "place-no-weights": "no model.safetensors",
        "place-other-name": "weights are expected in model.safetensors",
        "place-onnx": "the format of 'model.onnx' is not supported yet",
        "place-pipe": "is a named pipe",
        "place-pipe-config": "is a named pipe",
        "place-folder": "is a folder",
        "place-link-out": "leads out of the registry",
        "place-link-to-device": "leads out of the registry",
        "place-link-circle": "can't be opened",
        "place-link-nowhere": "can't be opened",
        "place-config-out": "leads out of the registry",
        "place-outside": "leads out of the registry",
        "place-long": "can't be opened",
        "place\\nof two lines": "the folder is empty",
        "circle.safetensors": "can't be opened",
        "pipe.npy": "is a named pipe",
    }
