"""References and probes out of photographs: who is where, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sacfast import ProbeSet, build_probes, face_probes
from sacfast.errors import ArgumentError, DtypeError, ProbeError


def photographs(people=8, each=10, side=24, seed=0):
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (people * each, side, side, 3), dtype=np.uint8)
    return pixels, [f"person {i // each}" for i in range(len(pixels))]


def test_references_come_first_and_are_not_compressed():
    pixels, labels = photographs()
    built = face_probes(pixels, references=12, count=40, labels=labels)
    assert (built.kind, built.references, len(built)) == ("faces", 12, 52)
    assert built.rows("scores") == built.rows("decisions") == 40
    assert built.rows("embeddings") == built.rows("logits") == 52
    originals = {one.tobytes() for one in pixels}
    assert [one.tobytes() in originals for one in built.pixels] == [True] * 12 + [False] * 40


def test_people_and_photographs_are_on_one_side_only():
    pixels, labels = photographs()
    for seed in range(5):
        built = face_probes(pixels, references=12, count=40, labels=labels, seed=seed)
        assert not set(built.labels[:12]) & set(built.labels[12:])
        assert len(set(built.sources)) == 52
        assert len(set(built.labels[:12])) == 2  # 20 of 80 photographs, in proportion
        assert len(set(built.labels[12:])) == 6


def test_a_directory_says_who_is_who_and_the_file_keeps_it(tmp_path):
    pixels, labels = photographs()
    for i, (one, label) in enumerate(zip(pixels, labels, strict=True)):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(one).save(folder / f"{i}.png")
    built = face_probes(tmp_path / "photos", references=12, count=40)
    again = face_probes(tmp_path / "photos", references=12, count=40)
    assert built == again
    built.save(tmp_path / "faces.safetensors")
    opened = ProbeSet.open(tmp_path / "faces.safetensors")
    assert opened == built
    assert opened.references == 12
    assert not set(opened.labels[:12]) & set(opened.labels[12:])


def test_without_people_photographs_are_divided():
    pixels, _ = photographs()
    built = face_probes(pixels, references=12, count=40)
    assert built.labels is None
    assert len(set(built.sources)) == 52


def test_references_from_another_collection():
    pixels, labels = photographs()
    others, _ = photographs(people=3, seed=1)
    names = [f"other {i % 3}" for i in range(len(others))]
    built = face_probes(
        pixels,
        references=12,
        count=40,
        labels=labels,
        reference_photographs=others,
        reference_labels=names,
    )
    assert {one.tobytes() for one in built.pixels[:12]} <= {one.tobytes() for one in others}
    assert {name.split()[0] for name in built.labels[:12]} == {"other"}
    assert {name.split()[0] for name in built.labels[12:]} == {"person"}


def test_quality_and_seed_and_size_are_used():
    pixels, labels = photographs()
    common = {"references": 12, "count": 40, "labels": labels}
    built = face_probes(pixels, **common)
    assert face_probes(pixels, **common, quality=90) != built
    assert face_probes(pixels, **common, seed=1) != built
    assert face_probes(pixels, **common, size=16).pixels.shape == (52, 16, 16, 3)


def test_references_equal_to_probes_are_refused():
    pixels, labels = photographs()
    with pytest.raises(ProbeError, match="must show other people than `photographs`, got 8 in"):
        face_probes(
            pixels,
            references=12,
            count=40,
            labels=labels,
            reference_photographs=pixels,
            reference_labels=labels,
        )
    with pytest.raises(ProbeError, match="must not share photographs, got 60 in both"):
        face_probes(pixels, references=60, count=80, reference_photographs=pixels)


def test_a_photograph_that_stands_under_two_names_is_refused():
    pixels, labels = photographs(people=4, each=6)
    pixels[6:] = pixels[:18]
    with pytest.raises(ProbeError, match="must not share photographs"):
        face_probes(pixels, references=6, count=6, labels=labels)


@pytest.mark.parametrize("people", [1, 2, 3])
def test_too_few_people(people):
    pixels, labels = photographs(people=people, each=40)
    with pytest.raises(ProbeError, match=rf"must show at least 4 people.* got {people} \(person 0"):
        face_probes(pixels, references=4, count=8, labels=labels)


def test_one_person_among_the_references_only():
    pixels, labels = photographs()
    others, _ = photographs(people=1, each=20, seed=1)
    with pytest.raises(ProbeError, match="`reference_photographs` must show at least 2 people"):
        face_probes(
            pixels,
            references=4,
            labels=labels,
            reference_photographs=others,
            reference_labels=["x"] * 20,
        )


def test_too_few_photographs_says_how_many_there_are():
    pixels, labels = photographs()
    with pytest.raises(ProbeError, match="`count` is 200, but there are 60 photographs for them"):
        face_probes(pixels, references=12, labels=labels)
    with pytest.raises(ProbeError, match="`references` is 70, but there are"):
        face_probes(pixels, references=70, count=20, labels=labels)
    repeated = pixels.copy()
    repeated[:] = np.repeat(pixels[::10], 10, axis=0)
    with pytest.raises(ProbeError, match="`count` is 12, but of 20 images only 2 can be used"):
        face_probes(repeated, references=12, count=40, labels=labels)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"references": 1}, ArgumentError),
        ({"references": 2.0}, DtypeError),
        ({"count": 1}, ArgumentError),
        ({"quality": 0}, ArgumentError),
    ],
)
def test_arguments_out_of_range(changes, error):
    pixels, labels = photographs()
    with pytest.raises(error):
        face_probes(pixels, **{"references": 12, "count": 40, "labels": labels, **changes})


def test_collections_of_two_sizes():
    pixels, _ = photographs()
    others, _ = photographs(side=20, seed=1)
    with pytest.raises(ProbeError, match="one height and width, got 20x20 and 24x24"):
        face_probes(pixels, references=12, count=40, reference_photographs=others)


@pytest.mark.parametrize("references", [-1, 4, "3", 1.5])
def test_a_probe_set_with_impossible_references_is_refused(references):
    plain = build_probes(photographs()[0], kind="normal", count=4)
    with pytest.raises(ProbeError, match="fewer references than the 4 images"):
        ProbeSet(plain.pixels, "faces", {"references": references}, plain.sources)


def test_other_probe_sets_have_no_references():
    plain = build_probes(photographs()[0], kind="normal", count=4)
    assert plain.references == 0
    assert plain.rows("scores") == 4
