"""Formatting, lint and types of the whole tree, so that main can't drift."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
PYTHON = ("python", "tests", "benchmarks")
CPP = sorted(
    path
    for folder in ("csrc", "tests/hostsim")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".h", ".cpp", ".cu", ".cuh")
)


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", *PYTHON],
        ["ruff", "format", "--check", *PYTHON],
        ["mypy"],
        ["clang-format", "--dry-run", "--Werror", *map(str, CPP)],
    ],
    ids=["ruff check", "ruff format", "mypy --strict", "clang-format"],
)
def test_the_tree_is_clean(command):
    tool, *arguments = command
    run = subprocess.run(
        [SCRIPTS / tool, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
