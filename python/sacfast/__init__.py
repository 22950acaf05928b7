"""sacfast finds stolen copies of neural networks in a registry, by sample correlation.

An owner has a model; somewhere in a registry sit copies of it: fine-tuned, pruned, distilled
through its API. sacfast puts the same JPEG-compressed probe images to every model, compares how
each model relates the probes to one another beyond what independent models share, and says which
are stolen, with error control.

    build_probes, select_probes, ProbeSet           the images that every model is shown
    scan, compare, Scan, Store                      from a registry to verdicts
    face_probes, fri                                face verification: probes and references
    Detector, Scores, benjamini_hochberg            from outputs to verdicts
    correlation, correlation_distance, ...          from arrays to arrays
    evaluate, Evaluation                            from verdicts and the truth to measures

Names are loaded when they are first used: `import sacfast` itself brings in next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sacfast.detector import Detector, Scores
    from sacfast.errors import SacfastError
    from sacfast.evaluation import Evaluation, evaluate
    from sacfast.faces import face_probes, fri
    from sacfast.fingerprint import Fingerprint, FingerprintKey
    from sacfast.kernels import build_info
    from sacfast.kernels.canonical import access_mode, canonical_outputs
    from sacfast.kernels.compact import compact, pairs_within
    from sacfast.kernels.correlation import correlation, unpack
    from sacfast.kernels.distance import correlation_distance, pairwise_distance, paper_scale
    from sacfast.kernels.fri import fri_features
    from sacfast.kernels.labels import label_correlation, label_distance
    from sacfast.probes import ProbeSet, build_probes, export_probes
    from sacfast.registry import list_models
    from sacfast.report import write_report
    from sacfast.scanning.compare import Comparison, compare
    from sacfast.scanning.results import Scan
    from sacfast.scanning.scan import scan
    from sacfast.selection import select_probes
    from sacfast.statistics import Reach, benjamini_hochberg
    from sacfast.store import Store

__version__ = "0.1.0"

_HOME = {
    "Comparison": "scanning.compare",
    "Detector": "detector",
    "Evaluation": "evaluation",
    "Fingerprint": "fingerprint",
    "FingerprintKey": "fingerprint",
    "ProbeSet": "probes",
    "Reach": "statistics",
    "SacfastError": "errors",
    "Scan": "scanning.results",
    "Scores": "detector",
    "Store": "store",
    "access_mode": "kernels.canonical",
    "benjamini_hochberg": "statistics",
    "build_info": "kernels",
    "build_probes": "probes",
    "canonical_outputs": "kernels.canonical",
    "compact": "kernels",
    "compare": "scanning.compare",
    "correlation": "kernels",
    "correlation_distance": "kernels",
    "evaluate": "evaluation",
    "export_probes": "probes",
    "face_probes": "faces",
    "fri": "faces",
    "fri_features": "kernels",
    "label_correlation": "kernels",
    "label_distance": "kernels",
    "list_models": "registry",
    "pairs_within": "kernels",
    "pairwise_distance": "kernels",
    "paper_scale": "kernels",
    "scan": "scanning.scan",
    "select_probes": "selection",
    "unpack": "kernels",
    "write_report": "report",
}

# Written out, for type checkers read it; a test keeps it equal to the names above.
__all__ = [
    "Comparison",
    "Detector",
    "Evaluation",
    "Fingerprint",
    "FingerprintKey",
    "ProbeSet",
    "Reach",
    "SacfastError",
    "Scan",
    "Scores",
    "Store",
    "__version__",
    "access_mode",
    "benjamini_hochberg",
    "build_info",
    "build_probes",
    "canonical_outputs",
    "compact",
    "compare",
    "correlation",
    "correlation_distance",
    "evaluate",
    "export_probes",
    "face_probes",
    "fri",
    "fri_features",
    "label_correlation",
    "label_distance",
    "list_models",
    "pairs_within",
    "pairwise_distance",
    "paper_scale",
    "scan",
    "select_probes",
    "unpack",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sacfast' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
