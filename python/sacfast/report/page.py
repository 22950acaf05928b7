"""Puts a scan's page together and writes it, whole or not at all.

The page is one template, one style sheet, our script and plotly.js, all inlined, and the data as
JSON. Its content security policy names the digests of exactly these two scripts, so a browser runs
nothing else and sends no request, whatever a model's name contains.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from sacfast.errors import ArgumentError
from sacfast.files import write_whole
from sacfast.report.figures import facets
from sacfast.report.heatmap import MAX_PROBES, MAX_SOURCES, heat_maps
from sacfast.report.inline import content_policy, script_json, template_environment
from sacfast.report.summary import (
    access,
    counts,
    facts,
    model_rows,
    sentence,
    verdict_rows,
    warnings,
)
from sacfast.store import VERDICTS, ScanRecord, Store
from sacfast.text import visible


def write_report(store: Store | Path | str, out: Path | str, *, scan: int | None = None) -> Path:
    """Writes a scan of a store as one self-contained HTML page.

    Args:
        store: An open store, or the path of one (opened read-only).
        out: The file to write, in a folder that exists; an existing file is replaced.
        scan: Number of the scan; None for the latest.

    Returns:
        The path written.

    Raises:
        StoreError: If the store can't be read, or holds no such scan.
        ArgumentError: If `out` can't be written.
    """
    target = Path(out)
    if not target.parent.is_dir() or target.is_dir():
        raise ArgumentError(
            f"write_report: `out` must be a file in a folder that exists, got {target}"
        )
    with nullcontext(store) if isinstance(store, Store) else Store(store, read_only=True) as opened:
        page = _page(opened, opened.scan(scan))
    _write(target, page.encode("utf-8"))
    return target


def _page(store: Store, scan: ScanRecord) -> str:
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    maps = heat_maps(scan, store)
    sources = len(scan.role("source"))
    method = scan.facts.get("method", "partial")
    rows = verdict_rows(scan)
    data = {
        "order": VERDICTS,
        "verdicts": [row.cells() for row in rows],
        "models": model_rows(scan),
        "facets": facets(scan, rows),
        "maps": maps,
        "distance": method == "paper",
    }
    assets = files("sacfast.report") / "templates"
    scripts = [get_plotlyjs(), (assets / "report.js").read_text("utf-8")]
    count = counts(scan)
    environment = template_environment("sacfast.report")
    return environment.get_template("report.html.j2").render(
        sentence=sentence(scan),
        accused=count["stolen"] > 0,
        counts=count,
        suspects=len(scan.role("suspect")),
        sources=sources,
        nulls=sum(model.status == "ok" for model in scan.role("null")),
        warnings=warnings(scan),
        access=access(scan),
        reach=visible(str(scan.facts.get("reach") or "")),
        probes=facts(_probes(scan, store)),
        facts=facts(scan.facts),
        method=method,
        store_name=visible(Path(store.path).name),
        scan=scan.id,
        created=_day(scan.created),
        maps=len(maps),
        maps_missing=sources - len(maps),
        max_sources=MAX_SOURCES,
        max_probes=MAX_PROBES,
        policy=content_policy(scripts),
        style=Markup((assets / "report.css").read_text("utf-8")),
        scripts=[Markup(script) for script in scripts],
        data=Markup(script_json(data)),
    )


def _probes(scan: ScanRecord, store: Store) -> dict[str, Any]:
    """The probe set's facts; its "sources" are images, and a source here is a model."""
    known = store.probes(scan.probe_digest).items()
    named = {"images" if name == "sources" else name: value for name, value in known}
    return {"digest": scan.probe_digest, **named}


def _day(created: str) -> str:
    """ISO 8601 in UTC -> "23 November 2026, 16:40 UTC"."""
    return f"{datetime.fromisoformat(created):%-d %B %Y, %H:%M} UTC"


def _write(target: Path, data: bytes) -> None:
    try:
        write_whole(target, data)
    except OSError as error:
        raise ArgumentError(f"write_report: `out` can't be written: {error}") from error
