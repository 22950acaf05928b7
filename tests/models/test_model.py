"""The one door: what is opened, what wins, and how far links are followed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sacfast.errors import ModelError, RefusedModelError
from sacfast.models import open_model
from sacfast.probes.probe_set import ProbeSet


def test_weights_win_over_answers_and_over_pickles(checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint()
    alone = open_model(folder)
    np.save(folder / "outputs.npy", np.eye(5, dtype=np.float32))
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    beside = open_model(folder)
    assert beside.digest == alone.digest
    assert beside.framework == "timm"


def test_answers_win_over_pickles(tmp_path: Path) -> None:
    np.save(tmp_path / "outputs.npy", np.eye(5, dtype=np.float32) * 3)
    (tmp_path / "model.pt").write_bytes(b"\x80\x04.")
    assert open_model(tmp_path).outputs_kind == "logits"


def test_opening_a_checkpoint_imports_no_framework(checkpoint: Callable[..., Path]) -> None:
    code = """
import sys
from sacfast.models import open_model
model = open_model(sys.argv[1])
print(len(model.digest), sorted({"torch", "timm", "PIL", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(checkpoint())], capture_output=True, text=True, check=True
    )
    assert done.stdout.split(maxsplit=1) == ["64", "[]\n"]


def test_the_hugging_face_cache_opens_by_its_links(
    tmp_path: Path, checkpoint: Callable[..., Path]
) -> None:
    plain = checkpoint()
    cache = tmp_path / "models--lab--net"
    snapshot = cache / "snapshots" / "3f2a"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for index, name in enumerate(("config.json", "model.safetensors")):
        (plain / name).rename(cache / "blobs" / str(index))
        (snapshot / name).symlink_to(f"../../blobs/{index}")
    digest = open_model(snapshot).digest
    assert open_model(snapshot, root=tmp_path).digest == digest
    with pytest.raises(RefusedModelError, match="leads out of the registry"):
        open_model(snapshot, root=snapshot)


def test_links_may_lead_anywhere_below_the_registry_and_nowhere_else(
    tmp_path: Path, checkpoint: Callable[..., Path]
) -> None:
    checkpoint("registry/a")
    registry = tmp_path / "registry"
    (registry / "b").mkdir()
    for name in ("config.json", "model.safetensors"):
        (registry / "b" / name).symlink_to(f"../a/{name}")
    (registry / "c").symlink_to("a")
    digest = open_model(registry / "a", root=registry).digest
    assert open_model(registry / "b", root=registry).digest == digest
    assert open_model(registry / "c", root=registry).digest == digest
    with pytest.raises(RefusedModelError, match="leads out"):
        open_model(registry / "b")

    checkpoint("outside")
    (registry / "d").symlink_to(tmp_path / "outside")
    with pytest.raises(RefusedModelError, match="leads out"):
        open_model(registry / "d", root=registry)
    assert open_model(registry / "d").digest == digest  # named by the caller, not by a stranger


def test_a_file_that_changes_after_it_was_checked_is_an_error(
    checkpoint: Callable[..., Path], make_probes: Callable[..., ProbeSet]
) -> None:
    folder = checkpoint()
    model = open_model(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="changed while it was being read"):
        model.outputs(make_probes())


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        open_model(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["weights'; rm -rf ~; '.pt", "$(reboot).bin"])
def test_a_refusal_puts_no_strange_name_into_its_command(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(RefusedModelError) as caught:
        open_model(tmp_path)
    _, command = str(caught.value).split("convert it: ")
    assert command.startswith("python -c")
    assert name not in command
