"""Probes chosen by what models answer: which ones, recorded how, and every way to ask wrongly."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sacfast import Fingerprint, FingerprintKey, ProbeSet, Store, build_probes, select_probes
from sacfast.errors import ArgumentError, ModelError, NullBankError, ProbeError
from sacfast.scanning.selecting import read_classes, run_selection
from sacfast.selection import disagreement
from tests.hostile import make_good

COUNT, CLASSES = 40, 5
NAMES = ("ape", "bee", "cat", "dog", "emu")


def pictures(count=COUNT, side=16):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture
def truth():
    return np.arange(COUNT) % CLASSES


@pytest.fixture
def candidates(truth):
    return build_probes(pictures(), "normal", count=COUNT, select="first", labels=truth.tolist())


def named(truth, names=NAMES):
    labels = [names[i] for i in truth]
    return build_probes(pictures(), "normal", count=COUNT, select="first", labels=labels)


def answering(candidates, predictions, kind="logits", digest="m", **facts):
    """The fingerprint of a model that names these classes, by the largest of its outputs."""
    key = FingerprintKey(digest, candidates.digest, "", kind)
    if kind == "labels":
        return Fingerprint(key, np.asarray(predictions), **facts)
    outputs = np.random.default_rng(1).uniform(0, 0.4, (len(predictions), CLASSES))
    outputs[np.arange(len(predictions)), predictions] = 0.9
    return Fingerprint(key, outputs, **facts)


def wrong_at(truth, places):
    predictions = truth.copy()
    predictions[places] = (predictions[places] + 1) % CLASSES
    return predictions


def test_sac_source_takes_the_first_that_the_source_gets_wrong(candidates, truth):
    source = answering(candidates, wrong_at(truth, [3, 7, 20, 31]), digest="s")
    chosen = select_probes(candidates, "misclassified", count=3, source=source)
    np.testing.assert_array_equal(chosen.pixels, candidates.pixels[[3, 7, 20]])
    assert chosen.labels == tuple(str(truth[i]) for i in (3, 7, 20))
    assert chosen.sources == tuple(candidates.sources[i] for i in (3, 7, 20))
    assert chosen.kind == "normal"
    assert chosen.parameters["select"] == "first"
    assert chosen.parameters["selection"] == {
        "candidates": candidates.digest,
        "how": "misclassified",
        "source": "s",
        "right": 36,
        "surrogates": [],
    }
    assert chosen != candidates


def test_sac_w_takes_those_that_all_of_the_models_get_wrong(candidates, truth):
    source = answering(candidates, wrong_at(truth, [3, 7, 20, 31, 39]), digest="s")
    otherwise = np.where(np.isin(np.arange(COUNT), [7, 20, 39]), (truth + 2) % CLASSES, truth)
    surrogates = [
        answering(candidates, wrong_at(truth, [3, 7, 8, 9, 39]), digest="a"),
        answering(candidates, otherwise, "labels", digest="b"),  # any mistake is one
    ]
    chosen = select_probes(
        candidates, "misclassified", count=2, source=source, surrogates=surrogates
    )
    np.testing.assert_array_equal(chosen.pixels, candidates.pixels[[7, 39]])
    assert chosen.parameters["selection"]["surrogates"] == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "facts"),
    [("logits", {}), ("probs", {}), ("rounded", {"digits": 2}), ("topk", {"k": 2}), ("labels", {})],
)
def test_every_form_that_names_a_class_will_do(candidates, truth, kind, facts):
    source = answering(candidates, wrong_at(truth, [1, 5]), kind, **facts)
    chosen = select_probes(candidates, "misclassified", count=2, source=source)
    np.testing.assert_array_equal(chosen.pixels, candidates.pixels[[1, 5]])


def test_an_answer_that_is_none_is_no_mistake(candidates, truth):
    fingerprint = answering(candidates, wrong_at(truth, [1, 5, 9]))
    outputs = fingerprint.outputs.copy()
    outputs[5, 2] = np.nan
    source = Fingerprint(fingerprint.key, outputs)
    chosen = select_probes(candidates, "misclassified", count=2, source=source)
    np.testing.assert_array_equal(chosen.pixels, candidates.pixels[[1, 9]])


def test_the_names_of_classes_in_sorted_order_or_as_told(truth):
    candidates = named(truth)
    source = answering(candidates, wrong_at(truth, [2, 4]))
    by_order = select_probes(candidates, "misclassified", count=2, source=source)
    np.testing.assert_array_equal(by_order.pixels, candidates.pixels[[2, 4]])
    # The same images, whose labels sort in another order than the outputs.
    backwards = named(truth, NAMES[::-1])
    source = answering(backwards, wrong_at(truth, [2, 4]))
    told = select_probes(backwards, "misclassified", count=2, source=source, classes=NAMES[::-1])
    np.testing.assert_array_equal(told.pixels, candidates.pixels[[2, 4]])
    guessed = select_probes(backwards, "misclassified", count=2, source=source)
    assert guessed.parameters["selection"]["right"] < 10 < told.parameters["selection"]["right"]


def test_too_few_mistakes_say_how_many(candidates, truth):
    for places, number in (([4], 1), ([], 0)):
        source = answering(candidates, wrong_at(truth, places))
        with pytest.raises(ProbeError) as caught:
            select_probes(candidates, "misclassified", count=2, source=source)
        expected = f"of 40 candidates there are {number} that the source gets wrong"
        assert expected in str(caught.value)
    source = answering(candidates, wrong_at(truth, [4, 5]))
    with pytest.raises(ProbeError, match="are 1 that the source and every surrogate get wrong"):
        select_probes(
            candidates,
            "misclassified",
            count=2,
            source=source,
            surrogates=[answering(candidates, wrong_at(truth, [5, 6]))],
        )


def test_labels_that_cannot_be_matched(truth):
    unlabelled = build_probes(pictures(), "normal", count=COUNT, select="first")
    with pytest.raises(ProbeError, match=r"these candidates have no labels[\s\S]*sub-folder"):
        select_probes(unlabelled, "misclassified", source=answering(unlabelled, truth))
    fewer = named(truth % 4)
    with pytest.raises(ProbeError, match=r"4 classes \('ape' …\) and the models have 5 outputs"):
        select_probes(fewer, "misclassified", source=answering(fewer, truth))
    source = answering(fewer, wrong_at(truth % 4, [0, 9]))
    chosen = select_probes(fewer, "misclassified", count=2, source=source, classes=NAMES)
    np.testing.assert_array_equal(chosen.pixels, fewer.pixels[[0, 9]])
    with pytest.raises(ArgumentError, match=r"`classes` .* got 3 with none for 'dog'"):
        select_probes(fewer, "misclassified", source=source, classes=NAMES[:3])
    with pytest.raises(ArgumentError, match=r"`classes` .* got 6 with one name twice"):
        select_probes(fewer, "misclassified", source=source, classes=[*NAMES, "ape"])
    with pytest.raises(ProbeError, match="models give labels only, so which class is which"):
        select_probes(fewer, "misclassified", source=answering(fewer, truth, "labels"))
    from_one = build_probes(
        pictures(), "normal", count=COUNT, select="first", labels=(truth + 1).tolist()
    )
    with pytest.raises(ProbeError, match="among the models' 5 outputs, counted from 0, got class"):
        select_probes(from_one, "misclassified", source=answering(from_one, truth))


def test_reference_images_are_no_candidates(candidates, truth):
    mixed = ProbeSet(candidates.pixels, "jpeg", {"references": 8}, candidates.sources)
    with pytest.raises(ProbeError, match="probes alone, got a set that begins with 8 reference"):
        select_probes(mixed, "informative", count=2, null_bank=[answering(mixed, truth)] * 2)


def test_answers_that_do_not_belong_here(candidates, truth):
    elsewhere = build_probes(pictures(), "jpeg", count=COUNT, select="first")
    with pytest.raises(ArgumentError, match="`source` must be answers on the 40 candidates"):
        select_probes(candidates, "misclassified", source=answering(elsewhere, truth))
    short = answering(candidates, truth[:-1])
    with pytest.raises(ArgumentError, match=r"`surrogates\[0\]` must be answers .* got 39 on"):
        select_probes(
            candidates,
            "misclassified",
            source=answering(candidates, truth),
            surrogates=[short],
        )
    key = FingerprintKey("m", candidates.digest, "", "embeddings")
    face = Fingerprint(key, np.zeros((COUNT, 8)))
    with pytest.raises(ArgumentError, match=r"`source` must name classes .* got embeddings"):
        select_probes(candidates, "misclassified", source=face)
    wider = Fingerprint(FingerprintKey("m", candidates.digest, "", "logits"), np.zeros((COUNT, 9)))
    with pytest.raises(ArgumentError, match=r"`null_bank\[0\]` with 5 and `null_bank\[1\]` with 9"):
        select_probes(candidates, "informative", null_bank=[answering(candidates, truth), wider])


@pytest.mark.parametrize(
    ("how", "changes", "error", "message"),
    [
        ("best", {}, ArgumentError, "`how` must be 'misclassified' or 'informative', got 'best'"),
        ("misclassified", {}, ArgumentError, "`source` must be given for how='misclassified'"),
        ("informative", {}, NullBankError, "`null_bank` must be given for how='informative'"),
        ("informative", {"null_bank": 1}, NullBankError, "at least 2 models, got 1"),
        ("informative", {"null_bank": 2, "source": 1}, ArgumentError, "`source` must not be given"),
        ("informative", {"null_bank": 2, "classes": NAMES}, ArgumentError, "`classes` must not be"),
        ("misclassified", {"source": 1, "null_bank": 2}, ArgumentError, "`null_bank` must not be"),
        ("misclassified", {"source": 1, "count": 1}, ArgumentError, "at least 2, got 1"),
        ("misclassified", {"source": 1, "count": 2.0}, ArgumentError, "at least 2, got 2.0"),
        ("misclassified", {"source": 1, "count": True}, ArgumentError, "at least 2, got True"),
    ],
)
def test_arguments_that_are_refused(candidates, truth, how, changes, error, message):
    model = answering(candidates, truth)
    arguments = dict(changes)
    if "source" in arguments:
        arguments["source"] = model
    if "null_bank" in arguments:
        arguments["null_bank"] = [model] * arguments["null_bank"]
    with pytest.raises(error, match=message):
        select_probes(candidates, how, **arguments)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_disagreement_is_the_share_of_pairs_that_differ(data):
    votes = np.array(data.draw(st.lists(
        st.lists(st.integers(-1, 3), min_size=4, max_size=4), min_size=1, max_size=7
    )))  # fmt: skip
    expected = []
    for own in votes.T:
        pairs = list(combinations(own[own >= 0], 2))
        expected.append(np.mean([a != b for a, b in pairs]) if pairs else 0.0)
    np.testing.assert_allclose(disagreement(votes), expected, atol=1e-12)


def test_the_most_disputed_are_chosen(candidates, truth):
    # Of four models, the first disagrees at 2, 3, 4; the second at 3, 4; all four differ at 4.
    bank = [wrong_at(truth, [2, 3, 4]), wrong_at(truth, [3, 4]), truth.copy(), truth.copy()]
    bank[1][4], bank[2][4] = (truth[4] + 2) % CLASSES, (truth[4] + 3) % CLASSES
    null_bank = [answering(candidates, own, digest=f"n{i}") for i, own in enumerate(bank)]
    two = select_probes(candidates, "informative", count=2, null_bank=null_bank)
    np.testing.assert_array_equal(two.pixels, candidates.pixels[[3, 4]])
    three = select_probes(candidates, "informative", count=3, null_bank=null_bank)
    np.testing.assert_array_equal(three.pixels, candidates.pixels[[2, 3, 4]])
    assert three.parameters["selection"] == {
        "candidates": candidates.digest,
        "how": "informative",
        "null_bank": ["n0", "n1", "n2", "n3"],
    }
    # Where all agree nothing is learnt.
    with pytest.raises(ProbeError, match="are 3 about which two models of the null bank disagree"):
        select_probes(candidates, "informative", count=4, null_bank=null_bank)


def test_informative_needs_no_labels_and_no_order_of_classes():
    unlabelled = build_probes(pictures(), "noise", count=COUNT, select="first")
    votes = np.random.default_rng(2).integers(0, CLASSES, (6, COUNT))
    permutation = np.array([3, 1, 4, 0, 2])
    chosen, permuted = (
        select_probes(
            unlabelled, "informative", count=9, null_bank=[answering(unlabelled, v) for v in own]
        )
        for own in (votes, permutation[votes])
    )
    assert chosen == permuted
    assert chosen.labels is None
    assert chosen.parameters["sd"] == 51.0
    doubt = disagreement(votes)
    taken = [
        i for i in range(COUNT) if (unlabelled.pixels[i] == chosen.pixels).all((1, 2, 3)).any()
    ]
    assert doubt[taken].min() >= np.delete(doubt, taken).max()


def test_a_selected_set_survives_its_file(candidates, truth, tmp_path):
    source = answering(candidates, wrong_at(truth, [3, 7]))
    chosen = select_probes(candidates, "misclassified", count=2, source=source)
    chosen.save(tmp_path / "p.safetensors")
    opened = ProbeSet.open(tmp_path / "p.safetensors")
    assert opened == chosen
    assert opened.parameters["selection"]["candidates"] == candidates.digest


# ---- with models that have to be run -------------------------------------------------------------


@pytest.fixture
def models(tmp_path, candidates, truth):
    """A source, surrogates and a null bank of answers collected elsewhere, one of each broken."""

    def write(name, outputs, kind="logits"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        np.save(folder / "outputs.npy", outputs)
        (folder / "config.json").write_text(json.dumps({"outputs_kind": kind}))

    def outputs(predictions):
        return answering(candidates, predictions).outputs.astype(np.float32)

    write("source", outputs(wrong_at(truth, [3, 7, 20, 31])))
    write("surrogates/a", outputs(wrong_at(truth, [3, 20, 22])))
    write("surrogates/broken", np.zeros((3, CLASSES), np.float32))
    for i in range(4):
        write(f"bank/null-{i}", outputs(wrong_at(truth, range(i, 30 - i))))
    write("bank/other-task", np.random.default_rng(0).random((COUNT, 9)).astype(np.float32))
    write("bank/face", np.random.default_rng(0).random((COUNT, 8)).astype(np.float32), "embeddings")
    candidates.save(tmp_path / "candidates.safetensors")
    return tmp_path


def test_running_models_on_the_candidates(models, candidates):
    found = run_selection(
        models / "candidates.safetensors",
        "misclassified",
        count=2,
        source=models / "source",
        surrogates=models / "surrogates",
    )
    np.testing.assert_array_equal(found.probes.pixels, candidates.pixels[[3, 20]])
    [warning] = found.warnings
    assert warning.startswith("surrogate broken left out: there are answers to 3 probes")
    assert len(found.probes.parameters["selection"]["source"]) == 64


def test_a_null_bank_with_strangers_in_it(models, candidates):
    with Store(models / "s.db") as store:
        found = run_selection(
            candidates, "informative", count=5, null_bank=models / "bank", store=store
        )
    assert len(found.probes.parameters["selection"]["null_bank"]) == 4
    told = " ".join(found.warnings)
    assert "null model other-task left out: it tells 9 classes apart, not 5" in told
    assert "null model face left out: it answers embeddings, not classes" in told


def test_models_that_cannot_be_done_without(models, candidates, tmp_path):
    ask = {"candidates": candidates, "how": "misclassified", "count": 2}
    with pytest.raises(ModelError, match="source broken can't be used: there are answers to 3"):
        run_selection(source=models / "surrogates" / "broken", **ask)
    with pytest.raises(ArgumentError, match="`source` must be the path of a model"):
        run_selection(source=models / "nowhere", **ask)
    lone = tmp_path / "lone"
    (models / "surrogates" / "broken").rename(lone)
    (tmp_path / "few").mkdir()
    lone.rename(tmp_path / "few" / "broken")
    with pytest.raises(ModelError, match=r"`surrogates` must hold .* none in .* \(broken: there"):
        run_selection(source=models / "source", surrogates=tmp_path / "few", **ask)
    with pytest.raises(NullBankError, match=r"at least 2 models that can be used, got 0 in"):
        run_selection(candidates, "informative", null_bank=tmp_path / "few")


def test_a_source_that_knows_nothing_is_suspicious(models, truth):
    backwards = named(truth, NAMES[::-1])
    found = run_selection(backwards, "misclassified", count=2, source=models / "source")
    [warning] = found.warnings
    assert "right about" in warning
    assert "are `classes` in the order of its outputs?" in warning
    names = run_selection(
        backwards, "misclassified", count=2, source=models / "source", classes=NAMES[::-1]
    )
    assert names.warnings == ()


def test_a_file_of_classes(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("ape\nbee \n\ncat\n")
    assert read_classes(path) == ["ape", "bee", "cat"]
    with pytest.raises(ArgumentError, match="`classes` must be a text file"):
        read_classes(tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ArgumentError, match="`classes` must be a text file"):
        read_classes(path)


def test_the_command(tmp_path):
    """Real networks choose among real images; a broken one is a warning."""
    sacfast = Path(sysconfig.get_path("scripts")) / "sacfast"
    images = pictures(30, 32)
    labels = (np.arange(30) % 10).tolist()
    build_probes(images, "jpeg", count=30, select="first", labels=labels).save(
        tmp_path / "many.safetensors"
    )
    make_good(tmp_path / "bank", 3, seed=1)
    (tmp_path / "bank" / "bad").mkdir()
    (tmp_path / "bank" / "bad" / "model.safetensors").write_bytes(b"nothing")

    def run(*arguments, code=0):
        done = subprocess.run(
            [sacfast, "probes", "select", "many.safetensors", *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return " ".join((done.stdout + done.stderr).split())

    told = run("--how", "informative", "--null-bank", "bank", "--count", 8, "--store", "s.db")
    assert "null model bad left out" in told
    assert "informative, from candidates" in told
    assert len(ProbeSet.open(tmp_path / "selected.safetensors")) == 8
    told = run(
        "--how", "misclassified", "--source", "bank/good-00", "--count", 5, "-o", "m.safetensors",
        "--store", "s.db",
    )  # fmt: skip
    assert "are --classes in the order of its outputs?" in told
    chosen = ProbeSet.open(tmp_path / "m.safetensors")
    assert chosen.kind == "jpeg"
    told = run("--how", "misclassified", code=2)
    assert "--source must be given for how='misclassified'" in told
    told = run("--how", "informative", "--null-bank", "bank", "--count", 31, code=1)
    assert "--count is 31, but of 30 candidates" in told
