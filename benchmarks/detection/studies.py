"""What decides whether a copy is found? Studies on the outputs of a zoo, one figure each.

`python -m benchmarks.detection.studies probes bank --zoo benchmarks/detection/zoo --part select`

    probes    how many probes are needed, of each probe set
    bank      how large a null bank must be; groups are drawn, five times a size
    centring  what is taken out of the outputs before they are correlated, by method
    access    logits to labels, suspects, sources and null bank passed through one access mode

A zoo is a folder with models.csv and an outputs archive a probe set, as `sacfast evaluate` reads
them. A study writes its rows as JSON and a figure of them as SVG, pooled over the trained attacks:
AUC (within a source), and TPR at 1 % FPR with one threshold for all sources. Choose on the part
"select"; "test" is for what has been chosen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection.plan import TRAINED
from sacfast import Detector, __version__, benjamini_hochberg
from sacfast.evaluation.archive import Archive, coarsened, read_archives, shortened
from sacfast.evaluation.comparisons import Comparisons, Roles, comparable, roles
from sacfast.evaluation.measures import measures
from sacfast.evaluation.truth import Truth, read_truth

Row = dict[str, Any]

COUNTS = (10, 25, 50, 100, 200, 400, 800)
BANKS = (5, 10, 20, 40, 80)
DRAWS = 5
PROBES = 200
ACCESS = ("logits", "probs", "rounded:4", "rounded:2", "topk:5", "topk:3", "topk:1", "labels")
#: Method and centring; the first of a method is its default.
CENTRED = (
    *(("partial", c) for c in ("double", "row", "none")),
    *(("pearson", c) for c in ("double", "row", "none")),
    *(("paper", c) for c in ("none", "row", "double")),
)


@dataclass(frozen=True)
class Zoo:
    """The outputs of a zoo and the truth about it.

    Attributes:
        truth: Its truth file.
        archives: One a probe set.
        roles: Sources, suspects and null bank of the part that is looked at.
    """

    truth: Truth
    archives: list[Archive]
    roles: Roles

    @classmethod
    def read(cls, folder: Path, part: str) -> Zoo:
        truth = read_truth(folder / "models.csv")
        archives = read_archives(sorted(folder.glob("*.safetensors")))
        present = set.intersection(*(set(archive.outputs) for archive in archives))
        everyone = [model for name, model in truth.models.items() if name in present]
        present -= set(comparable(archives, everyone))
        return cls(truth, archives, roles(truth, part, present, 0))

    def pooled(self, archive: Archive, method: Any, **options: Any) -> Row:
        """AUC and TPR of one method on one probe set."""
        cast = self.roles
        sources, bank, suspects = (
            archive.form([m.name for m in models])
            for models in (cast.sources, cast.bank, cast.suspects)
        )
        groups = [m.group for m in cast.bank]
        detector = Detector(sources, bank, groups=groups, method=method, **options)
        scores = detector.scores(suspects)
        names = tuple(m.name for m in cast.sources)
        q = benjamini_hochberg(scores.p)
        none = np.full_like(scores.score, np.nan)
        compared = Comparisons(
            method, archive.name, names, cast.suspects, scores.score, scores.z, scores.p, q, none
        )
        pooled = measures(compared, self.truth, TRAINED, "score", None, 0)["pooled"]
        return {
            "auc": pooled["auc"],
            "auc_interval": pooled["auc_interval"],
            "tpr_at_1": pooled["tpr"]["0.01"]["value"],
        }


def probes(zoo: Zoo) -> Iterator[Row]:
    for archive in zoo.archives:
        for count in [count for count in COUNTS if count <= archive.probes]:
            for method in ("partial", "paper"):
                found = zoo.pooled(shortened(archive, count), method)
                yield {"series": f"{method}, {archive.name}", "x": count, **found}


def bank(zoo: Zoo) -> Iterator[Row]:
    archive = shortened(zoo.archives[0], PROBES)
    names = sorted({m.group for m in zoo.roles.bank})
    for size in [*(size for size in BANKS if size < len(names)), len(names)]:
        for draw in range(DRAWS if size < len(names) else 1):
            drawn = np.random.default_rng([draw, size]).permutation(len(names))[:size]
            chosen = {names[i] for i in drawn}
            members = tuple(m for m in zoo.roles.bank if m.group in chosen)
            smaller = replace(zoo, roles=replace(zoo.roles, bank=members))
            for method in ("partial", "pearson"):
                found = smaller.pooled(archive, method)
                yield {"series": method, "x": size, "models": len(members), "draw": draw, **found}


def centring(zoo: Zoo) -> Iterator[Row]:
    for archive in zoo.archives:
        for method, center in CENTRED:
            found = zoo.pooled(shortened(archive, PROBES), method, center=center)
            yield {"series": archive.name, "x": f"{method}, {center}", **found}


def access(zoo: Zoo) -> Iterator[Row]:
    archive = shortened(zoo.archives[0], PROBES)
    for mode in ACCESS:
        for method in ("partial", "paper"):
            found = zoo.pooled(coarsened(archive, mode), method)
            yield {"series": method, "x": mode, **found}


STUDIES: dict[str, Callable[[Zoo], Iterator[Row]]] = {
    "probes": probes,
    "bank": bank,
    "centring": centring,
    "access": access,
}
X_LABELS = {"probes": "probes", "bank": "groups in the null bank", "access": "what a model answers"}


def figure(name: str, rows: list[Row], path: Path) -> None:
    """Two panels, AUC and TPR, one line a series; rows of equal x are averaged."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "sacfast"
    from matplotlib import pyplot

    drawn, panels = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, key, label in zip(
        panels, ("auc", "tpr_at_1"), ("AUC", "TPR at 1 % FPR"), strict=True
    ):
        for series in dict.fromkeys(row["series"] for row in rows):
            own = [row for row in rows if row["series"] == series]
            xs = list(dict.fromkeys(row["x"] for row in own))
            ys = [np.mean([row[key] for row in own if row["x"] == x]) for x in xs]
            panel.plot(xs, ys, marker="o", label=series)
        if all(isinstance(row["x"], int) for row in rows):
            panel.set_xscale("log")
            ticks = sorted({row["x"] for row in rows})
            panel.set_xticks(ticks, [str(x) for x in ticks])
            panel.minorticks_off()
        else:
            panel.tick_params(axis="x", rotation=40)
        panel.set_xlabel(X_LABELS.get(name, ""))
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize="small")
    drawn.savefig(path, metadata={"Date": None})
    pyplot.close(drawn)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", help="all unless named")
    parser.add_argument("--zoo", type=Path, default=Path(__file__).parent / "zoo")
    parser.add_argument("--part", choices=("select", "test"), default="select")
    results = Path(__file__).parents[1] / "results"
    parser.add_argument("--out", type=Path, default=results, help="where JSON and figures go")
    chosen = parser.parse_args()
    for name in set(chosen.studies) - set(STUDIES):
        parser.error(f"no study named {name}, there are {', '.join(STUDIES)}")
    zoo = Zoo.read(chosen.zoo, chosen.part)
    facts = {
        "sacfast": __version__,
        "part": chosen.part,
        "attacks": TRAINED,
        "archives": {archive.name: archive.probe_digest for archive in zoo.archives},
        "suspects": len(zoo.roles.suspects),
        "null_bank": len(zoo.roles.bank),
    }
    for name in chosen.studies or STUDIES:
        rows = list(STUDIES[name](zoo))
        stem = chosen.out / f"study_{name}_{chosen.part}"
        content = json.dumps({"study": name, "facts": facts, "rows": rows}, indent=1) + "\n"
        stem.with_suffix(".json").write_text(content, encoding="utf-8")
        figure(name, rows, stem.with_suffix(".svg"))
        print(f"{name}: {len(rows)} rows in {stem}.json")


if __name__ == "__main__":
    main()
