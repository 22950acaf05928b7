"""Builds the CUDA sources of csrc/ for the CPU, with the simulator of this folder behind them.

    python tests/hostsim/build.py --mode check            # the module _cuda; prints its path
    python tests/hostsim/build.py --mode check --driver drive.cpp --sources csrc/cuda/a.cu --out X

Every file of csrc/cuda goes through convert.py into a tree of its own; objects are kept under
build/hostsim/ by the hash of all that goes into them, so that a second build is a look-up.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
if __name__ == "__main__":  # as a script: imports go from the repository's root
    sys.path[0] = str(ROOT)

from tests.hostsim.convert import convert  # noqa: E402

CSRC = ROOT / "csrc"
BUILD = ROOT / "build" / "hostsim"
MODES = ("plain", "check")
JOBS = 2

WARNINGS = ["-Wall", "-Wno-unknown-pragmas", "-Wno-unused"]
COMMON = ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-DSACFAST_HOSTSIM"]
#: Every load and store calls hooks.cpp, and so does undefined behaviour; the sanitizers themselves
#: are never linked. What no thread has put into a variable of its own is a number like -1.7e38.
HOOKED = [
    "-fsanitize=thread",
    "-fsanitize=alignment,bounds,signed-integer-overflow,shift",
    "-ftrivial-auto-var-init=pattern",
    "-g1",
]
LINK = ["-Wl,-Bsymbolic", "-ldl"]
#: What remains a call in hooked objects goes to hooks.cpp as well.
RENAMED = [f"--redefine-sym={name}=hostsim_{name}" for name in ("memcpy", "memmove", "memset")]


class BuildError(RuntimeError):
    """The compiler is missing or refused; the message has its words."""


def compiler() -> str:
    found = shutil.which("g++")
    if found is None:
        raise BuildError("the simulator needs g++, and there is none on PATH")
    return found


def digest(parts: Iterable[str | bytes]) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "little") + data)
    return hashed.hexdigest()[:24]


def execute(command: Sequence[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{run.stdout}{run.stderr}")


def produced(path: Path, command: Sequence[str], then: Sequence[str] = ()) -> Path:
    """`path`, made by `command` + [file] (and `then` + [file]) unless it is there."""
    if path.exists():
        os.utime(path)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            made = Path(scratch) / path.name
            execute([*command, str(made)])
            if then:
                execute([*then, str(made)])
            made.replace(path)
    return path


def converted(path: Path, text: str) -> str:
    """A file of csrc/ as the simulator's compiler is to see it."""
    name = str(path.relative_to(ROOT))
    return convert(text, name) if path.is_relative_to(CSRC / "cuda") else text


class Tree:
    """csrc/ as the simulator's compiler sees it: the files' texts by name, and a folder of them."""

    def __init__(self, texts: Mapping[str, str] | None = None, into: Path = BUILD) -> None:
        self.texts = dict(texts) if texts is not None else self._read()
        self.into = into
        self.folder = into / "sources" / digest(x for item in self.texts.items() for x in item)
        if self.folder.exists():
            os.utime(self.folder)
        else:
            self._write()

    def changed(self, path: Path, text: str, into: Path) -> Tree:
        """The same with another text in place of a file, in a folder of its own."""
        return Tree({**self.texts, str(path.relative_to(CSRC)): converted(path, text)}, into)

    @staticmethod
    def _read() -> dict[str, str]:
        paths = [
            path
            for path in sorted(CSRC.rglob("*"))
            if path.suffix in (".h", ".cuh", ".cu", ".cpp")
            and not path.is_relative_to(CSRC / "cpu")
        ]
        return {
            str(path.relative_to(CSRC)): converted(path, path.read_text(encoding="utf-8"))
            for path in paths
        }

    def _write(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as scratch:
            made = Path(scratch) / "tree"
            for name, text in self.texts.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                (made / name).write_text(text, encoding="utf-8")
            try:
                made.rename(self.folder)
            except OSError:
                if not self.folder.exists():  # otherwise somebody else was faster
                    raise

    def closure(self, name: str, text: str | None = None) -> dict[str, str]:
        """The file and all that it includes from the tree, by name."""
        found: dict[str, str] = {}
        waiting = [(name, text if text is not None else self.texts[name])]
        while waiting:
            at, content = waiting.pop()
            found[at] = content
            for included in re.findall(r'#include "([^"]+)"', content):
                beside = str(Path(at).parent / included)
                for candidate in (included, beside):
                    if candidate in self.texts and candidate not in found:
                        waiting.append((candidate, self.texts[candidate]))
        return found

    def kernels(self) -> list[str]:
        return [name for name in self.texts if name.endswith(".cu")]


@functools.cache
def simulator_digest() -> str:
    files = sorted(p for p in HERE.rglob("*") if p.suffix in (".h", ".cpp"))
    return digest(p.read_bytes() for p in files)


@functools.cache
def compiler_digest() -> str:
    run = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=False)
    return digest([compiler(), run.stdout])


def python_flags() -> list[str]:
    import pybind11

    include = [pybind11.get_include(), sysconfig.get_path("include")]
    version = re.search(
        r'__version__ = "([^"]+)"',
        (ROOT / "python" / "sacfast" / "__init__.py").read_text(encoding="utf-8"),
    )
    assert version is not None
    return [
        *(f"-isystem{path}" for path in include),
        f'-DSACFAST_VERSION="{version.group(1)}"',
        '-DSACFAST_CUDA_ARCHITECTURES="80-real 120"',
        '-DSACFAST_CUDA_TOOLKIT="simulated"',
    ]


def compiled(
    source: Path,
    flags: Sequence[str],
    includes: Sequence[Path],
    parts: Iterable[str],
    into: Path = BUILD,
) -> Path:
    command = [compiler(), *COMMON, *WARNINGS, *flags]
    name = digest([*command, *parts, simulator_digest(), compiler_digest()])
    include = [f"-I{path}" for path in includes]
    return produced(
        into / "objects" / f"{source.stem}-{name}.o",
        [*command, *include, "-x", "c++", "-c", str(source), "-o"],
        ["objcopy", *RENAMED] if HOOKED[0] in flags else [],
    )


def objects(
    tree: Tree, mode: str, sources: Sequence[str], *, bind: bool = True, alone: bool = False
) -> list[Path]:
    """The objects of `sources` (names in the tree), and unless `alone` those of the binding and
    of the simulator."""
    jobs: list[tuple[Path, list[str], list[Path], list[str]]] = []
    # The simulator first: of a template that it shares with a kernel's file (std::string's, say)
    # the linker keeps the first, and that must not call the hooks.
    own = ["-DHOSTSIM_CHECK"] if mode == "check" else []
    for path in sorted(HERE.glob("*.cpp")):
        if not alone and (mode == "check" or path.name != "hooks.cpp"):
            jobs.append((path, ["-O2", *own], [HERE / "include", HERE], []))
    includes = [HERE / "include", tree.folder]
    if bind and not alone:
        parts = [x for item in sorted(tree.closure("bind_cuda.cpp").items()) for x in item]
        flags = ["-O1", "-Wno-attributes", *python_flags()]
        jobs.append((tree.folder / "bind_cuda.cpp", flags, includes, parts))
    hooked = HOOKED if mode == "check" else []
    for name in sources:
        parts = [x for item in sorted(tree.closure(name).items()) for x in item]
        jobs.append((tree.folder / name, ["-O2", *hooked], includes, parts))
    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(lambda job: compiled(*job, into=tree.into), jobs))


def linked(path: Path, parts: Sequence[Path], flags: Sequence[str]) -> Path:
    return produced(path, [compiler(), *flags, *map(str, parts), *LINK, "-o"])


def names(sources: str) -> list[str]:
    """Paths with commas between as names in the tree."""
    return [str((ROOT / name).relative_to(CSRC)) for name in sources.split(",") if name]


def module(mode: str, sources: Sequence[str] = ()) -> Path:
    """The extension module _cuda, simulated: the path of a file that importlib can load.

    With `sources` only these kernels are in it; what calls others fails when it does.
    """
    tree = Tree()
    return linked_module(mode, objects(tree, mode, sources or tree.kernels()), BUILD)


def changed_module(tree: Tree, changed: Tree, kernel: str, mode: str) -> Path:
    """The module of `tree` with one kernel's file compiled from the tree `changed`."""
    others = [name for name in tree.kernels() if name != kernel]
    parts = [*objects(tree, mode, others), *objects(changed, mode, [kernel], alone=True)]
    return linked_module(mode, parts, changed.into)


def linked_module(mode: str, parts: Sequence[Path], into: Path) -> Path:
    folder = into / f"{mode}-{digest(part.name for part in parts)}"
    if folder.exists():
        os.utime(folder)
    else:
        prune()
    return linked(folder / "_cuda.so", parts, ["-shared"])


def prune() -> None:
    """Removes what nobody has used for two days."""
    for path in [*BUILD.glob("*/*"), *BUILD.glob("*-*")]:
        if path.exists() and time.time() - path.stat().st_mtime > 2 * 86400:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def apart(tree: Tree, source: Path, mode: str) -> Path:
    """The object of a C++ or CUDA file from outside of csrc/."""
    text = convert(source.read_text(encoding="utf-8"), source.name)
    written = BUILD / "sources" / f"{source.stem}-{digest([text])}.cpp"
    written.write_text(text, encoding="utf-8")
    return compiled(
        written,
        ["-O2", *(HOOKED if mode == "check" else [])],
        [HERE / "include", tree.folder, source.resolve().parent],
        [x for item in sorted(tree.closure(source.name, text).items()) for x in item],
    )


def library(source: Path, mode: str) -> Path:
    """A shared library of one `.cu` file from outside of csrc/, for tests of the simulator."""
    tree = Tree()
    parts = [*objects(tree, mode, [], bind=False), apart(tree, source, mode)]
    folder = BUILD / f"{mode}-{digest(part.name for part in parts)}"
    return linked(folder / f"{source.stem}.so", parts, ["-shared"])


def driver(source: Path, sources: Sequence[str], mode: str, out: Path) -> Path:
    """A program: `source` with the kernels of `sources`. It may launch with <<<>>> itself."""
    tree = Tree()
    parts = [*objects(tree, mode, sources, bind=False), apart(tree, source, mode)]
    out.unlink(missing_ok=True)
    return linked(out, parts, [])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--mode", choices=MODES, default="check")
    parser.add_argument("--driver", type=Path, help="a C++ or CUDA file with main()")
    parser.add_argument("--sources", default="", help=".cu files, commas between [all]")
    parser.add_argument("--out", type=Path, help="with --driver: the program's path")
    arguments = parser.parse_args()
    try:
        if arguments.driver is None:
            print(module(arguments.mode, names(arguments.sources)))
        else:
            sources = names(arguments.sources)
            print(driver(arguments.driver, sources, arguments.mode, arguments.out.resolve()))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
