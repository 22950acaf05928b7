"""The machinery of the mutation test; the test itself is a command that takes minutes."""

from __future__ import annotations

import re

import pytest

from tests.hostsim import build, mutate
from tests.hostsim.drive import CASES, objection
from tests.hostsim.simulator import load

SAMPLE = """\
inline bool within(int i, int n) { return i < n; }
__device__ void wait_for_copies() { __pipeline_wait_prior(k); }
// __syncthreads() in a comment, within(1, 2)
void kernel() {
    if (!within(a(1), b[2]) || within(i,
                                      n)) continue;
    __syncthreads();
    synchronise_slot<kTile>();
    wait_for_copies<0>();
    commit_copies();
}
"""


def test_every_place_is_found_and_taken_away(tmp_path):
    path = tmp_path / "sample.cu"
    path.write_text(SAMPLE)
    found = {(m.line, m.kind): m for m in mutate.mutants(path)}
    assert sorted(m.line for m in mutate.mutants(path)) == [2, 5, 5, 7, 8, 9, 10]
    lines = found[7, "barrier"].text.splitlines()
    assert lines[6] == "    ;"
    assert found[2, "wait"].text.splitlines()[1] == "__device__ void wait_for_copies() { ; }"
    guards = [m.text for m in mutate.mutants(path) if m.kind == "guard"]
    assert "if (!true || within(i," in guards[0]
    assert "if (!within(a(1), b[2]) || true" in guards[1]
    for mutant in mutate.mutants(path):
        assert mutant.text.count("\n") == SAMPLE.count("\n")
        assert "in a comment" in mutant.text


def test_nothing_in_the_kernels_is_overlooked():
    """Counted by words: barriers, waits, commits and guards, less their own definitions."""
    for path in sorted([*mutate.CUDA.glob("*.cu"), *mutate.CUDA.glob("*.cuh")]):
        code = mutate.without_comments(path.read_text(encoding="utf-8"))
        words = re.findall(
            r"\b(?:__sync\w+|synchronise_\w+|within|wait_for_\w+|commit_copies|__pipeline_(?!mem)\w+"
            r"|bar_?sync|__barrier\w*)\b",
            code,
        )
        defined = re.findall(
            r"\b(?:void|bool) (?:synchronise_\w+|within|wait_for_\w+|commit_copies)\b", code
        )
        assert len(list(mutate.mutants(path))) == len(words) - len(defined), path.name


@pytest.mark.parametrize("function", CASES)
def test_the_kernels_as_they_are_are_not_objected_to(function):
    assert objection(load("check"), [function]) is None


def test_a_mutant_is_objected_to():
    path = mutate.CUDA / "fri_features.cu"
    mutant = next(m for m in mutate.mutants(path) if m.kind == "guard")
    found = mutate.verdict(build.Tree(), mutant)
    assert found is not None
    assert "fri_features" in found


def test_a_change_reaches_the_kernels_that_include_it():
    tree = build.Tree()
    assert mutate.dependents(tree, mutate.CUDA / "fri_features.cu") == ["cuda/fri_features.cu"]
    reached = mutate.dependents(tree, mutate.CUDA / "gram.cuh")
    assert {"cuda/correlation.cu", "cuda/fri_features.cu"} <= set(reached)


def test_what_is_explained_is_there_and_says_why():
    for entry in mutate.explained():
        lines = (mutate.CUDA / entry.file).read_text(encoding="utf-8").splitlines()
        assert entry.text in [line.strip() for line in lines], entry
        assert len(entry.reason) > 20, entry
