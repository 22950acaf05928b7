"""One worker process, as its parent sees it.

The process gets a session of its own, so that Ctrl-C in a terminal reaches the parent alone and
that a kill takes all its children along; an environment with nothing secret in it; and an empty
folder to be in. What it says reaches the parent through `decoder`, as frames.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import sacfast
from sacfast.errors import BackendError
from sacfast.scanning.frames import Decoder, Header, pack
from sacfast.text import one_line

WORKER_COMMAND = (sys.executable, "-m", "sacfast.scanning.worker")

MAX_TEXT = 500
_STDERR_TAIL = 2000

# What a worker is told of the parent's surroundings: enough to run, and no secret.
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "PYTHONHOME")


class WorkerProcess:
    """A running worker.

    Args:
        settings: The first thing that it is told.
        folder: The empty folder that it lives in.
        decoder: Cuts what it says into frames.
    """

    def __init__(self, settings: Header, folder: str, decoder: Decoder) -> None:
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in kill()
        self.process = subprocess.Popen(
            WORKER_COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            bufsize=0,
            cwd=folder,
            env=environment(folder),
            start_new_session=True,
        )
        if self.process.stdin is None or self.process.stdout is None:
            raise BackendError("run_models: a worker came without its channel")
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        os.set_blocking(self.stdin.fileno(), False)
        self.decoder = decoder
        self.send(settings)

    def send(self, header: Header) -> None:
        """Send a header. The pipe of a worker that listens is empty; another's end shows soon."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self.stdin.fileno(), pack(header))

    def kill(self) -> int:
        """End the process and all its children; returns its exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        status = self.process.wait()
        for stream in (self.stdin, self.stdout, self.errors):
            stream.close()
        return status

    def last_words(self) -> str:
        """The end of what the worker wrote to its standard error."""
        size = self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, size - _STDERR_TAIL))
        return one_line(self.errors.read().decode("utf-8", "replace")[-MAX_TEXT:], MAX_TEXT)


def death(status: int) -> str:
    """A process's end in plain words."""
    if status >= 0:
        return f"ended its worker process with exit status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else "unknown"
    hint = ", perhaps because the machine ran out of memory" if -status == signal.SIGKILL else ""
    return f"crashed: signal {-status} ({name}){hint}"


def environment(folder: str) -> dict[str, str]:
    """What a worker sees: this package, one thread, no GPU, no hub, a home that is empty."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    package = str(Path(sacfast.__file__).resolve().parents[1])
    inherited = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([*(str(Path(p).absolute()) for p in inherited), package]),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "HOME": folder,
        "TMPDIR": folder,
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    }
