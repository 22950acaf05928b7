"""What a directory is taken for: every model is listed once, and nothing drops out unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sacfast.errors import ArgumentError, ModelError
from sacfast.models import open_model
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
        "resnet-a/older/config.json",
        "resnet-a/docs/readme.md",
        ".trash/net/config.json",
        ".git/hooks/pre-commit",
        "models--lab--net/snapshots/3f2a/config.json",
        "models--lab--net/blobs/0123",
        "models--lab--net/refs/main",
    )
    assert listed(tmp_path) == {
        ".trash/net": ".trash",
        "models--lab--net/snapshots/3f2a": "lab",
        "notes": "notes",
        "old.pkl": "old.pkl",
        "resnet-a": "resnet-a",
        "resnet-a/onnx": "resnet-a",
        "resnet-a/older": "resnet-a",
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


@pytest.mark.parametrize("name", ["outputs.npy", "x.npy", "x.safetensors", "x.pkl"])
def test_one_model_file_is_a_registry_of_one(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name, "other.npy")
    (entry,) = list_models(tmp_path / name)
    assert (entry.name, entry.path, entry.root) == (name, tmp_path / name, tmp_path)


def test_a_model_in_the_registry_s_own_folder_hides_no_other(tmp_path: Path) -> None:
    touch(tmp_path, "config.json", "model.safetensors")
    for name in ("x.npy", "x.safetensors", "old.pkl", "net/config.json", "notes/a.txt", ".n/a.npy"):
        touch(tmp_path, name)
        other = name if name.endswith((".npy", ".safetensors", ".pkl")) else name.split("/")[0]
        paths = {entry.name: entry.path for entry in list_models(tmp_path)}
        # The folder opens as one model: its weights, by what config.json says of them.
        assert paths == {"model.safetensors": tmp_path, other: tmp_path / other}
        (tmp_path / name).unlink()
        if other != name or "/" in name:
            (tmp_path / name).parent.rmdir()
    touch(tmp_path, "outputs.npy")
    assert set(listed(tmp_path)) == {"model.safetensors", "outputs.npy"}
    (tmp_path / "model.safetensors").unlink()
    assert set(listed(tmp_path)) == {tmp_path.name}


def test_no_model_hides_another(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "org/config.json",
        "org/outputs.npy",
        "org/answers.npy",
        "org/shard-1.safetensors",
        "org/m/config.json",
        "org/m/deep/real/model.safetensors",
        "org/m/.hidden/outputs.npy",
        "org/m/docs/readme.md",
        "org/m/docs/old.pkl",
        "org/.answers.npy",
        "services/outputs.npy",
        "services/a.safetensors",
        "services/b.npy",
        ".x/outputs.npy",
        ".git/objects/01/23",
        ".cache/net/config.json",
    )
    assert set(listed(tmp_path)) == {
        "org",
        "org/answers.npy",
        "org/.answers.npy",
        "org/m",
        "org/m/deep/real",
        "org/m/.hidden",
        "org/m/docs",
        "services",
        "services/a.safetensors",
        "services/b.npy",
        ".x",
        ".cache/net",
    }


def test_what_looks_like_a_cache_and_hides_models(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    touch(tmp_path, "outside/config.json")
    touch(
        registry,
        "net/config.json",
        "models--marked/outputs.npy",
        "models--marked/snapshots/1/config.json",
        "models--beside/snapshots/1/config.json",
        "models--beside/blobs/net/config.json",
        "models--beside/blobs/0123",
        "models--beside/a.npy",
        "models--file/snapshots",
        "models--/snapshots/1/config.json",
    )
    for name in ("empty", "out", "up"):
        (registry / f"models--{name}").mkdir()
    (registry / "models--empty" / "snapshots").mkdir()
    (registry / "models--out" / "snapshots").symlink_to(tmp_path / "outside")
    (registry / "models--up" / "snapshots").symlink_to("..")
    names = [entry.name for entry in list_models(registry)]
    assert len(names) == len(set(names))
    assert set(names) == {
        "net",
        "models--marked",
        "models--marked/snapshots/1",
        "models--beside/a.npy",
        "models--beside/blobs/net",
        "models--beside/snapshots/1",
        "models--empty/snapshots",
        "models--file",
        "models--out/snapshots",
        "models--/snapshots/1",
    }


def test_a_cache_that_is_a_link_is_not_looked_behind(tmp_path: Path) -> None:
    touch(tmp_path, "outside/models--x/snapshots/secret/config.json", "registry/a.npy")
    (tmp_path / "registry" / "models--x").symlink_to(tmp_path / "outside" / "models--x")
    assert set(listed(tmp_path / "registry")) == {"a.npy", "models--x"}


def test_links_that_can_t_be_followed_are_rows(tmp_path: Path) -> None:
    touch(tmp_path, "good/config.json")
    for name in ("long", "sub/long", "good/long", "good/w.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to("x" * 300)
    assert set(listed(tmp_path)) == {"good", "good/w.npy", "long", "sub/long"}
    for entry in list_models(tmp_path):
        with pytest.raises(ModelError, match=r"can't be opened|is not read"):
            open_model(entry.path, root=entry.root)


@pytest.fixture
def unprivileged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty registry, and a user to whom permissions mean something: root becomes nobody."""
    registry = tmp_path / "registry"
    registry.mkdir()
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # a path from here needs no rights on the folders above
    user = os.geteuid()
    yield Path("registry")
    os.seteuid(user)
    for name in ("locked", "models--a/snapshots", "net/locked"):
        (registry / name).chmod(0o755)


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_folders_without_permission_are_rows(unprivileged: Path, mode: int) -> None:
    touch(unprivileged, "locked/net/config.json", "models--a/snapshots/1/config.json", "a.npy")
    touch(unprivileged, "net/config.json", "net/locked/net/config.json")
    (unprivileged / "models--b").mkdir()
    (unprivileged / "models--b" / "snapshots").symlink_to("/root")
    for name in ("locked", "models--a/snapshots", "net/locked"):
        (unprivileged / name).chmod(mode)
    if os.geteuid() == 0:
        os.seteuid(65534)
    inside = mode == 0o444  # the names can be read, what they are can't
    assert set(listed(unprivileged)) == {
        "a.npy",
        "locked/net" if inside else "locked",
        "models--a/snapshots/1" if inside else "models--a/snapshots",
        "models--b/snapshots",
        "net",
        "net/locked/net" if inside else "net/locked",
    }


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
        "out": str(tmp_path / "outside"),
        "out-lab": str(tmp_path / "elsewhere"),
        "lab/up": "..",
        "circle": "circle",
    }.items():
        (registry / name).symlink_to(target)
    assert set(listed(registry)) == {"circle", "lab/net", "second-name", "out", "out-lab"}


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
    (tmp_path / "long").symlink_to("x" * 300)
    with pytest.raises(ArgumentError, match="can't be reached"):
        list_models(tmp_path / "long")
    with pytest.raises(ArgumentError, match="which is no model file"):
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
