"""Kernels as cuobjdump describes them: resources, threads of a block, and counted instructions."""

from __future__ import annotations

import ctypes
import ctypes.util
import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.sass import tools

#: What the tool counts as shared memory of a block though it is the system's, if there is any
#: other: from compute capability 9.0 on.
RESERVED = 1024
#: Threads of a block, for a kernel without launch bounds: as many as there may be.
MOST_THREADS = 1024

_ARCHITECTURE = re.compile(r"^arch = sm_(\w+)$", re.MULTILINE)
_RESOURCES = re.compile(
    r"^ Function (\S+):\n\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+) ", re.MULTILINE
)
_THREADS = re.compile(
    r"^\.nv\.info\.(\S+)$"
    r"|EIATTR_MAX_THREADS\n\tFormat:\s+\S+\n\tValue:\s+(0x\w+) (0x\w+) (0x\w+)",
    re.MULTILINE,
)
_INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(@!?U?P\w+\s+)?([A-Z][\w.]*)")
_SOURCE = re.compile(r"_GLOBAL__N__[0-9a-f]+_(\d+)_(\w+)")


@dataclasses.dataclass(frozen=True)
class Resources:
    """What one kernel takes on one architecture; memory in bytes, registers and stack a thread."""

    registers: int
    stack: int
    shared: int
    local: int

    @property
    def clean(self) -> bool:
        """No local memory: no spilled register, no array that isn't in registers, no call frame."""
        return self.stack == 0 and self.local == 0


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A compiled kernel: `source` and `name` as in csrc/cuda, `architecture` as in sm_80."""

    symbol: str
    architecture: str
    resources: Resources

    @property
    def source(self) -> str:
        return source_of(self.symbol)

    @property
    def name(self) -> str:
        return name_of(self.symbol)


def kernels(text: str) -> list[Kernel]:
    """From `cuobjdump -res-usage`."""
    found = []
    for architecture, part in _by_architecture(text):
        for symbol, *numbers in _RESOURCES.findall(part):
            registers, stack, shared, local = map(int, numbers)
            if shared and int(re.sub(r"\D", "", architecture)) >= 90:
                shared -= RESERVED
            found.append(Kernel(symbol, architecture, Resources(registers, stack, shared, local)))
    return found


def threads(text: str) -> dict[str, int]:
    """Threads of a block by symbol, from `cuobjdump -elf`; none for kernels without bounds."""
    found: dict[str, int] = {}
    symbol = ""
    for match in _THREADS.finditer(text):
        if match[1]:
            symbol = match[1]
        else:
            found[symbol] = int(match[2], 16) * int(match[3], 16) * int(match[4], 16)
    return found


def instructions(lines: Iterable[str]) -> dict[str, Counter[str]]:
    """How often each instruction, with its suffixes, stands in each function of `-sass`.

    What can't run is left out: padding, and loads that only keep the hardware waiting.
    """
    found: dict[str, Counter[str]] = {}
    current: Counter[str] = Counter()
    for line in lines:
        match = _INSTRUCTION.match(line)
        if match:
            if match[2] != "NOP" and (match[1] or "").strip() != "@!PT":
                current[match[2]] += 1
        elif "Function : " in line:
            current = found.setdefault(line.split("Function : ")[1].strip(), Counter())
    return found


def counted(opcodes: Counter[str]) -> dict[str, int]:
    """What the report says about a kernel's instructions.

    A load counts as wide if it takes 16 bytes or more a lane; asynchronous copies are loads from
    global memory.
    """

    def of(*names: str, wide: bool = False) -> int:
        return sum(
            count
            for opcode, count in opcodes.items()
            if opcode.split(".")[0] in names and (not wide or ".128" in opcode or ".256" in opcode)
        )

    return {
        "instructions": opcodes.total(),
        "FFMA": of("FFMA", "FFMA2"),
        "FADD": of("FADD", "FADD2"),
        "HMMA": of("HMMA"),
        "float64": of("DADD", "DMUL", "DFMA"),
        "global loads": of("LDG", "LDGSTS"),
        "wide global loads": of("LDG", "LDGSTS", wide=True),
        "shared loads": of("LDS", "LDSM"),
        "wide shared loads": of("LDS", "LDSM", wide=True),
        "local loads": of("LDL"),
        "local stores": of("STL"),
    }


def read(tool: Path, module: Path) -> list[Kernel]:
    """All kernels of a module, with what each takes: takes no time."""
    return kernels(tools.output(tool, "-res-usage", str(module)))


def read_code(tool: Path, module: Path, found: list[Kernel]) -> list[dict[str, Any]]:
    """The report's record of each kernel: some seconds an architecture.

    Raises:
        ToolError: If the tool fails, or prints no code for a kernel.
    """
    architectures = list(dict.fromkeys(kernel.architecture for kernel in found))
    bounds: dict[str, int] = {}
    code = {}
    for architecture in architectures:
        chosen = ("-arch", f"sm_{architecture}", str(module))
        if not bounds:  # they stand in the source
            bounds = threads(tools.output(tool, "-elf", *chosen))
        text = tools.output(tool, "-sass", *chosen)
        code[architecture] = instructions(text.splitlines())
    records = []
    for kernel in found:
        opcodes = code[kernel.architecture].get(kernel.symbol)
        if opcodes is None:
            raise tools.ToolError(
                f"sass_report: no code of {kernel.name} for sm_{kernel.architecture}"
            )
        records.append(
            {
                "source": kernel.source,
                "kernel": kernel.name,
                "architecture": kernel.architecture,
                "threads": bounds.get(kernel.symbol, MOST_THREADS),
                **dataclasses.asdict(kernel.resources),
                **counted(opcodes),
            }
        )
    return records


def _by_architecture(text: str) -> Iterator[tuple[str, str]]:
    marks = list(_ARCHITECTURE.finditer(text))
    ends = [mark.start() for mark in marks[1:]]
    for mark, end in zip(marks, [*ends, len(text)], strict=False):
        yield mark[1], text[mark.end() : end]


def source_of(symbol: str) -> str:
    """The file of csrc/cuda that a kernel of an unnamed namespace is from, or nothing."""
    match = _SOURCE.search(symbol)
    return match[2][: int(match[1])].removesuffix("_cu") if match else ""


def name_of(symbol: str) -> str:
    """The kernel's name and template arguments, without its namespaces and parameters."""
    full = demangled(symbol).replace("(anonymous namespace)::", "").removeprefix("void ")
    return re.sub(r"\bsacfast::(cuda::)?", "", full).split("(")[0]


@functools.cache
def _demangle() -> ctypes._NamedFuncPointer | None:
    try:
        function = ctypes.CDLL("libstdc++.so.6")["__cxa_demangle"]
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_void_p
    return function


@functools.cache
def demangled(symbol: str) -> str:
    """A C++ name as it is written; the symbol itself where no C++ library can tell."""
    function = _demangle()
    if function is None:
        return symbol
    address = function(symbol.encode(), None, None, None)
    if not address:
        return symbol
    name = ctypes.string_at(address).decode()
    release = ctypes.CDLL(None)["free"]
    release.argtypes = [ctypes.c_void_p]
    release(address)
    return name
