"""What the demo prints of its own: what is made, and the truth beside the verdicts."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from sacfast.demo.plan import NULL_BANK, Recipe, is_twin
from sacfast.demo.truth import Finding
from sacfast.terminal import STYLES, text

__all__ = ["cast_table", "summary", "truth_table"]


def cast_table(recipes: list[Recipe], images: int) -> RenderableType:
    """Who plays: the source, the null bank, the suspects, the images."""
    bank = [recipe for recipe in recipes if recipe.name.startswith(NULL_BANK)]
    suspects = [recipe for recipe in recipes if recipe not in bank]
    innocent = [recipe for recipe in suspects if recipe.theft is None]
    kinds = len({recipe.architecture for recipe in bank})
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(justify="right")
    table.add_row("1", "source", "the owner's model, trained on the owner's images")
    table.add_row(
        str(len(bank)),
        "null models",
        f"independent; {kinds} architectures; {sum(map(is_twin, bank))} are twins of the source: "
        "the same architecture and images, another seed",
    )
    table.add_row(
        str(len(suspects)),
        "suspects",
        f"{len(suspects) - len(innocent)} stolen from the source; {len(innocent)} independent, "
        f"made as the null models are ({sum(map(is_twin, innocent))} twins)",
    )
    table.add_row(str(images), "images", "that no model was trained on, to make probes from")
    return table


def truth_table(findings: list[Finding]) -> RenderableType:
    """Each suspect's verdict and what it really is."""
    table = Table(box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    for heading in ("suspect", "verdict", "truth", "made", ""):
        table.add_column(heading, no_wrap=True)
    for finding in findings:
        table.add_row(
            text(finding.suspect),
            text(finding.verdict, STYLES[finding.verdict]),
            Text("stolen", "red") if finding.stolen else Text("innocent", "green"),
            finding.how,
            _mark(finding),
        )
    return table


def summary(findings: list[Finding]) -> RenderableType:
    """How many copies were found, and how many innocent models accused."""
    copies = [f for f in findings if f.stolen and f.attack != "labels"]
    students = [f for f in findings if f.attack == "labels"]
    innocent = [f for f in findings if not f.stolen]
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_row(_flagged(copies), "fine-tuned, pruned and probability-taught copies found")
    table.add_row(_flagged(innocent), "innocent models falsely accused")
    if students:
        left = "label-taught copies found: labels carry little of the source"
        table.add_row(_flagged(students), left)
    return table


def _mark(finding: Finding) -> Text:
    if finding.right:
        return Text("right", "dim")
    return Text("missed" if finding.stolen else "accused", "bold yellow")


def _flagged(findings: list[Finding]) -> str:
    return f"{sum(finding.flagged for finding in findings)} of {len(findings)}"
