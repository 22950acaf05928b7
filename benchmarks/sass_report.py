"""What did the compiler make of the CUDA kernels, and what should they reach? Needs no GPU.

    python benchmarks/sass_report.py --check      spills, stack frames, local memory: at once
    python benchmarks/sass_report.py              the whole report, in half a minute

Reads the machine code of the installed `_cuda` module, or of --module, with NVIDIA's cuobjdump,
which is looked for on PATH, in CUDA_HOME and in installed packages (PyTorch for Linux brings
triton, which has one). For every kernel and architecture: registers, memory, how many blocks and
warps a multiprocessor holds, the share of 16-byte loads, arithmetic and tensor-core instructions.
Beside that the time that each shape of the benchmarks should take on three GPUs, predicted from
counted bytes and operations and NVIDIA's published rates.

Writes benchmarks/results/sass.json and the tables of docs/cuda.md. Ends with 0; with 1 where
--check finds a kernel that uses local memory; with 2 where the tool or the module is missing.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.sass import gpus, machine_code, occupancy, predicted, table, tools  # noqa: E402


def objections(kernels: list[machine_code.Kernel]) -> list[str]:
    """One line for each kernel and architecture with something in local memory."""
    return [
        f"{one.source}: {one.name} for sm_{one.architecture}: a stack frame of "
        f"{one.resources.stack} bytes, {one.resources.local} bytes of local memory"
        for one in kernels
        if not one.resources.clean
    ]


def report(tool: Path, module: Path) -> dict[str, Any]:
    """Everything, without a word about this machine.

    Raises:
        ToolError: If the tool fails, or the module has an architecture that no limits are known of.
    """
    records = machine_code.read_code(tool, module, machine_code.read(tool, module))
    for record in records:
        if record["architecture"] not in occupancy.LIMITS:
            raise tools.ToolError(
                f"sass_report: sm_{record['architecture']} is not in benchmarks/sass/occupancy.py"
            )
        taken = [record[name] for name in ("architecture", "threads", "registers", "shared")]
        record["blocks"] = occupancy.blocks(*taken)
        record["warps"], share = occupancy.warps(*taken)
        record["occupancy"] = round(share, 3)
    version = re.search(r"release ([\d.]+)", tools.output(tool, "--version"))
    return {
        "benchmark": "sass",
        "cuobjdump": version[1] if version else "",
        "kernels": records,
        "rates": {
            one.name: {
                "source": one.source,
                "float32": one.float32,
                "tf32": one.tf32,
                "float64": one.float64,
                "memory": one.memory,
            }
            for one in gpus.GPUS
        },
        "predicted": predicted.predictions(),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="look for local memory only")
    parser.add_argument("--module", type=Path, help="a compiled module or object file")
    parser.add_argument("--cuobjdump", type=Path, help="the tool itself")
    parser.add_argument("--root", type=Path, default=ROOT, help="of the tree to write into")
    chosen = parser.parse_args(arguments)
    try:
        tool, module = tools.cuobjdump(chosen.cuobjdump), tools.module(chosen.module)
        kernels = machine_code.read(tool, module)
        if not kernels:
            raise tools.ToolError(f"sass_report: no kernel in {module.name}")
        if chosen.check:
            found = objections(kernels)
            print("\n".join(found) or f"{_counts(kernels)}: no spill, stack frame or local memory")
            return 1 if found else 0
        made = report(tool, module)
    except tools.ToolError as error:
        print(error, file=sys.stderr)
        return 2
    out = chosen.root / "benchmarks" / "results" / "sass.json"
    out.write_text(table.stored(made), encoding="utf-8")
    table.write(made, chosen.root / "docs" / "cuda.md")
    print(f"{_counts(kernels)}: {out.name} and the tables of docs/cuda.md are written")
    return 0


def _counts(kernels: list[machine_code.Kernel]) -> str:
    names = {one.symbol for one in kernels}
    architectures = {one.architecture for one in kernels}
    return f"{len(names)} kernels, {len(architectures)} architectures"


if __name__ == "__main__":
    sys.exit(main())
