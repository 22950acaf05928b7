"""Face models in a scan: embeddings, scores and yes/no against one source, with owner twins."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from sacfast import Detector, ProbeSet, compare, face_probes, fri, scan
from sacfast.cli import app
from sacfast.errors import ArgumentError, ModelError
from sacfast.models import open_model
from tests.hostile import SIZE, TINY, config_of

R, N, E = 16, 60, 24


def cosines(embeddings):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return unit[R:] @ unit[:R].T


class World:
    """Models of one task; source, twins and honest models share the owner's people too."""

    def __init__(self, root):
        self.root = root
        self.generator = np.random.default_rng(7)
        pixels = self.generator.integers(0, 256, (2 * (R + N), SIZE, SIZE, 3), dtype=np.uint8)
        labels = np.arange(len(pixels)) % 19
        self.probes = face_probes(pixels, references=R, count=N, labels=labels.tolist())
        self.probes.save(root / "faces.safetensors")
        self.task, self.people = self.generator.standard_normal((2, R + N, E))
        self.source = self.model(1.0)
        self.write("source", self.source)
        for i in range(39):
            self.write(f"bank/null-{i:02d}", self.model())
        for i in range(3):
            self.write(f"twins/twin-{i}", self.model(1.0))
        self.copy = self.source + 0.4 * self.generator.standard_normal((R + N, E))

    def model(self, people=0.0):
        noise = self.generator.standard_normal((R + N, E))
        return self.task + people * self.people + noise

    def write(self, name, answers, kind="embeddings"):
        folder = self.root / name
        folder.mkdir(parents=True)
        np.save(folder / "outputs.npy", np.asarray(answers, np.float32))
        (folder / "config.json").write_text(json.dumps({"outputs_kind": kind}))

    def scan(self, **changes):
        arguments = {
            "sources": self.root / "source",
            "probes": self.root / "faces.safetensors",
            "null_bank": self.root / "bank",
            "owner_twins": self.root / "twins",
            "workers": 1,
            "fdr": 0.2,
        } | changes
        return scan(self.root / "registry", **arguments)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def registry(world):
    """A copy and three innocents a form of answers."""

    def service(embeddings):
        return 1 / (1 + np.exp(-9 * cosines(embeddings) + 3))

    def yes(embeddings):
        return cosines(embeddings) > np.quantile(cosines(embeddings), 0.9)

    rotation = np.linalg.qr(world.generator.standard_normal((E, E)))[0]
    forms = {"embeddings": lambda e: e @ rotation, "scores": service, "decisions": yes}
    for kind, form in forms.items():
        world.write(f"registry/copy-{kind}", form(world.copy), kind)
        for i in range(3):
            world.write(f"registry/innocent-{kind}-{i}", form(world.model()), kind)
    return world


@pytest.mark.parametrize("form", ["direct", "fri"])
def test_every_form_of_answers_is_judged_and_the_copies_found(registry, form):
    found = registry.scan(form=form)
    rows = {row["suspect"]: row for row in found.rows()}
    assert set(found.flagged) == {"copy-embeddings", "copy-scores", "copy-decisions"}
    assert {row["verdict"] for name, row in rows.items() if "innocent" in name} <= {
        "no evidence",
        "suspicious",
    }
    # A sigmoid and a rotation change no rank (but where rounding makes a tie of two scores).
    assert rows["copy-scores"]["score"] == pytest.approx(rows["copy-embeddings"]["score"], abs=1e-3)
    assert "without owner twins" not in " ".join(found.record.facts["warnings"])


def test_the_scan_is_the_detector(registry):
    found = registry.scan()
    rows = {row["suspect"]: row for row in found.rows()}

    def known(folder):
        paths = sorted((registry.root / folder).iterdir())
        return [fri(np.load(path / "outputs.npy"), "embeddings", references=R) for path in paths]

    detector = Detector(
        [fri(registry.source.astype(np.float32), "embeddings", references=R)],
        known("bank"),
        owner_twins=known("twins"),
        form="direct",
    )
    answers = np.load(registry.root / "registry/copy-decisions/outputs.npy")
    expected = detector.scores([fri(answers, "decisions", references=R)])
    row = rows["copy-decisions"]
    assert row["score"] == expected.score[0, 0]
    assert row["p"] == expected.p[0, 0]
    assert row["dropped"] == 0


def test_owner_twins_acquit_honest_models_of_the_same_people(world):
    for i in range(4):
        world.write(f"registry/honest-{i}", world.model(1.0))
    world.write("registry/copy", world.copy)
    with_twins = world.scan()
    assert with_twins.flagged == ["copy"]
    without = world.scan(owner_twins=())
    assert len(without.flagged) == 5
    assert any(
        "related, by training data or by theft" in warning
        for warning in without.record.facts["warnings"]
    )
    roles = {model.name: model.role for model in with_twins.record.models}
    assert roles["twin-0"] == "null"
    assert len(with_twins.record.nulls[0].scores) == 42


def test_a_twin_in_the_registry_is_no_suspect(world):
    world.write("registry/own/twin", world.model(1.0))
    world.write("registry/copy", world.copy)
    found = world.scan(owner_twins=world.root / "registry/own")
    rows = {row["suspect"]: row for row in found.rows()}
    assert rows["own/twin"]["verdict"] == "left out"


def test_a_source_of_decisions_is_warned_of(world):
    answers = cosines(world.source) > np.quantile(cosines(world.source), 0.8)
    world.write("service", answers, "decisions")
    world.write("registry/copy", world.copy)
    found = world.scan(sources=world.root / "service")
    assert any("a source answers decisions" in told for told in found.record.facts["warnings"])
    assert found.rows()[0]["score"] is not None


def test_a_classifier_among_face_models_is_not_comparable(world):
    world.write("registry/copy", world.copy)
    world.write("registry/classifier", world.model(), "logits")
    rows = {row["suspect"]: row for row in world.scan().rows()}
    assert rows["classifier"]["verdict"] == "not comparable"
    assert "logits, which can't be compared with embeddings" in rows["classifier"]["reason"]


def test_answers_of_the_wrong_shape_are_one_row_with_a_reason(world):
    world.write("registry/copy", world.copy)
    world.write("registry/all-pairs", np.ones((R + N, R)), "scores")
    world.write("registry/other-references", np.random.default_rng(0).random((N, R + 1)), "scores")
    world.write("registry/refuses", np.zeros((N, R)), "decisions")
    rows = {row["suspect"]: row for row in world.scan().rows()}
    assert f"answers to {R + N} probes, the probe set has {N}" in rows["all-pairs"]["reason"]
    assert f"(N, R) with R = {R}" in rows["other-references"]["reason"]
    assert "the same on every probe" in rows["refuses"]["reason"]
    assert rows["copy"]["verdict"] == "stolen"


def test_two_face_models_are_compared_whatever_they_answer(world):
    world.write("service", cosines(world.copy), "scores")
    world.write("stranger", world.model())
    found = {}
    for name in ("service", "stranger"):
        found[name] = compare(world.root / "source", world.root / name, probes=world.probes)
        assert found[name].reason is None
    assert found["service"].mode == "scores"
    phi = [
        fri(world.source.astype(np.float32), "embeddings", references=R),
        fri(cosines(world.copy).astype(np.float32), "scores", references=R),
    ]
    detector = Detector(phi[:1], [], method="pearson", form="fri")
    assert found["service"].pearson == detector.scores(phi[1:]).score[0, 0]
    assert found["service"].pearson > found["stranger"].pearson
    assert found["service"].distance < found["stranger"].distance


def test_options_are_checked(world):
    world.write("registry/copy", world.copy)
    with pytest.raises(ArgumentError, match="`form` must be 'direct' or 'fri', got 'outputs'"):
        world.scan(form="outputs")
    with pytest.raises(ArgumentError, match="`owner_twins` must be a directory"):
        world.scan(owner_twins=world.root / "nowhere")


def embedding_checkpoint(folder, seed=0, **changes):
    """A timm network without a classifier."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = timm.create_model(
            TINY["architecture"], num_classes=0, img_size=SIZE, **TINY["model_args"]
        ).eval()
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    config = config_of(**{**TINY, "num_classes": 0, **changes})
    (folder / "config.json").write_text(json.dumps(config))
    return network


def test_a_timm_network_without_a_classifier_answers_with_embeddings(world):
    network = embedding_checkpoint(world.root / "model")
    model = open_model(world.root / "model")
    assert model.outputs_kind == "embeddings"
    inputs = torch.from_numpy(world.probes.pixels.transpose(0, 3, 1, 2) / np.float32(255))
    with torch.inference_mode():
        expected = network((inputs - 0.5) / 0.25).numpy()
    np.testing.assert_allclose(model.outputs(world.probes), expected, rtol=0, atol=1e-5)
    embedding_checkpoint(world.root / "one", num_classes=1)
    with pytest.raises(ModelError, match="or 0 for embeddings, got '1'"):
        open_model(world.root / "one")


def test_from_photographs_to_verdicts_on_the_command_line(world):
    generator = np.random.default_rng(0)
    from PIL import Image

    for i in range(60):
        folder = world.root / "photos" / f"person {i // 10}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    probes = world.root / "few.safetensors"
    run = CliRunner().invoke
    arguments = ["--references", "8", "--count", "30", "-o", str(probes)]
    built = run(app, ["probes", "faces", str(world.root / "photos"), *arguments])
    assert built.exit_code == 0, built.output
    assert ProbeSet.open(probes).references == 8
    asked = run(app, ["probes", "export", str(probes), str(world.root / "ask")])
    assert "0008.png … (a row each) with 0000.png … 0007.png" in " ".join(asked.output.split())
    embedding_checkpoint(world.root / "zoo/source")
    for i in range(1, 4):
        embedding_checkpoint(world.root / f"independent/null-{i}", seed=i)
        embedding_checkpoint(world.root / f"zoo/innocent-{i}", seed=10 + i)
    embedding_checkpoint(world.root / "own/twin", seed=30)
    options = ["--source", "source", "--null-bank", str(world.root / "independent")]
    options += ["--owner-twins", str(world.root / "own"), "--probes", str(probes), "--json"]
    options += ["--workers", "1"]
    found = run(app, ["scan", str(world.root / "zoo"), *options])
    assert found.exit_code in (0, 3, 4), found.output
    rows = json.loads(found.stdout)["rows"]
    assert {row["mode"] for row in rows if row["score"] is not None} == {"embeddings"}
    assert sum(row["score"] is not None for row in rows) == 3
    assert "4, 1 owner twin among them" in " ".join(found.stderr.split())


def test_null_models_that_cannot_be_brought_to_scores_cost_a_warning(world):
    world.write("registry/copy", world.copy)
    unknown = world.model()
    unknown[2] = np.nan  # a reference image without an answer
    world.write("bank/silent", unknown)
    world.write("bank/narrow", cosines(world.model())[:, 1:], "scores")
    found = world.scan()
    assert found.flagged == ["copy"]
    left_out = [told for told in found.record.facts["warnings"] if "left out" in told]
    assert [told.split()[2] for told in left_out] == ["narrow", "silent"]
