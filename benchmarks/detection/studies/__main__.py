"""`python -m benchmarks.detection.studies`: runs studies and writes their JSON and figures."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import benchmarks.detection.studies as package
from benchmarks.detection.plan import TRAINED
from benchmarks.detection.studies import asked, found
from benchmarks.detection.studies.figures import figure
from benchmarks.detection.studies.zoo import Missing, Row, Zoo
from sacfast import __version__
from sacfast.access import read_table
from sacfast.errors import SacfastError

STUDIES: dict[str, Callable[[Zoo], Iterator[Row]]] = {
    study.__name__: study
    for study in (
        *(asked.probes, asked.quality, asked.kinds, asked.centring, asked.bank, asked.access),
        *(found.evasions, found.thresholds, found.cost, found.twins),
        *(asked.ablation, asked.misclassified),
    )
}
ROOT = Path(__file__).parents[3]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=package.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="+", help="names, or all")
    parser.add_argument("--zoo", type=Path, default=Path(__file__).parents[1] / "zoo")
    parser.add_argument("--part", choices=("select", "test"), default="test")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "studies")
    parser.add_argument("--figures", type=Path, default=ROOT / "docs" / "figures")
    parser.add_argument(
        "--ship", action="store_true", help="write the table of access modes into the package"
    )
    chosen = parser.parse_args(arguments)
    for name in set(chosen.studies) - {*STUDIES, "all"}:
        parser.error(f"no study named {name}, there are {', '.join(STUDIES)}")
    names = STUDIES if "all" in chosen.studies else dict.fromkeys(chosen.studies)
    if chosen.ship and ("access" not in names or chosen.part != "test"):
        parser.error("--ship goes with the study access on the part test")
    zoo = Zoo.read(chosen.zoo, chosen.part)
    for folder in (chosen.out, chosen.figures):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        start = time.monotonic()
        try:
            rows = list(STUDIES[name](zoo))
        except (Missing, SacfastError) as error:
            print(f"{name}: left out, the zoo lacks {error}")
            continue
        _write(chosen.out / f"{name}.json", {"study": name, "facts": _facts(zoo), "rows": rows})
        figure(name, rows, chosen.figures / f"{name}.svg")
        if name == "access":
            table = asked.power_table(zoo, rows)
            read_table(table)
            kept = ROOT / "python" / "sacfast" if chosen.ship else chosen.out
            _write(kept / "access_power.json", table)
        print(f"{name}: {len(rows)} rows, {time.monotonic() - start:.0f} s")


def _facts(zoo: Zoo) -> dict[str, Any]:
    suspects = zoo.cast(asked.MAIN).suspects
    stolen = zoo.truth.stolen(zoo.part)
    return {
        "sacfast": __version__,
        "part": zoo.part,
        "attacks": TRAINED,
        "archives": {name: archive.probe_digest for name, archive in zoo.archives.items()},
        "copies": sum(m.stolen for m in suspects),
        "innocents": sum(not m.stolen for m in suspects),
        "null_bank": len(zoo.cast(asked.MAIN).bank),
        "left_out": [m.name for m in stolen if m.destroyed],
        "probes": f"{asked.PROBES} of {asked.MAIN} where a row does not say",
    }


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
