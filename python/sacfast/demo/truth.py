"""The truth about the suspects, kept where no command looks, and laid beside the verdicts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sacfast.demo.plan import REGISTRY, Recipe

__all__ = ["Finding", "findings", "write_truth"]


@dataclass(frozen=True)
class Finding:
    """One suspect: the scan's verdict, and the truth.

    Attributes:
        suspect: Its name in the registry.
        verdict: What the scan says.
        p: Its p-value; None where it could not be compared.
        q: Its q-value; None likewise.
        stolen: Whether it really is a copy of the source.
        attack: The way it was stolen; empty for an innocent model.
        how: How it was made.
    """

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

    @property
    def right(self) -> bool:
        """Whether the scan calls it stolen just where it is."""
        return self.flagged == self.stolen


def write_truth(path: Path, recipes: list[Recipe]) -> None:
    """Write down which suspects are stolen, and how."""
    truth = {
        recipe.name.removeprefix(f"{REGISTRY}/"): {
            "stolen": recipe.theft is not None,
            "attack": "" if recipe.theft is None else recipe.theft.attack,
            "how": recipe.how,
        }
        for recipe in recipes
        if recipe.name.startswith(REGISTRY)
    }
    path.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def findings(truth: Path, results: Path) -> list[Finding]:
    """Each suspect's verdict (JSON Lines, as `sacfast scan` writes them) with the truth."""
    known = json.loads(truth.read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    return [
        Finding(row["suspect"], row["verdict"], row["p"], row["q"], **known[row["suspect"]])
        for row in rows
    ]
