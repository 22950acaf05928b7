"""Scans from end to end, on answers collected beforehand."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from sacfast import Detector, Store, benjamini_hochberg, canonical_outputs, scan
from sacfast.errors import ArgumentError, ModelError, NullBankError, ProbeError
from sacfast.scanning.plan import plan_scan
from sacfast.scanning.results import COLUMNS
from sacfast.store import AT_THE_FLOOR
from tests.hostile import make_good


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.fixture
def registry(world):
    """Two copies, six innocents, one that fails."""
    world.bank()
    for i in range(2):
        world.answers(f"registry/copy-{i}", world.copy().astype(np.float32))
    for i in range(6):
        world.answers(f"registry/innocent-{i}", world.logits().astype(np.float32))
    world.answers("registry/short", world.logits()[:5])
    return world


def run(world, **changes):
    arguments = world.scan_arguments(**changes)
    return scan(arguments.pop("registry"), **arguments)


def test_the_scan_is_the_detector_and_bh(registry, tmp_path):
    found = run(registry, store=tmp_path / "s.db", fdr=0.2)
    rows = {row["suspect"]: row for row in found.rows()}
    root = registry.root
    bank = [np.load(p / "outputs.npy") for p in sorted((root / "bank").iterdir())]
    names = [n for n in sorted(rows) if n != "short"]
    suspects = [np.load(root / "registry" / n / "outputs.npy") for n in names]
    source = [np.load(root / "source" / "outputs.npy").astype(np.float32)]
    expected = Detector(source, bank).scores(suspects)
    paper = Detector(source, bank, method="paper").scores(suspects)
    q = benjamini_hochberg(expected.p)
    for i, name in enumerate(names):
        assert rows[name]["score"] == expected.score[i, 0]
        assert rows[name]["z"] == expected.z[i, 0]
        assert rows[name]["p"] == expected.p[i, 0]
        assert rows[name]["q"] == q[i, 0]
        assert rows[name]["distance"] == paper.score[i, 0]
    assert found.flagged == sorted(["copy-0", "copy-1"], key=lambda n: -rows[n]["z"])
    assert found.exit_code == 3
    assert rows["short"]["verdict"] == "not comparable"
    assert rows["short"]["status"] == "failed"
    assert "60" in rows["short"]["reason"]
    assert rows["short"]["score"] is None


def test_judged_by_the_papers_score_the_score_is_the_distance(registry):
    found = run(registry, fdr=0.2, method="paper")
    rows = [row for row in found.rows() if row["score"] is not None]
    assert len(rows) == 8
    assert all(row["score"] == row["distance"] for row in rows)
    assert {row["suspect"] for row in rows[:2]} == {"copy-0", "copy-1"}
    threshold = found.record.nulls[0].threshold
    assert all((row["score"] < threshold) == (row["verdict"] == "stolen") for row in rows)


def test_rows_are_ranked_and_counted(registry):
    found = run(registry, fdr=0.2)
    verdicts = [row["verdict"] for row in found.rows()]
    order = ["stolen", "suspicious", "not comparable", "no evidence"]
    assert verdicts == sorted(verdicts, key=order.index)
    assert found.counts["stolen"] == 2
    assert sum(found.counts.values()) == 9
    assert "2 stolen" in repr(found)


def test_a_small_bank_can_only_raise_suspicion(world):
    world.bank(10)
    world.answers("registry/copy", world.copy(0.1))
    world.answers("registry/innocent", world.logits())
    found = run(world)
    row = found.rows()[0]
    assert (row["suspect"], row["verdict"], row["reason"]) == ("copy", "suspicious", AT_THE_FLOOR)
    assert "nothing can be called stolen" in found.record.facts["reach"]
    assert found.exit_code == 4


def test_suspicious_above_the_floor_is_not_at_the_floor(world):
    world.bank(59)
    nulls = [np.load(p / "outputs.npy") for p in sorted((world.root / "bank").iterdir())]
    detector = Detector([world.source.astype(np.float32)], nulls)
    target = np.sort(detector.null_scores[:, 0])[-2:].mean()  # p = 2 / 60
    suspect = min(
        (world.logits() + w * world.source for w in np.linspace(0, 1, 200)),
        key=lambda o: abs(detector.scores([o]).score[0, 0] - target),
    )
    world.answers("registry/doubtful", suspect)
    found = run(world, fdr=0.01)
    [row] = found.rows()
    assert (row["verdict"], row["p"], row["reason"]) == ("suspicious", 2 / 60, "")
    assert found.exit_code == 0


def test_nothing_found_is_exit_code_0(world):
    world.bank(39)
    world.answers("registry/innocent", world.logits())
    found = run(world)
    assert {verdict: n for verdict, n in found.counts.items() if n} == {"no evidence": 1}
    assert found.exit_code == 0


def test_every_access_mode_is_judged_with_sources_and_bank_in_the_same(world):
    world.bank()
    stolen = world.copy(0.2)
    top = np.sort(softmax(stolen), axis=1)[:, -3:-2]
    world.answers("registry/probs", softmax(stolen), "probs")
    world.answers("registry/rounded", np.round(softmax(stolen), 2), "probs", digits=2)
    kept = np.where(softmax(stolen) >= top, softmax(stolen), 0)
    world.answers("registry/top3", kept, "topk", k=3)
    world.answers("registry/labels", stolen.argmax(axis=1), "labels")
    world.answers("registry/logits", stolen)
    found = run(world, fdr=0.2)
    assert {row["suspect"] for row in found.rows() if row["p"] == 1 / 40} == {
        "probs", "rounded", "top3", "labels", "logits",
    }  # fmt: skip
    assert {null.mode for null in found.record.nulls} == {
        "logits", "probs", "rounded to 2 decimals", "top-3", "labels",
    }  # fmt: skip
    scores = {row["suspect"]: row["score"] for row in found.rows()}
    assert scores["probs"] == pytest.approx(scores["logits"], abs=1e-4)


def test_suspects_follow_a_coarser_source(world):
    world.bank(20)
    world.answers("labels-source", world.source.argmax(axis=1), "labels")
    world.answers("registry/copy", world.copy(0.2))
    found = run(world, sources=world.root / "labels-source")
    assert found.record.nulls[0].mode == "labels"
    one_hot = canonical_outputs(np.argmax(world.source, axis=1), "labels")
    assert one_hot.shape == (60, 8)
    assert not math.isnan(found.rows()[0]["score"])


def test_embeddings_are_not_compared_with_logits(world):
    world.bank(20)
    world.answers("registry/face", world.generator.standard_normal((60, 16)), "embeddings")
    world.answers("registry/innocent", world.logits())
    found = run(world)
    row = next(row for row in found.rows() if row["suspect"] == "face")
    assert row["verdict"] == "not comparable"
    assert row["reason"] == "answers embeddings, which can't be compared with logits"
    assert found.exit_code == 4


def test_a_suspect_that_is_mostly_nan_is_listed_above_the_innocent(world):
    world.bank(20)
    hidden = world.copy(0.1)
    hidden[:30] = np.nan
    world.answers("registry/hides", hidden)
    gaps = world.copy(0.1)
    gaps[:3] = np.nan
    world.answers("registry/gaps", gaps)
    world.answers("registry/innocent", world.logits())
    rows = run(world).rows()
    assert [row["suspect"] for row in rows] == ["gaps", "hides", "innocent"]
    assert rows[0]["dropped"] == 3
    assert "30 of 60 probes" in rows[1]["reason"]


def test_a_rescan_runs_nothing_twice(registry, tmp_path):
    first = run(registry, store=tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        before = store._all("SELECT count(*), max(created) FROM fingerprints")
    again = run(registry, store=tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        assert store._all("SELECT count(*), max(created) FROM fingerprints") == before
        assert store.scan_ids() == [1, 2]
    assert again.rows() == first.rows()


def test_sources_and_nulls_in_the_registry_are_no_suspects(registry):
    found = scan(
        registry.root,
        sources="source",
        probes=registry.probes,
        null_bank=registry.root / "bank",
        workers=1,
    )
    out = {row["suspect"]: row["status"] for row in found.rows() if row["verdict"] == "left out"}
    assert out.pop("source") == "source"
    assert set(out.values()) == {"null model"}
    assert len(out) == 39
    judged = {row["suspect"] for row in found.rows()} - {*out, "source", "probes.safetensors"}
    assert all(name.startswith("registry/") for name in judged)


def test_byte_identical_files_are_recognised(registry):
    null = np.load(registry.root / "bank" / "null-000" / "outputs.npy")
    registry.answers("registry/known", null)
    registry.answers("registry/the-very-same", registry.source)
    registry.answers("bank/twice", null)
    found = run(registry, fdr=0.2)
    rows = {row["suspect"]: row for row in found.rows()}
    assert rows["known"]["verdict"] == "left out"
    assert rows["known"]["reason"] == "byte-identical to null model null-000"
    same = "its weights are those of source source, byte for byte"
    assert rows["the-very-same"]["reason"] == same
    assert rows["the-very-same"]["verdict"] == "stolen"
    warning = "null model twice left out: byte-identical to null-000"
    assert warning in found.record.facts["warnings"]


def test_suspects_that_are_one_another_are_judged_once(registry):
    alone = {row["suspect"]: row for row in run(registry, fdr=0.2).rows()}
    for i in range(30):
        (registry.root / f"registry/link-{i:02d}").symlink_to("copy-0", target_is_directory=True)
    rows = {row["suspect"]: row for row in run(registry, fdr=0.2).rows()}
    for name in alone:
        assert rows[name] == alone[name]
    for i in range(30):
        twin = rows[f"link-{i:02d}"]
        assert twin["reason"] == "byte-identical to copy-0"
        assert (twin["verdict"], twin["q"]) == ("stolen", alone["copy-0"]["q"])


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("topk", {"k": 8}),
        ("topk", {"k": 1, "digits": 0}),
        ("probs", {"digits": 0}),
        ("probs", {"digits": 17}),
        ("labels", {}),
    ],
)
def test_no_access_mode_of_a_suspect_ends_the_scan(world, kind, facts):
    world.bank(20)
    answers = softmax(world.logits())
    if kind == "labels":
        answers = np.arange(60)  # every label another: the correlation is constant
    if facts.get("digits") == 0:
        answers = np.round(answers)
    world.answers("registry/odd", answers, kind, **facts)
    world.answers("registry/copy", world.copy(0.2))
    rows = {row["suspect"]: row for row in run(world, fdr=0.2).rows()}
    assert rows["copy"]["p"] == 1 / 21
    assert rows["odd"]["p"] is not None or rows["odd"]["verdict"] == "not comparable"
    if kind == "labels" or facts.get("digits") == 0:
        assert rows["odd"]["verdict"] == "not comparable"
        assert rows["odd"]["reason"]


def test_top_k_services_with_more_classes_than_the_source(world):
    world.bank(20)
    wide = world.generator.standard_normal((60, 40))
    world.answers("registry/wide", np.where(wide > 2, 0.3, 0.01), "topk", k=20)
    world.answers("registry/copy", world.copy(0.2))
    rows = {row["suspect"]: row for row in run(world).rows()}
    assert rows["copy"]["p"] == 1 / 21
    assert rows["wide"]["p"] is not None


def test_csv_holds_no_formulas(world, tmp_path):
    world.bank(5)
    world.answers("registry/=cmd|calc", world.logits())
    run(world, out=tmp_path / "r.csv")
    assert "\n'=cmd|calc," in (tmp_path / "r.csv").read_text().replace("\r", "")


def test_groups_are_folders_unless_told_otherwise(world):
    for author in range(5):
        for i in range(4):
            world.answers(f"bank/author-{author}/{i}", world.logits())
    world.answers("registry/copy", world.copy(0.1))
    assert run(world).rows()[0]["p"] == 1 / 6
    assert run(world, groups=False).rows()[0]["p"] == 1 / 21


def test_several_sources_make_one_row_each(registry):
    other = registry.answers("other", registry.logits())
    found = run(registry, sources=[registry.root / "source", other], fdr=0.2)
    rows = [row for row in found.rows() if row["suspect"] == "copy-0"]
    assert {row["source"]: row["verdict"] for row in rows} == {
        "source": "stolen", "other": "no evidence",
    }  # fmt: skip
    assert found.counts["stolen"] == 2


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_results_are_written_by_suffix(registry, tmp_path, suffix):
    if suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / f"r{suffix}"
    found = run(registry, out=path)
    if suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert rows == found.rows()
    elif suffix == ".csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["suspect"] for row in rows] == [row["suspect"] for row in found.rows()]
        assert float(rows[0]["score"]) == found.rows()[0]["score"]
    else:
        rows = parquet.read_table(path).to_pylist()
        assert rows == found.rows()
    assert tuple(rows[0]) == COLUMNS
    assert [p.name for p in tmp_path.glob(".r*")] == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"fdr": 0.0}, ArgumentError, "`fdr` must lie in \\(0, 1\\)"),
        ({"sources": []}, ArgumentError, "`sources` must name at least one model"),
        ({"sources": "absent"}, ArgumentError, "`sources` must be paths of models, or names"),
        ({"registry": "absent"}, ArgumentError, "scan: `registry` must be a directory"),
        ({"null_bank": "absent"}, ArgumentError, "scan: `null_bank` must be a directory"),
        ({"out": "results.txt"}, ArgumentError, "`out` must end in .jsonl, .csv, .parquet"),
        ({"out": "absent/r.csv"}, ArgumentError, "`out` must be a file in an existing folder"),
        ({"probes": "absent"}, ProbeError, "absent"),
        ({"method": "best"}, ArgumentError, "scan: `method` must be"),
        ({"ridge": -1.0}, ArgumentError, "scan: `ridge` must be"),
    ],
)
def test_bad_arguments_are_named_before_any_work(registry, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        run(registry, store=tmp_path / "s.db", **change)
    if (tmp_path / "s.db").exists():
        with Store(tmp_path / "s.db") as store:
            assert store._all("SELECT count(*) FROM fingerprints") == [(0,)]


def test_out_must_not_be_a_folder(registry, tmp_path):
    (tmp_path / "r.csv").mkdir()
    with pytest.raises(ArgumentError, match="`out` must be a file"):
        run(registry, out=tmp_path / "r.csv")


def test_a_byte_identical_copy_at_the_floor_is_not_exit_code_0(world):
    world.bank(5)
    world.answers("registry/copy", world.source)
    found = run(world)
    [row] = found.rows()
    assert row["verdict"] == "suspicious"
    assert row["reason"] == (
        f"its weights are those of source source, byte for byte; {AT_THE_FLOOR}"
    )
    assert found.exit_code == 4


def test_a_source_that_does_not_run_ends_the_scan(registry):
    registry.answers("broken", registry.logits()[:3])
    with pytest.raises(ModelError, match="source broken gave no outputs"):
        run(registry, sources=registry.root / "broken")


def test_a_bank_that_holds_the_source_is_refused(registry):
    with pytest.raises(NullBankError, match="independent models only, got the source null-000"):
        run(registry, sources=registry.root / "bank" / "null-000")
    registry.answers("bank/smuggled", registry.source)
    with pytest.raises(NullBankError, match="smuggled, byte-identical to source source"):
        run(registry)


def test_a_bank_of_one_or_of_broken_models_is_refused(world):
    world.bank(1)
    with pytest.raises(NullBankError, match="at least 2 independent models, got 1"):
        run(world)
    world.answers("bank/broken", world.logits()[:3])
    world.answers("registry/x", world.logits())
    with pytest.raises(NullBankError, match="at least 2 models that answer, got 1") as caught:
        run(world)
    assert "broken: there are answers to 3 probes" in str(caught.value)


def test_a_bank_of_answers_to_other_probes_is_refused_and_says_so(world):
    for i in range(5):
        world.answers(f"bank/null-{i}", world.logits(), probe_digest="0" * 64)
    world.answers("registry/x", world.logits())
    with pytest.raises(NullBankError, match="at least 2 models that answer, got 0") as caught:
        run(world)
    assert "null-0: the answers belong to the probe set '000000000000'" in str(caught.value)


def test_null_models_that_answer_more_coarsely_are_left_out_with_a_warning(world):
    world.bank(20)
    world.answers("bank/service", world.logits().argmax(axis=1), "labels")
    world.answers("registry/x", world.logits())
    [warning] = run(world).record.facts["warnings"]
    assert warning == "null model service left out for logits: it answers labels"


def test_a_bank_of_coarser_answers_is_refused_and_says_why(world):
    for i in range(5):
        world.answers(f"bank/null-{i}", world.logits().argmax(axis=1), "labels")
    world.answers("registry/x", world.logits())
    with pytest.raises(NullBankError, match="can be compared as logits, got 0") as caught:
        run(world)
    assert "null-0: it answers labels" in str(caught.value)


def test_sources_of_several_kinds_are_compared_as_the_coarsest_with_a_warning(world):
    world.bank(20)
    labels = world.answers("labels-source", world.logits().argmax(axis=1), "labels")
    world.answers("registry/x", world.logits())
    found = run(world, sources=[world.root / "source", labels])
    [warning] = found.record.facts["warnings"]
    assert "the sources answer in several forms, so all is compared as labels" in warning
    assert {row["mode"] for row in found.rows()} == {"labels"}


@pytest.mark.parametrize("kind", ["logits", "labels"])
def test_fewer_than_two_classes_are_no_answers(world, kind):
    world.bank(20)
    one = np.zeros(60, np.int64) if kind == "labels" else world.logits()[:, :1]
    world.answers("registry/one", one, kind)
    world.answers("registry/innocent", world.logits())
    row = next(row for row in run(world).rows() if row["suspect"] == "one")
    assert row["verdict"] == "not comparable"
    assert ("at least 2 classes" if kind == "labels" else "2 to 100000") in row["reason"]


def test_a_bank_with_a_stolen_copy_says_so_and_a_clean_one_does_not(registry):
    assert run(registry).record.facts["warnings"] == []
    registry.answers("bank/smuggled", registry.copy(0.2))
    [warning] = run(registry).record.facts["warnings"]
    assert warning.startswith("null model smuggled looks like a copy of source source: score 0.")


def test_broken_and_degenerate_null_models_are_left_out_with_a_warning(registry):
    registry.answers("bank/short", registry.logits()[:3])
    dead = np.tile(np.arange(8.0), (60, 1))
    registry.answers("bank/dead", dead)
    found = run(registry, fdr=0.2)
    warnings = " ".join(found.record.facts["warnings"])
    assert "null model short left out" in warnings
    assert "null model dead left out for logits: it answers the same on every probe" in warnings
    assert found.record.facts["p_floor"] == 1 / 40


def test_many_null_models_that_cannot_serve_share_a_warning(registry):
    for i in range(5):
        registry.answers(f"bank/short-{i}", registry.logits()[:3])
    [warning] = run(registry, fdr=0.2).record.facts["warnings"]
    assert warning.startswith("5 null models left out, among them short-0: ")


def test_reach_counts_what_could_be_compared(registry):
    registry.answers("registry/dead", np.tile(np.arange(8.0), (60, 1)))
    found = run(registry, fdr=0.2)
    assert "over 8 comparisons" in found.record.facts["reach"]


def test_q_that_meets_the_level_is_called():
    from sacfast.scanning.judge import _verdict

    assert _verdict(0.0167, 0.05000000000001, 0.01, 0.05) == "stolen"
    assert _verdict(0.0167, 0.0500001, 0.01, 0.05) == "suspicious"


def test_the_plan_says_what_the_bank_can_show(registry):
    arguments = registry.scan_arguments()
    plan = plan_scan(
        arguments["registry"], sources=arguments["sources"], null_bank=arguments["null_bank"]
    )
    assert (len(plan.suspects), len(plan.null_bank)) == (9, 39)
    assert plan.reach.min_hits == 5


def test_a_registry_with_nothing_to_judge_is_an_error_not_an_all_clear(world):
    world.bank(20)
    with pytest.raises(ArgumentError, match="`registry` must hold models, got"):
        run(world)
    with pytest.raises(ArgumentError, match="neither a source nor in the null bank"):
        run(world, registry=world.root / "bank")


def test_source_names_that_are_nearly_right_get_a_hint(registry):
    registry.answers("registry/lab/mine", registry.logits())
    with pytest.raises(ArgumentError, match="did you mean lab/mine"):
        run(registry, sources="mine")


def test_a_source_behind_another_config_is_never_innocent(world):
    world.bank(39)
    for folder in ("mine", "registry/hides", "registry/other"):
        make_good(world.root / "made", 1, seed=5 if folder != "registry/other" else 6)
        (world.root / "made" / "good-00").rename(world.root / folder)
        (world.root / "made").rmdir()
    config = json.loads((world.root / "registry/hides/config.json").read_text())
    config["pretrained_cfg"] |= {"mean": [-1000.0] * 3, "std": [1e-6] * 3}
    (world.root / "registry/hides/config.json").write_text(json.dumps(config))
    found = run(world, sources=world.root / "mine")
    rows = {row["suspect"]: row for row in found.rows()}
    assert rows["hides"]["verdict"] in ("suspicious", "stolen")
    assert "its weights are those of source mine, byte for byte" in rows["hides"]["reason"]
    assert not rows["other"]["reason"]
    assert found.exit_code in (3, 4)


def test_the_threshold_separates_what_was_called(registry):
    found = run(registry, fdr=0.2)
    threshold = found.record.nulls[0].threshold
    for row in found.rows():
        if row["score"] is not None:
            assert (row["score"] > threshold) == (row["verdict"] == "stolen")


def test_owner_twins_are_there_and_no_null_models(world):
    world.bank(3)
    world.answers("registry/copy", world.copy())
    (world.root / "twins").mkdir()
    with pytest.raises(ArgumentError, match=r"`owner_twins` must hold models, got .* with none"):
        scan(**world.scan_arguments(owner_twins=world.root / "twins"))
    with pytest.raises(NullBankError, match=r"leave at least 2 independent models .*, got 0"):
        scan(**world.scan_arguments(owner_twins=world.root / "bank"))
