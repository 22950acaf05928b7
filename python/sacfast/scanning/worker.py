"""The process in which models are opened and run, one after another.

A model is hostile input, so it never meets the process that holds the results. A worker is
started by the engine as `python -m sacfast.scanning.worker` and talks over its standard input
and output in frames:

    parent  {"probes": path, "memory": bytes, "parent": pid}
    worker  {"ready": true}
    parent  {"open": path, "root": path or null}
    worker  {"opened": {"digest", "weights_digest", "preprocessing_digest", "outputs_kind",
            "digits", "k"}}
    parent  {"run": true or false}
    worker  {"running": true}           once the framework is there
    worker  {"dtype", "shape"} + numbers
            at any point after "open": {"failed": reason, "status": "failed" or "refused"}

and so on from "open" until the parent closes the channel. Before the first model the worker
gives up what it doesn't need: the network (a namespace of its own, where the kernel allows it),
privileges by exec, core dumps, large files, most file descriptors; it dies with its parent, and
is the first to go when the machine runs out of memory. Its address space may grow by `memory`
over what the framework took. torch is imported when a network must really run, never before.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sacfast.errors import ModelError, RefusedModelError, SacfastError
from sacfast.models import Model, open_model
from sacfast.scanning.frames import FrameError, Header, pack, read_header

if TYPE_CHECKING:
    from sacfast.probes.probe_set import ProbeSet

_MAX_FILE_BYTES = 1 << 20
_MAX_OPEN_FILES = 256

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

# How allocators say that there is no more; torch's own errors are plain RuntimeErrors.
_OUT_OF_MEMORY = ("can't allocate memory", "cannot allocate memory", "bad_alloc", "out of memory")


class Worker:
    """Serves one parent; holds the probes, and the memory limit that models run under."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests = requests
        self._answers = answers
        self._probes: ProbeSet | None = None
        self._memory = 0
        self._probes_path = Path()

    def serve(self) -> None:
        """Answer requests until the parent closes the channel."""
        settings = read_header(self._requests)
        if settings is None:
            return
        self._probes_path = Path(settings["probes"])
        self._memory = settings["memory"]
        confine(settings["parent"])
        limit_memory(self._memory)
        self._send({"ready": True})
        while (request := read_header(self._requests)) is not None:
            try:
                self._serve_model(request)
            except FrameError:
                raise
            except Exception as error:  # noqa: BLE001 - a model may raise anything
                status = "refused" if isinstance(error, RefusedModelError) else "failed"
                self._send({"failed": reason_of(error, self._memory), "status": status})

    def _serve_model(self, request: Header) -> None:
        model = open_model(request["open"], root=request["root"], memory=self._memory)
        keys = ("digest", "weights_digest", "preprocessing_digest", "outputs_kind", "digits", "k")
        self._send({"opened": {key: getattr(model, key) for key in keys}})
        answer = read_header(self._requests)
        if answer is None or not answer["run"]:
            return
        probes = self._prepare(model)
        self._send({"running": True})
        outputs = model.outputs(probes)
        dtype = outputs.dtype.newbyteorder("<")
        body = outputs.astype(dtype).tobytes()
        self._send({"dtype": dtype.str, "shape": outputs.shape}, body)

    def _prepare(self, model: Model) -> ProbeSet:
        """Read the probes and import what runs the model; the first call pays for both."""
        if self._probes is None:
            from sacfast.probes.probe_set import ProbeSet

            self._probes = ProbeSet.open(self._probes_path)
        if model.framework and model.framework not in sys.modules:
            lift_memory_limit()
            try:
                importlib.import_module(model.framework)
                sys.modules["torch"].set_num_threads(1)
            except ImportError as error:
                raise ModelError(f"{model.framework} can't be imported: {error}") from error
            finally:
                limit_memory(self._memory)
        return self._probes

    def _send(self, header: Header, body: bytes = b"") -> None:
        self._answers.write(pack(header, body))
        self._answers.flush()


def reason_of(error: BaseException, memory: int) -> str:
    """An error as one sentence for the model's row."""
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause).lower()
        if isinstance(cause, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
            return f"needs more memory than the limit of {memory / 2**30:.1f} GiB"
        cause = cause.__cause__
    text = " ".join(str(error).split())
    if isinstance(error, SacfastError):
        return text
    return f"{type(error).__name__}: {text}"


def confine(parent: int) -> None:
    """Give up what a model must not have."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_OPEN_FILES, _MAX_OPEN_FILES))
    Path("/proc/self/oom_score_adj").write_text("1000")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # Alone where privileges allow it: a user namespace of its own would cost root the right to
    # read other people's models.
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    # After the namespaces, whose change of credentials would clear it.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # the parent died before it could take this process along


def limit_memory(memory: int) -> None:
    """Let the address space grow by `memory` bytes over what it has now."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def lift_memory_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def main() -> None:
    """Take the channel away from whatever prints, then serve."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    Worker(requests, answers).serve()


if __name__ == "__main__":
    main()
