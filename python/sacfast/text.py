"""Text from strangers, made safe to show: names of models, reasons, facts."""

from __future__ import annotations


def visible(text: str) -> str:
    """The text with control characters, line breaks and direction marks written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str, limit: int) -> str:
    """The text without line breaks, visible, and cut to `limit` characters."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
