"""Where models come from: a registry lists what there is to look at and opens none of it."""

from __future__ import annotations

from sacfast.registry.directory import Entry, list_models

__all__ = ["Entry", "list_models"]
