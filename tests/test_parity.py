"""The authors' procedure, written down once more from the papers, gives the numbers of a scan.

Nothing of sacfast is used on the way: images are read with Pillow, compressed by the corruption
library that the authors use, put through networks that timm builds, and compared with plain NumPy
in float64. Raw logits, cosine, mean |difference| over all N^2 entries, severity 1, the first images
in stored order, no labels. On the other side stands `sacfast.scan(method="paper")`, from the same
files to its rows.
"""

from __future__ import annotations

import json
from pathlib import Path

import imagecorruptions
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import sacfast
from tests.hostile import config_of

PROBES, SIDE, CLASSES = 30, 32, 10
MEAN, STD = 0.5, 0.25
#: Rounding of float32: a logit is known to about 1e-6 of the row's length, and an entry of the
#: matrix with it; the mean over N^2 entries is known better than that.
TOLERANCE = 1e-6


def images_of(folder: Path) -> np.ndarray:
    """The first images in stored order, as severity 1 of the authors' driver leaves them."""
    paths = sorted(folder.iterdir())[:PROBES]
    loaded = [np.asarray(Image.open(path)) for path in paths]
    return np.stack(
        [
            imagecorruptions.corrupt(image, severity=1, corruption_name="jpeg_compression")
            for image in loaded
        ]
    )


def network_of(architecture: str) -> torch.nn.Module:
    size = {"img_size": SIDE} if "vit" in architecture else {}
    return timm.create_model(architecture, num_classes=CLASSES, **size)


def logits_of(folder: Path, images: np.ndarray) -> np.ndarray:
    """What the network in a folder answers."""
    config = json.loads((folder / "config.json").read_text())
    network = network_of(config["architecture"])
    network.load_state_dict(load_file(folder / "model.safetensors"))
    with torch.no_grad():
        return network.eval()(inputs_of(images)).numpy().astype(np.float64)


def inputs_of(images: np.ndarray) -> torch.Tensor:
    """Pixels as the networks want them."""
    scaled = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    return (scaled - MEAN) / STD


def authors_distance(suspect: np.ndarray, source: np.ndarray, *, version: int) -> float:
    """Mean over all N^2 entries of the difference of two matrices of cosine distances."""
    n = len(suspect)
    matrices = []
    for logits in (suspect, source):
        matrix = np.empty((n, n))
        for i in range(n):
            for j in range(n):
                lengths = np.sqrt((logits[i] ** 2).sum() * (logits[j] ** 2).sum())
                matrix[i, j] = 1 - (logits[i] * logits[j]).sum() / lengths
        matrices.append(matrix / 2 if version == 2022 else matrix)
    return float(np.abs(matrices[0] - matrices[1]).sum() / n**2)


class House:
    """Photographs, two sources, a null bank and a registry, all in files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        generator = np.random.default_rng(0)
        (root / "photos").mkdir()
        for i in range(PROBES + 8):
            small = Image.fromarray(generator.integers(0, 256, (7, 7, 3), dtype=np.uint8))
            photo = small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            photo.save(root / "photos" / f"{i:03d}.png")
        self.images = images_of(root / "photos")
        architectures = ("test_resnet", "test_vit", "test_efficientnet")
        self.write("source-a", self.trained("test_resnet", 1))
        self.write("source-b", self.trained("test_vit", 2))
        for i in range(3):
            self.write(f"bank/null-{i}", self.trained(architectures[i], 10 + i))
        for i in range(3):
            self.write(f"registry/other-{i}", self.trained(architectures[i], 20 + i))
        copy = network_of("test_resnet")
        copy.load_state_dict(load_file(root / "source-a" / "model.safetensors"))
        with torch.no_grad():
            for weight in copy.parameters():
                weight += 0.02 * weight.std(unbiased=False) * torch.randn(weight.shape)
        self.write("registry/copy", ("test_resnet", copy))

    def trained(self, architecture: str, seed: int) -> tuple[str, torch.nn.Module]:
        """A small network that has learnt classes of its own of the photographs."""
        torch.manual_seed(seed)
        network = network_of(architecture).train()
        inputs, classes = inputs_of(self.images), torch.arange(PROBES) * seed % CLASSES
        optimiser = torch.optim.Adam(network.parameters(), 0.003)
        for _ in range(8):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs), classes).backward()
            optimiser.step()
        return architecture, network

    def write(self, name: str, model: tuple[str, torch.nn.Module]) -> None:
        architecture, network = model
        folder = self.root / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config_of(architecture)))
        save_file(network.state_dict(), folder / "model.safetensors")


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only get into one another's way on networks this small
    try:
        with torch.random.fork_rng(devices=[]):
            return House(tmp_path_factory.mktemp("parity"))
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def scanned(house: House) -> sacfast.Scan:
    probes = sacfast.build_probes(
        house.root / "photos", "jpeg", severity=1, count=PROBES, select="first"
    )
    np.testing.assert_array_equal(probes.pixels, house.images)
    assert probes.labels is None
    probes.save(house.root / "probes.safetensors")
    return sacfast.scan(
        house.root / "registry",
        sources=[house.root / "source-a", house.root / "source-b"],
        null_bank=house.root / "bank",
        probes=house.root / "probes.safetensors",
        method="paper",
        groups=False,
        workers=1,
    )


def test_every_distance_is_the_authors(house: House, scanned: sacfast.Scan) -> None:
    rows = scanned.rows()
    assert len(rows) == 4 * 2
    ours = []
    for row in rows:
        suspect = logits_of(house.root / "registry" / row["suspect"], house.images)
        source = logits_of(house.root / row["source"], house.images)
        for version in (2024, 2022):
            authors = authors_distance(suspect, source, version=version)
            scaled = sacfast.paper_scale(row["distance"], PROBES, version=str(version))
            assert abs(scaled - authors) <= TOLERANCE
        assert row["score"] == row["distance"]
        ours.append(row["distance"])
    # Numbers that could have come out otherwise: far above the tolerance, and far from each other.
    assert min(ours) > 1000 * TOLERANCE
    assert np.diff(np.sort(ours)).min() > 10 * TOLERANCE
    closest = min(rows, key=lambda row: row["distance"])
    assert (closest["suspect"], closest["source"]) == ("copy", "source-a")


def test_so_is_every_null_distance(house: House, scanned: sacfast.Scan) -> None:
    members = [f"null-{i}" for i in range(3)]
    answers = [logits_of(house.root / "bank" / name, house.images) for name in members]
    for null in scanned.record.nulls:
        source = logits_of(house.root / null.source, house.images)
        expected = [authors_distance(own, source, version=2024) for own in answers]
        scaled = sacfast.paper_scale(np.array(null.scores), PROBES)
        np.testing.assert_allclose(np.sort(scaled), np.sort(expected), atol=TOLERANCE, rtol=0)


def test_the_distance_beside_our_own_score_is_the_same(house: House, scanned: sacfast.Scan) -> None:
    ours = sacfast.scan(
        house.root / "registry",
        sources=[house.root / "source-a", house.root / "source-b"],
        null_bank=house.root / "bank",
        probes=house.root / "probes.safetensors",
        groups=False,
        workers=1,
    )
    by_paper = {(row["suspect"], row["source"]): row["distance"] for row in scanned.rows()}
    by_partial = {(row["suspect"], row["source"]): row["distance"] for row in ours.rows()}
    assert by_paper == by_partial
