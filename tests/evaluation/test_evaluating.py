"""The whole: files in, measures out."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sacfast import Store, evaluate
from sacfast.errors import ArgumentError
from sacfast.store import ModelRecord, PairRecord, ScanRecord


@pytest.fixture(scope="module")
def found(files):
    truth, archives = files
    return evaluate(truth, archives, methods=["partial", "pearson"], splits=8)


def test_every_method_on_every_probe_set_and_on_all(found):
    names = [(r["probes"], r["method"]) for r in found.results]
    methods = ("partial", "pearson", "paper")
    assert names == [(p, m) for p in ("jpeg", "noise", "jpeg + noise") for m in methods]
    assert found.facts["sources"] == ["a", "b"]
    assert found.facts["attacks"] == ["fine-tune", "extraction"]  # a shift costs nothing
    assert found.facts["null_bank"] == 24
    assert found.facts["null_groups"] == 12
    assert found.facts["warnings"] == []


def test_the_score_finds_what_it_should(found):
    both = found.result("partial")
    assert both["probes"] == "jpeg + noise"
    assert both["attacks"]["fine-tune"]["auc"] == 1.0
    assert both["attacks"]["shift"]["auc"] == 1.0
    for method in ("partial", "pearson"):
        single = [
            found.result(method, p)["attacks"]["extraction"]["auc"] for p in ("jpeg", "noise")
        ]
        assert found.result(method)["attacks"]["extraction"]["auc"] >= max(single) - 0.05
    assert both["pooled"]["auc"] > found.result("paper")["pooled"]["auc"]
    assert both["attacks"]["extraction"]["excess_agreement"] == pytest.approx(0.1)
    assert both["thresholds"]["midpoint_of"] == "all attacks"
    assert both["attacks"]["fine-tune"]["f1"]["midpoint"] > 0.8


def test_the_same_files_give_the_same_numbers_and_they_are_json(found, files, tmp_path):
    truth, archives = files
    again = evaluate(truth, archives, methods=["partial", "pearson"], splits=8)
    one, two = found.save(tmp_path / "1.json"), again.save(tmp_path / "2.json")
    assert one.read_bytes() == two.read_bytes()
    assert json.loads(one.read_text())["results"][0]["calibration"]["splits"] == 8


def test_labels_alone_find_less(files, found):
    truth, archives = files
    labels = evaluate(truth, archives, access="labels", splits=0)
    assert labels.facts["outputs"][0]["kind"] == "labels"
    assert labels.result("partial")["calibration"] is None
    assert labels.result("partial")["pooled"]["auc"] < found.result("partial")["pooled"]["auc"]


def test_the_other_part_and_z(files):
    truth, archives = files
    select = evaluate(truth, archives[:1], part="select", statistic="z", splits=0)
    assert select.facts["sources"] == ["s"]
    result = select.result("partial")
    assert result["thresholds"]["midpoint"] is None  # nothing else to set it on
    assert result["attacks"]["fine-tune"]["auc"] == 1.0


def test_two_probes_leave_only_the_papers_distance(files):
    truth, archives = files
    with pytest.raises(ArgumentError, match="must hold innocent models that can be scored"):
        evaluate(truth, archives[0], count=2, splits=2)
    found = evaluate(truth, archives[0], count=2, splits=0)
    assert [result["method"] for result in found.results] == ["paper"]


def test_sources_that_are_silent_are_named(world, tmp_path):
    truth, archives = world.write(tmp_path)
    outputs = load_file(archives[0])
    save_file(
        {
            name: one if name[0] == "i" else np.full_like(one, np.nan)
            for name, one in outputs.items()
        },
        archives[0],
        {"outputs_kind": "logits"},
    )
    with pytest.raises(ArgumentError, match=r"at least one stolen model[^$]*can't be compared: s "):
        evaluate(truth, archives[0], splits=0)


def test_attacks_can_be_named(files):
    truth, archives = files
    named = evaluate(truth, archives[:1], attacks=["shift"], splits=0)
    assert named.result("partial")["pooled"]["attacks"] == ["shift"]
    assert next(iter(named.result("partial")["attacks"])) == "shift"


def test_what_was_destroyed_is_left_out_and_what_agrees_little_is_not(world, tmp_path):
    rows = [dict(row) for row in world.rows]
    by_name = {row["model"]: row for row in rows}
    by_name["a.extraction0"]["accuracy"] = 0.5
    by_name["a.extraction1"]["agreement"] = 0.01
    truth, archives = world.write(tmp_path, rows)
    found = evaluate(truth, archives[:1], splits=0)
    assert [m["model"] for m in found.facts["left_out"]] == ["a.extraction0"]
    assert found.result("partial")["attacks"]["extraction"]["stolen"] == 7


def test_models_that_are_missing_or_silent_are_told(world, tmp_path):
    truth, archives = world.write(tmp_path)
    outputs = load_file(archives[0])
    del outputs["i4.0"]
    outputs["a.fine-tune0"] = np.full_like(outputs["a"], 1.0)
    outputs["i5.0"] = np.full_like(outputs["a"], np.nan)
    outputs["stranger"] = outputs["a"]
    save_file(outputs, archives[0], {"outputs_kind": "logits"})
    found = evaluate(truth, archives[0], splits=2)
    told = " ".join(found.facts["warnings"])
    assert "1 models of the outputs are not in the truth file: stranger" in told
    assert "1 models of the truth file are without outputs: i4.0" in told
    assert "a.fine-tune0 (answers NaN, Inf or one constant on 60 of 60 probes (jpeg))" in told
    assert found.result("partial")["attacks"]["fine-tune"]["not_comparable"] == 1
    assert found.result("partial")["attacks"]["fine-tune"]["auc"] == pytest.approx(7 / 8)


def test_without_parts_half_of_the_innocents_are_the_bank(world, tmp_path):
    rows = [{**row, "part": ""} for row in world.rows]
    truth, archives = world.write(tmp_path, rows)
    text = truth.read_text().replace(",part,", ",other,")
    truth.write_text(text)
    found = evaluate(truth, archives[:1], splits=0)
    assert "knows no parts" in found.facts["warnings"][0]
    assert found.facts["sources"] == ["s", "a", "b"]
    assert found.facts["null_bank"] + found.facts["innocent"] == 51


PAIRS = [
    ("c1", 0.9, 0.001, 0.004), ("c2", 0.2, 0.2, 0.3), ("i1", 0.1, 0.6, 0.7),
    ("i2", 0.3, 0.02, 0.04), ("i3", 0.0, 0.9, 0.9),
]  # fmt: skip
SCAN_TRUTH = "model,source,attack\ns,,source\nc1,s,tune\nc2,s,tune\ni1,,\ni2,,\ni3,,\n"


def scan_rows():
    for suspect, score, p, q in PAIRS:
        yield {
            "suspect": suspect, "source": "s", "verdict": "no evidence", "score": score,
            "z": score * 10, "p": p, "q": q, "distance": 0.5 - score / 10,
        }  # fmt: skip
    yield dict.fromkeys(("source", "score", "z", "p", "q", "distance")) | {"suspect": "unknown"}


@pytest.mark.parametrize("form", ["rows", "store"])
def test_a_scan_is_measured_as_it_is(tmp_path, form):
    (tmp_path / "t.csv").write_text(SCAN_TRUTH)
    if form == "rows":
        what = tmp_path / "r.jsonl"
        what.write_text("".join(json.dumps(row) + "\n" for row in scan_rows()))
    else:
        what = tmp_path / "s.db"
        write_store(what)
    found = evaluate(tmp_path / "t.csv", what)
    ours, paper = found.results
    assert ours["method"] == ("scan" if form == "rows" else "partial")
    assert paper["method"] == "paper"
    assert ours["attacks"]["tune"]["auc"] == pytest.approx(5 / 6)
    assert ours["calibration"]["p_low"] == pytest.approx(1 / 3)
    assert [one["obtained"] for one in ours["fdr"]] == [0.5, 0.5, 0.5]
    assert paper["attacks"]["tune"]["auc"] == pytest.approx(5 / 6)
    assert paper["calibration"] is None
    assert paper["attacks"]["tune"]["called"] is None
    if form == "rows":
        assert found.facts["warnings"] == [
            "1 suspects of the scan are not in the truth file: unknown"
        ]


@pytest.mark.parametrize(
    ("name", "cell"),
    [("suspect", ["c"]), ("source", 3), ("score", "much"), ("score", 10**400), ("p", 7)],
)
def test_rows_that_no_scan_writes(tmp_path, name, cell):
    (tmp_path / "truth.csv").write_text(SCAN_TRUTH)
    rows = list(scan_rows())
    rows[0][name] = cell
    what = tmp_path / "r.jsonl"
    what.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ArgumentError, match=f"got one of .* whose {name} is "):
        evaluate(tmp_path / "truth.csv", what)


def write_store(path):
    with Store(path) as store:
        store.add_probes("0" * 64, {})
        models = [ModelRecord("suspect", name, "", "ok") for name, *_ in PAIRS]
        pairs = [
            PairRecord(name, "s", "no evidence", score, 10 * score, p, q, 0.5 - score / 10)
            for name, score, p, q in PAIRS
        ]
        store.add_scan(ScanRecord("0" * 64, {"method": "partial"}, tuple(models), tuple(pairs), ()))


def test_refused(files, tmp_path):
    truth, archives = files
    for wrong, said in (
        ({"part": "calibrate"}, "`part` must be select or test"),
        ({"statistic": "p"}, "`statistic` must be 'score' or 'z'"),
        ({"splits": -1}, "`splits` must be a whole number"),
        ({"count": 1}, "`count` must be a whole number >= 2, got 1"),
        ({"methods": ["best"]}, "`method` must be one of partial, balanced"),
        ({"attacks": ["magic"]}, "`attacks` must be of the truth file's .* got 'magic'"),
    ):
        with pytest.raises(ArgumentError, match=said):
            evaluate(truth, archives, **wrong)
    with pytest.raises(ArgumentError, match=r"must be one \.jsonl of a scan, one store, or"):
        evaluate(truth, [*archives, tmp_path / "r.jsonl"])
    (tmp_path / "r.jsonl").write_text('{"suspect": "a"}\n')
    with pytest.raises(ArgumentError, match="must hold a scan's rows, got one with the columns"):
        evaluate(truth, tmp_path / "r.jsonl")
    with pytest.raises(ArgumentError, match="`access` must go with outputs archives"):
        evaluate(truth, tmp_path / "r.jsonl", access="labels")
    save_file(
        {"a": np.zeros((3, 2), np.float32)}, tmp_path / "x.safetensors", {"outputs_kind": "logits"}
    )
    with pytest.raises(ArgumentError, match="must hold at least one stolen model of the part"):
        evaluate(truth, tmp_path / "x.safetensors")


def test_where_there_is_nothing_to_balance_balanced_is_partial(files, tmp_path):
    truth, archives = files
    path = tmp_path / "e.safetensors"
    save_file(load_file(archives[0]), path, {"outputs_kind": "embeddings"})
    found = evaluate(truth, path, methods=["partial", "balanced"], splits=2)
    partial, balanced = (dict(found.result(method)) for method in ("partial", "balanced"))
    assert (partial.pop("method"), balanced.pop("method")) == ("partial", "balanced")
    assert partial == balanced


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from sacfast.cli import main; main()", "evaluate", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command(files, tmp_path):
    truth, archives = files
    run = command(
        *map(str, (truth, *archives)), "--method", "partial,balanced", "--splits", "2",
        "--attacks", "fine-tune,shift", "--json", str(tmp_path / "e.json"),
        "--html", str(tmp_path / "e.html"),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "jpeg + noise" in run.stdout
    assert "fine-tune" in run.stdout
    assert json.loads((tmp_path / "e.json").read_text())["facts"]["attacks"] == [
        "fine-tune",
        "shift",
    ]
    assert (tmp_path / "e.html").stat().st_size > 10_000
    run = command(str(truth), str(tmp_path / "e.html"))
    assert run.returncode == 2
    assert "WHAT must be one .jsonl of a scan" in run.stderr
    run = command(str(truth), str(archives[0]), "--json", str(tmp_path / "nowhere" / "e.json"))
    assert run.returncode == 2
    assert "--json must be a file in an existing folder" in " ".join(run.stderr.split())


def test_owner_twins_are_no_suspects_but_in_the_bank(files, found):
    truth, archives = files
    twins = evaluate(truth, archives, splits=0, owner_twins=["*.twin"])
    assert twins.facts["owner_twins"] == ["*.twin"]
    assert twins.facts["innocent"] == found.facts["innocent"] - 2
    suspects = {model.name for model in twins.comparisons[0].suspects}
    assert not suspects & {"a.twin", "b.twin"}
    plain, with_twins = (e.comparisons[0] for e in (found, twins))
    i, j = (
        [model.name for model in c.suspects].index("a.extraction0") for c in (plain, with_twins)
    )
    assert plain.score[i, 0] != with_twins.score[j, 0]
    with pytest.raises(ArgumentError, match=r"`owner_twins` must match innocents .* got 'no\*'"):
        evaluate(truth, archives, splits=0, owner_twins=["no*"])


@pytest.mark.parametrize(
    "twins",
    [["a.twin", "b.twin"], ["*.twin", "i[1-9].*", "i[12][15].*"]],
    ids=["none in select", "all of select"],
)
def test_owner_twins_that_leave_select_nothing_to_set_the_papers_threshold_on(files, twins):
    truth, archives = files
    found = evaluate(truth, archives, splits=0, owner_twins=twins)
    assert found.result("partial")["thresholds"]["midpoint"] is None
