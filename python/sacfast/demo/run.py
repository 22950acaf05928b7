"""The demo from end to end: models made, commands run, the truth beside their verdicts.

    sacfast-demo/
      demo.json            which demo this is, and which models are complete
      images/              what the probes are made from; nobody trained on them
      source/              the owner's model
      null-bank/           models that have nothing to do with the source's training
      registry/            the suspects: suspect-01, suspect-02, …
      truth.json           which of them are stolen; no command reads it
      probes.safetensors · fingerprints.db · results.jsonl · report.html

Everything after the training is done by the installed `sacfast` command, which knows nothing of
the demo.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sacfast.demo.digits import load_digits, write_images
from sacfast.demo.making import Diary, make_models
from sacfast.demo.plan import (
    FULL,
    NULL_BANK,
    REGISTRY,
    SOURCE,
    Recipe,
    Size,
    make_plan,
    make_source,
    twins,
)
from sacfast.errors import SacfastError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Finding", "commands", "findings", "make", "run_demo"]

TRUTH = "truth.json"
RESULTS = "results.jsonl"
REPORT = "report.html"
FOUND = (0, 3, 4)  # exit codes of a scan that came to its end


@dataclass(frozen=True)
class Finding:
    """One suspect: what the scan says of it, and the truth."""

    suspect: str
    verdict: str
    p: float | None
    q: float | None
    stolen: bool
    attack: str
    how: str

    @property
    def flagged(self) -> bool:
        """Whether the scan calls it stolen."""
        return self.verdict == "stolen"


def run_demo(out: Path, seed: int = 0, *, size: Size = FULL) -> int:
    """Make the models, run the commands on them, show the truth beside the verdicts.

    Args:
        out: The demo's folder. A second run over it makes only what is missing.
        seed: Decides the shares of the images, the plan and every training.
        size: How many models are made.

    Returns:
        0: the demo came to its end, whatever it found.

    Raises:
        ArgumentError: `out` holds something else.
        MissingExtraError: scikit-learn is not installed.
        SacfastError: A command failed; it has said why.
    """
    from rich.console import Console

    console = Console(highlight=False)
    make(out, seed, size, console)
    for command in commands(out):
        console.print(f"\n[bold]$ {shlex.join(command)}[/bold]", soft_wrap=True)
        _run(command)
    _show(findings(out), out, console)
    return 0


def make(out: Path, seed: int, size: Size, console: Console) -> None:
    """Train all models, write the probes' images and the truth."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    digits = load_digits(seed)
    source, recipes = make_source(seed), make_plan(seed, size)
    diary = Diary(out, seed)
    images = write_images(digits, out / "images")
    suspects = [recipe for recipe in recipes if recipe.name.startswith(REGISTRY)]
    (out / TRUTH).write_text(json.dumps(_truth(suspects), indent=1) + "\n", encoding="utf-8")
    _announce(out, seed, recipes, suspects, images, console)
    columns = ("training", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        names = [source.name, *(recipe.name for recipe in recipes)]
        held = sum(name in diary.accuracy for name in names)
        task = progress.add_task("", total=len(names), completed=held)
        for _ in make_models(out, seed, source, recipes, diary):
            progress.advance(task)
    right = [diary.accuracy[recipe.name] for recipe in recipes]
    console.print(
        f"Accuracy on those images: the source {diary.accuracy[SOURCE]:.1%}, "
        f"the others {min(right):.1%} to {max(right):.1%}."
    )


def commands(out: Path) -> list[list[str]]:
    """What a user would type, in order."""
    probes, store, report = (
        str(out / name) for name in ("probes.safetensors", "fingerprints.db", REPORT)
    )
    scan = ["sacfast", "scan", str(out / REGISTRY), "--source", str(out / SOURCE)]
    scan += ["--probes", probes, "--null-bank", str(out / NULL_BANK)]
    return [
        ["sacfast", "probes", "build", str(out / "images"), "-o", probes],
        [*scan, "--store", store, "--out", str(out / RESULTS)],
        ["sacfast", "report", store, "-o", report],
    ]


def findings(out: Path) -> list[Finding]:
    """Each suspect's verdict with the truth, the most pressing first."""
    truth = json.loads((out / TRUTH).read_text(encoding="utf-8"))
    lines = (out / RESULTS).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Finding(row["suspect"], row["verdict"], row["p"], row["q"], **truth[row["suspect"]])
        for row in rows
    ]


def _truth(suspects: list[Recipe]) -> dict[str, dict[str, str | bool]]:
    return {
        recipe.name.removeprefix(f"{REGISTRY}/"): {
            "stolen": recipe.theft is not None,
            "attack": recipe.theft.attack if recipe.theft is not None else "",
            "how": recipe.how,
        }
        for recipe in suspects
    }


def _run(command: list[str]) -> None:
    program = shutil.which(command[0], path=sysconfig.get_path("scripts")) or command[0]
    try:
        code = subprocess.run([program, *command[1:]], check=False).returncode
    except FileNotFoundError as error:
        raise SacfastError(
            "demo: the command `sacfast` must be installed, got none on the path",
            hint="pip install .",
        ) from error
    if code not in (FOUND if command[1] == "scan" else (0,)):
        raise SacfastError(f"demo: `{shlex.join(command)}` ended with exit code {code}")


def _announce(
    out: Path,
    seed: int,
    recipes: list[Recipe],
    suspects: list[Recipe],
    images: int,
    console: Console,
) -> None:
    from rich.table import Table

    bank = [recipe for recipe in recipes if recipe.name.startswith(NULL_BANK)]
    stolen = sum(recipe.theft is not None for recipe in suspects)
    innocent = [recipe for recipe in suspects if recipe.theft is None]
    kinds = len({recipe.architecture for recipe in bank})
    console.print(f"[bold]Handwritten digits, seed {seed}, in {out}/[/bold]", soft_wrap=True)
    made = Table.grid(padding=(0, 2))
    made.add_row("  1", "source", "the owner's model, trained on the owner's images")
    made.add_row(
        f"  {len(bank)}",
        "null bank",
        f"independent models of {kinds} architectures, trained on the owner's or the thief's "
        f"images; {twins(bank)} are twins of the source, apart from the seed",
    )
    made.add_row(
        f"  {len(suspects)}",
        "suspects",
        f"{stolen} stolen from the source, {len(innocent)} independent, made just as the null "
        f"bank is ({twins(innocent)} twins)",
    )
    made.add_row(f"  {images}", "images", "to make probes from; nobody trained on them")
    console.print(made)


def _show(found: list[Finding], out: Path, console: Console) -> None:
    from rich.table import Table

    table = Table(title="\nThe truth beside the verdicts", title_justify="left", title_style="bold")
    for heading in ("suspect", "verdict", "p", "q", "truth", "how it was made", ""):
        table.add_column(heading, justify="right" if heading in "pq" and heading else "left")
    for finding in found:
        colour = "red" if finding.stolen else "green"
        table.add_row(
            finding.suspect,
            finding.verdict,
            _number(finding.p),
            _number(finding.q),
            f"[{colour}]{'stolen' if finding.stolen else 'innocent'}[/{colour}]",
            finding.how,
            "right" if finding.flagged == finding.stolen else "[yellow]wrong[/yellow]",
        )
    console.print(table)
    for line in _summary(found):
        console.print(line)
    console.print(f"Report: [bold]{(out / REPORT).resolve()}[/bold]", soft_wrap=True)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _summary(found: list[Finding]) -> Iterator[str]:
    copies = [f for f in found if f.stolen and f.attack != "labels"]
    by_label = [f for f in found if f.attack == "labels"]
    innocent = [f for f in found if not f.stolen]
    caught, accused = sum(f.flagged for f in copies), sum(f.flagged for f in innocent)
    yield (
        f"Flagged: {caught} of {len(copies)} copies by fine-tuning, pruning and probabilities. "
        f"Falsely accused: {accused} of {len(innocent)} innocent models."
    )
    if by_label:
        yield (
            f"Taught by labels only: {sum(f.flagged for f in by_label)} of {len(by_label)} "
            "flagged; a student that sees no more than labels keeps little of its teacher."
        )
