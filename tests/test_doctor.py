"""The check-up: which PIL is loaded, and whether two packages claim its place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import PIL
import pytest

from sacfast.doctor import _judged_pil, check_up


def installed(folder: Path, **versions: str) -> Path:
    """Records of packages as pip leaves them."""
    for name, version in versions.items():
        record = folder / f"{name}-{version}.dist-info"
        record.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        (record / "METADATA").write_text(text)
    return folder


def test_every_part_of_this_installation_works() -> None:
    findings = {finding.what: finding for finding in check_up()}
    assert {finding.state for finding in findings.values()} <= {"ok", "absent"}
    assert PIL.__version__ in findings["PIL"].detail
    assert "libjpeg-turbo " in findings["PIL"].detail


def test_pillow_as_pip_installed_it(tmp_path: Path) -> None:
    folder = installed(tmp_path, pillow="13.0.0", numpy="2.0.0")
    finding = _judged_pil("13.0.0", folder, "3.2.0", [])
    assert (finding.state, finding.detail) == ("ok", "pillow 13.0.0 with libjpeg-turbo 3.2.0")


def test_pillow_simd_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = installed(tmp_path, pillow_simd="12.1.1.post0")
    finding = _judged_pil("12.1.1.post0", folder, "2.1.5", ["WebP"])
    assert finding.state == "ok"
    assert finding.detail.startswith("pillow-simd 12.1.1.post0 with libjpeg-turbo 2.1.5; ")
    assert "images in WebP can't be read" in finding.detail


@pytest.mark.parametrize(
    ("loaded", "records"),
    [
        ("13.0.0", {"pillow": "13.0.0", "pillow_simd": "12.1.1.post0"}),
        ("12.1.1.post0", {"pillow": "13.0.0", "pillow_simd": "12.1.1.post0"}),
        ("13.0.0", {"pillow_simd": "12.1.1.post0"}),
        ("12.1.1.post0", {"pillow": "13.0.0"}),
        ("13.0.0", {"pillow": "12.1.1"}),
    ],
)
def test_two_packages_in_one_place_are_a_warning(
    tmp_path: Path, loaded: str, records: dict[str, str]
) -> None:
    finding = _judged_pil(loaded, installed(tmp_path, **records), "3.2.0", [])
    assert finding.state == "warning"
    for name, version in records.items():
        assert f"{name.replace('_', '-')} {version}" in finding.detail
    assert "pip uninstall -y pillow pillow-simd && pip install pillow" in finding.detail


def test_another_jpeg_library_is_a_warning(tmp_path: Path) -> None:
    finding = _judged_pil("13.0.0", installed(tmp_path, pillow="13.0.0"), None, [])
    assert finding.state == "warning"
    assert "another libjpeg: JPEG probes may come out as other bytes" in finding.detail


def look(folder: Path) -> str:
    code = "from sacfast.doctor import _pil; found = _pil(); print(found.state, found.detail)"
    paths = [str(folder), *(path for path in sys.path if path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return run.stdout


def test_the_pil_that_is_loaded_is_the_one_that_is_judged(tmp_path: Path) -> None:
    here = Path(PIL.__file__).parent
    shutil.copytree(here, tmp_path / "PIL", ignore=shutil.ignore_patterns("__pycache__"))
    for libraries in here.parent.glob("[Pp]illow*.libs"):
        shutil.copytree(libraries, tmp_path / libraries.name)
    installed(tmp_path, pillow="1.0", pillow_simd="1.0.post0")
    said = look(tmp_path)
    assert said.startswith("warning ")
    assert f" {PIL.__version__} with" in said
    assert "pip installed pillow 1.0 and pillow-simd 1.0.post0 in its place" in said


def test_what_an_uninstall_of_one_of_two_leaves_is_broken(tmp_path: Path) -> None:
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL" / "__init__.py").write_text("__version__ = '13.0.0'")
    assert look(tmp_path).startswith("broken doesn't import (cannot import name 'Image'")
