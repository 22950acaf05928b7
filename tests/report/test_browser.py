"""The page in a real browser, where there is one: it draws, sorts, filters, runs nothing else."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from sacfast.store import ModelRecord

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path")


@pytest.fixture
def browse(tmp_path):
    """Opens a page, lets `acts` happen on it, and gives back its document and its console."""

    def opened(path: Path, acts: str = "") -> tuple[str, list[str]]:
        html = path.read_text("utf-8")
        if acts:  # the page's own policy would rightly refuse the test's script
            html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
            html = html.replace("</body>", f"<script>{acts}</script></body>")
        copy = tmp_path / "opened.html"
        copy.write_text(html, "utf-8")
        run = subprocess.run(
            [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,2400",
                "--virtual-time-budget=4000", "--enable-logging=stderr", "--v=0", "--dump-dom",
                copy.as_uri(),
            ],
            capture_output=True, timeout=120, check=True,
        )  # fmt: skip
        console = [line for line in run.stderr.decode().splitlines() if "CONSOLE" in line]
        return run.stdout.decode("utf-8"), console

    return opened


def column(document: str, k: int) -> list[str]:
    """The texts of one column of the verdict table."""
    body = document.split("<tbody>")[1].split("</tbody>")[0]
    rows = re.findall(r"<tr.*?>(.*?)</tr>", body, re.S)
    cells = [re.findall(r"<td.*?>(.*?)</td>", row, re.S) for row in rows]
    return [unescape(re.sub(r"<.*?>", "", row[k])) for row in cells if len(row) > k]


def test_page_draws_without_a_word_on_the_console(page, browse) -> None:
    failed = (ModelRecord("suspect", "broken", "", "failed", "no config.json"),)
    document, console = browse(page(sources=("mine/a", "mine/b"), failed=failed).path)
    assert console == []
    assert document.count("<figure>") == 5
    assert 'class="main-svg"' in document.split('id="scores-plot"')[1].split("</section>")[0]
    assert len(column(document, 0)) == 25
    row = column(document, 0).index("broken")
    assert [column(document, k)[row] for k in (2, 3, 5, 9)] == [
        "not comparable", "–", "–", "failed: no config.json",
    ]  # fmt: skip
    assert "NaN" not in document.split("<main>")[1].split("<footer>")[0]


def test_long_reason_is_shown_whole(page, browse) -> None:
    reason = "a reason of many words that ends in what to do " * 12 + "run this --command"
    measured = """
        const cut = [...document.querySelectorAll(".remark, .remark *")]
          .some((part) => part.clientHeight && part.scrollHeight > part.clientHeight + 1);
        document.title = cut ? "cut" : "whole";
    """
    failed = (ModelRecord("suspect", "broken", "", "failed", reason),)
    document, _ = browse(page(failed=failed).path, measured)
    assert f"failed: {reason}" in column(document, 9)
    assert "<title>whole</title>" in document


def test_scores_open_on_their_first_facet(page, browse) -> None:
    made = page(sources=("other", "mine"), stolen=0, innocent=3, threshold=math.nan)
    listed = """
        const { options, value } = document.querySelector("#scores select");
        document.title = [...options].map((option) => option.text).join() + "=" + value;
    """
    document, _ = browse(made.path, listed)
    assert "<title>other · logits,mine · logits=0</title>" in document
    [note] = re.findall(r'id="scores-note">(.*?)</p>', document)
    assert "no single score was enough to be called stolen" in note


def test_click_on_a_mark_finds_it_in_the_table_after_a_redraw(page, browse) -> None:
    click = """
        document.querySelector("#scores select").dispatchEvent(new Event("change"));
        document.querySelector("#scores-plot").emit(
          "plotly_click", { points: [{ customdata: "acme/fox" }] });
    """
    document, _ = browse(page(sources=("mine/a", "mine/b"), names=("acme/fox",)).path, click)
    assert column(document, 0) == ["acme/fox"] * 2


def test_hostile_names_do_nothing(page, browse) -> None:
    names = ["</script><script>document.title='run'</script>",
             "<img src=x onerror=\"document.title='run'\">", "<b>bold</b> &lt; %{x}"]  # fmt: skip
    made = page(names=names, sources=("<i>mine</i>",), stolen=2)
    document, console = browse(made.path)
    assert console == []
    assert set(names) <= set(column(document, 0))
    assert "<title>run" not in document
    assert "<img" not in document


#: Notes one column of the verdict table as it stands, for the test to read in the document.
NOTE = """
const note = (k) => document.body.append(Object.assign(document.createElement("pre"), {
  className: "noted",
  textContent: [...document.querySelectorAll("[data-rows=verdicts] tbody tr")]
    .map((row) => row.cells[k].textContent).join("\\n"),
}));
const $ = (selector) => document.querySelector(selector);
"""


def noted(document: str) -> list[list[str]]:
    return [
        text.split("\n") for text in re.findall(r'<pre class="noted">(.*?)</pre>', document, re.S)
    ]


def test_table_sorts_by_a_column_both_ways(page, browse) -> None:
    made = page(failed=(ModelRecord("suspect", "broken", "", "failed", "why"),))
    click = "document.querySelectorAll('[data-rows=verdicts] thead button')[5].click(); note(5);"
    document, _ = browse(made.path, NOTE + "note(5);" + click + click)
    _, up, down = noted(document)
    numbers = [[float(x) for x in texts[:-1]] for texts in (up, down)]
    assert numbers[0] == sorted(numbers[0])
    assert numbers[1] == sorted(numbers[0], reverse=True)
    assert up[-1] == down[-1] == "–"  # missing numbers stay at the end
    head = document.split("<thead>")[1].split("</thead>")[0]
    assert re.findall('aria-sort="(.*?)"', head) == [*["none"] * 5, "descending", *["none"] * 4]


def test_table_filters_by_verdict_and_by_text(page, browse) -> None:
    made = page(names=("acme/fox", "acme/owl", "acme/elk", "acme/hen"))
    box = """$('.chips input[value="no evidence"]').click();"""
    typed = """
        const search = $("#verdicts input[type=search]");
        search.value = " ACME ";
        search.dispatchEvent(new Event("input"));
    """
    document, _ = browse(made.path, f"{NOTE} {box} note(2); {box} note(2); {typed} note(0);")
    unchecked, checked, found = noted(document)
    assert set(unchecked) == {"stolen", "suspicious"}
    assert set(checked) == {"stolen", "suspicious", "no evidence"}
    assert found == ["acme/fox", "acme/owl", "acme/elk", "acme/hen"]
    assert "4 of 12 rows" in document


def test_thousands_of_rows_are_drawn_a_page_at_a_time(page, browse) -> None:
    made = page(innocent=4_990, probes=8, keep_outputs=False)
    next_page = "[...document.querySelectorAll('#verdicts .pager button')].at(-1).click();"
    document, console = browse(made.path, next_page)
    assert console == []
    assert len(column(document, 0)) == 50
    assert "4,995 of 4,995 rows, page 2 of 100" in document
