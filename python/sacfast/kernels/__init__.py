"""Array in, array out: the functions that do the arithmetic.

Each public function checks its arguments, allocates its result, makes one call into the compiled
module and returns. It runs where its arguments are: NumPy arrays and CPU tensors on the CPU, CUDA
tensors (and any other library's arrays on a GPU, through DLPack) on their GPU, in place, on the
current stream, the result a CUDA tensor that nobody has waited for. Nothing is moved between the
two; a model's outputs go from the GPU that made them straight to distances:

    with torch.inference_mode():
        outputs = torch.stack([model(probes) for model in suspects])    # (S, N, C) on cuda:0
    distance = correlation_distance(outputs, correlation(source(probes)[None]))
    print(distance.cpu())                                               # waits, here only

`correlation` turns a model's outputs into its similarity structure, `distance` compares structures,
`compact` finds those that lie close together, `labels` does all that for labels, `fri` makes
outputs out of face embeddings, `canonical` brings whatever a model answers into the form that the
correlation takes, and `linear` and `products` serve the detector. `_gpu` starts the kernels of a
GPU, `_device` is all that they ask of PyTorch, and `_rbf` is what PyTorch computes there by itself.

`reference` says in plain NumPy what each of them computes; `torch_reference` is the best that
batched PyTorch does. Neither is used by the package itself: the first judges, the second races.
"""

from __future__ import annotations

from sacfast.kernels._native import build_info
from sacfast.kernels.canonical import access_mode, canonical_outputs
from sacfast.kernels.compact import compact, pairs_within
from sacfast.kernels.correlation import correlation, unpack
from sacfast.kernels.distance import correlation_distance, pairwise_distance, paper_scale
from sacfast.kernels.fri import fri_features
from sacfast.kernels.labels import label_correlation, label_distance

__all__ = [
    "access_mode",
    "build_info",
    "canonical_outputs",
    "compact",
    "correlation",
    "correlation_distance",
    "fri_features",
    "label_correlation",
    "label_distance",
    "pairs_within",
    "pairwise_distance",
    "paper_scale",
    "unpack",
]
