"""How fast the kernels are on a GPU: against PyTorch there, and against what the GPU can do.

`make gpu` (benchmarks/gpu.py) builds, tests, and then runs `python -m benchmarks.cuda.command` with
the installed package. It wants the GPU for itself.

The contenders of a shape stand side by side, as in `benchmarks.kernels`: sacfast with each way of
multiplying, the authors' loop over models, batched PyTorch, cuVS where it is installed, and
sacfast's own path on the CPU. Each result is compared with the float64 oracle before it is timed;
one that is wrong or fails is shown as such and not timed, and the others run on. Then all are timed
in turn, round after round, and medians count. Two times are taken. The one that is compared lies
between two events on the GPU's stream, around a call whose inputs have been driven out of the
cache; while the cache is emptied the CPU can put the call's kernels in line, so a contender is
charged for its work on the CPU only as far as the GPU has to wait for it. "As called" is the time
on the CPU's clock from the call until the GPU has finished, with whatever the cache still holds.

`device` is all that is asked of PyTorch about the GPU, `limits` measures in the same run what it
copies and multiplies at most, `correlations`, `distances`, `fused` and `others` make the
contenders, `shapes` lists them, `race` times them, and `table` shows a run and writes docs/gpu.md.
"""

from __future__ import annotations
