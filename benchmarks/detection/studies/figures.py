"""Figures of the studies as SVG: lines over numbers, dots over names, squares over pairs."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection.studies.zoo import Row

AUC, TPR = ("auc", "AUC"), ("tpr_at_1", "TPR at 1 % FPR")
#: Measures drawn, in the place of AUC and TPR.
PANELS = {
    "bank": (AUC, TPR, ("called", "called stolen at FDR 5 %")),
    "cost": (
        ("accuracy_lost", "accuracy lost"),
        ("agreement", "agreement with the source"),
        AUC,
        TPR,
    ),
    "evasions": (AUC, ("change", "change of AUC"), TPR),
    "twins": (AUC, TPR, ("tpr_at_5", "TPR at 5 % FPR")),
}
OVER = {
    "probes": "probes",
    "quality": "JPEG quality",
    "bank": "groups in the null bank",
}
COLOURS = {"balanced": "#0b6e99", "partial": "#7a4fa3", "paper": "#c8502b", "pearson": "#5f8a2e"}
STYLES, MARKS = ("-", "--", ":"), "osDv^<>"


def figure(name: str, rows: list[Row], path: Path) -> None:
    """Draws a study's rows; those of one series and x are averaged."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(
        {
            "svg.hashsalt": "sacfast",
            "svg.fonttype": "none",
            "font.size": 9,
            "font.family": "sans-serif",
        }
    )
    from matplotlib import pyplot

    if name == "thresholds":
        drawn = _squares(pyplot, rows)
    elif name in OVER:
        drawn = _lines(pyplot, rows, PANELS.get(name, (AUC, TPR)), OVER[name])
    else:
        drawn = _dots(pyplot, rows, PANELS.get(name, (AUC, TPR)))
    written = io.StringIO()
    drawn.savefig(written, format="svg", metadata={"Date": None}, facecolor="white")
    pyplot.close(drawn)
    path.write_text(_smaller(written.getvalue()), encoding="utf-8")


def _smaller(svg: str) -> str:
    """The same figure in half the bytes: each style once, in a sheet; coordinates to 0.01."""
    styles: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return f'class="{styles.setdefault(found[1], f"s{len(styles)}")}"'

    head, body = svg.split("</defs>", 1)
    body = re.sub(r'style="([^"]*)"', named, body)
    body = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), body)
    sheet = "".join(f".{name}{{{style}}}" for style, name in styles.items())
    return f"{head}<style>{sheet}</style></defs>" + re.sub(r"\n\s*", "\n", body)


def _means(rows: list[Row], series: str, key: str) -> tuple[list[Any], list[float]]:
    own = [row for row in rows if row["series"] == series and row.get(key) is not None]
    xs = list(dict.fromkeys(row["x"] for row in own))
    return xs, [float(np.mean([row[key] for row in own if row["x"] == x])) for x in xs]


def _looks(series: list[str]) -> list[dict[str, Any]]:
    """A method has its colour; series of one method differ in style and mark."""
    seen: dict[str, int] = {}
    looks = []
    for i, name in enumerate(series):
        method = name.split(",")[0].split(" ")[0]
        nth = seen.get(method, 0)
        seen[method] = nth + 1
        colour = COLOURS.get(method, f"C{i}")
        looks.append({"color": colour, "linestyle": STYLES[nth % 3], "marker": MARKS[nth % 7]})
    return looks


def _lines(pyplot: Any, rows: list[Row], panels: Any, over: str) -> Any:
    drawn, axes = pyplot.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.8))
    names = list(dict.fromkeys(row["series"] for row in rows))
    for axis, (key, label) in zip(axes, panels, strict=True):
        for name, look in zip(names, _looks(names), strict=True):
            axis.plot(*_means(rows, name, key), label=name, markersize=4, **look)
        ticks: list[Any] = []
        for x in sorted({row["x"] for row in rows}):
            ticks += [x] if not ticks or x >= 1.4 * ticks[-1] else []
        axis.set_xscale("log")
        axis.set_xticks(ticks, [str(x) for x in ticks])
        axis.minorticks_off()
        axis.set(xlabel=over, title=label)
        axis.grid(alpha=0.3)
    _legend(drawn, axes[0], len(names))
    return drawn


def _dots(pyplot: Any, rows: list[Row], panels: Any) -> Any:
    names = list(dict.fromkeys(row["series"] for row in rows))
    places = {x: i for i, x in enumerate(dict.fromkeys(row["x"] for row in rows))}
    size = (2 + 3 * len(panels), 1.5 + 0.24 * len(places))
    drawn, axes = pyplot.subplots(1, len(panels), figsize=size, sharey=True)
    for axis, (key, label) in zip(axes, panels, strict=True):
        for i, (name, look) in enumerate(zip(names, _looks(names), strict=True)):
            beside = 0.5 * ((i + 0.5) / len(names) - 0.5)  # or equal values would cover one another
            xs, values = _means(rows, name, key)
            hollow = look["linestyle"] != "-"
            axis.plot(
                values,
                [places[x] + beside for x in xs],
                look["marker"],
                color=look["color"],
                markerfacecolor="white" if hollow else look["color"],
                markersize=5,
                label=name,
            )
        axis.set_yticks(list(places.values()), list(places))
        axis.set_ylim(len(places) - 0.5, -0.5)
        axis.set_title(label)
        axis.grid(alpha=0.3)
    _legend(drawn, axes[0], len(names))
    return drawn


def _squares(pyplot: Any, rows: list[Row]) -> Any:
    """F1 of a threshold set on one source (row) on another (column), a square a series."""
    names = list(dict.fromkeys(row["series"] for row in rows))
    sources = list(dict.fromkeys(row["applied"] for row in rows))
    wide = (len(names) + 1) // 2
    side = 1.2 + 0.6 * len(sources)
    drawn, axes = pyplot.subplots(2, wide, figsize=(side * wide, side * 2), squeeze=False)
    for place, axis in enumerate(axes.T.ravel()):
        if place >= len(names):
            axis.axis("off")
            continue
        table = np.full((len(sources), len(sources)), np.nan)
        for row in [row for row in rows if row["series"] == names[place]]:
            table[sources.index(row["fitted"]), sources.index(row["applied"])] = row["f1"]
        axis.pcolormesh(table[::-1], cmap="Blues", vmin=0, vmax=1.4, edgecolor="white")
        for (i, j), value in np.ndenumerate(table[::-1]):
            axis.text(j + 0.5, i + 0.5, f"{value:.2f}", ha="center", va="center")
        middles = np.arange(len(sources)) + 0.5
        axis.set_xticks(middles, sources, rotation=30)
        axis.set_yticks(middles, sources[::-1])
        axis.set_title(names[place])
    axes[0, 0].set_ylabel("threshold set on")
    axes[1, 0].set_ylabel("threshold set on")
    drawn.supxlabel("applied to (F1)", fontsize=9)
    drawn.tight_layout()
    return drawn


def _legend(drawn: Any, axis: Any, count: int) -> None:
    """Below the panels, so that it covers none of them."""
    drawn.tight_layout()
    columns = min(count, 4)
    lines = -(-count // columns)
    height = drawn.get_size_inches()[1]
    bottom = (0.1 + 0.2 * lines) / height
    drawn.tight_layout(rect=(0, bottom, 1, 1))
    handles, labels = axis.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="lower center", ncols=columns, frameon=False, fontsize=8)
