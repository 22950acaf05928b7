"""What `import sacfast` offers, and what it costs."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import sacfast

INITIAL = Path(__file__).resolve().parent.parent / "python" / "sacfast" / "__init__.py"


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_the_public_names_are_these():
    assert set(sacfast.__all__) == {
        "Comparison", "Detector", "Evaluation", "Fingerprint", "FingerprintKey", "ProbeSet",
        "Reach",
        "SacfastError", "Scan", "Scores", "Store", "__version__", "access_mode",
        "benjamini_hochberg", "build_info", "build_probes", "canonical_outputs", "compact",
        "compare", "correlation", "correlation_distance", "evaluate", "export_probes",
        "face_probes", "fri", "fri_features", "label_correlation", "label_distance", "list_models",
        "pairs_within", "pairwise_distance", "paper_scale", "scan", "select_probes",
        "unpack", "write_report",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(sacfast.__all__) - {"__version__"}))
def test_every_name_loads_and_says_what_it_is(name):
    thing = getattr(sacfast, name)
    assert inspect.getdoc(thing)
    assert callable(thing)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(INITIAL.read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {alias.name for node in block.body for alias in node.names}
    assert seen == set(sacfast.__all__) - {"__version__"}


def test_every_name_has_a_home():
    assert sorted([*sacfast._HOME, "__version__"]) == sorted(sacfast.__all__)


def test_a_typed_user_can_import_them(tmp_path):
    user = tmp_path / "user.py"
    user.write_text(
        "from sacfast import Detector, correlation, scan\n"
        "import numpy as np\n"
        "found = scan('r', sources='s', probes='p', null_bank='b')\n"
        "names: list[str] = found.flagged\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(user)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = sacfast.nonsense


def test_importing_loads_nothing_heavy():
    loaded = run(
        "import numpy, sys; before = set(sys.modules); import sacfast; "
        "print(*sorted(set(sys.modules) - before))"
    ).split()
    own = {"sacfast", "__future__", "importlib", "importlib._bootstrap"}
    assert set(loaded) <= own | {"importlib._bootstrap_external"}


def test_array_functions_load_neither_frameworks_nor_dali():
    code = (
        "import sacfast, sys, numpy as np; outputs = np.random.default_rng(0).random((2, 9, 4)); "
        "sacfast.correlation(outputs); "
        "sacfast.Detector(outputs, [], method='pearson').scores(outputs); "
        "print(sorted({m.split('.')[0] for m in sys.modules} "
        "& {'torch', 'timm', 'nvidia', 'PIL', 'scipy', 'typer', 'rich', 'plotly'}))"
    )
    assert run(code).strip() == "[]"


def test_the_version_is_the_package_s():
    assert sacfast.__version__ == metadata.version("sacfast")


def test_errors_are_also_the_builtins_that_users_expect():
    from sacfast import errors

    expected = {
        "ArgumentError": ValueError, "ShapeError": ValueError, "DtypeError": TypeError,
        "BackendError": RuntimeError, "MissingExtraError": ImportError, "ProbeError": ValueError,
        "ModelError": ValueError, "RefusedModelError": PermissionError,
        "NullBankError": ValueError, "StoreError": OSError, "DeviceMemoryError": MemoryError,
    }  # fmt: skip
    assert set(errors.__all__) == {*expected, "SacfastError"}
    for name, builtin in expected.items():
        kind = getattr(errors, name)
        assert issubclass(kind, builtin)
        assert issubclass(kind, sacfast.SacfastError)
    error = errors.MissingExtraError("sacfast demo", "sklearn", "demo")
    assert "pip install 'sacfast[demo]'" in str(error)
