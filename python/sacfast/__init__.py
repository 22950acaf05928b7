"""sacfast finds stolen copies of neural networks by sample correlation."""

from __future__ import annotations

__version__ = "0.1.0"
