"""What a directory is taken for: every model is listed once, and nothing drops out unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sacfast.errors import ArgumentError
from sacfast.registry import list_models
from sacfast.registry.directory import MAX_DEPTH, printable


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def listed(root: Path) -> dict[str, str]:
    return {entry.name: entry.group for entry in list_models(root)}


def test_a_registry_as_in_the_docstring(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "resnet-a/config.json",
        "resnet-a/model.safetensors",
        "resnet-a/onnx/model.onnx",
        "some-lab/vit-b/model.safetensors",
        "some-lab/vit-s/pytorch_model.bin",
        "some-lab/deep/er/net/config.json",
        "service-x.npy",
        "service-y.safetensors",
        "old.pkl",
        "notes/readme.md",
        "README.md",
        "logo.png",
        ".git/model.safetensors",
        "some-lab/.cache/model.safetensors",
        "models--lab--net/snapshots/3f2a/config.json",
        "models--lab--net/blobs/0123",
        "models--lab--net/refs/main",
    )
    assert listed(tmp_path) == {
        "models--lab--net/snapshots/3f2a": "lab",
        "notes": "notes",
        "old.pkl": "old.pkl",
        "resnet-a": "resnet-a",
        "service-x.npy": "service-x.npy",
        "service-y.safetensors": "service-y.safetensors",
        "some-lab/deep/er/net": "some-lab/deep/er",
        "some-lab/vit-b": "some-lab",
        "some-lab/vit-s": "some-lab",
    }


def test_entries_are_sorted_and_know_their_registry(tmp_path: Path) -> None:
    touch(tmp_path, "b/config.json", "a/config.json", "c.npy")
    entries = list_models(str(tmp_path))
    assert [entry.name for entry in entries] == ["a", "b", "c.npy"]
    assert [entry.path for entry in entries] == [tmp_path / name for name in ("a", "b", "c.npy")]
    assert {entry.root for entry in entries} == {tmp_path}


def test_a_folder_of_answers_is_a_folder_of_models(tmp_path: Path) -> None:
    touch(tmp_path, "services/a.npy", "services/b.npy", "services/notes.txt")
    assert listed(tmp_path) == {"services/a.npy": "services", "services/b.npy": "services"}


def test_one_model_s_own_folder_is_a_registry_of_one(tmp_path: Path) -> None:
    touch(tmp_path, "net/config.json", "net/model.safetensors")
    (entry,) = list_models(tmp_path / "net")
    assert (entry.name, entry.path) == ("net", tmp_path / "net")


def test_empty_folders_are_rows_too(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "lab" / "empty").mkdir(parents=True)
    assert listed(tmp_path) == {"empty": "empty", "lab/empty": "lab"}


def test_links(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    touch(tmp_path, "outside/config.json", "elsewhere/net/config.json")
    touch(registry, "lab/net/config.json")
    for name, target in {
        "second-name": "lab/net",
        "second-lab": "lab",
        "up": ".",
        "out": tmp_path / "outside",
        "out-lab": tmp_path / "elsewhere",
        "lab/up": "..",
        "circle": "circle",
    }.items():
        (registry / name).symlink_to(target)
    assert set(listed(registry)) == {"lab/net", "second-name", "out", "out-lab"}


def test_the_walk_ends_somewhere(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d"] * (MAX_DEPTH + 3))
    touch(folder, "config.json")
    assert set(listed(tmp_path)) == {"/".join(["d"] * MAX_DEPTH)}


def test_odd_names_become_printable_text_and_stay_apart(tmp_path: Path) -> None:
    for name in (b"new\nline", b"byte\xff", rb"byte\xff", "кот 模型".encode(), b"\x1b[31mred"):
        os.mkdir(os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH102, PTH118 - raw bytes
    names = [entry.name for entry in list_models(tmp_path)]
    assert set(names) == {
        r"new\nline",
        r"byte\udcff",
        r"byte\\xff",
        "кот 模型",
        r"\x1b[31mred",
    }
    for entry in list_models(tmp_path):
        entry.name.encode("utf-8")
        assert entry.path.is_dir()


@pytest.mark.parametrize("text", ["a\u202eb", "a\u00a0b", "a\tb", "\ud800"])
def test_what_is_not_printable_is_escaped(text: str) -> None:
    assert printable(text).isascii()


def test_what_is_no_directory(tmp_path: Path) -> None:
    touch(tmp_path, "file")
    with pytest.raises(ArgumentError, match=r"list_models: `root` must be a directory.*not exist"):
        list_models(tmp_path / "nothing")
    with pytest.raises(ArgumentError, match="which is a file"):
        list_models(tmp_path / "file")


def test_listing_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    os.mkfifo(tmp_path / "net" / "config.json")
    os.mkfifo(tmp_path / "pipe.npy")
    code = (
        "import sys; from sacfast.registry import list_models; print(len(list_models(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "2\n"
