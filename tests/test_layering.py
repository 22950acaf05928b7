"""The house: every arrow between rooms runs down, as the imports draw it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "python" / "sacfast"

#: The floor of every room. Rooms of one floor do not import one another, but for BESIDE.
FLOORS = {
    "errors": 0,
    "files": 0,
    "kinds": 0,
    "progress": 0,
    "text": 0,
    "access": 1,
    "_core": 1,
    "_cuda": 1,
    "probes": 1,
    "models": 1,
    "statistics": 1,
    "kernels": 2,
    "registry": 2,
    "faces": 3,
    "fingerprint": 3,
    "partial": 3,
    "detector": 3,
    "resampling": 3,
    "selection": 4,
    "store": 4,
    "scanning": 5,
    "report": 5,
    "evaluation": 5,
    "doctor": 5,
    "cli": 6,
    "demo": 6,
    "terminal": 6,
}

#: Arrows between rooms of one floor, with the reason why they exist.
BESIDE = {
    ("models", "probes"): "a model is run on a probe set",
    ("detector", "partial"): "the partial score's algebra, split off for reading",
    ("resampling", "detector"): "the same scores under many null banks",
    ("resampling", "partial"): "the partial score's algebra",
    ("evaluation", "report"): "pages are put together in one way",
    ("evaluation", "scanning"): "a scan's results are read",
    ("cli", "terminal"): "how results look, split off for reading",
    ("cli", "demo"): "one of the commands",
    ("demo", "terminal"): "the truth is shown as results are",
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The rooms that a file imports, inside functions too, type checking left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names = [module] if module != "sacfast" else [f"sacfast.{a.name}" for a in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("sacfast.")}
    return found - {"__version__"}


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem[0] != "_")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_arrow_runs_down(path):
    own = room(path)
    for other in imports(path) - {own}:
        assert other in FLOORS, f"{path.name} imports {other}, a room without a floor"
        allowed = FLOORS[other] < FLOORS[own] or (own, other) in BESIDE
        assert allowed, f"{own} (floor {FLOORS[own]}) imports {other} (floor {FLOORS[other]})"


def test_every_room_has_a_floor():
    rooms = {room(path) for path in FILES}
    assert rooms == set(FLOORS) - {"_core", "_cuda"}


def test_the_doors_to_foreign_packages():
    """Some packages may be imported in one place only."""
    doors = {
        "sacfast._core": {"kernels/_native.py"},
        "sacfast._cuda": {"kernels/_native.py"},
        "nvidia": {"probes/jpeg.py"},
        "imagecorruptions": {"probes/corruptions.py"},
        "PIL": {"probes/jpeg.py", "doctor.py", "demo/digits.py"},
        "sqlite3": {"store.py"},
        "typer": {"cli.py"},
    }
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                for package, allowed in doors.items():
                    if name == package or name.startswith(package + "."):
                        where = str(path.relative_to(PACKAGE))
                        is_hint = where.startswith("kernels/") and package == "sacfast._core"
                        assert where in allowed or is_hint, f"{where} imports {name}"


def test_production_code_imports_neither_oracle_nor_rival():
    for path in FILES:
        if path.name in ("reference.py", "torch_reference.py"):
            continue
        text = path.read_text(encoding="utf-8")
        assert "kernels.reference" not in text, path
        assert "torch_reference import" not in text, path
