"""Runs many models in worker processes, and survives all of them.

    run_models ──> _Pool ──> process.py ──frames──> worker.py
                         ──> process.py ──frames──> worker.py  ...

One loop, in the caller's thread, hands models to workers, reads their frames as they arrive,
and watches the clock. A worker that crashes, hangs, or says what it shouldn't is killed with all
its children and replaced by a fresh one; its model becomes a result with a reason, and nothing
else is lost. What a worker sends is checked by the rules that models are opened by before it is
believed, since the model that ran in it may have taken it over. Whatever ends the loop (the last
result, an exception, Ctrl-C, the caller losing interest) ends every worker.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ArgumentError, BackendError
from sacfast.probes.probe_set import ProbeSet
from sacfast.registry import Entry
from sacfast.scanning.frames import (
    Decoder,
    FrameError,
    Header,
    checked_opened,
    checked_outputs,
    outputs_size,
)
from sacfast.scanning.limits import Limits
from sacfast.scanning.process import MAX_TEXT, WorkerProcess, death
from sacfast.text import one_line

# A worker that starts or imports torch is not yet at a model's mercy; a cold disk may be slow.
_START_SECONDS = 300.0
_READ_BYTES = 1 << 20

Known = Callable[[str, str, str], bool]


@dataclass(frozen=True, eq=False)
class Result:
    """What became of one model.

    Attributes:
        status: "ok" (run now), "known" (its fingerprint exists), "failed" or "refused".
        reason: Why it has no outputs; "" for ok and known.
        digest: The model's content digest; "" if it could not be opened.
        weights_digest: That of its weights alone, or of the numbers that it answered.
        preprocessing_digest: How probes are prepared for it.
        outputs_kind: What its outputs are.
        digits: Decimals of its probabilities, where known.
        k: Classes of a top-k answer, where known.
        outputs: (N, C) float32 or (N,) int64; None unless the status is "ok".
        seconds: Wall time from opening to the answer, without the import of its framework.
    """

    status: str
    reason: str = ""
    digest: str = ""
    weights_digest: str = ""
    preprocessing_digest: str = ""
    outputs_kind: str = ""
    digits: int | None = None
    k: int | None = None
    outputs: NDArray[Any] | None = None
    seconds: float = 0.0


def run_models(
    models: Sequence[Entry],
    probes_path: Path | str,
    *,
    known: Known,
    workers: int | None = None,
    timeout: float = Limits.timeout,
    memory: int = Limits.memory,
) -> Iterator[tuple[int, Result]]:
    """Open every model, and run those that are not known yet.

    Args:
        models: What to run; an entry's root is how far links inside the model may lead.
        probes_path: A saved probe set.
        known: Called in this thread with (digest, preprocessing_digest, outputs_kind); a model
            for which it says True is not run.
        workers: Processes; None: one per core that this process may use.
        timeout: Wall seconds that one model may take, without the import of its framework.
        memory: Bytes that one model may use beyond what the framework takes.

    Yields:
        (position in `models`, its Result), as they finish; one for every model.

    Raises:
        ArgumentError: If `workers`, `timeout` or `memory` is not positive.
        ProbeError: If the probe set can't be read.
        BackendError: If workers can't be started at all.
    """
    count = len(os.sched_getaffinity(0)) if workers is None else workers
    for name, value in (("workers", count), ("timeout", timeout), ("memory", memory)):
        if not value > 0:
            raise ArgumentError(f"run_models: `{name}` must be > 0, got {value}")
    path = Path(probes_path).resolve()
    rows = ProbeSet.open(path).rows
    return _Pool(models, path, rows, known, count, timeout, memory).run()


class _Clock:
    """Seconds, without those that the caller spent on results: no model pays for them."""

    def __init__(self) -> None:
        self._away = 0.0

    def now(self) -> float:
        return time.monotonic() - self._away

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self._away += time.monotonic() - start


class _Worker(WorkerProcess):
    """A worker process and the model that it has in hand.

    `stage` is what the engine waits for: starting, idle (nothing), opening, importing, running.
    """

    def __init__(
        self, settings: Header, folder: str, rows: Callable[[str], int], deadline: float
    ) -> None:
        sizes = rows("logits"), rows("scores")
        super().__init__(settings, folder, Decoder(lambda header: outputs_size(header, *sizes)))
        self.stage = "starting"
        self.deadline = deadline
        self.position = -1
        self.served = 0
        self.started = 0.0
        self.left = 0.0
        self.opened = Result("failed")


class _Pool:
    def __init__(
        self,
        models: Sequence[Entry],
        probes_path: Path,
        rows: Callable[[str], int],
        known: Known,
        count: int,
        timeout: float,
        memory: int,
    ) -> None:
        self._models = models
        self._waiting = deque(range(len(models)))
        self._settings = {"probes": str(probes_path), "memory": memory, "parent": os.getpid()}
        self._rows = rows
        self._known = known
        self._count = count
        self._timeout = timeout
        self._clock = _Clock()
        self._workers: set[_Worker] = set()
        self._selector = selectors.DefaultSelector()

    def run(self) -> Iterator[tuple[int, Result]]:
        with tempfile.TemporaryDirectory(prefix="sacfast-worker-") as folder, self._selector:
            try:
                while self._employ(folder):
                    for position, result in self._listen():
                        with self._clock.away():
                            yield position, result
            finally:
                for worker in self._workers:
                    worker.kill()

    def _employ(self, folder: str) -> bool:
        """Give waiting models to idle workers, or to new ones; False when all is done."""
        for worker in self._workers:
            if worker.stage == "idle" and self._waiting:
                self._assign(worker, self._waiting.popleft())
        unpaid = sum(worker.stage == "starting" for worker in self._workers)
        while len(self._workers) < self._count and unpaid < len(self._waiting):
            deadline = self._clock.now() + _START_SECONDS
            worker = _Worker(self._settings, folder, self._rows, deadline)
            self._workers.add(worker)
            self._selector.register(worker.stdout, selectors.EVENT_READ, worker)
            unpaid += 1
        return bool(self._waiting) or any(w.position >= 0 for w in self._workers)

    def _assign(self, worker: _Worker, position: int) -> None:
        model = self._models[position]
        root = str(model.root.absolute()) if model.root else None
        worker.position = position
        worker.started = self._clock.now()
        worker.stage, worker.deadline = "opening", worker.started + self._timeout
        worker.send({"open": str(model.path.absolute()), "root": root})

    def _listen(self) -> Iterator[tuple[int, Result]]:
        """Wait for the next frames, deaths or deadlines, and make results of them."""
        deadlines = [worker.deadline for worker in self._workers if worker.stage != "idle"]
        wait = max(0.0, min(deadlines, default=0.0) - self._clock.now())
        ready = {key.data for key, _ in self._selector.select(wait)}
        for worker in ready:
            data = os.read(worker.stdout.fileno(), _READ_BYTES)
            if not data:
                yield from self._lose(worker)
                continue
            try:
                for header, body in worker.decoder.feed(data):
                    yield from self._hear(worker, header, body)
            except FrameError as error:
                yield from self._lose(worker, f"its worker sent {error}")
        for worker in self._workers - ready:
            if worker.stage != "idle" and self._clock.now() >= worker.deadline:
                yield from self._lose(worker, f"gave no answer within {self._timeout:g} s")

    def _hear(self, worker: _Worker, header: Header, body: bytes) -> Iterator[tuple[int, Result]]:
        """One frame of a worker: the next stage of its model, or the model's result."""
        now = self._clock.now()
        stage = worker.stage
        if stage == "starting" and header.get("ready") is True:
            worker.stage = "idle"
        elif stage in ("opening", "importing", "running") and "failed" in header:
            status = "refused" if header.get("status") == "refused" else "failed"
            if not isinstance(header["failed"], str):
                raise FrameError("a reason that is no text")
            yield self._finish(worker, status, one_line(header["failed"], MAX_TEXT))
        elif stage == "opening" and "opened" in header:
            worker.opened = opened = Result("failed", **checked_opened(header["opened"]))
            worker.left = worker.deadline - now
            with self._clock.away():
                known = self._known(opened.digest, opened.preprocessing_digest, opened.outputs_kind)
            worker.send({"run": not known})
            if known:
                yield self._finish(worker, "known")
            else:
                worker.stage, worker.deadline = "importing", now + _START_SECONDS
        elif stage == "importing" and header.get("running") is True:
            worker.stage, worker.deadline = "running", now + worker.left
            worker.started = worker.deadline - self._timeout
        elif stage == "running" and "shape" in header:
            outputs = np.frombuffer(body, header["dtype"]).reshape(header["shape"])
            opened = worker.opened
            kind = opened.outputs_kind
            rows = self._rows(kind)
            checked = checked_outputs(outputs, kind, opened.digits, opened.k, rows)
            yield self._finish(worker, "ok", outputs=checked)
        else:
            raise FrameError("an answer that nobody asked for")

    def _finish(
        self, worker: _Worker, status: str, reason: str = "", outputs: NDArray[Any] | None = None
    ) -> tuple[int, Result]:
        """The result of the worker's model; the worker is free for the next."""
        seconds = self._clock.now() - worker.started
        result = replace(
            worker.opened, status=status, reason=reason, outputs=outputs, seconds=seconds
        )
        position = worker.position
        worker.stage, worker.position, worker.opened = "idle", -1, Result("failed")
        worker.served += 1
        return position, result

    def _lose(self, worker: _Worker, reason: str = "") -> Iterator[tuple[int, Result]]:
        """Give a worker up; the model that it had in hand gets the reason, or its death."""
        self._selector.unregister(worker.stdout)
        self._workers.remove(worker)
        last_words = worker.last_words()
        if not reason:
            # Its channel is closed; its own status follows, unless it only pretends to be dead.
            try:
                worker.process.wait(1)
            except subprocess.TimeoutExpired:
                reason = "closed its channel without an answer"
        status = worker.kill()
        reason = reason or death(status)
        if worker.stage == "starting":
            raise BackendError(
                f"run_models: a worker process could not start ({reason})",
                hint=f"it said: {last_words}" if last_words else None,
            )
        if worker.stage == "opening" and worker.served:
            # Opening runs nothing of a model: the worker was spoilt by one that it had before.
            self._waiting.appendleft(worker.position)
        elif worker.position >= 0:
            yield self._finish(worker, "failed", reason)
