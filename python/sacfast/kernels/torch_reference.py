"""The best that batched PyTorch does: the rival that the compiled kernels are raced against.

Same results within the tolerances of float32, on whatever device the tensors are on. Models are
taken in chunks that stay in the cache, through buffers that are used again: a plain bmm over the
whole batch mostly measures page faults. Production code never imports this.
"""

from __future__ import annotations

import torch

_CHUNK_BYTES = 1 << 20  # of square matrices at a time
_BLOCK_BYTES = 1 << 19  # of differences at a time


def _centred(outputs: torch.Tensor, center: str) -> torch.Tensor:
    if center == "none":
        return outputs
    rows = outputs - outputs.mean(dim=2, keepdim=True)
    return rows - rows.mean(dim=1, keepdim=True) if center == "double" else rows


def correlation(
    outputs: torch.Tensor, *, center: str = "double", out: torch.Tensor | None = None
) -> torch.Tensor:
    """(S, N, C) float32 -> (S, P) float32, cosine, by bmm and a gather of the upper triangle."""
    count, n, classes = outputs.shape
    rows, columns = torch.triu_indices(n, n, 1, device=outputs.device)
    upper = rows * n + columns
    if n * n < 1 << 31:
        upper = upper.int()  # half the bytes to read for every model
    if out is None:
        out = outputs.new_empty((count, len(upper)))
    chunk = max(1, min(count, _CHUNK_BYTES // (4 * n * n)))
    squares = outputs.new_empty((chunk, n, n))
    normalised = outputs.new_empty((chunk, n, classes))
    for start in range(0, count, chunk):
        models = _centred(outputs[start : start + chunk], center)
        size = len(models)
        length = torch.linalg.vector_norm(models, dim=2, keepdim=True).clamp_min_(1e-12)
        a = torch.div(models, length, out=normalised[:size])
        torch.bmm(a, a.transpose(1, 2), out=squares[:size])
        packed = out[start : start + size]
        if size == 1:  # over one axis the gather runs faster
            torch.index_select(squares[0].view(n * n), 0, upper, out=packed[0])
        else:
            torch.index_select(squares[:size].view(size, n * n), 1, upper, out=packed)
        packed.clamp_(-1.0, 1.0)
    return out


def pairwise_distance(
    a: torch.Tensor, b: torch.Tensor | None = None, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """(A, P), (B, P) float32 -> (A, B): mean |a - b|; half of it is computed where b is a.

    On the CPU by blocks of differences that stay in the cache: faster than cdist with p = 1.
    """
    other = a if b is None else b
    count, pairs = other.shape
    if out is None:
        out = a.new_empty((len(a), count))
    if a.device.type != "cpu":
        return torch.div(torch.cdist(a, other, p=1.0), pairs, out=out)
    out.zero_()
    segment = min(pairs, 8192)
    rows = max(1, min(count, _BLOCK_BYTES // (4 * segment)))
    buffer = a.new_empty(rows * segment)
    for start in range(0, pairs, segment):
        for first in range(0, count, rows):
            block = other[first : first + rows, start : start + segment]
            differences = buffer[: block.numel()].view(block.shape)
            sums = out[:, first : first + rows]
            for i in range(len(a) if b is not None else min(len(a), first + rows)):
                torch.sub(block, a[i, start : start + segment], out=differences)
                sums[i] += differences.abs_().sum(dim=1)
    if b is None:
        out.triu_(1)
        out += out.t().clone()
    return out.div_(pairs)


def correlation_distance(
    outputs: torch.Tensor,
    sources: torch.Tensor,
    *,
    center: str = "double",
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """(S, N, C), (V, P) float32 -> (S, V), a chunk of suspects at a time."""
    count, n, _ = outputs.shape
    chunk = max(1, min(count, 8 * _CHUNK_BYTES // (4 * n * n)))
    packed = outputs.new_empty((chunk, sources.shape[1]))
    if out is None:
        out = outputs.new_empty((count, sources.shape[0]))
    for start in range(0, count, chunk):
        models = outputs[start : start + chunk]
        correlations = correlation(models, center=center, out=packed[: len(models)])
        pairwise_distance(correlations, sources, out=out[start : start + chunk])
    return out


def fri_features(probes: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """(S, N, E), (S, R, E) float32 -> (S, N, R)."""
    x = torch.nn.functional.normalize(probes, dim=2)
    r = torch.nn.functional.normalize(references, dim=2)
    return torch.bmm(x, r.transpose(1, 2))
