"""The page as a file: complete, self-contained, safe with hostile names, written whole or not."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re

import pytest

from sacfast.access import cost
from sacfast.errors import ArgumentError, StoreError
from sacfast.report import write_report
from sacfast.store import VERDICTS, ModelRecord, PairRecord, ScanRecord, Store

HOSTILE = (
    "</script><script>document.title='run'</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><a href=javascript:alert(1)>x</a>",
    "{{ 1234 * 5678 }}{% raw %}",
    "emoji 🦊 and ünïcode",
    "two\nlines\tand\x00a zero\u202ebackwards\u2028",
    "x" * 500,
    "=cmd|' /C calc'!A0",
)


def test_page_answers_what_a_scan_is_read_for(page) -> None:
    made = page(facts={"warnings": ["the bank is small"]})
    assert "3 of 12 suspects are stolen copies of mine/resnet at FDR 0.05." in made.text
    for words in ("A null bank of 30.", "the bank is small", "How to read this", "no evidence",
                  "fingerprints.db", "quality", "partial"):  # fmt: skip
        assert words in made.text
    assert [tag for tag, _ in made.tags if tag in ("h1", "main", "header", "footer")] == [
        "header", "h1", "main", "footer",
    ]  # fmt: skip


def test_guide_explains_the_method_of_the_scan(page) -> None:
    methods = ("balanced", "partial", "pearson", "paper")
    explained = {m: page(facts={"method": m}).text for m in methods}
    assert "every model as sure; high = stolen" in explained["balanced"]
    assert "null bank explains, high = stolen" in explained["partial"]
    assert "(Pearson)" in explained["pearson"]
    assert "as this scan asked for" in explained["paper"]
    assert ["decides nothing" in text for text in explained.values()] == [True] * 3 + [False]


def test_page_says_what_its_access_modes_cost(page) -> None:
    for kind in ("logits", "labels"):
        shown = page(kind=kind).text
        assert f"What these kinds of answers can show. {cost(kind)}" in shown
        assert cost({"logits": "labels", "labels": "logits"}[kind]) not in shown


def test_guide_explains_every_word_that_the_page_uses(page) -> None:
    made = page()
    guide = re.search(r'<dl class="guide">.*?</dl>', made.html, re.S)
    assert guide
    assert re.findall(r"<dt>(.*?)</dt>", guide[0]) == [
        "score", "z", "p", "q", *VERDICTS, "distance", "kind", "group", "method", "ridge",
    ]  # fmt: skip
    assert "at the floor" in guide[0]


def test_images_of_the_probe_set_are_not_called_sources(page) -> None:
    made = page(probe_facts={"sources": ["ab", "cd"]})
    assert "<dt>images</dt><dd>ab, cd</dd>" in made.html
    assert "<dt>sources</dt>" not in made.html


def test_page_needs_nothing_but_itself(page) -> None:
    made = page()
    links = [
        value
        for _, attributes in made.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert all(value.startswith(("data:", "#")) for value in links)
    style = "".join(re.findall(r"<style>(.*?)</style>", made.html, re.S))
    assert style
    assert not re.search(r"@import|url\(", style)


def test_policy_admits_exactly_the_two_scripts_of_the_page(page) -> None:
    made = page()
    policy = next(a["content"] for tag, a in made.tags if "http-equiv" in a)
    digests = [hashlib.sha256(script.encode()).digest() for script in made.scripts[1:]]
    assert len(digests) == 2
    allowed = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert f"default-src 'none'; script-src {' '.join(allowed)};" in policy


def test_hostile_names_stay_text(page) -> None:
    honest = page()
    made = page(
        names=HOSTILE,
        sources=("<b>source</b>", "other"),
        facts={"warnings": ["<script>alert(2)</script>"], "registry": "<i>registry</i>"},
    )
    for tag in ("script", "img", "a", "b", "i"):
        assert sum(t == tag for t, _ in made.tags) == sum(t == tag for t, _ in honest.tags), tag
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[3]} <= {row[0] for row in made.data["verdicts"]}
    assert "<script>alert(2)</script>" in made.text
    assert str(1234 * 5678) not in made.text  # a template would have worked it out


def test_control_characters_are_shown(page) -> None:
    made = page(names=HOSTILE)
    assert r"two\nlines\tand\x00a zero\u202ebackwards\u2028" in {
        r[0] for r in made.data["verdicts"]
    }


def test_paths_of_the_machine_stay_off_the_page(page, tmp_path) -> None:
    made = page(facts={"null_bank": "/home/someone/bank", "old": "C:\\Users\\someone\\bank"})
    assert "/srv" not in made.text
    assert "someone/bank" not in made.text
    assert "Users" not in made.text
    assert str(tmp_path) not in made.html


def test_five_thousand_rows_stay_small(page) -> None:
    small = page()
    made = page(innocent=4_990, probes=8, keep_outputs=False)
    assert len(made.data["verdicts"]) == 4_995
    assert len(made.html) < 10e6
    assert (len(made.html) - len(small.html)) / 4_983 < 400  # bytes a row
    assert len(made.tags) < 400  # rows are drawn by the page, a few at a time


def test_missing_numbers_are_null_in_the_data(tmp_path) -> None:
    with Store(":memory:") as store:
        store.add_probes("p", {})
        models = (ModelRecord("source", "mine", "", "ok"), ModelRecord("suspect", "s", "", "ok"))
        pair = PairRecord("s", "mine", "not comparable", math.inf, -math.inf)
        store.add_scan(ScanRecord("p", {}, models, (pair,)))
        html = write_report(store, tmp_path / "report.html").read_text("utf-8")
    assert '["s","mine","not comparable",null,null,null,null,null,null,"ok"]' in html


@pytest.mark.parametrize("keywords", [{"stolen": 0, "suspicious": 0, "innocent": 0}, {"nulls": 0}])
def test_empty_registry_and_empty_bank_still_make_a_page(page, keywords) -> None:
    made = page(**keywords)
    assert made.data["maps"]
    assert len(made.data["verdicts"]) == 12 * ("nulls" in keywords)


def test_latest_scan_is_shown_unless_another_is_named(store, tmp_path) -> None:
    store(stolen=1)
    path = store(stolen=2)
    for number, stolen in ((None, 2), (1, 1), (2, 2)):
        html = write_report(path, tmp_path / "report.html", scan=number).read_text("utf-8")
        assert f'<h1 class="accused">{stolen} of ' in html


def test_store_without_such_a_scan_is_an_error(store, tmp_path) -> None:
    with pytest.raises(StoreError, match="scan 9"):
        write_report(store(), tmp_path / "report.html", scan=9)
    with Store(tmp_path / "empty.db"):
        pass
    with pytest.raises(StoreError, match="finished scan"):
        write_report(tmp_path / "empty.db", tmp_path / "report.html")
    with pytest.raises(StoreError, match="no file"):
        write_report(tmp_path / "absent.db", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_out_must_be_a_file_in_a_folder_that_exists(store, tmp_path) -> None:
    path = store()
    for out in (tmp_path / "absent" / "report.html", tmp_path):
        with pytest.raises(ArgumentError, match="`out` must be a file in a folder"):
            write_report(path, out)


def test_failure_leaves_the_old_page_and_no_rest(store, tmp_path, monkeypatch) -> None:
    out = tmp_path / "report.html"
    out.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = store()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArgumentError, match="No space left"):
        write_report(path, out)
    assert out.read_text() == "old"
    assert not list(tmp_path.glob(".*.part"))


def test_open_store_stays_open(store, tmp_path) -> None:
    with Store(store()) as opened:
        assert write_report(opened, str(tmp_path / "report.html")) == tmp_path / "report.html"
        assert opened.scan_ids() == [1]
