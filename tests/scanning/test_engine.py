"""The engine survives every model, and what a model costs is one row.

Models that crash, hang or lie can't be made out of files that sacfast opens, so those tests start
a worker of their own: the real one, with `open_model` replaced by what FAKE_WORKER says. Even the
replacement lives in the worker process; the engine under test is the one that ships.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

import sacfast
from sacfast.errors import ArgumentError, BackendError, ProbeError
from sacfast.models import open_model
from sacfast.probes.probe_set import ProbeSet
from sacfast.registry import Entry, list_models
from sacfast.scanning import process
from sacfast.scanning.engine import Result, run_models
from tests.hostile import CLASSES, SIZE, make_good, make_hostile

ROWS = 12

FAKE_WORKER = """
import json, os, signal, socket, sys, time
from pathlib import Path
import numpy as np
from sacfast.scanning import worker
from sacfast.scanning.frames import pack

real = worker.open_model
answers = None

def sent(header, body=b""):
    answers.write(pack(header, body))
    answers.flush()

# What these say of themselves, and can't be.
CLAIMS = {
    "good-as-labels": "outputs_kind=labels",
    "labels-as-logits": "",
    "good-as-probs": "outputs_kind=probs",
    "good-as-decisions": "outputs_kind=decisions",
    "nothing-but-nan": "",
    "logits-with-digits": "digits=3",
    "rounded-with-18-digits": "outputs_kind=rounded digits=18",
    "probs-with-k": "outputs_kind=probs k=3",
    "topk-without-k": "outputs_kind=topk",
    "topk-of-none": "outputs_kind=topk k=0",
    "topk-of-too-many": "outputs_kind=topk k=4",
    "topk-of-all": "outputs_kind=topk k=3 digits=0",
    "weights-of-another": "weights_digest=abc",
    "kind-of-its-own": "outputs_kind=wishes",
    "digits-in-words": "outputs_kind=probs digits=two",
}

class Fake:
    preprocessing_digest, outputs_kind, digits, k, framework = "", "logits", None, None, ""

    def __init__(self, name):
        self.name, self.digest = name, name.encode().hex().ljust(64, "0")[:64]
        self.weights_digest = self.digest
        for setting in CLAIMS.get(name, "").split():
            key, value = setting.split("=")
            setattr(self, key, int(value) if value.isdigit() else value)

    def outputs(self, probes):
        return getattr(self, self.name.replace("-", "_"))(probes)

    def good(self, probes):
        return np.arange(len(probes) * 3, dtype=np.float32).reshape(-1, 3)

    def noisy(self, probes):
        print("x" * 100_000)
        os.write(1, b"not a frame")
        return self.good(probes)

    def crash(self, probes): os.kill(os.getpid(), signal.SIGSEGV)
    def killed(self, probes): os.kill(os.getpid(), signal.SIGKILL)
    def exits(self, probes): sys.exit(7)
    def vanishes(self, probes): os._exit(0)
    def raises(self, probes): raise RuntimeError("\\x1b[31mno such layer\\nsecond line")

    def hang(self, probes):
        Path("hanging").write_text(str(os.getpid()))
        time.sleep(3600)

    def hang_with_child(self, probes):
        if os.fork() == 0:
            Path("child").write_text(str(os.getpid()))
        time.sleep(3600)

    def memory(self, probes): return np.ones(1 << 40, np.uint8)
    def memory_slowly(self, probes):
        kept = []
        while True:
            kept.append(np.ones(1 << 24, np.uint8))

    def wide(self, probes): return np.zeros((len(probes), 200_000), np.float32)
    def short(self, probes): return np.zeros((len(probes) - 1, 3), np.float32)
    def text(self, probes): return np.zeros((len(probes), 3), "U1")
    def chances(self, probes): return np.full((len(probes), 3), 0.25, np.float32)
    def counts(self, probes): return np.arange(len(probes), dtype=np.int64)
    def nans(self, probes): return self.good(probes) * np.float32("nan")
    good_as_labels = good_as_probs = good_as_decisions = good
    logits_with_digits = weights_of_another = kind_of_its_own = good
    labels_as_logits, nothing_but_nan = counts, nans
    rounded_with_18_digits = probs_with_k = digits_in_words = chances
    topk_without_k = topk_of_none = topk_of_too_many = topk_of_all = chances

    def double(self, probes): return np.zeros((len(probes), 3), np.float64)

    def lies_about_size(self, probes):
        sent({"dtype": "<f4", "shape": [len(probes), 10**9]})
        time.sleep(3600)

    def floods(self, probes):
        while True:
            answers.write(b"\\xff" * 65536)

    def says_no_reason(self, probes):
        sent({"failed": [["deep"]]})
        time.sleep(3600)

    def answers_twice(self, probes):
        sent({"dtype": "<f4", "shape": [len(probes), 3]}, self.good(probes).tobytes())
        time.sleep(0.5)  # by now the parent has asked for the next model
        return self.good(probes) + 1

    def closes_its_channel(self, probes):
        answers.close()
        time.sleep(3600)

    def looks_around(self, probes):
        try:
            socket.create_connection(("127.0.0.1", int(Path(sys.argv[1]).read_text())), 2)
            network = "a network"
        except OSError:
            network = "no network"
        secrets = sorted(name for name in os.environ if "TOKEN" in name)
        try:
            Path("file").write_bytes(bytes(2 << 20))
            disk = "a disk"
        except OSError:
            disk = "no disk"
        raise RuntimeError(f"{network}, {disk}, {secrets}, {os.listdir()}")

class Liar(Fake):
    digest = weights_digest = "../../etc"
    def __init__(self, name): self.name = name

def open_model(path, *, root=None, memory=None):
    name = Path(path).name
    if name == "liar":
        return Liar(name)
    if hasattr(Fake, name.replace("-", "_")):
        return Fake(name)
    return real(path, root=root, memory=memory)

class Worker(worker.Worker):
    def __init__(self, requests, out):
        global answers
        answers = out
        super().__init__(requests, out)

worker.open_model = open_model
worker.Worker = Worker
if __name__ == "__main__":
    worker.main()
"""


def never(*_: str) -> bool:
    return False


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probes") / "probes.safetensors"
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, SIZE, SIZE, 3), np.uint8)
    ProbeSet(pixels, "normal", {}, tuple(f"{i:064x}" for i in range(ROWS))).save(path)
    return path


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Entry]]:
    """Makes the engine start the fake worker; turns names into models of it."""
    script = tmp_path / "fake_worker.py"
    script.write_text(FAKE_WORKER)
    monkeypatch.setattr(
        process, "WORKER_COMMAND", (sys.executable, str(script), str(tmp_path / "port"))
    )
    return lambda *names: entries(tmp_path, names)


def entries(folder: Path, names: Iterable[str]) -> list[Entry]:
    return [Entry(name, folder / name, name) for name in names]


def collect(models: list[Entry], probes: Path, **settings: object) -> list[Result]:
    """All results, in the order of the models."""
    found = dict(run_models(models, probes, **{"known": never, "workers": 2, **settings}))  # type: ignore[arg-type]
    assert sorted(found) == list(range(len(models)))
    return [found[position] for position in range(len(models))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, probes: Path) -> dict[str, object]:
    """One run over every hostile model, with good ones between them."""
    folder = tmp_path_factory.mktemp("hostile")
    registry, canary = folder / "registry", folder / "canary"
    expected = make_hostile(registry, canary)
    good = make_good(registry, 4, seed=0)
    models = list_models(registry)
    results = {}
    for position, result in run_models(models, probes, known=never, workers=2):
        assert models[position].name not in results
        results[models[position].name] = result
    return {
        "expected": expected,
        "good": good,
        "results": results,
        "canary": canary,
        "registry": registry,
    }


def test_every_hostile_model_gives_its_reason(hostile: dict[str, dict[str, str]]) -> None:
    assert len(hostile["expected"]) >= 50
    results: dict[str, Result] = hostile["results"]  # type: ignore[assignment]
    assert set(results) == set(hostile["expected"]) | set(hostile["good"])
    wrong = {
        name: (result.status, result.reason)
        for name, result in results.items()
        if name not in hostile["good"]
        and not (
            result.status in ("failed", "refused")
            and hostile["expected"][name] in result.reason
            and result.outputs is None
            and result.reason.isprintable()
        )
    }
    assert wrong == {}


def test_what_could_run_code_is_refused_and_nothing_ran(hostile: dict[str, dict[str, str]]) -> None:
    results: dict[str, Result] = hostile["results"]  # type: ignore[assignment]
    statuses = {results[name].status for name in results if name.startswith("code-")}
    assert statuses == {"refused"}
    assert not Path(str(hostile["canary"])).exists()


def test_the_canary_can_sing(hostile: dict[str, dict[str, str]], tmp_path: Path) -> None:
    import pickle

    canary = tmp_path / "canary"
    make_hostile(tmp_path / "registry", canary)
    os.close(pickle.loads((tmp_path / "registry" / "loose.pkl").read_bytes()))
    assert canary.exists()


def test_good_models_between_them_answer_as_they_do_alone(
    hostile: dict[str, dict[str, str]], probes: Path
) -> None:
    results: dict[str, Result] = hostile["results"]  # type: ignore[assignment]
    for name in hostile["good"]:
        model = open_model(Path(str(hostile["registry"])) / name)
        result = results[name]
        assert (result.status, result.reason) == ("ok", "")
        assert result.digest == model.digest
        assert result.weights_digest == model.weights_digest
        assert result.preprocessing_digest == model.preprocessing_digest
        assert result.outputs is not None
        assert result.outputs.shape == (ROWS, CLASSES)
        expected = model.outputs(ProbeSet.open(probes))
        # The worker has one thread, this process may have more.
        np.testing.assert_allclose(result.outputs, expected, rtol=0, atol=1e-5)


def test_the_same_bits_with_one_worker_alone(
    hostile: dict[str, dict[str, str]], probes: Path
) -> None:
    results: dict[str, Result] = hostile["results"]  # type: ignore[assignment]
    good = entries(Path(str(hostile["registry"])), hostile["good"])
    for entry, alone in zip(good, collect(good, probes, workers=1), strict=True):
        np.testing.assert_array_equal(alone.outputs, results[entry.name].outputs)
        assert alone.digest == results[entry.name].digest


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash", "crashed: signal 11 (SIGSEGV)"),
        ("killed", "crashed: signal 9 (SIGKILL), perhaps because the machine ran out of memory"),
        ("exits", "ended its worker process with exit status 7"),
        ("vanishes", "ended its worker process with exit status 0"),
        ("raises", "RuntimeError: \\x1b[31mno such layer second line"),
        ("memory", "needs more memory than the limit of 1.0 GiB"),
        ("memory-slowly", "needs more memory than the limit of 1.0 GiB"),
        ("wide", "its worker sent outputs of a wrong shape or type for 12 probes"),
        ("short", "its worker sent outputs of a wrong shape or type for 12 probes"),
        ("text", "its worker sent outputs of a wrong shape or type for 12 probes"),
        ("double", "its worker sent outputs of a wrong shape or type for 12 probes"),
        ("lies-about-size", "its worker sent outputs of a wrong shape or type for 12 probes"),
        ("floods", "its worker sent a header of 4294967295 bytes"),
        ("closes-its-channel", "closed its channel without an answer"),
        ("says-no-reason", "its worker sent a reason that is no text"),
        ("liar", "its worker sent a digest that is none"),
        ("weights-of-another", "its worker sent a digest that is none"),
        ("kind-of-its-own", "its worker sent an unknown kind of outputs"),
        ("digits-in-words", "its worker sent numbers that are none"),
        ("good-as-labels", "its worker sent what can't be: the answers are labels and must have 1"),
        ("labels-as-logits", "its worker sent what can't be: the answers are logits and must have"),
        ("good-as-probs", "its worker sent what can't be: the answers are probs and must lie"),
        ("good-as-decisions", "its worker sent what can't be: the answers are decisions and must"),
        ("nothing-but-nan", "its worker sent what can't be: every answer holds NaN or Inf"),
        ("logits-with-digits", "its worker sent what can't be: `digits` goes with rounded"),
        (
            "rounded-with-18-digits",
            "its worker sent what can't be: `digits` must be a whole number",
        ),
        ("probs-with-k", "its worker sent what can't be: `k` goes with topk"),
        ("topk-without-k", "its worker sent what can't be: outputs_kind topk needs `k`"),
        ("topk-of-none", "its worker sent what can't be: `k` must be a whole number from 1"),
        ("topk-of-too-many", "its worker sent what can't be: `k` must be a whole number from 1 to"),
    ],
)
def test_a_bad_model_costs_one_row(
    name: str, reason: str, fakes: Callable[..., list[Entry]], probes: Path
) -> None:
    first, bad, last = collect(fakes("good", name, "good"), probes, workers=1, memory=1 << 30)
    assert (first.status, last.status) == ("ok", "ok")
    assert bad.status == "failed"
    assert bad.reason.startswith(reason)
    assert bad.outputs is None


def test_what_a_worker_may_say(fakes: Callable[..., list[Entry]], probes: Path) -> None:
    (result,) = collect(fakes("topk-of-all"), probes)
    assert (result.status, result.outputs_kind) == ("ok", "topk")
    assert (result.digits, result.k) == (0, 3)


def test_a_model_that_hangs_is_ended_with_its_children(
    fakes: Callable[..., list[Entry]], probes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []
    kill = process.WorkerProcess.kill

    def spy(worker: process.WorkerProcess) -> int:
        child = Path(f"/proc/{worker.process.pid}/cwd/child")
        if child.exists():
            pids.extend([worker.process.pid, int(child.read_text())])
        return kill(worker)

    monkeypatch.setattr(process.WorkerProcess, "kill", spy)
    models = fakes("good", "hang-with-child", "good")
    first, hung, last = collect(models, probes, workers=1, timeout=3)
    assert (first.status, last.status) == ("ok", "ok")
    assert (hung.status, hung.reason) == ("failed", "gave no answer within 3 s")
    assert len(pids) >= 2
    assert wait_until(lambda: not any(map(is_alive, pids)))


def test_a_real_network_that_takes_too_long(tmp_path: Path, probes: Path) -> None:
    import json

    (name,) = make_good(tmp_path, 1, seed=0)
    config = json.loads((tmp_path / name / "config.json").read_text())
    config["pretrained_cfg"]["input_size"] = [3, 1024, 1024]
    (tmp_path / name / "config.json").write_text(json.dumps(config))
    (result,) = collect(entries(tmp_path, [name]), probes, timeout=0.5)
    assert result.reason == "gave no answer within 0.5 s"


def test_a_model_that_spoils_its_worker_does_not_harm_the_next(
    fakes: Callable[..., list[Entry]], probes: Path
) -> None:
    twice, good, last = collect(fakes("answers-twice", "good", "good"), probes, workers=1)
    assert (twice.status, good.status, last.status) == ("ok", "ok", "ok")
    np.testing.assert_array_equal(good.outputs, np.arange(ROWS * 3).reshape(-1, 3))


def test_what_a_model_prints_does_not_reach_the_channel(
    fakes: Callable[..., list[Entry]], probes: Path
) -> None:
    (result,) = collect(fakes("noisy"), probes)
    assert result.status == "ok"


def test_a_worker_has_no_network_no_disk_and_no_secrets(
    fakes: Callable[..., list[Entry]],
    probes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    monkeypatch.setenv("HF_TOKEN", "secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "port").write_text(str(server.getsockname()[1]))
        (result,) = collect(fakes("looks-around"), probes)
    assert result.reason.endswith("no disk, [], ['file']")
    allowed = subprocess.run(["unshare", "--user", "--net", "true"], capture_output=True)
    if allowed.returncode != 0:
        pytest.skip("this kernel gives no network namespaces: the network part can't be checked")
    assert result.reason == "RuntimeError: no network, no disk, [], ['file']"


def test_what_is_known_is_not_run_and_imports_no_torch(
    tmp_path: Path, probes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for package in ("torch", "timm"):
        (trap / f"{package}.py").write_text(f"raise ImportError('{package} was imported')")
    monkeypatch.setenv("PYTHONPATH", str(trap))
    models = entries(tmp_path, make_good(tmp_path, 3, seed=1))
    digests = [open_model(model.path).digest for model in models]
    asked = []

    def known(digest: str, preprocessing_digest: str, outputs_kind: str) -> bool:
        asked.append((digest, preprocessing_digest, outputs_kind))
        return digest != digests[1]

    first, second, third = collect(models, probes, known=known)
    assert [first.status, third.status] == ["known", "known"]
    assert (first.digest, first.outputs, first.reason) == (digests[0], None, "")
    assert first.weights_digest == open_model(models[0].path).weights_digest
    assert second.reason == "timm can't be imported: timm was imported"
    assert sorted(digest for digest, _, _ in asked) == sorted(digests)
    assert {kind for _, _, kind in asked} == {"logits"}
    assert {len(preprocessing) for _, preprocessing, _ in asked} == {64}


def test_the_time_that_the_caller_takes_is_not_the_models(
    fakes: Callable[..., list[Entry]], probes: Path
) -> None:
    statuses = []
    models = fakes("good", "good")
    for _, result in run_models(models, probes, known=never, workers=2, timeout=2):
        if not statuses:
            time.sleep(2.5)  # the other model's answer is due meanwhile
        statuses.append(result.status)
    assert statuses == ["ok", "ok"]


def test_losing_interest_ends_the_workers(
    fakes: Callable[..., list[Entry]], probes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def spy(*arguments: object, **settings: object) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **settings))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(process.subprocess, "Popen", spy)
    results = run_models(fakes("good", "hang"), probes, known=never, workers=2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(started) == 2
    assert {one.returncode for one in started} == {-signal.SIGKILL}


PARENT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is born ignoring it
from sacfast.registry import Entry
from sacfast.scanning import engine, process
process.WORKER_COMMAND = (sys.executable, sys.argv[1], "port")
models = [Entry("hang", Path(sys.argv[1]).parent / "hang", "hang")] * 2
for _ in engine.run_models(models, sys.argv[2], known=lambda *_: False, workers=2):
    pass
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_parent(
    how: signal.Signals, fakes: Callable[..., list[Entry]], probes: Path, tmp_path: Path
) -> None:
    fakes()
    command = [sys.executable, "-c", PARENT, str(tmp_path / "fake_worker.py"), str(probes)]
    # A parent that is killed can't tidy up: its temporary files go where the test's go.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as parent:

        def workers() -> list[int]:
            path = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
            children = [int(pid) for pid in path.read_text().split()]
            return [pid for pid in children if Path(f"/proc/{pid}/cwd/hanging").exists()]

        try:
            assert wait_until(lambda: len(workers()) == 2)
            pids = workers()
            parent.send_signal(how)
            _, errors = parent.communicate(timeout=30)
        finally:
            parent.kill()
    assert ("KeyboardInterrupt" in errors) == (how == signal.SIGINT)
    assert wait_until(lambda: not any(map(is_alive, pids)))


def test_workers_that_can_t_start_are_an_error_of_ours(
    probes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no module named nothing')")
    monkeypatch.setattr(process, "WORKER_COMMAND", command)
    with pytest.raises(BackendError, match=r"could not start.*exit status 1") as caught:
        collect(entries(tmp_path, ["x"]), probes)
    assert caught.value.hint == "it said: no module named nothing"


@pytest.mark.parametrize("setting", ["workers", "timeout", "memory"])
def test_settings_must_be_positive(setting: str, probes: Path) -> None:
    with pytest.raises(ArgumentError, match=f"run_models: `{setting}` must be > 0, got 0"):
        run_models([], probes, known=never, **{setting: 0})  # type: ignore[arg-type]


def test_probes_are_checked_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ProbeError):
        run_models([], tmp_path / "nothing", known=never)


def test_no_models_no_workers(probes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "WORKER_COMMAND", ("/nonexistent",))
    assert list(run_models([], probes, known=never)) == []


def test_a_worker_uses_this_very_package() -> None:
    environment = process.environment("/tmp")
    first = environment["PYTHONPATH"].split(os.pathsep)[0]
    assert Path(first, "sacfast", "__init__.py").samefile(sacfast.__file__)
