"""What a verification model answers, as scores of N probes against R reference images.

Embeddings become cosines. Of a score only its rank among all N·R counts, as its rarity: minus the
logarithm of the share of pairs that score as high or higher. So no order-preserving warp changes
it, and the rare pairs that a model finds alike, which are its own, weigh most. Decisions stay what
they are, and sources and null bank are scored finely even where the suspect says only yes or no:
a strict service's yes falls on just those pairs.

Measured (benchmarks/detection/faces.py, select part, AUC / TPR at 5 % FPR): plain ranks and rarity
find equally much of scores and of decisions at equal errors, .99 / 1.0; of decisions at a false
acceptance rate of 1 %, plain ranks .76 / .00, normal scores .95 / .80, rarity .99 / .93.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ArgumentError, ShapeError
from sacfast.kernels import _check, fri_features
from sacfast.kernels._tensors import DECISIONS, FLOATS, as_numpy
from sacfast.kernels.canonical import canonical_outputs
from sacfast.kinds import VERIFICATION

#: Kinds of answers that can be brought to FRI; any two of them can be compared.
FACE_KINDS = ("embeddings", *VERIFICATION)


def fri(outputs: Any, kind: str, *, references: int) -> NDArray[np.float32]:
    """Features from reference images, of one model: its scores of N probes against R references.

    Args:
        outputs: "embeddings": floating-point (R + N, E), the references' first. "scores":
            floating-point (N, R). "decisions": 0 or 1, (N, R); ask for all pairs.
        kind: which of them.
        references: R.

    Returns:
        float32 (N, R), for `Detector(form="direct")` or `form="fri"`. Of scores, and of the
        cosines of embeddings, their rarity -log(1 - rank), where rank in (0, 1) is that over the
        whole matrix, the mean rank for equal ones; neither a service's sigmoid changes it nor a
        rotation of the embeddings. Of decisions 0.0 or 1.0. A probe without an answer is a row of
        NaN.

    Raises:
        ArgumentError: If the kind is unknown, `references` is no positive number, or a decision is
            neither 0 nor 1.
        ShapeError: If the answers are not of the shape named.
        DtypeError: If they are no array of a type that the kind has.

    Departs from the paper: rarity is ours, and so is taking decisions of a suspect against scores
    of everyone else.

    Source: SAC-JC (arXiv 2412.20768), section 4. The formula is not in the authors' released code;
    it is reconstructed from the caption of their Fig. 1, "the inputs' model-specific features from
    the reference-target pairs".
    """
    _check.choice("fri", "kind", kind, FACE_KINDS)
    references = _check.integer("fri", "references", references, 1)
    rows = as_numpy("fri", "outputs", outputs, DECISIONS if kind == "decisions" else FLOATS)
    if kind == "embeddings":
        if rows.ndim != 2 or len(rows) <= references or not rows.shape[1]:
            raise ShapeError(
                f"fri: `outputs` must be (R + N, E) with R = {references} and N, E >= 1, "
                f"got {rows.shape}"
            )
        rows = _cosines(rows[references:], rows[:references])
    elif rows.ndim != 2 or rows.shape[1] != references or not len(rows):
        raise ShapeError(
            f"fri: `outputs` must be (N, R) with R = {references} and N >= 1, got {rows.shape}"
        )
    if kind == "decisions":
        return np.asarray(canonical_outputs(rows, kind), dtype=np.float32)
    ranks = canonical_outputs(rows.astype(np.float64), "scores")
    return np.asarray(-np.log1p(-ranks), dtype=np.float32)


def _cosines(probes: NDArray[Any], references: NDArray[Any]) -> NDArray[np.float32]:
    """(N, R); a reference image without an answer leaves none for any probe."""
    if not np.isfinite(references).all():
        raise ArgumentError("fri: `outputs` must be finite on the reference images, got NaN or Inf")
    answered = np.isfinite(probes).all(axis=1)
    scores = np.asarray(fri_features(np.where(answered[:, None], probes, 0), references))
    scores[~answered] = np.nan
    return scores
