"""FRI: features from reference images, for face verification without labels.

docs/method.md, "FRI for face verification". A verification service answers for a pair of images;
the scores of a probe against R reference images take the place of a classifier's outputs.
"""

from __future__ import annotations

from typing import Any

from sacfast.errors import ShapeError
from sacfast.kernels import _check, _gpu
from sacfast.kernels._native import core, threads
from sacfast.kernels._places import one_device
from sacfast.kernels._results import result
from sacfast.kernels._tensors import array


def fri_features(
    probe_embeddings: Any,
    reference_embeddings: Any,
    *,
    backend: str = "auto",
    precision: str = "float32",
) -> Any:
    """Cosine scores of every probe against every reference image.

    Args:
        probe_embeddings: (S, N, E), or one model's (N, E); float16, bfloat16, float32 or float64,
            any strides.
        reference_embeddings: (S, R, E) or (R, E), of the same models.
        backend: see `correlation`.
        precision: see `correlation`.

    Returns:
        float32 (S, N, R) or (N, R), in [-1, 1]; 0 for a zero embedding. A torch tensor where one
        came in, and always on a GPU; see `correlation`.

    Raises:
        ShapeError: If the two are not embeddings of equal size of the same models.
        DtypeError: If one is no floating-point array.
        ArgumentError: If no backend or precision has this name.
        BackendError: If data is where `backend` does not run, or in several places.
        DeviceMemoryError: If a GPU has too little memory left.

    Source: SAC-JC (arXiv 2412.20768), section 4. The formula is not in the authors' released code;
    it is reconstructed from the caption of their Fig. 1, "the inputs' model-specific features from
    the reference-target pairs".
    """
    name = "fri_features"
    backend = _check.backend(name, backend)
    probes = array(name, "probe_embeddings", probe_embeddings, backend=backend)
    references = array(name, "reference_embeddings", reference_embeddings, backend=backend)
    if len(probes.shape) not in (2, 3) or 0 in probes.shape[-2:]:
        raise ShapeError(
            "fri_features: `probe_embeddings` must be (S, N, E) or (N, E) with N, E >= 1, "
            f"got {probes.shape}"
        )
    wanted = (*probes.shape[:-2], "R", probes.shape[-1])
    if (
        len(references.shape) != len(probes.shape)
        or references.shape[:-2] != probes.shape[:-2]
        or references.shape[-1] != probes.shape[-1]
        or references.shape[-2] == 0
    ):
        shown = ", ".join(map(str, wanted))
        raise ShapeError(
            f"fri_features: `reference_embeddings` must be ({shown}) with R >= 1, "
            f"got {references.shape}"
        )
    shape = (*probes.shape[:-1], references.shape[-2])
    precision = _check.precision(name, precision, one_device(name, (probes, references)))
    scores, given = result(name, shape, (probes, references))
    if 0 in shape:
        return scores
    if given.device is None:
        core().fri_features(probes.ref, references.ref, threads(), given.ref)
    else:
        _gpu.fri_features(name, probes, references, precision, given.device, given)
    return scores
