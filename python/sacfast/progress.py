"""A progress bar on standard error, for people; a pipe gets none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(title: str, total: int, show: bool | None) -> Iterator[Callable[[str], None]]:
    """Draws a bar while the block runs.

    Args:
        title: What is going on.
        total: Steps to take.
        show: True or False; None: where standard error is a terminal.

    Yields:
        A function to call once a step, with the name of what was finished.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda _name: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}", style="dim", markup=False),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(title, total=total, name="")
        yield lambda name: bar.update(task, advance=1, name=name[:40])
