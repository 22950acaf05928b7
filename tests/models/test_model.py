"""The one door: what is opened, what wins, and how far links are followed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from sacfast.errors import ModelError, RefusedModelError
from sacfast.models import _files, open_model
from sacfast.probes.probe_set import ProbeSet
from tests.hostile import TINY, config_of


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


def overwrite(path: Path, data: bytes) -> None:
    """Replace what a file holds, and leave it as old as it was."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("seen", [True, False])
def test_weights_that_are_exchanged_in_place_never_run(
    checkpoint: Callable[..., Path],
    make_probes: Callable[..., ProbeSet],
    tiny_weights: bytes,
    monkeypatch: pytest.MonkeyPatch,
    seen: bool,
) -> None:
    if not seen:  # as where a file system's clock ticks too slowly to tell
        monkeypatch.setattr(_files, "_identity", lambda handle: (0, 0, len(tiny_weights), 0, 0))
    folder = checkpoint()
    model = open_model(folder)
    overwrite(folder / "model.safetensors", tiny_weights[:-1] + b"\x00")
    with pytest.raises(ModelError, match="changed while it was being read"):
        model.outputs(make_probes())


def test_a_file_that_changes_under_the_reader_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    file = _files.SafeFile.check(path, tmp_path)

    def read_while_it_is_written() -> None:
        with file.open() as handle:
            handle.read()
            time.sleep(0.05)  # longer than the tick of a file system's clock
            overwrite(path, b"behind")

    with pytest.raises(ModelError, match="changed while it was being read"):
        read_while_it_is_written()


def test_weights_beyond_the_memory_limit_are_not_read(checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint()
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match=r"1024\.0 GiB, more than the memory limit of 2\.0 GiB"):
        open_model(folder, memory=2 << 30)


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


DAMAGE = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    st.tuples(st.just("put"), st.floats(0, 1), st.binary(min_size=1, max_size=12)),
    st.tuples(st.just("insert"), st.floats(0, 1), st.binary(min_size=1, max_size=12)),
)
# Where the structure is, at the beginning, most damage should fall.
NEAR_THE_START = st.tuples(st.just("put"), st.floats(0, 0.02), st.binary(min_size=1, max_size=3))


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory, tiny_weights: bytes) -> dict[str, bytes]:
    """Good files of every format that is read."""
    folder = tmp_path_factory.mktemp("whole")
    answers = np.arange(60, dtype=np.float32).reshape(6, 10)
    np.save(folder / "a.npy", answers)
    save_file({"outputs": answers}, folder / "b.safetensors")
    (folder / "config.json").write_text(json.dumps(config_of(**TINY)))
    (folder / "model.safetensors").write_bytes(tiny_weights)
    return _Files({path.name: path.read_bytes() for path in folder.iterdir()})


class _Files(dict[str, bytes]):
    def __repr__(self) -> str:
        return f"<{len(self)} files>"


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(["config.json", "model.safetensors", "a.npy", "b.safetensors"]),
    damage=st.lists(DAMAGE | NEAR_THE_START, min_size=1, max_size=3),
)
def test_damaged_files_open_or_say_why(
    name: str,
    damage: list[tuple[str, float, bytes]],
    whole_files: dict[str, bytes],
    make_probes: Callable[..., ProbeSet],
) -> None:
    data = whole_files[name]
    for what, where, piece in damage:
        at = int(where * len(data))
        end = {"cut": len(data), "put": at + len(piece), "insert": at}[what]
        data = data[:at] + piece + data[end:]
    reason, answers = None, np.zeros(6)
    with TemporaryDirectory() as folder:
        for file, content in {**whole_files, name: data}.items():
            (Path(folder) / file).write_bytes(content)
        path = Path(folder) if name in ("config.json", "model.safetensors") else Path(folder, name)
        try:
            model = open_model(path)
            # A network that a config describes may need more memory than a test should take.
            if name != "config.json":
                answers = model.outputs(make_probes(6))
        except ModelError as error:
            reason = str(error)
    assert reason != ""
    assert "\n" not in (reason or "")
    assert len(answers) == 6
