"""Truth files: what is read, and what is said of each thing that can't be."""

from __future__ import annotations

import pytest

from sacfast.errors import ArgumentError
from sacfast.evaluation.truth import read_truth

HEAD = "model,source,attack,group,part,accuracy,source_accuracy,agreement,twin,trained,note\n"
SOURCE = "s,,source,me,test,0.9,,,,,mine\n"


def read(tmp_path, text):
    path = tmp_path / "models.csv"
    path.write_text(text, encoding="utf-8")
    return read_truth(path)


def test_every_column_is_read(tmp_path):
    truth = read(
        tmp_path,
        HEAD + SOURCE + "t,,honest twin,me,test,0.88,,0.7,,,\n"
        "c,s,extraction,me,test,0.8,,0.75,t,,\nd,s,shift,me,select,0.9,0.95,1,,no,\n"
        "i,,,,calibrate,,,,,,x\n",
    )
    copy, shifted, innocent = (truth.models[name] for name in "cdi")
    assert copy.stolen
    assert (copy.attack, copy.group, copy.part) == ("extraction", "me", "test")
    assert copy.source_accuracy == 0.9  # its source's own
    assert truth.excess_agreement(copy) == pytest.approx(0.05)
    assert truth.excess_agreement(shifted) is None
    assert (copy.trained, shifted.trained, shifted.source_accuracy) == (True, False, 0.95)
    assert (innocent.attack, innocent.group, innocent.accuracy) == ("innocent", "i", None)
    assert innocent.other == {"note": "x"}
    assert truth.models["s"].is_source
    assert [m.name for m in truth.stolen("test")] == ["c"]
    assert [m.name for m in truth.innocents("test")] == ["t"]
    assert truth.parted


def test_three_columns_are_enough(tmp_path):
    truth = read(tmp_path, "model,source,attack\ns,,source\nc,s,copy\ni,,\n")
    assert not truth.parted
    assert {m.part for m in truth.models.values()} == {"test"}
    assert not truth.models["c"].destroyed


def test_a_twin_s_agreement_in_the_copy_s_row(tmp_path):
    truth = read(
        tmp_path,
        "model,source,attack,agreement,twin,twin_agreement\ns,,source,,,\nt,,,0.1,,\n"
        "c,s,copy,0.8,t,0.7\nd,s,copy,0.8,,0.75\n",
    )
    found = [truth.excess_agreement(truth.models[name]) for name in "cd"]
    assert found == pytest.approx([0.1, 0.05])


@pytest.mark.parametrize(("accuracy", "destroyed"), [(0.75, False), (0.749, True), (0.95, False)])
def test_only_accuracy_makes_a_copy_not_count(tmp_path, accuracy, destroyed):
    truth = read(tmp_path, HEAD + SOURCE + f"c,s,copy,me,test,{accuracy},,0.0,,,\n")
    assert truth.models["c"].destroyed == destroyed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,attack\ns,source\n", "got none named source"),
        ("model,source,attack,model\n", "got 'model' twice"),
        ("model,source,attack\n", "must hold at least one model"),
        (HEAD + SOURCE + SOURCE, "on line 3 model 's' a second time"),
        (HEAD + "c,nobody,copy,,,,,,,,\n", "must list the source 'nobody' of 'c' .* got none"),
        (HEAD + SOURCE + "i,,,,,,,,,,\nc,i,copy,,,,,,,,\n", "source 'i' of 'c' .* got 'innocent'"),
        (HEAD + SOURCE + "c,s,,,,,,,,,\n", "'c', stolen from 's', without an attack"),
        (HEAD + SOURCE + "c,s,source,,,,,,,,\n", "'c' as a source that has a source, 's'"),
        (HEAD + "s,,source,me,train,,,,,,\n", "line 2 the part 'train', which must be one of"),
        (HEAD + "s,,source,me,test,91.3,,,,,\n", "accuracy '91.3', which must be a number in 0..1"),
        (HEAD + "s,,source,me,test,nan,,,,,\n", "accuracy 'nan'"),
        (HEAD + "s,,source,me,test,,,,,maybe,\n", "`trained` 'maybe'"),
        (HEAD + SOURCE + "c,s,copy,,,,,,x,,\n", "must list the twin 'x' of 'c'"),
        (HEAD + SOURCE + "c,s,copy,,,,,,s,,\n", "must list the twin 's' of 'c' .* got 'source'"),
        (HEAD + "s,,source\n", "line 2 another number of cells"),
        (HEAD + ",,source,me,test,,,,,,\n", "a row without a model's name"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    with pytest.raises(ArgumentError, match=said):
        read(tmp_path, text)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ArgumentError, match="`truth` must be a CSV file"):
        read_truth(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArgumentError, match="`truth` must be a CSV file"):
        read_truth(tmp_path / "bytes.csv")
