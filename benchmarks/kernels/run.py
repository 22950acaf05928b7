"""`python benchmarks/kernels/run.py` or `python -m benchmarks.kernels.run`: see command.py."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    if not __package__:  # called by its path: import the package, not what lies in this folder
        sys.path[0] = str(Path(__file__).resolve().parents[2])
    from benchmarks.kernels.command import main

    main()
