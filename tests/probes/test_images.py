"""Listing an owner's images: what counts, in which order, with which label."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sacfast.errors import ArgumentError, DtypeError, ProbeError, ShapeError
from sacfast.probes import images as images_module
from sacfast.probes.images import list_images


def names(listed: images_module.Images) -> list[str]:
    return [listed.name(index) for index in range(len(listed))]


def test_a_folder_is_walked_sorted_and_labelled(folder: Path) -> None:
    (folder / "cat" / "deep").mkdir()
    (folder / "cat" / "deep" / "x.png").write_bytes(b"")
    (folder / "cat" / ".hidden.png").write_bytes(b"")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "y.png").write_bytes(b"")
    (folder / "linked").symlink_to(folder / "cat")
    listed = list_images(folder, None)
    cats = [f"cat/{number}.png" for number in range(6)]
    dogs = [f"dog/{number}.png" for number in range(4)]
    assert names(listed) == [*cats, "cat/deep/x.png", *dogs, "owl/0.png", "owl/1.png"]
    assert listed.unlisted == ("linked: a linked folder, not followed",)
    assert listed.labels == ("cat",) * 7 + ("dog",) * 4 + ("owl",) * 2


def test_an_image_beside_the_folders_leaves_no_labels(folder: Path) -> None:
    (folder / "stray.png").write_bytes(b"")
    assert list_images(folder, None).labels is None


def test_odd_names_survive(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9\n.png"
    Path(os.fsdecode(odd)).write_bytes(b"")
    (name,) = names(list_images(tmp_path, None))
    assert name == "caf\\xe9\\n.png"
    name.encode()  # can be printed and written to JSON


def test_nothing_is_read_while_listing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, picture: Any
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(images_module, "_file_bytes", fail)
    monkeypatch.setattr(images_module, "decode", fail)
    assert len(list_images(folder, None)) == 12


def test_a_source_is_the_sha256_of_the_file(folder: Path, picture: Any) -> None:
    listed = list_images(folder, None)
    pixels, source = listed.read(0)
    np.testing.assert_array_equal(pixels, picture(seed=0))
    assert source == hashlib.sha256((folder / "cat" / "0.png").read_bytes()).hexdigest()


def test_arrays_of_every_layout_become_rgb(picture: Any) -> None:
    colour = np.stack([picture(4, 5, seed=seed) for seed in range(3)])
    grey = colour[..., 0]
    as_rgb = np.repeat(grey[..., None], 3, axis=3)
    for given, expected in (
        (colour, colour),
        (grey, as_rgb),
        (grey[..., None], as_rgb),
        (list(colour), colour),
        (tuple(grey), as_rgb),
        (list(grey[..., None]), as_rgb),
        (colour[:, ::-1, ::-1], colour[:, ::-1, ::-1]),
    ):
        listed = list_images(given, None)
        assert names(listed) == ["image 0", "image 1", "image 2"]
        for index in range(3):
            pixels, source = listed.read(index)
            np.testing.assert_array_equal(pixels, expected[index])
            assert source == hashlib.sha256(given[index].tobytes()).hexdigest()


def test_labels_are_kept_as_text() -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    assert list_images(images, [3, "x"]).labels == ("3", "x")
    assert list_images(images, np.array([1, 2])).labels == ("1", "2")


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((2, 4, 4, 3)), DtypeError, "`images` must be uint8, got float64"),
        (np.zeros((4, 4), np.uint8), ShapeError, r"got \(4, 4\)"),
        (np.zeros((8, 8, 3), np.uint8), ShapeError, r"(?s)looks like one image.*images\[None\]"),
        (np.zeros((2, 8, 8, 4), np.uint8), ShapeError, r"got \(2, 8, 8, 4\)"),
        (np.zeros((2, 0, 8, 3), np.uint8), ShapeError, "got"),
        ([np.zeros((2, 8, 8, 3), np.uint8)], ShapeError, r"`images\[0\]` must be \(H, W, 3\)"),
        ([np.zeros((8, 8, 3), np.int64)], DtypeError, "must be uint8, got int64"),
        ([np.zeros((0, 8, 3), np.uint8)], ShapeError, "got"),
        (["a.png", 5], DtypeError, r"`images\[1\]` must be a path or a uint8 array, got int"),
        (5, DtypeError, "`images` must be a directory, .* got int"),
        (None, DtypeError, "got NoneType"),
    ],
)
def test_what_is_no_image(images: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        list_images(images, None)


def test_labels_that_do_not_fit(folder: Path) -> None:
    with pytest.raises(ArgumentError, match=r"one entry per image \(2\), got 3"):
        list_images(np.zeros((2, 4, 4, 3), np.uint8), [1, 2, 3])
    with pytest.raises(ArgumentError, match="`labels` must be None for a directory"):
        list_images(folder, ["a"] * 12)


def test_directories_that_are_none(folder: Path) -> None:
    with pytest.raises(ProbeError, match="nowhere doesn't exist"):
        list_images(folder / "nowhere", None)
    with pytest.raises(ProbeError, match=r"(?s)is no directory.*pass a list of paths"):
        list_images(folder / "cat" / "0.png", None)


def test_files_that_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "large").write_bytes(b"x" * 100)
    monkeypatch.setattr(images_module, "MAX_FILE_BYTES", 99)
    listed = list_images(
        [tmp_path / "pipe", tmp_path / "dangling", str(tmp_path), tmp_path / "large"], None
    )
    for index, reason in enumerate(
        ("no regular file", "doesn't exist", "no regular file", "larger than")
    ):
        with pytest.raises(ProbeError, match=reason):
            listed.read(index)
