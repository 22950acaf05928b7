"""Takes every barrier, wait, commit and bounds guard away in turn: the simulator must object.

    python tests/hostsim/mutate.py                      # all of csrc/cuda; at most 10 minutes
    python tests/hostsim/mutate.py --only gram.cuh

A mutant is one of `__syncthreads()`, `__syncwarp()`, a call that synchronises, a wait or a commit
left out, or one `within(…)` that says true. It is compiled in check mode and driven (drive.py)
until something is objected to: a finding, a wrong number, a deadlock, a crash, too long a time.
What survives must be listed in unjudged.toml with the reason, and what is listed must survive.

Prints a table; exits 1 on a survivor that nobody explains, or an explanation of none.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from tests.hostsim import build
from tests.hostsim.convert import matching, without_comments
from tests.hostsim.drive import OBJECTED

HERE = Path(__file__).resolve().parent
CUDA = build.CSRC / "cuda"
TIME_LIMIT = 60.0  # seconds for a drive; one without an objection takes a tenth of it

#: What drives a kernel's file. Others are driven by all functions.
DRIVEN_BY = {
    "correlation.cu": ["correlation"],
    "model_table.cu": ["correlation"],
    "unit_rows.cu": ["correlation", "correlation_products"],
    "fri_features.cu": ["fri_features"],
    "pairwise_distance.cu": ["pairwise_distance"],
    "fixed_tiles.cu": ["correlation_distance", "correlation_products"],
    "correlation_sums.cu": ["correlation_distance", "correlation_products"],
    "correlation_distance.cu": ["correlation_distance"],
    "correlation_products.cu": ["correlation_products"],
    "class_panels.cu": ["correlation_products"],
    "class_products.cu": ["correlation_products"],
    "numbers.cu": ["correlation_products"],
    "tile_sums.cu": ["correlation_distance", "correlation_products"],
    "tile_totals.cu": ["correlation_distance", "correlation_products"],
}
FUNCTIONS = [  # the cheapest first
    "fri_features",
    "correlation",
    "correlation_distance",
    "pairwise_distance",
    "correlation_products",
]

#: What is taken away, up to the bracket that opens, and what stands there instead.
TAKEN = {
    "barrier": (
        re.compile(r"\b(?:__syncthreads|__syncwarp|synchronise_\w+(?:<\w+>)?)\s*(?=\()"),
        "",
    ),
    "wait": (
        re.compile(r"\b(?:__pipeline_wait_prior|wait_for_copies\s*<[^<>;]*>)\s*(?=\()"),
        "",
    ),
    "commit": (re.compile(r"\b(?:__pipeline_commit|commit_copies)\s*(?=\()"), ""),
    "guard": (re.compile(r"\bwithin\s*(?=\()"), "true"),
}


@dataclass(frozen=True)
class Mutant:
    """One place, and the file's text without it."""

    path: Path
    line: int
    kind: str
    source: str  # the line as it stands
    text: str

    @property
    def name(self) -> str:
        return f"{self.path.name}:{self.line}"


@dataclass(frozen=True)
class Unjudged:
    """An entry of unjudged.toml."""

    file: str
    text: str
    reason: str


def mutants(path: Path) -> Iterator[Mutant]:
    text = path.read_text(encoding="utf-8")
    code = without_comments(text)
    for kind, (pattern, instead) in TAKEN.items():
        for match in pattern.finditer(code):
            end = matching(code, match.end()) + 1
            before = code[: match.start()].rstrip()
            if re.search(r"\b(?:void|bool)$", before):  # a definition
                continue
            line = code.count("\n", 0, match.start()) + 1
            whole = code[match.start() : end]
            blank = "\n" * whole.count("\n")
            yield Mutant(
                path,
                line,
                kind,
                text.splitlines()[line - 1].strip(),
                f"{text[: match.start()]}{instead}{blank}{text[end:]}",
            )


def dependents(tree: build.Tree, path: Path) -> list[str]:
    """The kernels' files that a change of `path` changes, the cheapest to drive first."""
    name = str(path.relative_to(build.CSRC))
    found = [kernel for kernel in tree.kernels() if name in tree.closure(kernel)]
    return sorted(found, key=lambda kernel: sum(map(FUNCTIONS.index, driven_by(kernel))))


def driven_by(kernel: str) -> list[str]:
    return DRIVEN_BY.get(Path(kernel).name, FUNCTIONS)


def drive(module: Path, functions: list[str]) -> str | None:
    """What is objected to, or None."""
    command = [sys.executable, str(HERE / "drive.py"), str(module), *functions]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return "it takes too long"
    if run.returncode == 0:
        return None
    if run.returncode == OBJECTED:
        return run.stdout.strip()
    if run.returncode < 0:
        return f"it dies of signal {-run.returncode}"
    raise RuntimeError(f"drive.py itself fails: {run.stderr}")


def verdict(tree: build.Tree, mutant: Mutant) -> str | None:
    """The first objection to a mutant by any of the kernels that it changes."""
    for kernel in dependents(tree, mutant.path):
        with tempfile.TemporaryDirectory() as scratch:
            changed = tree.changed(mutant.path, mutant.text, Path(scratch))
            module = build.changed_module(tree, changed, kernel, "check")
            if found := drive(module, driven_by(kernel)):
                return found
    return None


def explained() -> list[Unjudged]:
    """unjudged.toml, in the little of TOML that it needs (Python 3.10 has no reader)."""
    text = (HERE / "unjudged.toml").read_text(encoding="utf-8")
    entries = []
    for block in text.split("[[unjudged]]")[1:]:
        fields = dict(re.findall(r"^(\w+) = '(.*)'$", block, re.M))
        entries.append(Unjudged(fields["file"], fields["text"], fields["reason"]))
    return entries


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2, help="compiled and driven side by side [2]")
    parser.add_argument("--only", default="", help="a file of csrc/cuda")
    arguments = parser.parse_args()
    begun = time.perf_counter()

    tree = build.Tree()
    found = [
        mutant
        for path in sorted([*CUDA.glob("*.cu"), *CUDA.glob("*.cuh")])
        if not arguments.only or path.name == arguments.only
        for mutant in mutants(path)
    ]
    kernels = {kernel for mutant in found for kernel in dependents(tree, mutant.path)}
    functions = {name for kernel in kernels for name in driven_by(kernel)}
    untouched = drive(build.module("check"), sorted(functions))
    if untouched is not None:
        print(f"objected to as it is: {untouched}")
        return 1
    known = explained()
    unused = {entry for entry in known if not arguments.only or entry.file == arguments.only}
    bad = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        verdicts = pool.map(lambda mutant: verdict(tree, mutant), found)
        for mutant, objection in zip(found, verdicts, strict=True):
            entry = next(
                (e for e in known if (e.file, e.text) == (mutant.path.name, mutant.source)), None
            )
            if objection is not None:
                state = f"objected: {objection}"
            elif entry is not None:
                unused.discard(entry)
                state = f"unjudged: {entry.reason}"
            else:
                bad += 1
                state = "SURVIVES"
            print(
                f"{mutant.name:26} {mutant.kind:8} {mutant.source[:50]:50} {state[:120]}",
                flush=True,
            )
    for entry in unused:
        bad += 1
        print(f"unjudged.toml: judged after all, or gone: {entry.file}: {entry.text}")
    print(f"{len(found)} mutants, {bad} unaccounted for, {time.perf_counter() - begun:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
