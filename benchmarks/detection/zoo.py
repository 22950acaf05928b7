"""Makes the zoo: `python -m benchmarks.detection.zoo --data DATA --work WORK [--jobs 2]`.

Each network is a file in WORK/weights that appears when it is finished; what is there is not made
again, so an interrupted run goes on where it stopped. Several runs may work on one folder: a
network being made is locked by its maker, and the lock dies with the maker.
"""

from __future__ import annotations

import argparse
import fcntl
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.detection.making import Workshop, make
from benchmarks.detection.plan import Recipe, plan


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether this process has the lock; it goes with the process, however that ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def work_off(recipes: list[Recipe], data: Path, work: Path) -> None:
    """Makes what is missing, in order, leaving out what another process is at."""
    torch.set_num_threads(1)
    shop = Workshop(data, work)
    locks = work / "locks"
    locks.mkdir(exist_ok=True)
    left = list(recipes)
    while left := [r for r in left if not shop.path(r.name).exists()]:
        for recipe in left:
            ready = all(shop.path(parent).exists() for parent in recipe.parents)
            if not ready or shop.path(recipe.name).exists():
                continue
            with claimed(locks / recipe.name) as mine:
                if mine and not shop.path(recipe.name).exists():
                    start = time.perf_counter()
                    shop.save(recipe.name, make(recipe, shop))
                    print(f"{recipe.name}: {time.perf_counter() - start:.0f} s", flush=True)
                    break
        else:
            time.sleep(2)  # the rest waits for what others are making


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="holds cifar10/ (or torchvision's copy of it) and, if you have them, models/",
    )
    parser.add_argument("--work", type=Path, required=True, help="for weights and images")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another zoo")
    parser.add_argument("--part", help="only select, calibrate or test")
    chosen = parser.parse_args()
    recipes = [r for r in plan(chosen.seed) if chosen.part in (None, r.part)]
    Workshop(chosen.data, chosen.work)  # decodes the images once, before several processes want to
    context = multiprocessing.get_context("spawn")
    jobs = [
        context.Process(target=work_off, args=(recipes, chosen.data, chosen.work))
        for _ in range(chosen.jobs)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()


if __name__ == "__main__":
    main()
