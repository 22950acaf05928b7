"""The demo from end to end: models made, commands run, the truth beside their verdicts.

    sacfast-demo/
      demo.json            which demo this is, and which models are complete
      images/              what the probes are made from; no model was trained on them
      source/              the owner's model
      null-bank/           independent models
      registry/            the suspects: suspect-01, suspect-02, …
      truth.json           which of them are stolen; no command reads it
      probes.safetensors · fingerprints.db · results.jsonl · report.html

Everything after the training is done by the installed `sacfast` command, which knows nothing of
the demo.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

from sacfast.demo.digits import load_digits, write_images
from sacfast.demo.making import Diary, make_models
from sacfast.demo.plan import FULL, NULL_BANK, REGISTRY, SOURCE, Size, make_plan, make_source
from sacfast.demo.truth import Finding, findings, write_truth
from sacfast.errors import SacfastError

__all__ = ["commands", "found", "make_demo", "run_command", "run_demo"]

TRUTH = "truth.json"
RESULTS = "results.jsonl"
REPORT = "report.html"
FINISHED = (0, 3, 4)  # exit codes of a scan that came to its end


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
    from sacfast.demo.show import summary, truth_table
    from sacfast.terminal import console, text

    make_demo(out, seed, size)
    say = console()
    for command in commands(out):
        say.print()
        say.print(text(f"$ {shlex.join(command)}", "bold cyan"), soft_wrap=True)
        run_command(command)
    judged = found(out)
    say.print()
    say.print(text("The truth beside the verdicts", "bold"))
    say.print(truth_table(judged))
    say.print()
    say.print(summary(judged))
    say.print(text(f"Report: {(out / REPORT).resolve()}", "bold"), soft_wrap=True)
    return 0


def make_demo(out: Path, seed: int, size: Size = FULL) -> None:
    """Make the demo's folder: images, models and the truth about them."""
    from sacfast.demo.show import cast_table
    from sacfast.progress import progress_bar
    from sacfast.terminal import console, text

    say = console()
    digits = load_digits(seed)
    source, recipes = make_source(seed), make_plan(seed, size)
    diary = Diary(out, seed)
    images = write_images(digits, out / "images")
    write_truth(out / TRUTH, recipes)
    say.print(text(f"Handwritten digits, seed {seed}, in {out}", "bold"), soft_wrap=True)
    say.print(cast_table(recipes, images))
    missing = diary.missing([source, *recipes])
    if missing:
        say.print(f"Training {len(missing)} of {1 + len(recipes)} models, about a second each …")
    with progress_bar("training", len(missing), None) as advance:
        for name in make_models(out, seed, missing, diary):
            advance(name)
    others = [diary.accuracy[recipe.name] for recipe in recipes]
    say.print(
        f"Right on these images: the source {diary.accuracy[SOURCE]:.1%}, "
        f"the others {min(others):.1%} to {max(others):.1%}."
    )


def commands(out: Path) -> list[list[str]]:
    """What a user would type, in order."""
    probes, store = str(out / "probes.safetensors"), str(out / "fingerprints.db")
    scan = ["sacfast", "scan", str(out / REGISTRY), "--source", str(out / SOURCE)]
    scan += ["--probes", probes, "--null-bank", str(out / NULL_BANK)]
    return [
        ["sacfast", "probes", "build", str(out / "images"), "-o", probes],
        [*scan, "--store", store, "--out", str(out / RESULTS)],
        ["sacfast", "report", store, "-o", str(out / REPORT)],
    ]


def run_command(command: list[str]) -> None:
    """Run an installed command, its output to the terminal; an error if it failed."""
    program = shutil.which(command[0], path=sysconfig.get_path("scripts")) or command[0]
    try:
        code = subprocess.run([program, *command[1:]], check=False).returncode
    except FileNotFoundError as error:
        raise SacfastError(
            f"demo: the command `{command[0]}` must be installed, got none on the path",
            hint="pip install .",
        ) from error
    if code not in (FINISHED if command[1] == "scan" else (0,)):
        raise SacfastError(f"demo: `{shlex.join(command)}` ended with exit code {code}")


def found(out: Path) -> list[Finding]:
    """The scan's verdicts with the truth."""
    return findings(out / TRUTH, out / RESULTS)
