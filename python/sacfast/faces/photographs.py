"""References and probes out of one collection of photographs, or out of two.

People whose photographs serve as references appear in no probe, as far as the collection says who
is who: a pair that shows one person would ask about recognition, which every good model has learnt,
and not about this model. No photograph is both. Both go into one probe set, so that one digest
names them and one pass through a model answers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import ProbeError
from sacfast.kernels import _check
from sacfast.probes import ProbeSet, build_probes
from sacfast.probes.images import Images, list_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEWEST_PEOPLE = 2  # on either side


def face_probes(
    photographs: Any,
    *,
    references: int = 64,
    count: int = 200,
    quality: int = 25,
    seed: int = 0,
    size: int | tuple[int, int] | None = None,
    labels: Sequence[object] | None = None,
    reference_photographs: Any = None,
    reference_labels: Sequence[object] | None = None,
    progress: bool | None = None,
) -> ProbeSet:
    """A frozen set of R reference images and N probes, for models that verify faces.

    Args:
        photographs: A directory with one sub-folder a person, a list of paths, or uint8 arrays, as
            for `build_probes`. Without people (a flat directory, or no `labels`) references and
            probes may show the same person.
        references: R, how many reference images, at least 2; they stay as they are.
        count: N, how many probes, at least 2; they are JPEG-compressed.
        quality: JPEG quality of the probes, 1 to 100.
        seed: Of the random choices.
        size: Height and width of the images, as for `build_probes`.
        labels: The person in each photograph, where `photographs` is no directory.
        reference_photographs: Take the references from here, best from another collection with
            other people. None: from `photographs`, whose people are divided in proportion.
        reference_labels: The person in each of these, where they are no directory.
        progress: Draw a progress bar; None: where standard error is a terminal.

    Returns:
        A `ProbeSet` of kind "faces": the R references, then the N probes, each as evenly over
        their people as they come. Its `references` is R.

    Raises:
        ArgumentError, ShapeError, DtypeError: An argument is not one of the above.
        ProbeError: Too few photographs or people, one photograph or person on both sides, or
            images of several sizes.

    Source: SAC-JC (arXiv 2412.20768), section 4; the division by people is ours.
    """
    references = _check.integer("face_probes", "references", references, 2)
    count = _check.integer("face_probes", "count", count, 2)
    probing = list_images(photographs, labels)
    unlisted = probing.unlisted
    rng = np.random.default_rng([seed, 2])
    if reference_photographs is None:
        known, probing = _divided(probing, references, count, rng)
    else:
        known = list_images(reference_photographs, reference_labels)
        unlisted += known.unlisted
        _check_other_people(known, probing)
        known, probing = (_some(part, np.arange(len(part))) for part in (known, probing))
    common: dict[str, Any] = {"seed": seed, "size": size, "progress": progress}
    for name, images, wanted in (("references", known, references), ("count", probing, count)):
        if len(images) < wanted:
            raise ProbeError(
                f"face_probes: `{name}` is {wanted}, but there are {len(images)} photographs for "
                "them",
                hint="more photographs, or fewer references and probes in the same proportion",
            )
    first = _built(known, "normal", references, common)
    behind = _built(probing, "jpeg", count, {"quality": quality, **common})
    both = set(first.sources) & set(behind.sources)
    if both:
        raise ProbeError(
            f"face_probes: references and probes must not share photographs, got {len(both)} in "
            "both",
            hint="take out duplicates" if reference_photographs is None else "use other ones",
        )
    if first.pixels.shape[1:] != behind.pixels.shape[1:]:
        sides = ["x".join(map(str, part.pixels.shape[1:3])) for part in (first, behind)]
        raise ProbeError(
            f"face_probes: references and probes must have one height and width, got {sides[0]} "
            f"and {sides[1]}",
            hint="size=112",
        )
    named = first.labels is not None and behind.labels is not None
    return ProbeSet(
        pixels=np.concatenate([first.pixels, behind.pixels]),
        kind="faces",
        parameters={**behind.parameters, "references": references},
        sources=first.sources + behind.sources,
        labels=(first.labels or ()) + (behind.labels or ()) if named else None,
        skipped=tuple(dict.fromkeys((*unlisted, *first.skipped, *behind.skipped))),
        versions=behind.versions,
    )


def _built(images: Images, kind: str, count: int, common: dict[str, Any]) -> ProbeSet:
    select = "random" if images.labels is None else "balanced"
    return build_probes(
        list(images.items), kind=kind, count=count, select=select, labels=images.labels, **common
    )


def _divided(
    images: Images, references: int, count: int, rng: np.random.Generator
) -> tuple[Images, Images]:
    """The photographs for the references and for the probes, divided by people if known."""
    total = references + count
    if images.labels is None:
        order = rng.permutation(len(images))
        cut = len(order) * references // total
        return _some(images, order[:cut]), _some(images, order[cut:])
    labels = np.array(images.labels)
    people, photographs = np.unique(labels, return_counts=True)
    if len(people) < 2 * _FEWEST_PEOPLE:
        shown = f"{len(people)} ({', '.join(people.tolist())})"
        raise ProbeError(
            f"face_probes: `photographs` must show at least {2 * _FEWEST_PEOPLE} people, half of "
            f"them for the references, got {shown}",
            hint="one sub-folder a person, or labels=[...]",
        )
    order = rng.permutation(len(people))
    enough = np.cumsum(photographs[order]) >= len(images) * references / total
    cut = min(max(int(enough.argmax()) + 1, _FEWEST_PEOPLE), len(people) - _FEWEST_PEOPLE)
    for_references = np.isin(labels, people[order[:cut]])
    return (
        _some(images, np.flatnonzero(for_references)),
        _some(images, np.flatnonzero(~for_references)),
    )


def _some(images: Images, places: NDArray[np.intp]) -> Images:
    """Some of the photographs, as items that stand for themselves."""
    items = [images.items[i] for i in places.tolist()]
    if images.root is not None:
        items = [images.root / item for item in items]
    labels = None if images.labels is None else tuple(images.labels[i] for i in places.tolist())
    return Images(items, labels=labels)


def _check_other_people(known: Images, probing: Images) -> None:
    for name, images in (("reference_photographs", known), ("photographs", probing)):
        if images.labels is not None and len(set(images.labels)) < _FEWEST_PEOPLE:
            raise ProbeError(
                f"face_probes: `{name}` must show at least {_FEWEST_PEOPLE} people, got "
                f"{len(set(images.labels))}"
            )
    both = sorted(set(known.labels or ()) & set(probing.labels or ()))
    if both:
        shown = ", ".join(both[:3]) + (" …" if len(both) > 3 else "")
        raise ProbeError(
            "face_probes: `reference_photographs` must show other people than `photographs`, got "
            f"{len(both)} in both: {shown}"
        )
