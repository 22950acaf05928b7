"""The scores figure's data: the null bank against each source, and what "stolen" took.

A facet is one source in one access mode: scores of suspects that answer with labels are comparable
with the null bank passed through labels, not with its logits. A facet names its suspects by their
rows in the verdict table, so that no number travels twice. The page opens on the first facet, which
holds the first comparison of the table, the most pressing one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sacfast.report.summary import Row, number
from sacfast.store import VERDICTS, ScanRecord
from sacfast.text import visible


def facets(scan: ScanRecord, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One entry a source and access mode: the bank's scores, the threshold, the suspects' rows.

    The facet with the most pressing verdict comes first, of equal ones that with the most suspects
    under it; one without suspects comes last.

    Scores whose source and access mode have no null bank get a facet without one, so that no number
    of the table is missing from the figure.

    Args:
        scan: The scan.
        rows: The verdict table, as `verdict_rows` gives it.
    """
    shown = {
        (null.source, null.mode): _facet(
            null.source, null.mode, number(null.threshold), null.scores
        )
        for null in scan.nulls
    }
    for i, row in enumerate(rows):
        if row.model is not None and number(row.pair.score) is not None:
            key = (row.pair.source, row.pair.mode)
            shown.setdefault(key, _facet(*key, None, ()))["rows"].append(i)

    def pressing(facet: dict[str, Any]) -> tuple[int, int]:
        verdicts = [VERDICTS.index(rows[i].pair.verdict) for i in facet["rows"]]
        worst = min(verdicts, default=len(VERDICTS))
        return worst, -verdicts.count(worst)

    return sorted(shown.values(), key=pressing)


def _facet(
    source: str, mode: str, threshold: float | None, null: Sequence[float]
) -> dict[str, Any]:
    return {
        "source": visible(source),
        "mode": visible(mode),
        "threshold": threshold,
        "null": [x for x in map(number, null) if x is not None],
        "rows": [],
    }
