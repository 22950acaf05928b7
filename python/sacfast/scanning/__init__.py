"""Scans: who is compared, how models are run, and what is made of their answers.

The public function is `sacfast.scan`; this room bears another name because a module and a function
can't share one. scan.py reads from top to bottom as the whole procedure.
"""

from __future__ import annotations
