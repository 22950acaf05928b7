"""Makes the models that the plan names, in a few processes, and picks up where a run stopped.

`demo.json` says which demo a folder holds and which of its models are complete, with the accuracy
of each on images that nobody trained on. Every model has its own seed and its own single thread,
so how many processes share the work changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from sacfast.demo.plan import SOURCE, Recipe
from sacfast.errors import ArgumentError
from sacfast.files import write_whole

__all__ = ["Diary", "make_models"]

VERSION = 1  # of the recipes: models that another version made are not used
PROCESSES = 4  # at most; each takes about half a GB


class Diary:
    """What a demo's folder holds: its seed, and the models that are complete.

    Args:
        out: The demo's folder; made where it is missing.
        seed: The demo's seed.

    Raises:
        ArgumentError: The folder holds something else.
    """

    def __init__(self, out: Path, seed: int) -> None:
        self._path = out / "demo.json"
        self.accuracy: dict[str, float] = {}
        if self._path.is_file():
            held = json.loads(self._path.read_text(encoding="utf-8"))
            if held.get("recipes") != VERSION:
                raise ArgumentError(
                    f"demo: `out` must be new, got {out}, which another version of sacfast made",
                    hint=f"sacfast demo --seed {seed} --out ANOTHER",
                )
            if held.get("seed") != seed:
                raise ArgumentError(
                    f"demo: `out` must be new or hold the demo of seed {seed}, got {out}, which "
                    f"holds the demo of seed {held.get('seed')}",
                    hint=f"sacfast demo --seed {seed} --out ANOTHER",
                )
            self.accuracy = held["accuracy"]
        elif out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ArgumentError(
                f"demo: `out` must be new or an empty folder, got {out}",
                hint=f"sacfast demo --seed {seed} --out ANOTHER",
            )
        self._key = {"recipes": VERSION, "seed": seed}
        out.mkdir(parents=True, exist_ok=True)
        self._write()

    def missing(self, recipes: list[Recipe]) -> list[Recipe]:
        """The recipes whose models are not complete."""
        folder = self._path.parent
        return [r for r in recipes if r.name not in self.accuracy or not (folder / r.name).is_dir()]

    def note(self, name: str, accuracy: float) -> None:
        """Write down that a model is complete."""
        self.accuracy[name] = accuracy
        self._write()

    def _write(self) -> None:
        content: dict[str, Any] = {**self._key, "accuracy": dict(sorted(self.accuracy.items()))}
        write_whole(self._path, (json.dumps(content, indent=1) + "\n").encode())


def make_models(out: Path, seed: int, recipes: list[Recipe], diary: Diary) -> Iterator[str]:
    """Make models, the source first; gives each name when its model is complete."""
    if not recipes:
        return
    first = [recipe for recipe in recipes if recipe.name == SOURCE]
    rest = [recipe for recipe in recipes if recipe.name != SOURCE]
    with _processes(min(PROCESSES, len(os.sched_getaffinity(0)))) as pool:
        for batch in (first, rest):
            running = {pool.submit(_make, out, seed, recipe): recipe.name for recipe in batch}
            for done in as_completed(running):
                diary.note(running[done], done.result())
                yield running[done]


@contextmanager
def _processes(count: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=_settle_in)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _settle_in() -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C: end at once, without a traceback
    Thread(target=_outlive_nobody, daemon=True).start()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def _outlive_nobody() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(out: Path, seed: int, recipe: Recipe) -> float:
    import torch

    from sacfast.demo.digits import load_digits
    from sacfast.demo.networks import SOURCE_ARCHITECTURE, accuracy, inputs, load, save

    digits = load_digits(seed)
    pixels, labels = digits.of(recipe.share)
    source = partial(load, SOURCE_ARCHITECTURE, out / SOURCE)
    network = recipe.make(inputs(pixels), torch.from_numpy(labels), source)
    folder = out / recipe.name
    if folder.exists():
        shutil.rmtree(folder)
    save(network, recipe.architecture, folder)
    return accuracy(network, *digits.of("probes"))
