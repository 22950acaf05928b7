"""What the compiler made of the CUDA kernels, and what they should reach: no GPU is needed.

`benchmarks/sass_report.py` reads the machine code of a built `_cuda` module. `tools` finds NVIDIA's
`cuobjdump` and the module, `machine_code` reads what the tool prints, `occupancy` says how many
blocks of a kernel a multiprocessor holds. `gpus` has the published rates of three GPUs, `work`
counts the bytes and operations of every launch as the launchers make them, and `predicted` turns
both into the time that each shape of the benchmarks should take. `table` writes it all into
docs/cuda.md.
"""

from __future__ import annotations
