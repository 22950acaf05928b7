"""A run's results on the screen: every contender of every race, then one line a shape."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.kernels import summary
from benchmarks.kernels.race import OWN


def show(results: dict[str, Any], console: Console) -> None:
    """Prints all tables."""
    about = results["machine"]
    console.print(
        f"{about['cpu']}, {about['cores']} cores, level {about['level']}; "
        f"commit {(results['commit'] or 'unknown')[:10]}, {results['mode']} run"
    )
    for label in summary.labels(results):
        console.print(_race(results, label))
    console.print(_shapes(results))
    console.print(_limits(results))
    for peak in results["peak_memory"]:
        size = "({S}, {N}, {C})".format(**peak)
        console.print(
            f"correlation_distance {size}: {peak['megabytes']:g} MB beyond inputs and result"
        )


def duration(seconds: float) -> str:
    """Three digits, in the unit that fits."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{digits(seconds * factor)} {unit}"
    return f"{digits(seconds * 1e6)} µs"


def digits(value: float) -> str:
    """Three significant digits at most, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def times(ratio: float | None) -> str:
    return "" if ratio is None else f"{digits(ratio)}×"


def _race(results: dict[str, Any], label: str) -> Table:
    table = Table(title=label, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    counts = sorted({one["threads"] for one in results["races"] if one["label"] == label})
    for heading in (f"{counts[0]} thread", "× loop", "× best", "limit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for count in counts[1:]:
        for heading in (f"{count} threads", "× best", "gain"):
            table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("error", "timed on"):
        table.add_column(heading, justify="right")
    first = summary.race(results, label, counts[0])
    placed = [
        {s.name: s for s in summary.standings(summary.race(results, label, count))}
        for count in counts
    ]
    for record in first["contenders"]:
        name = record["name"]
        if "missing" in record:
            table.add_row(name, record["missing"], style="dim")
            continue
        own = placed[0][name]
        limit = f"{percent(own.share)} {own.limit}" if own.limit else ""
        cells = [_time(own), times(own.over_loop), times(own.over_best), limit]
        for by_name in placed[1:]:
            more = by_name[name]
            cells += [_time(more), times(more.over_best), times(own.seconds / more.seconds)]
        table.add_row(
            name,
            *cells,
            f"{record['error']:.0e}" if record["group"] != "limit" else "",
            "all" if own.part == 1 else f"{100 * own.part:.2g} %",
            style="cyan" if record["group"] in OWN else "",
        )
    return table


def _time(standing: summary.Standing) -> str:
    mark = "*" if standing.alone else ""
    return f"{mark}{duration(standing.seconds)} ±{percent(standing.spread)}"


def _shapes(results: dict[str, Any]) -> Table:
    table = Table(title="sacfast, one thread", title_justify="left", title_style="bold")
    headings = ("shape", "time", "× loop", "× best", "which", "limit", "gain")
    for heading in headings:
        left = heading in ("shape", "which")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for label in summary.labels(results):
        threads = min(one["threads"] for one in results["races"] if one["label"] == label)
        one = summary.race(results, label, threads)
        own = next(s for s in summary.standings(one) if s.name == "sacfast")
        table.add_row(
            label,
            duration(own.seconds),
            times(own.over_loop),
            times(own.over_best),
            summary.best_rival(one)["name"],
            f"{percent(own.share)} {own.limit}",
            times(summary.speedup(results, label, "sacfast")),
        )
    return table


def _limits(results: dict[str, Any]) -> Table:
    table = Table(title="limits, in 10⁹ a second", title_justify="left", title_style="bold")
    counts = sorted(results["limits"], key=int)
    for heading in ("what", "level", "instructions", *(f"{count} threads" for count in counts)):
        table.add_column(heading)
    for rows in zip(*(results["limits"][count] for count in counts), strict=True):
        one = rows[0]
        rates = [f"{row['rate'] / 1e9:.1f}" for row in rows]
        table.add_row(one["kind"], one["level"], one["sequence"], *rates)
    return table
