"""How results look in a terminal. Names come from strangers: control characters are shown, never
obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from sacfast.text import one_line, visible

if TYPE_CHECKING:
    from sacfast.doctor import Finding
    from sacfast.evaluation import Evaluation
    from sacfast.scanning.compare import Comparison
    from sacfast.scanning.results import Scan

STYLES = {
    "stolen": "bold red",
    "suspicious": "yellow",
    "not comparable": "magenta",
    "no evidence": "green",
    "left out": "dim",
    "ok": "green",
    "absent": "yellow",
    "warning": "yellow",
    "broken": "bold red",
}

#: How many rows of each verdict a scan shows; the results file and the report have them all.
ROWS_SHOWN = {
    "stolen": 20,
    "suspicious": 20,
    "not comparable": 10,
    "no evidence": 10,
    "left out": 5,
}


def text(value: object, style: str = "") -> Text:
    """Any value as text in which nothing is markup or an escape sequence."""
    return Text(visible(str(value)), style=style)


def number(value: float | None, digits: int = 3) -> Text:
    """A number with a fixed count of decimals; a dash where there is none."""
    return Text("–" if value is None else f"{value:.{digits}f}", justify="right")


def scan_table(scan: Scan) -> RenderableType:
    """The most pressing rows of each verdict, what is to be said of them, and a line of counts."""
    rows = scan.rows()
    table = Table(box=None, header_style="bold", padding=(0, 1))
    table.add_column("suspect", overflow="fold")
    table.add_column("verdict", no_wrap=True, min_width=14)
    for name, width in (("score", 6), ("z", 5), ("p", 5), ("q", 5), ("distance", 8)):
        table.add_column(name, justify="right", no_wrap=True, min_width=width)
    many_sources = len({row["source"] for row in rows if row["source"]}) > 1
    if many_sources:
        table.add_column("source", overflow="fold")
    shown: list[dict[str, Any]] = []
    for verdict, limit in ROWS_SHOWN.items():
        own = [row for row in rows if row["verdict"] == verdict]
        for row in own[:limit]:
            table.add_row(*_cells(row, many_sources))
        if len(own) > limit:
            table.add_row(Text(f"… {len(own) - limit} more", style="dim"), text(verdict, "dim"))
        shown += own[:limit]
    parts: list[RenderableType] = [table]
    told = dict.fromkeys((row["suspect"], row["reason"]) for row in shown if row["reason"])
    if told:
        parts.append(Text())
        parts += [text(one_line(f"{name}: {reason}", 200), "dim") for name, reason in told]
    parts += [Text(), _counts_line(scan)]
    return Group(*parts)


def _cells(row: dict[str, Any], many_sources: bool) -> list[RenderableType]:
    cells: list[RenderableType] = [
        text(row["suspect"]),
        text(row["verdict"], STYLES[row["verdict"]]),
        number(row["score"]),
        number(row["z"], 1),
        number(row["p"]),
        number(row["q"]),
        number(row["distance"]),
    ]
    return [*cells, text(row["source"] or "–")] if many_sources else cells


def _counts_line(scan: Scan) -> Text:
    from sacfast.store import VERDICTS

    counts = scan.counts
    judged = sum(counts.values()) - counts["left out"]
    line = Text(f"{judged} suspect{'s' * (judged != 1)}: ")
    shown = [verdict for verdict in VERDICTS if verdict != "left out" or counts[verdict]]
    for verdict in shown:
        line.append(f"{counts[verdict]} {verdict}", STYLES[verdict] if counts[verdict] else "dim")
        line.append("" if verdict == shown[-1] else " · ")
    return line


def comparison_table(found: Comparison) -> RenderableType:
    """Two models side by side."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_row("models", text(f"{found.a}  and  {found.b}"))
    table.add_row("compared as", text(found.mode))
    if found.reason is not None:
        table.add_row("not comparable", text(found.reason, STYLES["not comparable"]))
    else:
        table.add_row("Pearson", f"{found.pearson:.4f}   (1 = the same structure)")
        table.add_row("distance", f"{found.distance:.4f}   (the papers'; 0 = the same structure)")
        table.add_row("", "Independent models of one task reach 0.9 too: only scan judges.")
    if found.dropped:
        table.add_row("probes dropped", str(found.dropped))
    return table


def evaluation_tables(found: Evaluation) -> RenderableType:
    """Pooled measures of every method, then the attacks on the last probe set: AUC · TPR at 1 %."""
    pooled = Table(box=None, header_style="bold", padding=(0, 1))
    pooled.add_column("probes", overflow="fold", min_width=12)
    pooled.add_column("method", no_wrap=True)
    for name in ("AUC", "95 %", "TPR 1 %", "TPR 5 %", "P(p≤.1)", "FDR·power"):
        pooled.add_column(name, justify="right", no_wrap=True)
    for result in found.results:
        pooled.add_row(text(result["probes"]), text(result["method"]), *_pooled_cells(result))
    last = [r for r in found.results if r["probes"] == found.results[-1]["probes"]]
    attacks = Table(box=None, header_style="bold", padding=(0, 1))
    attacks.add_column("attack", min_width=15)
    for name in ("n", "over twin", *(result["method"] for result in last)):
        attacks.add_column(name, justify="right", no_wrap=True)
    for name, first in last[0]["attacks"].items():
        style = "" if name in found.facts["attacks"] else "dim"
        measured = [result["attacks"][name] for result in last]
        attacks.add_row(
            text(name, style),
            text(first["stolen"]),
            number(first["excess_agreement"]),
            *(text(f"{m['auc']:.3f}·{m['tpr']['0.01']['value']:.2f}") for m in measured),
        )
    note = (
        f"{found.facts['stolen']} stolen and {found.facts['innocent']} innocent models, "
        f"{len(found.facts['sources'])} source(s); part {found.facts['part']}; pooled over "
        f"{len(last[0]['pooled']['attacks'])} attacks (dim ones are not pooled); by attack: "
        "n copies, AUC·TPR at 1 % FPR; FDR: obtained where 0.05 was asked · copies then found; "
        "over twin: agreement with the source beyond an honest twin's"
    )
    if found.facts["left_out"]:
        note += f"; {len(found.facts['left_out'])} copies left out, destroyed by the attack"
    return Group(pooled, Text(), attacks, Text(), text(note))


def _pooled_cells(result: dict[str, Any]) -> list[RenderableType]:
    """AUC to FDR of one method; dashes where something was not measured."""
    pooled, calibration = result["pooled"], result["calibration"]
    if not pooled["attacks"]:
        return []
    low, high = pooled["auc_interval"]
    fdr = result["fdr"] and result["fdr"][0]
    return [
        number(pooled["auc"]),
        text(f"{low:.2f}–{high:.2f}", "dim"),
        number(pooled["tpr"]["0.01"]["value"]),
        number(pooled["tpr"]["0.05"]["value"]),
        number(calibration and calibration["p_low"]),
        text("–" if fdr is None else f"{fdr['obtained']:.3f}·{fdr['power']:.2f}"),
    ]


def findings_table(findings: list[Finding]) -> RenderableType:
    """A check-up."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    for finding in findings:
        state = text(finding.state, STYLES[finding.state])
        table.add_row(text(finding.what), state, text(finding.detail))
    return table


def facts_table(facts: dict[str, Any]) -> RenderableType:
    """Names and values."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    for name, value in facts.items():
        table.add_row(text(name), text(value))
    return table


def console(*, stderr: bool = False) -> Console:
    """A console that never highlights and never reads markup."""
    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=False)
