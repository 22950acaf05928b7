"""The README's code runs and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SACFAST = Path(sysconfig.get_path("scripts")) / "sacfast"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def test_the_array_example_finds_the_copy():
    [example] = [block for block in blocks("python") if "default_rng" in block]
    run = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=True
    )
    score, p, q = (
        [float(x) for x in re.findall(r"[-\d.e]+", line)] for line in run.stdout.splitlines()
    )
    assert score[0] > 0.8 > 0.2 > abs(score[1])
    assert p[0] == 0.01 < p[1]
    assert q[0] == 0.02


def test_every_python_block_compiles_and_uses_public_names():
    import sacfast

    for block in blocks("python"):
        compile(block, "README.md", "exec")
        for name in re.findall(r"sacfast\.(\w+)", block):
            assert name in sacfast.__all__, name


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^\$ sacfast (\w+)", TEXT, re.M))))
def test_the_commands_of_the_readme_exist_with_their_options(command):
    line = re.search(rf"^\$ sacfast ({command}(?:.*\\\n)*.*)", TEXT, re.M)[1]
    words = [command, "build"] if command == "probes" else [command]
    shown = subprocess.run(
        [SACFAST, *words, "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in re.findall(r"(?<=\s)--?[a-z-]+", line):
        assert option in shown, option


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (ROOT / target).exists(), target
