"""The studies of copies found, on a zoo of a dozen models whose truth is known."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.detection.studies.__main__ import STUDIES, main
from benchmarks.detection.studies.evading import EXACT, FREE, evaded
from benchmarks.detection.studies.figures import figure
from benchmarks.detection.studies.zoo import Zoo
from sacfast import Detector
from sacfast.access import read_table
from sacfast.evaluation.comparisons import from_outputs

N, CLASSES = 60, 5
ATTACKS = ("fine-tune all", "adversarial extraction", "input blur")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two sources, three copies of each, a twin and a colleague, other people's models."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("zoo")
    task = 1.5 * np.eye(CLASSES)[np.arange(N) % CLASSES]
    rows, own = [], {}

    def add(name, source="", attack="independent", group="", part="test", kept=0.0):
        noise = rng.standard_normal((N, CLASSES))
        own[name] = kept * own.get(source, 0) + np.sqrt(1 - kept**2) * noise
        row = {"model": name, "source": source, "attack": attack, "group": group or name}
        rows.append({**row, "part": part, "accuracy": 0.9, "agreement": 0.9})

    for part, sources in (("test", "ab"), ("select", "c")):
        for source in sources:
            add(source, attack="source", part=part)
            for attack in ATTACKS:
                add(f"{source}.{attack}", source, attack, source, part, kept=0.9)
            add(f"{source}.twin", attack="honest twin", group=source, part=part)
            add(f"{source}.colleague", attack="same author", group=source, part=part)
        for i in range(2):
            add(f"{part}{i}", part=part)
    for i in range(6):
        add(f"bank{i}", part="calibrate")
    with (path / "models.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    outputs = {name: (task + one).astype(np.float16) for name, one in own.items()}
    labels = [str(i % CLASSES) for i in range(N)]
    about = {"outputs_kind": "logits", "labels": json.dumps(labels)}
    (path / "study").mkdir()
    for name in ("jpeg", "noise", "normal", "study/jpeg7"):
        save_file(outputs, path / f"{name}.safetensors", {**about, "probe_digest": name})
    return path


@pytest.fixture(scope="module")
def zoo(folder):
    return Zoo.read(folder, "test")


def rows_of(zoo, name):
    return list(STUDIES[name](zoo))


def test_scores_and_p_are_those_of_evaluate(zoo):
    archive, cast = zoo.archive("jpeg"), zoo.cast("jpeg")
    for expected in from_outputs([archive], cast, ["balanced", "partial", "paper"]):
        found = zoo.scored("jpeg", expected.method).compared()
        np.testing.assert_allclose(found.score, expected.score, atol=1e-6)
        np.testing.assert_allclose(found.p, expected.p)
        np.testing.assert_allclose(found.q, expected.q)


def test_a_comparison_is_made_once(zoo):
    assert zoo.scored("noise", "partial", 20) is zoo.scored("noise", "partial", 20)
    assert zoo.scored("noise", "partial", 20) is not zoo.scored("noise", "partial", 30)


@pytest.mark.parametrize("name", EXACT)
def test_exact_evasions_leave_the_balanced_score(zoo, name):
    archive, cast = zoo.archive("jpeg"), zoo.cast("jpeg")
    copy = cast.suspects[0].name
    form = [archive.form([m.name for m in some]) for some in (cast.sources, cast.bank)]
    detector = Detector(*form)
    changed = evaded(name, copy, archive.outputs[copy])
    assert not np.allclose(changed, archive.outputs[copy], atol=0.1)
    both = detector.scores([archive.form([copy])[0], changed]).score
    np.testing.assert_allclose(both[0], both[1], atol=1e-4)


def test_warps_keep_the_order_of_the_classes(zoo):
    answers = zoo.archive("jpeg").outputs["a"]
    order = answers.astype(np.float64).argsort(axis=1)
    for name in ("temperature", "square-root warp", "ranks only"):
        changed = evaded(name, "a", answers)
        assert (np.diff(np.take_along_axis(changed, order, axis=1), axis=1) >= 0).all()
    assert set(FREE) >= set(EXACT)


def test_evasions_say_whether_the_bar_is_met(zoo):
    rows = rows_of(zoo, "evasions")
    exact = {(r["series"], r["x"]): r["within_bar"] for r in rows if r.get("exact")}
    assert all(exact["balanced", name] for name in EXACT)
    assert not exact["paper", "logit shift"]
    hidden = [r for r in rows if r["kind"] == "hidden" and r["series"] == "balanced"]
    assert [r["x"] for r in hidden] == ["input blur"]
    plain = next(r for r in rows_of(zoo, "cost") if r["x"] == "fine-tune all")
    assert hidden[0]["auc_before"] == plain["auc"]


def test_owner_twins_are_those_of_a_detector(zoo):
    archive, cast = zoo.archive("jpeg"), zoo.cast("jpeg")
    outputs = {m.name: archive.form([m.name])[0] for m in (*cast.bank, *cast.suspects)}
    detector = Detector(
        archive.form(["a"]),
        [outputs[m.name] for m in cast.bank],
        groups=[m.group for m in cast.bank],
        method="balanced",
        owner_twins=[outputs["a.twin"], outputs["a.colleague"]],
    )
    expected = detector.scores([outputs["a.fine-tune all"]])
    scored = zoo.scored("jpeg", "balanced")
    own = [m for m in cast.suspects if m.name in ("a.twin", "a.colleague")]
    suspect = [m for m in cast.suspects if m.name == "a.fine-tune all"]
    groups = [m.group for m in cast.bank]
    draw = scored.draw([*cast.bank, *own], suspect, [*groups, "twin 1", "twin 2"])
    score, p = scored.with_p(draw, [*groups, "owner", "owner"], 2)
    np.testing.assert_allclose(score[0, 0], expected.score[0, 0], atol=1e-6)
    np.testing.assert_allclose(p[0, 0], expected.p[0, 0])
    moved = rows_of(zoo, "twins")[0]["moved"]
    assert moved == ["a.colleague", "a.twin", "b.colleague", "b.twin"]


def test_a_threshold_finds_its_own_copies(zoo):
    rows = [r for r in rows_of(zoo, "thresholds") if r["series"] == "balanced, midpoint"]
    assert {(r["fitted"], r["applied"]) for r in rows} == {(x, y) for x in "ab" for y in "ab"}
    assert all(r["f1"] == pytest.approx(1) for r in rows if r["fitted"] == r["applied"])


def test_a_larger_bank_lowers_the_floor(zoo):
    rows = [r for r in rows_of(zoo, "bank") if r["series"] == "balanced"]
    assert [r["x"] for r in rows] == [5] * 5 + [6]
    assert rows[-1]["p_floor"] == pytest.approx(1 / 7, abs=1e-5)


def test_misclassified_probes_are_each_source_s_own(zoo):
    rows = rows_of(zoo, "misclassified")
    for source, count in rows[0]["probes"].items():
        wrong = zoo.archive("normal").outputs[source].argmax(axis=1) != np.arange(N) % CLASSES
        assert count == wrong.sum() >= 10
    assert {r["series"] for r in rows} == {"misclassified", "random"}


def test_unknown_studies_are_usage_errors(folder):
    with pytest.raises(SystemExit):
        main(["nothing", "--zoo", str(folder)])


def test_commands_write_data_and_figures(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out, figures = tmp_path / "data", tmp_path / "figures"
    names = ["access", "ablation", "quality", "centring"]
    paths = ["--zoo", str(folder), "--out", str(out), "--figures", str(figures)]
    main([*names, *paths])
    assert "quality: left out, the zoo lacks outputs on the probe set study/jpeg10" in (
        capsys.readouterr().out
    )
    for name in ("access", "ablation", "centring"):
        content = json.loads((out / f"{name}.json").read_text())
        assert content["facts"]["copies"] == 6
        assert 0 < (figures / f"{name}.svg").stat().st_size < 60_000
    table = read_table(json.loads((out / "access_power.json").read_text()))
    assert {mode.kind for mode in table.modes} >= {"logits", "rounded", "topk", "labels"}
    with pytest.raises(SystemExit):
        main(["bank", "--ship", *paths])


@pytest.mark.parametrize("name", ["probes", "bank", "thresholds", "cost"])
def test_figures_are_small_and_the_same_again(zoo, name, tmp_path):
    pytest.importorskip("matplotlib")
    rows = rows_of(zoo, name)
    for path in (tmp_path / "one.svg", tmp_path / "two.svg"):
        figure(name, rows, path)
    first = (tmp_path / "one.svg").read_bytes()
    assert first == (tmp_path / "two.svg").read_bytes()
    assert b"<text" in first
    assert len(first) < 60_000


def test_numbers_beside_the_axes_keep_their_decimals(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [
        {"series": "balanced", "x": x, "auc": auc, "tpr_at_1": auc}
        for x, auc in ((10, 0.93), (20, 0.94))
    ]
    figure("quality", rows, tmp_path / "quality.svg")
    labels = re.findall(r">(0\.\d+)</text>", (tmp_path / "quality.svg").read_text())
    assert "0.932" in labels
    assert len(set(labels)) == len(labels) / 2  # two panels alike, each label once
