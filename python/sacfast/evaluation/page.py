"""An evaluation as one page to look at: tables, ROC curves, scores, calibration, FDR.

Put together as a scan's report is (report/page.py): one self-contained file, our script and
plotly.js inlined, the data as JSON, every name of a model as text.
"""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sacfast.errors import ArgumentError
from sacfast.evaluation.comparisons import Comparisons
from sacfast.files import write_whole
from sacfast.report.inline import content_policy, script_json, template_environment
from sacfast.text import visible

if TYPE_CHECKING:
    from sacfast.evaluation.result import Evaluation

#: Innocent pairs drawn at most in a figure; more look no different.
_MAX_DRAWN = 2000


def write_page(evaluation: Evaluation, target: Path) -> Path:
    """Writes the page, whole or not at all.

    Raises:
        ArgumentError: If the file can't be written.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    own = files("sacfast.evaluation") / "templates"
    style = (files("sacfast.report") / "templates" / "report.css").read_text("utf-8")
    scripts = [get_plotlyjs(), (own / "evaluation.js").read_text("utf-8")]
    statistic = evaluation.facts["statistic"]
    shown = [
        result | {"scores": _scores(comparisons, statistic)}
        for result, comparisons in zip(evaluation.results, evaluation.comparisons, strict=True)
    ]
    environment = template_environment("sacfast.evaluation")
    page = environment.get_template("evaluation.html.j2").render(
        facts=_facts(evaluation.facts),
        warnings=[visible(warning) for warning in evaluation.facts["warnings"]],
        left_out=evaluation.facts["left_out"],
        policy=content_policy(scripts),
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        data=Markup(
            script_json(
                {
                    "results": shown,
                    "pooled": evaluation.facts["attacks"],
                    "statistic": statistic,
                }
            )
        ),
    )
    try:
        write_whole(target, page.encode("utf-8"))
    except OSError as error:
        raise ArgumentError(f"Evaluation.save_page: `path` can't be written: {error}") from error
    return target


def _scores(comparisons: Comparisons, statistic: str) -> dict[str, list[Any]]:
    """The values behind the figures: a copy by its own source, an innocent one by every source."""
    values = comparisons.values(statistic)
    kinds: dict[str, list[Any]] = {}
    for row in comparisons.rows(stolen=True):
        model, value = comparisons.suspects[row], float(values[row, comparisons.own(row)])
        if math.isfinite(value):
            kinds.setdefault(model.attack, []).append([visible(model.name), round(value, 6)])
    innocent = [
        [visible(f"{comparisons.suspects[row].name} · {source}"), round(float(value), 6)]
        for row in comparisons.rows(stolen=False)
        for source, value in zip(comparisons.sources, values[row], strict=True)
        if math.isfinite(value)
    ]
    step = math.ceil(len(innocent) / _MAX_DRAWN) or 1
    return {"innocent": innocent[::step], **kinds}


def _facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Facts as names and texts."""
    shown = [(name, value) for name, value in facts.items() if name not in ("warnings", "left_out")]
    found = []
    for name, value in shown:
        if name == "outputs":
            value = [f"{o['probes']} ({o['count']} probes, {o['kind']})" for o in value]
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        found.append((name.replace("_", " "), visible(text)))
    return found
