"""How fast the kernels are: against whatever else computes the same, and against the machine.

`python benchmarks/kernels/run.py` races sacfast with its rivals on the shapes of `shapes`: the
authors' way of doing it, a Python loop over models; the best that batched PyTorch does; and the
libraries that compute the same distances. Rivals are an optional extra (`pip install '.[rivals]'`);
one that isn't installed is said to be missing.

Every contender's result is compared with the float64 oracle before it is timed. All contenders of a
shape are then timed in turn, round after round, in one process, and the median counts: what else
happens on the machine hits all alike. A contender that would take too long works on a part of the
rows, and its time is scaled; the table says so. Inputs and buffers are made beforehand, and results
go to memory that is used again wherever a library allows it, sacfast included.

`limits` measures in the same run what the processor can do at most; `correlations`, `distances`,
`within`, `fused`, `scores` and `others` build the contenders of the loops and count each shape's
work, `shapes` lists them all, `race` times them, `summary` makes ratios and shares of the limit,
`table` shows them, and `figures` writes the plot and the tables of the documents from the JSON.
"""

from __future__ import annotations
