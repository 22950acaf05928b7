"""Access modes, where they meet, and what is said of their cost."""

from __future__ import annotations

import pytest

from sacfast.access import Mode, Power, Table, common_mode, cost, measured, read_table

ROUNDED, TOP3, LABELS = Mode("rounded", 2), Mode("topk", None, 3), Mode("labels")

TABLE = Table(
    "a study",
    "ten models",
    {
        Mode("logits"): Power(0.95, 0.72),
        Mode("probs"): Power(0.949, 0.72),
        ROUNDED: Power(0.93, 0.6),
        TOP3: Power(0.91, 0.55),
        LABELS: Power(0.86, 0.31),
        Mode("embeddings"): Power(0.97, 0.8, 0.05, "six faces"),
        Mode("decisions"): Power(0.94, 0.7, 0.05, "six faces"),
    },
)


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (Mode("logits"), "logits"),
        (ROUNDED, "rounded to 2 decimals"),
        (TOP3, "top-3"),
        (Mode("topk", 4, 5), "top-5 to 4 decimals"),
        (Mode("decisions"), "decisions"),
    ],
)
def test_a_mode_and_its_text(mode, text):
    assert str(mode) == text
    assert Mode.read(text) == mode


@pytest.mark.parametrize("text", ["", "guesses", "top-k", "top-3 to two decimals", "logits "])
def test_texts_of_no_mode(text):
    assert Mode.read(text) is None


@pytest.mark.parametrize(
    ("modes", "meet"),
    [
        ([Mode("logits"), Mode("logprobs")], Mode("logprobs")),
        ([ROUNDED, Mode("probs")], ROUNDED),
        ([ROUNDED, Mode("rounded", 4)], ROUNDED),
        ([ROUNDED, TOP3], Mode("topk", 2, 3)),
        ([TOP3, Mode("topk", 3, 5)], Mode("topk", 3, 3)),
        ([ROUNDED, TOP3, LABELS], LABELS),
        ([Mode("scores"), Mode("scores")], Mode("scores")),
        ([Mode("scores"), Mode("decisions")], None),
        ([Mode("logits"), Mode("embeddings")], None),
    ],
)
def test_where_modes_meet(modes, meet):
    assert common_mode(modes) == meet
    assert common_mode(reversed(modes)) == meet


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "logits",
            "logits: the finest answers there are (AUC 0.95, 72% found at 1 % FPR, ten models).",
        ),
        (
            "probs",
            "probs: costs next to nothing against logits (AUC 0.95 and 0.95, 72% and 72% found at "
            "1 % FPR, ten models).",
        ),
        (
            "labels",
            "labels: costs 0.09 of AUC against logits (AUC 0.86 and 0.95, 31% and 72% found at "
            "1 % FPR, ten models).",
        ),
        (
            "rounded to 3 decimals",
            "rounded to 3 decimals: not measured, but rounded to 2 decimals, which is no finer, "
            "costs 0.02 of AUC against logits (AUC 0.93 and 0.95, 60% and 72% found at 1 % FPR, "
            "ten models).",
        ),
        (
            "decisions",
            "decisions: costs 0.03 of AUC against embeddings (AUC 0.94 and 0.97, 70% and 80% found "
            "at 5 % FPR, six faces).",
        ),
        ("scores", "scores: coarser than embeddings; what that costs has not been measured yet."),
        ("odd", "odd: what this form of answers costs in power has not been measured."),
    ],
)
def test_the_cost_of_a_mode(text, sentence):
    assert cost(text, TABLE) == sentence


@pytest.mark.parametrize(
    ("text", "borrowed"),
    [
        ("rounded to 1 decimals", TOP3.__class__("labels")),
        ("top-5", TOP3),
        ("top-3 to 2 decimals", LABELS),
        ("logprobs", Mode("probs")),
    ],
)
def test_what_was_not_measured_borrows_from_the_best_that_is_no_finer(text, borrowed):
    assert f"not measured, but {borrowed}, which is no finer" in cost(text, TABLE)


def test_before_a_study_there_are_no_figures():
    empty = Table("", "", {})
    assert cost("logits", empty) == "logits: the finest answers there are."
    assert cost("top-3", empty) == (
        "top-3: coarser than logits; what that costs has not been measured yet."
    )


def test_the_table_of_the_package():
    """Whatever is in it: its sentences can be said, and coarser answers don't find more."""
    table = measured()
    for mode, power in table.modes.items():
        assert str(mode) in cost(str(mode))
        if (best := table.modes.get(Mode("logits"))) and common_mode([mode, Mode("logits")]):
            assert power.auc <= best.auc + 0.02
    assert bool(table.modes) == bool(table.study) == bool(table.on)


ROW = {"kind": "labels", "digits": None, "k": None, "auc": 0.8, "tpr": 0.5}


def test_a_table_is_read():
    table = read_table({"study": "s", "on": "o", "modes": [ROW]})
    assert table == Table("s", "o", {LABELS: Power(0.8, 0.5)})


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([ROW | {"auc": 1.2}], ValueError),
        ([ROW, ROW], ValueError),
        ([ROW | {"digits": 2}], ValueError),
        ([ROW | {"kind": "topk"}], ValueError),
        ([ROW | {"auc": None}], TypeError),
        ([{"kind": "labels"}], KeyError),
    ],
)
def test_what_is_no_table(rows, error):
    with pytest.raises(error):
        read_table({"study": "s", "on": "o", "modes": rows})
