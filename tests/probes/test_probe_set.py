"""The probe set and its file: what identifies it, and that no change goes unnoticed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save as safetensors_bytes

from sacfast.errors import DtypeError, ProbeError, ShapeError
from sacfast.probes import ProbeSet


def example(**changes: Any) -> ProbeSet:
    fields: dict[str, Any] = {
        "pixels": np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3),
        "kind": "jpeg",
        "parameters": {"quality": 25, "size": [3, 4]},
        "sources": ("a" * 64, "b" * 64),
        "labels": ("cat", "Löwe"),
        "skipped": ("x.png: the file is empty",),
        "versions": {"numpy": "2.0"},
    }
    return ProbeSet(**{**fields, **changes})


def everything(probes: ProbeSet) -> tuple[Any, ...]:
    return (
        probes.pixels.shape,
        probes.pixels.tobytes(),
        probes.kind,
        dict(probes.parameters),
        probes.sources,
        probes.labels,
        probes.skipped,
        dict(probes.versions),
        probes.digest,
    )


text = st.text(max_size=12)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def probe_sets(draw: Any) -> ProbeSet:
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    names = st.tuples(*[text] * shape[0])
    return ProbeSet(
        pixels=draw(arrays(np.uint8, (*shape, 3))),
        kind=draw(text),
        parameters=draw(st.dictionaries(text, json_values, max_size=3)),
        sources=draw(names),
        labels=draw(st.none() | names),
        skipped=tuple(draw(st.lists(text, max_size=3))),
        versions=draw(st.dictionaries(text, text, max_size=2)),
    )


@given(probes=probe_sets())
@settings(max_examples=60, deadline=None)
def test_a_saved_set_opens_as_it_was(tmp_path_factory: Any, probes: ProbeSet) -> None:
    path = tmp_path_factory.mktemp("set") / "probes.safetensors"
    probes.save(path)
    assert everything(ProbeSet.open(path)) == everything(probes)


def test_the_digest_is_the_documented_sha256() -> None:
    probes = example()
    identity = {
        "kind": "jpeg",
        "parameters": {"quality": 25, "size": [3, 4]},
        "colour_order": "RGB",
        "shape": [2, 3, 4, 3],
        "sources": ["a" * 64, "b" * 64],
        "labels": ["cat", "Löwe"],
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    expected = hashlib.sha256(text.encode() + b"\n" + probes.pixels.tobytes()).hexdigest()
    assert probes.digest == expected


def test_the_digest_depends_on_what_models_see_and_on_the_recipe_only() -> None:
    probes = example()
    other_pixel = probes.pixels.copy()
    other_pixel[1, 2, 3, 2] ^= 1
    for changes in (
        {"pixels": other_pixel},
        {"pixels": probes.pixels.reshape(2, 4, 3, 3)},
        {"kind": "normal"},
        {"parameters": {"quality": 26, "size": [3, 4]}},
        {"sources": ("a" * 64, "c" * 64)},
        {"labels": None},
    ):
        other = example(**changes)
        assert other.digest != probes.digest
        assert other != probes
    for changes in ({"versions": {"numpy": "3.0"}}, {"skipped": ()}):
        same = example(**changes)
        assert same == probes
        assert hash(same) == hash(probes)
    assert probes != probes.digest


def test_the_same_set_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    example(parameters={"a": 1, "b": 2}, versions={"x": "1", "y": "2"}).save(one)
    example(parameters={"b": 2, "a": 1}, versions={"y": "2", "x": "1"}).save(other)
    assert one.read_bytes() == other.read_bytes()


def test_nothing_in_a_set_can_be_changed() -> None:
    given_pixels = np.zeros((1, 2, 2, 3), np.uint8)
    probes = ProbeSet(given_pixels, "normal", {"a": 1}, ("",))
    given_pixels[:] = 9
    assert not probes.pixels.any()
    with pytest.raises(ValueError, match="read-only"):
        probes.pixels[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        probes.pixels.flags.writeable = True
    with pytest.raises(TypeError, match="item assignment"):
        probes.parameters["a"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError, match="cannot assign"):
        probes.kind = "jpeg"  # type: ignore[misc]


def test_a_set_travels_between_processes() -> None:
    probes = example()
    assert everything(pickle.loads(pickle.dumps(probes))) == everything(probes)


def test_len_and_repr() -> None:
    probes = example()
    assert len(probes) == 2
    assert repr(probes) == f"<ProbeSet jpeg: 2 images 3x4, digest {probes.digest[:12]}>"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"pixels": np.zeros((2, 3, 4, 3))}, DtypeError, "uint8 array, got float64"),
        ({"pixels": [[1]]}, DtypeError, "uint8 array, got list"),
        ({"pixels": np.zeros((2, 3, 4), np.uint8)}, ShapeError, r"\(N, H, W, 3\), got \(2, 3, 4\)"),
        ({"pixels": np.zeros((2, 3, 4, 4), np.uint8)}, ShapeError, "got"),
        ({"pixels": np.zeros((0, 3, 4, 3), np.uint8)}, ShapeError, "got"),
        ({"sources": ("a",)}, ProbeError, r"`sources` .* \(2\), got 1"),
        ({"labels": ("a", "b", "c")}, ProbeError, r"`labels` .* \(2\), got 3"),
        ({"parameters": {"a": float("nan")}}, ProbeError, "JSON"),
        ({"parameters": {"a": object()}}, ProbeError, "JSON"),
    ],
)
def test_fields_that_make_no_set(changes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        example(**changes)


# The file


@pytest.fixture(scope="module")
def saved(tmp_path_factory: Any) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "probes.safetensors"
    example().save(path)
    return path.read_bytes()


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_any_flipped_bit_is_noticed(tmp_path_factory: Any, saved: bytes, data: Any) -> None:
    position = data.draw(st.integers(0, len(saved) - 1))
    changed = bytearray(saved)
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.mktemp("flip") / "probes.safetensors"
    path.write_bytes(changed)
    with pytest.raises(ProbeError, match=r"ProbeSet\.open: "):
        ProbeSet.open(path)


def test_any_truncation_is_noticed(tmp_path: Path, saved: bytes) -> None:
    path = tmp_path / "probes.safetensors"
    for length in range(len(saved)):
        path.write_bytes(saved[:length])
        why = "truncated or damaged" if length > 8 else "no safetensors file"
        with pytest.raises(ProbeError, match=why):
            ProbeSet.open(path)
    path.write_bytes(saved + b"\0")
    with pytest.raises(ProbeError, match="truncated or damaged"):
        ProbeSet.open(path)


def entry_of(saved: bytes) -> dict[str, Any]:
    length = int.from_bytes(saved[:8], "little")
    return json.loads(json.loads(saved[8 : 8 + length])["__metadata__"]["sacfast"])


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def rewritten(header: Any, pixels: Any = None, **more: np.ndarray) -> bytes:
    """A file with this header and a checksum that fits it."""
    checksum = hashlib.sha256(canonical(header).encode()).hexdigest()
    entry = canonical({"checksum": checksum, "header": header})
    tensors = {"pixels": example().pixels if pixels is None else pixels, **more}
    return safetensors_bytes(tensors, metadata={"sacfast": entry})


def test_each_change_is_named(tmp_path: Path, saved: bytes) -> None:
    header = entry_of(saved)["header"]
    assert rewritten(header) == saved

    def without(key: str) -> dict[str, Any]:
        return {name: value for name, value in header.items() if name != key}

    def identity(**changes: Any) -> dict[str, Any]:
        return {**header, "identity": {**header["identity"], **changes}}

    dark = np.zeros_like(example().pixels)
    wrong_checksum = canonical({**entry_of(saved), "checksum": "0" * 64})
    not_json = safetensors_bytes({"pixels": dark}, metadata={"sacfast": "{"})
    no_dict = safetensors_bytes({"pixels": dark}, metadata={"sacfast": "[1]"})
    foreign = safetensors_bytes({"weight": np.zeros(3, np.float32)}, metadata={"format": "pt"})
    cases = {
        "is no safetensors file": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "holds no probe set": foreign,
        "holds no probe set ": safetensors_bytes({"pixels": dark}),
        "has format version 2; this sacfast reads version 1": rewritten(
            {**header, "format_version": 2}, more=dark
        ),
        "format version '1'": rewritten({**header, "format_version": "1"}),
        "changed after it was saved: its header is damaged": not_json,
        "its header is damaged ": no_dict,
        "its header is damaged  ": rewritten(without("format_version")),
        "its header doesn't match its checksum": safetensors_bytes(
            {"pixels": example().pixels}, metadata={"sacfast": wrong_checksum}
        ),
        "its pixels don't match its digest": rewritten(header, dark),
        "its pixels don't match its digest ": rewritten(identity(kind="normal")),
        "it must hold one tensor": rewritten(header, more=dark),
        "its pixels must be uint8, got F32": rewritten(header, dark.astype(np.float32)),
        "its contents don't fit together": rewritten(header, dark[0]),
        "don't fit together": rewritten(without("record")),
        "fit together": rewritten(identity(sources=5)),
        "together": rewritten(identity(labels=["one"])),
    }
    path = tmp_path / "probes.safetensors"
    for message, data in cases.items():
        path.write_bytes(data)
        with pytest.raises(ProbeError) as caught:
            ProbeSet.open(path)
        assert message.strip() in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"missing doesn't exist"):
        ProbeSet.open(tmp_path / "missing")
    with pytest.raises(ProbeError, match="is no file"):
        ProbeSet.open(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ProbeError, match="is no file"):
        ProbeSet.open(tmp_path / "pipe")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "probes.safetensors"
    example().save(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProbeError, match=r"can't write .*: No space left on device"):
        example(kind="normal").save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_saving_overwrites_and_heeds_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "probes.safetensors"
    path.write_text("old")
    path.unlink()
    mask = os.umask(0o027)
    try:
        example().save(path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    example(kind="normal").save(path)
    assert ProbeSet.open(path).kind == "normal"
    with pytest.raises(ProbeError, match="can't write"):
        example().save(tmp_path / "no" / "such" / "folder")
