"""What an evaluation found: facts and measures as plain data, and the files they are written to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sacfast.errors import ArgumentError
from sacfast.evaluation.comparisons import Comparisons
from sacfast.files import write_whole

PathArgument = str | os.PathLike[str]


class Evaluation:
    """What was measured.

    Attributes:
        facts: What was evaluated and how.
        results: One entry a probe set and method; docs/evaluation.md names every key.
        comparisons: The scores behind the results, in the same order.
    """

    def __init__(
        self,
        facts: dict[str, Any],
        results: list[dict[str, Any]],
        comparisons: list[Comparisons],
    ) -> None:
        self.facts = facts
        self.results = results
        self.comparisons = comparisons

    def result(self, method: str, probes: str | None = None) -> dict[str, Any]:
        """The measures of one method.

        Args:
            method: One of the methods evaluated.
            probes: The probe set's name; None for the last, which is all of them together.

        Raises:
            ArgumentError: If there is no such result.
        """
        found = [r for r in self.results if r["method"] == method and probes in (None, r["probes"])]
        if not found:
            known = ", ".join(f"{r['method']} on {r['probes']}" for r in self.results)
            raise ArgumentError(
                f"Evaluation.result: `method` and `probes` must be of {known}; got {method} on "
                f"{probes}"
            )
        return found[-1]

    def save(self, path: PathArgument) -> Path:
        """Writes facts and results as JSON, whole or not at all.

        Raises:
            ArgumentError: If the file can't be written.
        """
        target = Path(path)
        content = {"facts": self.facts, "results": self.results}
        data = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        try:
            write_whole(target, data.encode("utf-8"))
        except OSError as error:
            raise ArgumentError(f"Evaluation.save: `path` can't be written: {error}") from error
        return target

    def save_page(self, path: PathArgument) -> Path:
        """Writes one self-contained HTML page with tables and figures.

        Raises:
            ArgumentError: If the file can't be written.
        """
        from sacfast.evaluation.page import write_page

        return write_page(self, Path(path))

    def __repr__(self) -> str:
        found = (
            f"{r['method']} on {r['probes']}: AUC {r['pooled']['auc']:.3f}"
            for r in self.results
            if r["pooled"]["attacks"]
        )
        return f"<Evaluation {'; '.join(found)}>"
