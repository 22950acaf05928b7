"""The scores figure's data: the null bank against each source, and what "stolen" took.

A facet is one source in one access mode: scores of suspects that answer with labels are comparable
with the null bank passed through labels, not with its logits. The suspects' own points are not
repeated here, the page has them in its table; a script picks the rows of a facet by source and
access mode.
"""

from __future__ import annotations

from typing import Any

from ..store import ScanRecord
from .summary import number, visible


def facets(scan: ScanRecord) -> list[dict[str, Any]]:
    """One entry a source and access mode: the bank's scores and the threshold.

    Scores of suspects whose source and access mode have no null bank get a facet without one, so
    that no number of the table is missing from the figure.
    """
    shown = [
        {
            "source": visible(null.source),
            "kind": visible(null.outputs_kind) or None,
            "threshold": number(null.threshold),
            "null": [x for x in map(number, null.scores) if x is not None],
        }
        for null in scan.nulls
    ]
    known = {(facet["source"], facet["kind"]) for facet in shown}
    kinds = {model.name: model.outputs_kind for model in scan.role("suspect")}
    for pair in scan.pairs:
        facet = (visible(pair.source), visible(kinds.get(pair.suspect, "")) or None)
        if facet not in known and number(pair.score) is not None:
            known.add(facet)
            shown.append({"source": facet[0], "kind": facet[1], "threshold": None, "null": []})
    return shown
