"""What running a model may cost; light, so that the command can name the defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of the worker processes that run models.

    Attributes:
        workers: Worker processes; None: one a core.
        timeout: Wall seconds that one model may take.
        memory: Bytes that one model may use beyond what the framework takes.
    """

    workers: int | None = None
    timeout: float = 300.0
    memory: int = 8 << 30


DEFAULT_LIMITS = Limits()
