"""One process of the benchmark: asked for one run at a time, it says how long that took.

It reads a line of JSON, {"contestant": number, "side": [H, W], "count": N}, and answers with one,
{"seconds", "digest"}; a contestant that can't run here answers {"missing": why}. The first answer,
to nothing, holds the versions. `run` has set its cores before it started.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import warnings
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np
import PIL
from PIL import features

from benchmarks.probes.contestants import CONTESTANTS, Run, photos

CORES = len(os.sched_getaffinity(0))
PACKAGES = ("numpy", "scipy", "torch", "torchvision", "nvidia-dali-cuda130", "opencv-python",
            "imagecorruptions-imaug")  # fmt: skip


def versions() -> dict[str, str]:
    """What this process runs with."""
    found = {"PIL": PIL.__version__, "libjpeg-turbo": str(features.version("libjpeg_turbo"))}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def images(height: int, width: int, count: int) -> np.ndarray:
    """The same pictures for every contestant of this process."""
    return photos((height, width), count)


@cache
def prepared(number: int, height: int, width: int, count: int) -> Run:
    """A contestant with its images, warmed up."""
    run = CONTESTANTS[number].prepare(images(height, width, count), CORES)
    run()
    return run


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """One run, timed."""
    try:
        run = prepared(question["contestant"], *question["side"], question["count"])
    except ImportError as error:
        return {"missing": str(error)}
    start = time.perf_counter()
    made = run()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "digest": hashlib.sha256(made.tobytes()).hexdigest()}


def main() -> None:
    """Answers until the questions end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    warnings.simplefilter("ignore")
    print(json.dumps(versions()), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
