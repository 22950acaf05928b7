"""Building probe sets: selection, sizes, skipped images, determinism."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sacfast.errors import ArgumentError, DtypeError, ProbeError
from sacfast.probes import ProbeSet, build_probes, export_probes
from sacfast.probes import images as images_module
from sacfast.probes.augment import AUGMENTATIONS


@pytest.fixture
def images(picture: Any) -> np.ndarray:
    return np.stack([picture(20, 24, seed=seed) for seed in range(30)])


def test_defaults_are_jpeg_25_of_a_random_choice(picture: Any) -> None:
    many = np.stack([picture(8, 8, seed=seed) for seed in range(201)])
    probes = build_probes(many)
    assert len(probes) == 200
    assert probes.kind == "jpeg"
    assert dict(probes.parameters) == {
        "select": "random",
        "seed": 0,
        "quality": 25,
        "device": "cpu",
    }
    assert set(probes.versions) == {"numpy", "pillow", "libjpeg", "augmentation"}


def test_first_keeps_the_order(images: np.ndarray) -> None:
    probes = build_probes(images, kind="normal", select="first", count=5)
    np.testing.assert_array_equal(probes.pixels, images[:5])
    assert dict(probes.parameters) == {"select": "first"}
    assert probes.labels is None


@pytest.mark.parametrize("kind", ["normal", "jpeg", "cutmix", "cutmix_paper", "noise", "transpose"])
def test_the_same_seed_gives_the_same_set_and_another_another(
    images: np.ndarray, kind: str
) -> None:
    one, same, other = (build_probes(images, kind=kind, count=10, seed=seed) for seed in (7, 7, 8))
    assert one == same
    assert one.digest != other.digest
    assert (one.pixels != other.pixels).any()


def test_the_command_takes_every_kind() -> None:
    from sacfast.cli import ProbeKind

    assert get_args(ProbeKind) == tuple(AUGMENTATIONS)


def test_random_draws_without_replacement(images: np.ndarray) -> None:
    probes = build_probes(images, kind="normal", count=30)
    assert sorted(image.tobytes() for image in probes.pixels) == sorted(
        image.tobytes() for image in images
    )
    assert (probes.pixels != images).any()


def test_balanced_takes_the_classes_in_turn(folder: Path) -> None:
    probes = build_probes(folder, kind="normal", count=9, select="balanced")
    assert probes.labels is not None
    for first in (0, 3):
        assert set(probes.labels[first : first + 3]) == {"cat", "dog", "owl"}
    # Both owls are used up, so the others go on in turn.
    assert Counter(probes.labels) == {"owl": 2, "cat": 4, "dog": 3} or (
        Counter(probes.labels) == {"owl": 2, "cat": 3, "dog": 4}
    )


@given(st.lists(st.integers(0, 4), min_size=4, max_size=40), st.integers(0, 1000), st.data())
@settings(max_examples=60, deadline=None)
def test_balanced_is_as_even_as_the_classes_allow(labels: list[int], seed: int, data: Any) -> None:
    many = np.zeros((len(labels), 2, 2, 3), np.uint8)
    many[:, 0, 0, 0] = np.arange(len(labels))
    count = data.draw(st.integers(2, len(labels)))
    probes = build_probes(
        many, kind="normal", count=count, select="balanced", seed=seed, labels=labels
    )
    assert probes.labels is not None
    assert [str(labels[index]) for index in probes.pixels[:, 0, 0, 0]] == list(probes.labels)
    taken, there = Counter(probes.labels), Counter(str(label) for label in labels)
    most = max(taken.values())
    for label, members in there.items():
        assert taken[label] >= min(members, most - 1)


def test_balanced_replaces_a_bad_image_from_the_same_class(folder: Path) -> None:
    for number in range(5):
        (folder / "cat" / f"{number}.png").write_bytes(b"no image")
    probes = build_probes(folder, kind="normal", count=3, select="balanced")
    assert probes.labels is not None
    assert set(probes.labels) == {"cat", "dog", "owl"}


def test_a_class_without_a_usable_image_is_named(folder: Path) -> None:
    for path in (folder / "owl").iterdir():
        path.write_bytes(b"no image")
    probes = build_probes(folder, kind="normal", count=4, select="balanced")
    assert set(probes.labels or ()) == {"cat", "dog"}
    assert probes.skipped[-1] == "class owl: none of its images can be used"


def test_severity_is_quality_by_another_name(images: np.ndarray) -> None:
    for severity, quality in ((1, 25), (2, 18), (3, 15), (4, 10), (5, 7)):
        by_severity = build_probes(images, severity=severity, count=4)
        assert by_severity == build_probes(images, quality=quality, count=4)
        assert by_severity.parameters["quality"] == quality


def test_balanced_needs_labels(folder: Path, images: np.ndarray) -> None:
    with pytest.raises(ProbeError, match=r"(?s)needs the class of every image.*sub-folder"):
        build_probes(images, select="balanced")
    (folder / "stray.png").write_bytes(b"")
    with pytest.raises(ProbeError, match="needs the class of every image"):
        build_probes(folder, select="balanced")


def test_folder_paths_and_arrays_give_the_same_pixels(folder: Path, picture: Any) -> None:
    from_folder = build_probes(folder, count=12, select="first")
    from_paths = build_probes(sorted(folder.rglob("*.png")), count=12, select="first")
    arrays = [picture(seed=seed) for seed in range(12)]
    from_arrays = build_probes(arrays, count=12, select="first")
    assert from_folder.labels == ("cat",) * 6 + ("dog",) * 4 + ("owl",) * 2
    assert from_folder.sources == from_paths.sources
    for probes in (from_paths, from_arrays):
        np.testing.assert_array_equal(probes.pixels, from_folder.pixels)


def test_bad_images_are_replaced_and_listed(folder: Path) -> None:
    (folder / "cat" / "0.png").write_bytes(b"")
    (folder / "cat" / "1.png").write_bytes((folder / "cat" / "1.png").read_bytes()[:200])
    (folder / "cat" / "2.png").write_text("no image")
    probes = build_probes(folder, kind="normal", count=4, select="first")
    assert probes.labels == ("cat", "cat", "cat", "dog")
    empty, truncated, foreign = probes.skipped
    assert empty == "cat/0.png: the file is empty"
    assert truncated.startswith("cat/1.png: can't be decoded (")
    assert foreign == "cat/2.png: not an image in a format that is read"


def test_equal_images_are_used_once(images: np.ndarray) -> None:
    repeated = np.concatenate([images[:3], images[:1], images[3:4]])
    probes = build_probes(repeated, kind="normal", count=4, select="first")
    np.testing.assert_array_equal(probes.pixels, images[:4])
    assert probes.skipped == ("image 3: same pixels as image 0",)


def test_a_path_given_twice_is_used_once(folder: Path) -> None:
    path = folder / "cat" / "0.png"
    probes = build_probes([path, path, folder / "cat" / "1.png"], count=2, select="first")
    assert len(probes) == 2
    assert probes.skipped == (f"{path}: same pixels as {path}",)


def test_images_that_resizing_makes_equal_are_used_once() -> None:
    shades = [np.full((side, side, 3), 90, np.uint8) for side in (8, 16)]
    with pytest.raises(ProbeError, match="of 2 images only 1 can be used"):
        build_probes(shades, count=2, size=8)


def test_too_few_images_say_how_many_and_why(folder: Path) -> None:
    (folder / "owl" / "0.png").write_bytes(b"")
    with pytest.raises(ProbeError) as caught:
        build_probes(folder, count=13)
    assert "`count` is 13, but of 12 images only 11 can be used; skipped: 1" in str(caught.value)
    assert "owl/0.png: the file is empty" in str(caught.value)
    assert caught.value.hint == "count=11"


def test_an_empty_folder_has_no_images(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="of 0 images only 0 can be used"):
        build_probes(tmp_path)


def test_only_what_is_needed_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    original = images_module._file_bytes

    def counted(path: Path) -> bytes:
        read.append(path)
        return original(path)

    monkeypatch.setattr(images_module, "_file_bytes", counted)
    for select in ("first", "random", "balanced"):
        read.clear()
        build_probes(folder, count=3, select=select)
        assert len(read) == 3


def test_images_of_several_sizes_need_a_size(picture: Any) -> None:
    several = [picture(20, 24, seed=0), picture(30, 20, seed=1)]
    with pytest.raises(ProbeError, match=r"got image 0 \(20x24\) and image 1 \(30x20\)") as caught:
        build_probes(several, count=2, select="first")
    assert caught.value.hint == "size=224"
    assert build_probes(several, count=2, size=16).pixels.shape == (2, 16, 16, 3)
    assert build_probes(several, count=2, size=(12, 18)).pixels.shape == (2, 12, 18, 3)


@pytest.mark.parametrize("kind", ["jpeg", "cutmix"])
def test_resizing_comes_before_the_augmentation(picture: Any, kind: str) -> None:
    large = [picture(40, 60, seed=seed) for seed in range(6)]
    resized = build_probes(large, kind="normal", count=6, select="first", size=20)
    once = build_probes(large, kind=kind, count=6, select="first", size=20)
    twice = build_probes(resized.pixels, kind=kind, count=6, select="first")
    np.testing.assert_array_equal(once.pixels, twice.pixels)
    assert once.parameters["size"] == [20, 20]


def test_the_library_behind_jpeg_is_recorded_but_does_not_matter(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nvidia.dali", reason="compares DALI with Pillow; DALI is not installed")
    through_dali = build_probes(images, count=20)
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    through_pillow = build_probes(images, count=20)
    assert through_dali.versions["augmentation"].startswith("nvidia-dali ")
    assert through_pillow.versions["augmentation"].startswith("pillow ")
    assert through_dali == through_pillow


def test_a_built_set_survives_its_file(folder: Path, tmp_path: Path) -> None:
    (folder / "dog" / "0.png").write_bytes(b"")
    probes = build_probes(folder, kind="cutmix", count=11, select="balanced", seed=4)
    probes.save(tmp_path / "probes.safetensors")
    opened = ProbeSet.open(tmp_path / "probes.safetensors")
    assert opened == probes
    assert opened.skipped == probes.skipped == ("dog/0.png: the file is empty",)
    assert opened.versions == probes.versions


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"kind": "mixup"}, ArgumentError, "`kind` must be one of 'jpeg', 'normal', 'cutmix'"),
        ({"select": "best"}, ArgumentError, "`select` must be one of"),
        ({"device": "cuda"}, ArgumentError, "`device` must be one of 'cpu', 'gpu', got 'cuda'"),
        ({"device": "gpu", "kind": "normal"}, ArgumentError, "`device` must be 'cpu' for kind="),
        ({"quality": 0}, ArgumentError, "`quality` .* from 1 to 100, got 0"),
        ({"quality": 101}, ArgumentError, "got 101"),
        ({"quality": 25.0}, DtypeError, "whole number"),
        ({"count": 1}, ArgumentError, "`count` .* at least 2, got 1"),
        ({"severity": 0}, ArgumentError, "`severity` .* from 1 to 5, got 0"),
        ({"severity": 6, "kind": "fog"}, ArgumentError, "`severity` .* from 1 to 5, got 6"),
        ({"severity": 1.0}, DtypeError, "`severity` must be a whole number"),
        ({"severity": 1, "quality": 25}, ArgumentError, "must not be given beside `quality`"),
        ({"severity": 1, "kind": "noise"}, ArgumentError, "must go with kind='jpeg' or a corrupt"),
        ({"quality": 25, "kind": "fog"}, ArgumentError, "`quality` must go with kind='jpeg', got"),
        ({"sd": 5, "kind": "normal"}, ArgumentError, "`sd` must go with kind='noise', got 5 for"),
        ({"sd": 0, "kind": "noise"}, ArgumentError, "`sd` .* above 0 and up to 255, got 0"),
        ({"sd": float("nan"), "kind": "noise"}, ArgumentError, "`sd` .* got nan"),
        ({"sd": "much", "kind": "noise"}, DtypeError, "`sd` must be a number"),
        ({"labels": ["a"] * 29 + [None]}, ArgumentError, "got None for image 29"),
        ({"count": 0}, ArgumentError, "`count` .* at least 2, got 0"),
        ({"count": True}, DtypeError, "got True"),
        ({"seed": -1}, ArgumentError, "`seed` .* at least 0"),
        ({"size": 0}, ArgumentError, "`size` .* at least 1, got 0"),
        ({"size": (1, 2, 3)}, ArgumentError, r"got \(1, 2, 3\)"),
        ({"size": "224"}, DtypeError, "got '224'"),
        ({"size": 100_000}, ArgumentError, "at most 64 megapixels"),
    ],
)
def test_arguments_that_are_refused(
    images: np.ndarray, changes: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_probes(images, **changes)


def test_numpy_integers_are_whole_numbers(images: np.ndarray) -> None:
    plain = build_probes(images, count=3, quality=30, seed=5, size=16)
    numpy = build_probes(
        images, count=np.int64(3), quality=np.uint8(30), seed=np.int32(5), size=np.int64(16)
    )
    assert plain == numpy


def test_importing_the_room_loads_no_imaging_library() -> None:
    code = (
        "import sys; import sacfast.probes;"
        "sys.exit(any(name in sys.modules for name in ('PIL', 'nvidia.dali', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_exported_probes_are_the_pixels_in_order(tmp_path: Path) -> None:
    images = np.random.default_rng(3).integers(0, 256, (5, 12, 10, 3), dtype=np.uint8)
    probes = build_probes(images, kind="jpeg", count=5)
    paths = export_probes(probes, tmp_path / "ask")
    assert [path.name for path in paths] == [f"{i:04d}.png" for i in range(5)]
    for pixels, path in zip(probes.pixels, paths, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)
    with pytest.raises(ProbeError, match="`folder` must be empty"):
        export_probes(probes, tmp_path / "ask")
