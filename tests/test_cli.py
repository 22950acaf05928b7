"""The commands as a user runs them: the installed console script, real files, exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sacfast import Store
from tests.hostile import make_good, make_hostile

SACFAST = Path(sysconfig.get_path("scripts")) / "sacfast"


def sacfast(*arguments, cwd=None, code=0, timeout=300):
    """Runs the command; returns (stdout, stderr)."""
    run = subprocess.run(
        [SACFAST, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert run.returncode == code, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    return run.stdout, run.stderr


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    """Photos, probes, a source, a copy of it, a bank of eight and a registry with ten good models
    beside all the hostile ones: everything real, run through timm."""
    root = tmp_path_factory.mktemp("house")
    photos = root / "photos"
    photos.mkdir()
    generator = np.random.default_rng(0)
    for i in range(30):
        small = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        small.resize((40, 40)).save(photos / f"{i:02d}.png")
    sacfast(
        "probes", "build", "photos", "--size", 32, "--count", 24, "-o", "probes.safetensors",
        cwd=root,
    )  # fmt: skip
    make_good(root / "mine", 1, seed=900)
    make_good(root / "bank", 8, seed=100)
    make_good(root / "registry", 10, seed=500)
    canary = root / "canary"
    reasons = make_hostile(root / "registry", canary)
    return {"root": root, "canary": canary, "reasons": reasons}


@pytest.fixture(scope="session")
def scanned(house):
    """The scan of all that, as `--json` prints it."""
    out, _ = sacfast(
        "scan", "registry", "--source", "mine/good-00", "--probes", "probes.safetensors",
        "--null-bank", "bank", "--store", "s.db", "--out", "r.jsonl", "--json", "--timeout", 20,
        cwd=house["root"], code=4,
    )  # fmt: skip
    return json.loads(out)


def test_ten_good_beside_all_the_broken(house, scanned):
    rows = {row["suspect"]: row for row in scanned["rows"]}
    good = {name for name in rows if name.startswith("good-")}
    assert len(good) == 10
    for name in good:
        assert rows[name]["verdict"] in ("suspicious", "no evidence"), rows[name]
        assert rows[name]["p"] is not None
    broken = set(rows) - good
    assert len(broken) >= 50
    assert broken == set(house["reasons"])
    for name in broken:
        assert rows[name]["verdict"] == "not comparable"
        assert rows[name]["status"] in ("failed", "refused")
        assert house["reasons"][name] in rows[name]["reason"], name
        assert len(rows[name]["reason"]) < 600
    assert not house["canary"].exists()


def test_the_file_holds_the_same_rows(house, scanned):
    lines = (house["root"] / "r.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == scanned["rows"]


def test_a_report_is_written_from_the_store(house, scanned):
    out, _ = sacfast("report", "s.db", "-o", "report.html", cwd=house["root"])
    assert "report.html" in out
    page = (house["root"] / "report.html").read_text(encoding="utf-8")
    assert "good-03" in page


def test_the_table_for_people(house, scanned):
    out, _ = sacfast(
        "scan", "registry", "--source", "mine/good-00", "--probes", "probes.safetensors",
        "--null-bank", "bank", "--store", "s.db", "--timeout", 20,
        cwd=house["root"], code=4,
    )  # fmt: skip
    assert "nothing can be called stolen, only suspicious" in re.sub(r"\s+", " ", out)
    assert "not comparable" in out
    assert "logits: the finest answers there are" in out
    assert "sacfast report s.db" in out
    assert "\x1b" not in out


def test_fingerprint_and_compare(house):
    root = house["root"]
    out, _ = sacfast(
        "fingerprint", "mine", "bank", "--probes", "probes.safetensors", "--store", "f.db", cwd=root
    )
    assert "9 of 9 models in f.db" in out
    out, _ = sacfast(
        "compare", "mine/good-00", "mine/good-00", "--probes", "probes.safetensors", "--json",
        cwd=root,
    )  # fmt: skip
    same = json.loads(out)
    assert same["pearson"] == pytest.approx(1.0, abs=1e-6)
    assert same["distance"] == 0.0
    out, _ = sacfast(
        "compare", "mine/good-00", "bank/good-01", "--probes", "probes.safetensors", cwd=root
    )
    assert 0 < float(re.search(r"distance +([\d.]+)", out)[1]) < 2
    _, err = sacfast(
        "compare", "mine/good-00", "registry/nothing", "--probes", "probes.safetensors",
        cwd=root, code=2,
    )  # fmt: skip
    assert "compare: A and B must be paths of models" in err


def test_probes_show_checks_the_digest(house, tmp_path):
    root = house["root"]
    facts = json.loads(sacfast("probes", "show", "probes.safetensors", "--json", cwd=root)[0])
    assert (facts["kind"], facts["parameters"]["quality"]) == ("jpeg", 25)
    damaged = bytearray((root / "probes.safetensors").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(damaged)
    _, err = sacfast("probes", "show", tmp_path / "damaged.safetensors", code=1)
    assert err.startswith("error: ")


def test_errors_are_messages_not_tracebacks(house):
    _, err = sacfast(
        "scan", "registry", "--source", "absent", "--probes", "probes.safetensors",
        "--null-bank", "bank", cwd=house["root"], code=2,
    )  # fmt: skip
    assert err.startswith("error: scan: --source must be paths of models")
    _, err = sacfast("report", "absent.db", cwd=house["root"], code=1)
    assert "absent.db" in err


def test_usage_errors_have_exit_code_2(house):
    sacfast("scan", code=2)
    base = ("scan", "registry", "--source", "mine/good-00", "--probes", "probes.safetensors")
    _, err = sacfast(*base, "--null-bank", "bank", "--fdr", 5, cwd=house["root"], code=2)
    assert "--fdr must lie in (0, 1), got 5.0" in err
    _, err = sacfast(*base, "--null-bank", "no", cwd=house["root"], code=2)
    assert "--null-bank must be a directory of models, got no" in err
    sacfast("no-such-command", code=2)
    sacfast("probes", "build", "x", "--quality", "0", code=2)


@pytest.mark.parametrize(
    "command",
    [[], ["scan"], ["fingerprint"], ["compare"], ["report"], ["doctor"], ["demo"],
     ["probes", "build"], ["probes", "show"], ["probes", "export"]],
)  # fmt: skip
def test_every_command_has_help_with_an_example(command):
    out, _ = sacfast(*command, "--help")
    assert "Example" in out or "Start with: sacfast demo" in out


def test_probes_are_exported_for_a_service(house, tmp_path):
    out, _ = sacfast("probes", "export", "probes.safetensors", tmp_path / "ask", cwd=house["root"])
    assert out.startswith("24 images: ")
    with Image.open(tmp_path / "ask" / "0023.png") as image:
        assert image.size == (32, 32)


def test_doctor_and_version():
    findings = json.loads(sacfast("doctor", "--json")[0])
    assert {finding["what"] for finding in findings} >= {
        "sacfast", "CPU kernels", "torch", "PIL", "imagecorruptions-imaug",
    }  # fmt: skip
    assert re.fullmatch(r"sacfast \d+\.\d+\.\d+\n", sacfast("--version")[0])


def finished(store):
    """How many fingerprints a store holds."""
    if not store.exists():
        return 0
    connection = sqlite3.connect(store)
    try:
        return connection.execute("SELECT count(*) FROM fingerprints").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def test_interrupted_scan_keeps_what_was_finished(house, tmp_path):
    root = house["root"]
    arguments = [
        SACFAST, "scan", "bank", "--source", "mine/good-00", "--probes", "probes.safetensors",
        "--null-bank", "registry", "--store", tmp_path / "s.db", "--timeout", "20",
    ]  # fmt: skip
    process = subprocess.Popen(
        arguments,
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job is born ignoring interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not finished(tmp_path / "s.db"):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert finished(tmp_path / "s.db") > 0
    with Store(tmp_path / "s.db") as opened:
        assert opened.scan_ids() == []
