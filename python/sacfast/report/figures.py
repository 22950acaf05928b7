"""The scores figure's data: the null bank against each source, and what "stolen" took.

A facet is one source in one access mode: scores of suspects that answer with labels are comparable
with the null bank passed through labels, not with its logits. A facet names its suspects by their
rows in the verdict table, so that no number travels twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sacfast.report.summary import Row, number, visible
from sacfast.store import ModelRecord, NullRecord, ScanRecord


def facets(scan: ScanRecord, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One entry a source and access mode: the bank's scores, the threshold, the suspects' rows.

    Scores whose source and access mode have no null bank get a facet without one, so that no number
    of the table is missing from the figure.

    Args:
        scan: The scan.
        rows: The verdict table, as `verdict_rows` gives it.
    """
    shown = {
        (null.source, null.outputs_kind): _facet(
            null.source, null.outputs_kind, number(null.threshold), null.scores
        )
        for null in scan.nulls
    }
    for i, row in enumerate(rows):
        if row.model is not None and number(row.pair.score) is not None:
            key = (row.pair.source, _mode(row.model, scan.nulls, row.pair.source))
            shown.setdefault(key, _facet(*key, None, ()))["rows"].append(i)
    return list(shown.values())


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


def _mode(model: ModelRecord, nulls: Sequence[NullRecord], source: str) -> str:
    """The access mode in which a suspect was compared: its own, unless the source was coarser, as
    it was where the bank was scored against that source in one other mode only."""
    modes = [null.outputs_kind for null in nulls if null.source == source]
    own = model.outputs_kind
    if own == "topk" and model.k is not None:
        own = f"top-{model.k}"
    elif model.digits is not None:
        own = f"{own} to {model.digits} decimals"
    return modes[0] if len(modes) == 1 else own
