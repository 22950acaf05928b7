"""Builds a probe set: chooses images, brings them to one size, augments and freezes them.

Images are read in the order of the selection, one at a time, until enough are in hand. One that
can't be used is skipped with a reason, and so is one with the same pixels as an image that is
in already: two equal probes would only weigh one image twice. The next image takes its place.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import ArgumentError, ProbeError
from sacfast.probes.arguments import height_and_width, one_of, settings_of, whole
from sacfast.probes.augment import AUGMENTATIONS
from sacfast.probes.images import Images, list_images
from sacfast.probes.jpeg import fit, library_versions, save_png
from sacfast.probes.probe_set import ProbeSet
from sacfast.progress import progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

SELECTIONS = ("first", "random", "balanced")


def build_probes(
    images: str
    | os.PathLike[str]
    | NDArray[np.uint8]
    | Sequence[str | os.PathLike[str]]
    | Sequence[NDArray[np.uint8]],
    kind: str = "jpeg",
    quality: int | None = None,
    count: int = 200,
    select: str = "random",
    seed: int = 0,
    size: int | tuple[int, int] | None = None,
    device: str = "cpu",
    labels: Sequence[object] | None = None,
    progress: bool | None = None,
    severity: int | None = None,
    sd: float | None = None,
) -> ProbeSet:
    """A frozen probe set from an owner's images.

    Args:
        images: A directory (read at any depth, in the order of the paths; the first sub-folder
            is the label), a list of paths, a uint8 array (M, H, W, 3), (M, H, W, 1) or
            (M, H, W), or a list of uint8 arrays (H, W, 3), (H, W, 1) or (H, W).
        kind: "jpeg" (SAC-JC), "normal" (SAC-normal), "cutmix" (SAC-m, as in the authors' code),
            "cutmix_paper" (as in the CutMix paper), "noise" (Gaussian), "transpose", or one of
            the common corruptions: "gaussian_noise", "shot_noise", "impulse_noise",
            "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "fog", "brightness",
            "contrast", "elastic_transform", "pixelate", "jpeg_compression".
        quality: JPEG quality, 1 to 100; 25 unless given. Only for "jpeg".
        count: How many probes, at least 2; so many different usable images are needed.
        select: "first" in the given order; "random"; or "balanced", as "random" but taking the
            classes in turn (needs labels).
        seed: Of the random choices.
        size: Height and width of the probes, one number for a square. The shorter side is
            resized to it (bicubic) and the centre cropped, before the augmentation. None: the
            images must have one size already.
        device: "gpu" makes JPEG on a GPU through DALI; its bytes differ from the CPU's.
        labels: One per image, where `images` is no directory.
        progress: Draw a progress bar; None: where standard error is a terminal.
        severity: 1 to 5, of a corruption (1 unless given), or of "jpeg" in place of `quality`:
            25, 18, 15, 10, 7; the authors use 1.
        sd: Standard deviation of "noise" in 8-bit levels, 51 unless given.

    Returns:
        The probe set, with the images in the order in which they were selected. Images that
        could not be used and repeated images are in its `skipped`.

    Raises:
        ArgumentError, ShapeError, DtypeError: An argument is not one of the above.
        ProbeError: Too few usable images, images of several sizes, or no such directory.
        BackendError, MissingExtraError: DALI, or the library behind the corruptions, is missing,
            can't be loaded, or can't do what was asked.

    Source: SAC-JC (arXiv 2412.20768) and its released driver for "jpeg" and the corruptions; SAC
    (NeurIPS 2022) for "cutmix". The docstring of each kind in `augment` says what is
    reconstructed.
    """
    count = whole("count", count, 2)
    seed = whole("seed", seed, 0)
    one_of("kind", kind, tuple(AUGMENTATIONS))
    one_of("select", select, SELECTIONS)
    one_of("device", device, ("cpu", "gpu"))
    if device == "gpu" and kind != "jpeg":
        raise ArgumentError(f"build_probes: `device` must be 'cpu' for kind={kind!r}, got 'gpu'")
    chosen_settings = settings_of(kind, quality, device, seed, severity, sd)
    height_width = None if size is None else height_and_width(size)

    listed = list_images(images, labels)
    queues = _queues(listed, select, np.random.default_rng([seed, 0]))
    skipped = list(listed.unlisted)
    with progress_bar("Reading images", count, progress) as advance:
        chosen = _choose(listed, queues, count, height_width, skipped, advance)
    known = listed.labels
    labels_in = None if known is None else tuple(known[image.index] for image in chosen)
    if select == "balanced" and labels_in is not None and count >= len(queues):
        absent = sorted(set(known or ()) - set(labels_in))
        skipped += [f"class {name}: none of its images can be used" for name in absent]
    pixels = np.stack([image.pixels for image in chosen])
    augmented = AUGMENTATIONS[kind](pixels, chosen_settings)

    parameters: dict[str, Any] = {"select": select, **augmented.parameters}
    if select != "first":
        parameters["seed"] = seed
    if height_width is not None:
        parameters["size"] = list(height_width)
    versions = {"numpy": np.__version__, **library_versions()}
    if augmented.library:
        versions["augmentation"] = augmented.library
    return ProbeSet(
        pixels=augmented.pixels,
        kind=kind,
        parameters=parameters,
        sources=tuple(image.source for image in chosen),
        labels=labels_in,
        skipped=tuple(skipped),
        versions=versions,
    )


def export_probes(probes: ProbeSet, folder: str | os.PathLike[str]) -> list[Path]:
    """Writes the probes as PNG images 0000.png, 0001.png, … to ask a service with.

    Args:
        probes: The probe set.
        folder: Where the images go; made if it is not there.

    Returns:
        Their paths, in the order of the probes: row i of the answers belongs to image i.

    Raises:
        ProbeError: If the folder holds anything already, or can't be written.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise ProbeError(f"export_probes: `folder` must be empty, got {target}")
    except OSError as error:
        raise ProbeError(f"export_probes: `folder` can't be made: {error}") from error
    paths = [target / f"{i:04d}.png" for i in range(len(probes))]
    for pixels, path in zip(probes.pixels, paths, strict=True):
        save_png(pixels, path)
    return paths


@dataclass(frozen=True)
class _Chosen:
    """One image that is in: its place in the list, its RGB pixels, its SHA-256."""

    index: int
    pixels: NDArray[np.uint8]
    source: str


def _queues(listed: Images, select: str, generator: np.random.Generator) -> list[Sequence[int]]:
    """The order in which images are tried: one queue, or one per class, to be served in turn."""
    if select == "first":
        return [range(len(listed))]
    order: list[int] = generator.permutation(len(listed)).tolist()
    if select == "random":
        return [order]
    if listed.labels is None:
        raise ProbeError(
            "build_probes: select='balanced' needs the class of every image",
            hint="one sub-folder per class and no image beside them, or labels=[...]",
        )
    classes: dict[str, list[int]] = {}  # in order of appearance, which is random too
    for index in order:
        classes.setdefault(listed.labels[index], []).append(index)
    return list(classes.values())


def _choose(
    listed: Images,
    queues: list[Sequence[int]],
    count: int,
    size: tuple[int, int] | None,
    skipped: list[str],
    advance: Callable[[str], None],
) -> list[_Chosen]:
    """The first `count` usable images, the queues served in turn; `skipped` grows."""
    seen: dict[bytes, str] = {}
    streams = deque(_usable(listed, queue, size, seen, skipped) for queue in queues)
    chosen: list[_Chosen] = []
    while streams and len(chosen) < count:
        stream = streams.popleft()
        image = next(stream, None)
        if image is None:
            continue
        streams.append(stream)
        if chosen and image.pixels.shape != chosen[0].pixels.shape:
            one, other = (
                f"{listed.name(at.index)} ({at.pixels.shape[0]}x{at.pixels.shape[1]})"
                for at in (chosen[0], image)
            )
            raise ProbeError(
                "build_probes: images must have one height and width where `size` is None, "
                f"got {one} and {other}",
                hint="size=224",
            )
        chosen.append(image)
        advance(listed.name(image.index))
    if len(chosen) < count:
        shown = "".join(f"\n    {line}" for line in skipped[:5])
        rest = f"\n    and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        raise ProbeError(
            f"build_probes: `count` is {count}, but of {len(listed)} images only {len(chosen)} "
            f"can be used; skipped: {len(skipped)}{shown}{rest}",
            hint=f"count={len(chosen)}" if chosen else None,
        )
    return chosen


def _usable(
    listed: Images,
    queue: Sequence[int],
    size: tuple[int, int] | None,
    seen: dict[bytes, str],
    skipped: list[str],
) -> Iterator[_Chosen]:
    """The images of one queue that can be used, each read when it is asked for."""
    for index in queue:
        try:
            pixels, source = listed.read(index)
        except ProbeError as error:
            skipped.append(f"{listed.name(index)}: {error}")
            continue
        if size is not None:
            pixels = fit(pixels, size)
        content = hashlib.sha256(f"{pixels.shape}".encode())
        content.update(np.ascontiguousarray(pixels).data)
        twin = seen.get(content.digest())
        if twin is not None:
            skipped.append(f"{listed.name(index)}: same pixels as {twin}")
            continue
        seen[content.digest()] = listed.name(index)
        yield _Chosen(index, pixels, source)
