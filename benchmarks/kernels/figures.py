"""`python -m benchmarks.kernels.figures`: the plot and the tables of the documents, from the JSON.

Writes docs/figures/kernels.svg, and what stands in README.md and docs/benchmarks.md between the
marks `<!-- kernels -->` and `<!-- /kernels -->`.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from benchmarks.kernels import summary
from benchmarks.kernels.table import digits, duration, percent, times

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- kernels -->\n", "<!-- /kernels -->\n")
#: Shapes of the README, by what their labels begin with.
HEADLINES = (
    "correlation (2000, 100, 10)",
    "correlation (2000, 100, 100)",
    "distances 10000",
    "distances all pairs",
    "outputs to distances (2000, 100, 10)",
    "partial scores (5000, 200, 10)",
)
#: Group, colour, mark and name in the plot.
SERIES = (
    ("torch", "#c8502b", "s", "best PyTorch"),
    ("library", "#5f8a2e", "D", "best other library"),
    ("sacfast", "#0b6e99", "o", "sacfast"),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="of the tree to write into")
    root = parser.parse_args(arguments).root
    results = json.loads((root / "benchmarks/results/kernels.json").read_text(encoding="utf-8"))
    (root / "docs/figures/kernels.svg").write_text(plot(results), encoding="utf-8")
    for name, written in (
        ("README.md", short_table(results)),
        ("docs/benchmarks.md", long_table(results)),
    ):
        path = root / name
        path.write_text(between_marks(path.read_text(encoding="utf-8"), written), encoding="utf-8")


def between_marks(text: str, written: str, marks: tuple[str, str] = MARKS) -> str:
    """The text with what stands between the marks replaced.

    Raises:
        ValueError: If it does not have each mark once.
    """
    first, last = marks
    if text.count(first) != 1 or text.count(last) != 1:
        raise ValueError(f"the document must hold {first.strip()} and {last.strip()} once each")
    head, rest = text.split(first)
    return f"{head}{first}{written}{last}{rest.split(last)[1]}"


def single(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The races with the fewest threads, one a shape."""
    least = min(one["threads"] for one in results["races"])
    return [one for one in results["races"] if one["threads"] == least]


def _standing(one: dict[str, Any], name: str = "sacfast") -> summary.Standing:
    return next(s for s in summary.standings(one) if s.name == name)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    align = ["---", *["--:"] * (len(header) - 1)]
    lines = [header, align, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def about(results: dict[str, Any]) -> str:
    """The machine, in a sentence."""
    machine, versions = results["machine"], results["versions"]
    level = {"v4": "AVX-512", "v3": "AVX2", "baseline": "SSE2"}[machine["level"]]
    return (
        f"{machine['cpu']}, {level}; PyTorch {versions['torch']}, NumPy {versions['numpy']}; "
        f"commit {(results['commit'] or 'unknown')[:10]}, {results['mode']} run"
    )


def short_table(results: dict[str, Any]) -> str:
    """The README's plot and table."""
    rows, lost = [], []
    for one in single(results):
        own = _standing(one)
        if own.over_best is not None and own.over_best < 1:
            lost.append(f"{one['label']} ({summary.best_rival(one)['name']})")
        if one["label"].startswith(HEADLINES):
            rows.append(
                [
                    one["label"],
                    duration(own.seconds),
                    times(own.over_loop),
                    f"{times(own.over_best)} ({summary.best_rival(one)['name']})",
                    percent(own.share),
                ]
            )
    header = ["one core", "sacfast", "over the loop", "over the best rival", "of the limit"]
    shapes = len(single(results))
    losses = f"Of {shapes} shapes a rival is faster on {len(lost)}"
    losses += f": {'; '.join(lost)}." if lost else "."
    words = textwrap.fill(f"{losses} Measured on {about(results)}.", 100, break_on_hyphens=False)
    return (
        "\n![Every shape: sacfast, the best PyTorch and the best other library, over a Python loop]"
        "(docs/figures/kernels.svg)\n\n"
        f"{markdown(header, rows)}\n{words}\n\n"
    )


def long_table(results: dict[str, Any]) -> str:
    """Every contender of every shape."""
    counts = sorted({one["threads"] for one in results["races"]})
    parts = [f"\nMeasured on {about(results)}.\n"]
    for label in summary.labels(results):
        races = [
            one
            for count in counts
            for one in results["races"]
            if one["label"] == label and one["threads"] == count
        ]
        header = ["", f"{races[0]['threads']} thread", "× loop", "× best rival", "of the limit"]
        for one in races[1:]:
            header += [f"{one['threads']} threads", "gain"]
        header.append("error")
        rows = []
        for record in races[0]["contenders"]:
            if "missing" in record:
                rows.append([record["name"], record["missing"], *[""] * (len(header) - 2)])
                continue
            own = _standing(races[0], record["name"])
            part = "" if own.part == 1 else f" (timed on {100 * own.part:.2g} %)"
            limit = f"{percent(own.share)} {own.limit}" if own.limit else ""
            cells = [
                own.name + part,
                f"{'**' * own.alone}{duration(own.seconds)}{'**' * own.alone}",
                times(own.over_loop),
                times(own.over_best),
                limit,
            ]
            for one in races[1:]:
                more = _standing(one, own.name)
                cells += [duration(more.seconds), times(own.seconds / more.seconds)]
            rows.append([*cells, f"{own.error:.0e}" if own.group != "limit" else ""])
        parts.append(f"\n### {label}\n\n{markdown(header, rows)}{certified(races[0])}")
    parts.append("\n### Limits\n\n")
    header = ["10⁹ a second", "level", "instructions", *(f"{count} threads" for count in counts)]
    together = zip(*(results["limits"][str(count)] for count in counts), strict=True)
    rows = [
        [r[0]["kind"], r[0]["level"], r[0]["sequence"], *(digits(x["rate"] / 1e9) for x in r)]
        for r in together
    ]
    parts.append(markdown(header, rows))
    parts.append("\n### Peak memory of `correlation_distance` beyond inputs and result\n\n")
    rows = [
        ["({S}, {N}, {C}), {V} sources".format(**peak), f"{peak['megabytes']:g} MB"]
        for peak in results["peak_memory"]
    ]
    parts.append(markdown(["outputs", "peak"], rows) + "\n")
    return "".join(parts)


def certified(one: dict[str, Any]) -> str:
    """What 16 bits alone can't tell of a race's pairs, in words; nothing for other loops."""
    if "straddling" not in one:
        return ""
    return (
        f"\nThe threshold of `pairs_within` is {one['threshold']:.3f}; "
        f"{100 * one['straddling']:.2g} % of the pairs lie so near to it that their 16 bits can't "
        "tell on which side.\n"
    )


def plot(results: dict[str, Any]) -> str:
    """SVG: a line a shape, how many times as fast as the loop each contender is."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "sacfast", "svg.fonttype": "none", "font.family": "sans-serif"}
    )
    from matplotlib import pyplot

    races = single(results)[::-1]
    figure, axis = pyplot.subplots(figsize=(8.5, 1.3 + 0.3 * len(races)))
    axis.axvline(1, color="#888888", linewidth=1)
    for place, one in enumerate(races):
        standings = summary.standings(one)
        own = _standing(one)
        if own.share:
            limit = own.over_loop / own.share
            axis.plot([own.over_loop, limit], [place, place], color="#0b6e99", alpha=0.25, lw=4)
            axis.plot(limit, place, "|", color="#0b6e99", ms=11, mew=2, label="machine's limit")
        for group, colour, mark, label in SERIES:
            named = [own] if group == "sacfast" else [s for s in standings if s.group == group]
            if named:
                best = max(s.over_loop for s in named)
                axis.plot(best, place, mark, color=colour, ms=7, label=label, alpha=0.9)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}×")
    axis.set_yticks(range(len(races)), [one["label"] for one in races], fontsize=9)
    axis.set_ylim(-0.7, len(races) - 0.3)
    axis.set_xlabel("times as fast as the loop over models (one core, logarithmic)")
    axis.grid(axis="x", alpha=0.3)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)
    handles, labels = axis.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique, loc="upper center", ncols=4, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_size_inches()[1]))
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)
    return re.sub(r"(\d\.\d\d)\d+", r"\1", re.sub(r"\n\s*", "\n", written.getvalue()))


if __name__ == "__main__":
    main()
