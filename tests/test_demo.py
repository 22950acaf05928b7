"""The demo: who holds which image, what the recipes do, and a small demo through the commands."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the demo's digits come with scikit-learn")
import torch

from sacfast.demo import digits as digits_module
from sacfast.demo import networks, run_demo, thefts
from sacfast.demo.digits import load_digits, write_images
from sacfast.demo.making import VERSION, Diary
from sacfast.demo.plan import FULL, Size, is_twin, make_plan, make_source
from sacfast.demo.run import commands, found, make_demo, run_command
from sacfast.demo.truth import Finding, findings
from sacfast.errors import ArgumentError, MissingExtraError, SacfastError
from sacfast.models.model import open_model
from sacfast.probes import ProbeSet, build_probes

PROBABILITIES = tuple(t for t in FULL.thefts if t.attack == "probabilities")
FEW = Size(
    null_models=3,
    innocent_suspects=1,
    thefts=(FULL.thefts[0], FULL.thefts[4], FULL.thefts[5], PROBABILITIES[0]),
)


@pytest.fixture(scope="module", autouse=True)
def single_thread() -> Iterator[None]:
    """As the demo's own processes have it: more threads only slow such small networks down."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def thief_share() -> tuple[torch.Tensor, torch.Tensor]:
    pixels, labels = load_digits(0).of("thief")
    return networks.inputs(pixels), torch.from_numpy(labels)


@pytest.fixture(scope="module")
def source() -> torch.nn.Module:
    """A source that has seen a few batches: its weights and statistics are no longer the first."""
    pixels, labels = load_digits(0).of("owner")
    network = networks.create(networks.SOURCE_ARCHITECTURE, seed=1)
    images = networks.inputs(pixels)
    return networks.train(network, images, torch.from_numpy(labels), steps=20, rate=1e-2, seed=1)


def weights(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def changed(before: dict[str, np.ndarray], network: torch.nn.Module) -> set[str]:
    after = weights(network)
    return {name for name in before if not np.array_equal(before[name], after[name])}


class TestDigits:
    def test_shares_are_disjoint_and_complete(self) -> None:
        digits = load_digits(3)
        shares = [set(digits.shares[owner].tolist()) for owner in ("owner", "thief", "probes")]
        assert [len(share) for share in shares] == [750, 750, 297]
        assert set.union(*shares) == set(range(1797))

    def test_seed_decides_the_shares(self) -> None:
        first, again, other = (load_digits(seed).shares["owner"] for seed in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_images_are_what_the_probes_are_made_from(self, tmp_path: Path) -> None:
        digits = load_digits(0)
        assert write_images(digits, tmp_path) == 297
        probes = build_probes(tmp_path, kind="normal", count=297, select="first")
        held = {pixels.tobytes() for pixels in digits.of("probes")[0]}
        assert {pixels.tobytes() for pixels in probes.pixels} == held

    def test_missing_package_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sklearn", None)
        with pytest.raises(MissingExtraError, match=r"sacfast\[demo\]"):
            digits_module.load_digits(0)


class TestPlan:
    def test_enough_of_everything(self) -> None:
        folders = Counter(recipe.name.split("/")[0] for recipe in make_plan(0))
        assert folders["null-bank"] >= 99
        assert folders["registry"] >= 20
        assert sum(theft.attack != "labels" for theft in FULL.thefts) >= 8
        assert {theft.attack for theft in FULL.thefts} == {
            "fine-tuning",
            "last layer",
            "pruning",
            "probabilities",
            "labels",
        }

    def test_names_and_seeds_are_unique(self) -> None:
        recipes = [make_source(5), *make_plan(5)]
        assert len({recipe.name for recipe in recipes}) == len(recipes)
        assert len({recipe.seed for recipe in recipes}) == len(recipes)

    def test_names_do_not_tell_the_stolen(self) -> None:
        def stolen(seed: int) -> list[str]:
            return [recipe.name for recipe in make_plan(seed) if recipe.theft is not None]

        assert stolen(0) == stolen(0)
        assert stolen(0) != stolen(1)

    def test_bank_and_innocent_suspects_come_from_one_process(self) -> None:
        """Over many seeds both hold each architecture, share and the twins equally often."""
        plans = [recipe for seed in range(200) for recipe in make_plan(seed)]
        bank = [r for r in plans if r.name.startswith("null-bank")]
        innocent = [r for r in plans if r.name.startswith("registry") and r.theft is None]
        kinds = {(r.architecture, r.share) for r in bank}
        assert len(kinds) == 2 * len(networks.ARCHITECTURES)
        for kind in kinds:
            shares = [
                np.mean([(r.architecture, r.share) == kind for r in some])
                for some in (bank, innocent)
            ]
            # 2,400 draws of at most 1 in 4: a standard error is at most 0.009.
            assert abs(shares[0] - shares[1]) < 0.036
        assert np.mean([is_twin(r) for r in innocent]) == pytest.approx(0.25, abs=0.036)

    def test_thieves_never_train_on_the_owners_images(self) -> None:
        assert {r.share for r in make_plan(0) if r.theft is not None} == {"thief"}


class TestNetworks:
    @pytest.mark.parametrize("architecture", networks.ARCHITECTURES)
    def test_saved_network_answers_alike_through_the_loader(
        self, architecture: str, tmp_path: Path
    ) -> None:
        network = networks.create(architecture, seed=2)
        networks.save(network, architecture, tmp_path / "model")
        pixels = load_digits(0).of("probes")[0][:20]
        probes = build_probes(pixels, kind="normal", count=20, select="first")
        with torch.inference_mode():
            expected = network.eval()(networks.inputs(probes.pixels)).numpy()
        model = open_model(tmp_path / "model")
        # The loader runs another memory layout: float32 sums in another order.
        np.testing.assert_allclose(model.outputs(probes), expected, rtol=1e-4, atol=1e-5)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]

    def test_training_is_repeatable_and_learns(
        self, thief_share: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        images, labels = thief_share

        def trained(seed: int) -> torch.nn.Module:
            network = networks.create("densenet121", seed)
            return networks.train(network, images, labels, steps=60, rate=1e-2, seed=seed)

        first = trained(4)
        assert changed(weights(first), trained(4)) == set()
        assert changed(weights(first), trained(5)) != set()
        assert networks.accuracy(first, *load_digits(0).of("probes")) > 0.5


class TestThefts:
    def test_fine_tuning_moves_every_layer_and_spares_the_source(
        self, source: torch.nn.Module, thief_share: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        before = weights(source)
        stolen = thefts.fine_tune(source, *thief_share, steps=5, rate=1e-3, seed=1)
        assert changed(before, stolen) == set(before)
        assert changed(before, source) == set()

    @pytest.mark.parametrize("anew", [False, True])
    def test_last_layer_changes_the_classifier_only(
        self, source: torch.nn.Module, thief_share: tuple[torch.Tensor, torch.Tensor], anew: bool
    ) -> None:
        before = weights(source)
        stolen = thefts.train_last_layer(source, *thief_share, steps=5, anew=anew, seed=1)
        assert changed(before, stolen) == {"fc.weight", "fc.bias"}

    @pytest.mark.parametrize("fraction", [0.2, 0.6])
    def test_pruning_silences_the_share_that_it_names(
        self,
        source: torch.nn.Module,
        thief_share: tuple[torch.Tensor, torch.Tensor],
        fraction: float,
    ) -> None:
        stolen = thefts.prune(source, *thief_share, fraction=fraction, steps=3, rate=2e-3, seed=1)
        blocks = [m for m in stolen.modules() if hasattr(m, "conv1") and hasattr(m, "conv2")]
        assert len(blocks) == 4
        for block in blocks:
            filters = block.conv1.weight.detach().flatten(1)
            silent = (filters == 0).all(dim=1)
            assert int(silent.sum()) == int(fraction * len(filters))
            assert not block.bn1.bias.detach()[silent].any()

    def test_extraction_learns_answers_not_labels(
        self, source: torch.nn.Module, thief_share: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        images, labels = thief_share
        for labels_only in (False, True):
            students = [
                thefts.extract(
                    source,
                    images,
                    own,
                    architecture="densenet121",
                    labels_only=labels_only,
                    steps=3,
                    seed=1,
                )
                for own in (labels, labels.flip(0))
            ]
            assert changed(weights(students[0]), students[1]) == set()

    def test_what_is_learnt_is_the_sources_answer(
        self, source: torch.nn.Module, thief_share: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        """A student of probabilities comes closer to them than one of labels."""
        images, labels = thief_share

        def gap(labels_only: bool) -> float:
            student = thefts.extract(
                source,
                images,
                labels,
                architecture="densenet121",
                labels_only=labels_only,
                steps=60,
                seed=1,
            )
            with torch.inference_mode():
                return float((student(images).softmax(1) - source(images).softmax(1)).abs().mean())

        assert gap(labels_only=False) < gap(labels_only=True)


class TestFolder:
    def test_another_seed_is_refused(self, tmp_path: Path) -> None:
        Diary(tmp_path / "demo", 0).note("source", 0.9)
        assert Diary(tmp_path / "demo", 0).accuracy == {"source": 0.9}
        with pytest.raises(ArgumentError, match="holds the demo of seed 0"):
            Diary(tmp_path / "demo", 1)

    def test_other_recipes_are_refused(self, tmp_path: Path) -> None:
        Diary(tmp_path, 0)
        held = json.loads((tmp_path / "demo.json").read_text())
        (tmp_path / "demo.json").write_text(json.dumps({**held, "recipes": VERSION + 1}))
        with pytest.raises(ArgumentError, match="another version of sacfast"):
            Diary(tmp_path, 0)

    def test_a_strangers_folder_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(ArgumentError, match="new or an empty folder"):
            run_demo(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    def test_failing_command_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SacfastError, match="ended with exit code 1"):
            run_command(["sacfast", "report", str(tmp_path / "none.db")])


def test_small_demo_end_to_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Models, the installed commands, the truth beside the verdicts; then again, training none."""
    out = tmp_path / "demo"
    assert run_demo(out, 0, size=FEW) == 0
    printed = capfd.readouterr().out
    for command in ("$ sacfast probes build", "$ sacfast scan", "$ sacfast report"):
        assert command in printed
    assert "The truth beside the verdicts" in printed
    assert str(out / "report.html") in printed.replace("\n", "")
    assert (out / "report.html").stat().st_size > 0

    judged = found(out)
    assert sorted(finding.suspect for finding in judged) == [f"suspect-{n:02}" for n in range(1, 6)]
    assert sum(finding.stolen for finding in judged) == 4
    assert all(finding.p is not None for finding in judged)
    # Three null models can't carry a verdict, but copies of the weights stand out from them.
    score = {
        row["suspect"]: row["score"]
        for row in map(json.loads, (out / "results.jsonl").read_text().splitlines())
    }
    innocent = max(score[f.suspect] for f in judged if not f.stolen)
    assert all(score[f.suspect] > innocent for f in judged if f.stolen)

    for folder in (out / "registry").iterdir():
        assert sorted(path.name for path in folder.iterdir()) == [
            "config.json",
            "model.safetensors",
        ]
        assert "stolen" not in (folder / "config.json").read_text()
    assert len(ProbeSet.open(out / "probes.safetensors")) == 200

    made = {p: p.stat().st_mtime_ns for p in out.rglob("model.safetensors")}
    make_demo(out, 0, FEW)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("model.safetensors")} == made


def test_commands_never_name_the_truth(tmp_path: Path) -> None:
    assert not any("truth" in word for command in commands(tmp_path) for word in command)


def test_findings_lay_truth_beside_verdict(tmp_path: Path) -> None:
    truth = {"a": {"stolen": True, "attack": "labels", "how": "x"}}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    row = {"suspect": "a", "verdict": "no evidence", "p": 0.5, "q": 0.6, "score": 0.1}
    (tmp_path / "results.jsonl").write_text(json.dumps(row) + "\n")
    (finding,) = findings(tmp_path / "truth.json", tmp_path / "results.jsonl")
    assert finding == Finding("a", "no evidence", 0.5, 0.6, True, "labels", "x")
    assert not finding.flagged
    assert not finding.right
