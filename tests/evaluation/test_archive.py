"""Outputs archives: read, made coarser, refused."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from sacfast import canonical_outputs
from sacfast.errors import ArgumentError
from sacfast.evaluation.archive import (
    coarsened,
    read_archive,
    read_archives,
    shortened,
)

LOGITS = np.random.default_rng(0).standard_normal((12, 5)).astype(np.float16)


def write(path, tensors=None, **metadata):
    save_file(tensors or {"m": LOGITS}, path, {"outputs_kind": "logits", **metadata})
    return path


def test_what_the_file_says(tmp_path):
    archive = read_archive(write(tmp_path / "jpeg25.safetensors", probe_digest="ab"))
    assert (archive.name, archive.kind, archive.probe_digest) == ("jpeg25", "logits", "ab")
    assert archive.probes == 12
    np.testing.assert_array_equal(archive.form(["m"])[0], LOGITS.astype(np.float32))
    short = shortened(archive, 5)
    np.testing.assert_array_equal(short.form(["m"])[0], LOGITS[:5].astype(np.float32))
    assert shortened(archive, 99).probes == 12


@pytest.mark.parametrize(
    ("access", "kind", "settings"),
    [
        ("labels", "labels", {}),
        ("topk:3", "topk", {"k": 3}),
        ("rounded:2", "rounded", {"digits": 2}),
    ],
)
def test_coarser_answers(tmp_path, access, kind, settings):
    two = write(tmp_path / "a.safetensors", {"m": LOGITS, "narrow": LOGITS[:, :2].copy()})
    archive = coarsened(read_archive(two), access)
    assert archive.kind == kind
    wide, narrow = archive.form(["m", "narrow"])
    expected = canonical_outputs(archive.outputs["m"], kind, **settings)
    np.testing.assert_array_equal(wide, expected)
    assert len(narrow) == 12
    if kind == "labels":
        np.testing.assert_array_equal(archive.outputs["m"], LOGITS.argmax(axis=1))


def test_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"m": LOGITS}, path)
    with pytest.raises(ArgumentError, match="outputs_kind None, which must be one of"):
        read_archive(path)
    with pytest.raises(ArgumentError, match=r"models with \[6, 12\] probes"):
        read_archive(write(path, {"a": LOGITS, "b": LOGITS[:6].copy()}))
    with pytest.raises(ArgumentError, match="k 'three', which must be a whole number"):
        read_archive(write(path, k="three"))
    path.write_bytes(b"no such thing")
    with pytest.raises(ArgumentError, match="which can't be read"):
        read_archive(path)
    one, two = (write(tmp_path / f"{n}.safetensors", probe_digest="ab") for n in "ab")
    with pytest.raises(ArgumentError, match="got the same probe_digest twice"):
        read_archives([one, two])
    with pytest.raises(ArgumentError, match="`access` must be KIND or KIND:NUMBER"):
        coarsened(read_archive(one), "top3")
    mixed = read_archive(
        write(tmp_path / "m.safetensors", {"a": LOGITS, "b": LOGITS.astype(np.int32)})
    )
    with pytest.raises(ArgumentError, match="must hold logits of every model, got m with b: "):
        mixed.form(["a", "b"])
    labels = coarsened(read_archive(one), "labels")
    with pytest.raises(ArgumentError, match="`access` can't be 'probs'"):
        coarsened(labels, "probs")
