"""Studies of which copies are found, and what hiding costs; see the package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.detection.plan import TRAINED
from benchmarks.detection.studies.asked import MAIN, PROBES
from benchmarks.detection.studies.evading import COARSER, EXACT, FREE, HIDING, evaded
from benchmarks.detection.studies.zoo import Row, Zoo, rounded, together
from sacfast import Detector
from sacfast.evaluation.comparisons import Comparisons
from sacfast.evaluation.measures import midpoint_threshold
from sacfast.resampling import Draw
from sacfast.statistics import f1, threshold_at_fpr

METHODS = ("balanced", "partial", "paper")
#: A free evasion of the exact ones may change the AUC by no more than that.
BAR = 0.005
#: What the hidden copies were before they were hidden.
PLAIN = "fine-tune all"
TWIN, COLLEAGUE = "honest twin", "same author"


def evasions(zoo: Zoo) -> Iterator[Row]:
    """Free ones on every trained copy; hidden copies against the fine-tuned ones they were."""
    for method in METHODS:
        before = zoo.measured(zoo.scored(MAIN, method, PROBES).compared())
        plain = before["pooled"]
        for name, found in _free(zoo, method):
            row = _change(name, "free", method, plain, found)
            exact = {"exact": True, "within_bar": abs(row["change"]) < BAR}
            yield {**row, **(exact if name in EXACT else {})}
        for name, mode in COARSER.items():
            found = zoo.measured(zoo.scored(MAIN, method, PROBES, mode).compared())["pooled"]
            yield _change(name, "coarser", method, plain, found)
        attacks = before["attacks"]
        for name in [name for name in HIDING if name in attacks and PLAIN in attacks]:
            yield _change(name, "hidden", method, attacks[PLAIN], attacks[name])


def _change(name: str, kind: str, method: str, before: Any, after: Any) -> Row:
    auc, then = rounded(before["auc"]), rounded(after["auc"])
    return {
        "series": method,
        "x": name,
        "kind": kind,
        "auc_before": auc,
        "auc": then,
        "change": rounded(after["auc"] - before["auc"]),
        "tpr_at_1_before": rounded(before["tpr"]["0.01"]["value"]),
        "tpr_at_1": rounded(after["tpr"]["0.01"]["value"]),
    }


def _free(zoo: Zoo, method: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Trained copies evade; innocents stay as they are."""
    archive, cast = zoo.archive(MAIN, PROBES), zoo.cast(MAIN)
    copies = [m for m in cast.suspects if m.attack in TRAINED]
    innocents = [m for m in cast.suspects if not m.stolen]
    detector = Detector(
        archive.form([m.name for m in cast.sources]),
        archive.form([m.name for m in cast.bank]),
        groups=[m.group for m in cast.bank],
        method=method,
    )
    honest = detector.scores(archive.form([m.name for m in innocents])).score
    for name in FREE:
        outputs = [evaded(name, m.name, archive.outputs[m.name]) for m in copies]
        score = np.concatenate([detector.scores(outputs).score, honest])
        compared = together(method, archive.name, cast, [*copies, *innocents], score)
        yield name, zoo.measured(compared)["pooled"]


def thresholds(zoo: Zoo) -> Iterator[Row]:
    """A threshold set on one source's copies and innocents, applied to each source's."""
    for method in METHODS:
        compared = zoo.scored(MAIN, method, PROBES).compared()
        for fitted in compared.sources:
            own = _of_source(compared, fitted)
            honest = own.values("score")[own.rows(stolen=False)]
            middle = midpoint_threshold(own, "score")
            rules = {"1 % FPR": (threshold_at_fpr(honest[:, 0], 0.01), "innocents")}
            if middle is not None:
                rules = {"midpoint": middle, **rules}
            for rule, (threshold, of) in rules.items():
                for applied in compared.sources:
                    found = _at(_of_source(compared, applied), threshold)
                    names = {"series": f"{method}, {rule}", "fitted": fitted, "applied": applied}
                    yield {**names, "threshold": rounded(threshold), "of": of, **found}


def _of_source(compared: Comparisons, source: str) -> Comparisons:
    """Trained copies of one source, and all innocents, against that source alone."""
    at = compared.sources.index(source)
    rows = [
        i
        for i, model in enumerate(compared.suspects)
        if not model.stolen or (model.source == source and model.attack in TRAINED)
    ]
    suspects = tuple(compared.suspects[i] for i in rows)
    tables = {
        name: getattr(compared, name)[rows][:, [at]]
        for name in ("score", "z", "p", "q", "distance")
    }
    return replace(compared, sources=(source,), suspects=suspects, **tables)


def _at(compared: Comparisons, threshold: float) -> Row:
    """F1, TPR (macro-average over attacks) and FPR of a threshold on one source."""
    accused = compared.values("score")[:, 0] > threshold
    stolen, innocent = (compared.rows(stolen=side) for side in (True, False))
    attacks = [compared.suspects[row].attack for row in stolen]
    by_attack = [
        float(np.mean([accused[row] for row, own in zip(stolen, attacks, strict=True) if own == a]))
        for a in dict.fromkeys(attacks)
    ]
    hits, alarms = int(accused[stolen].sum()), int(accused[innocent].sum())
    return {
        "f1": rounded(f1(hits, alarms, len(stolen) - hits)),
        "tpr": rounded(float(np.mean(by_attack))),
        "fpr": rounded(alarms / len(innocent)),
    }


def cost(zoo: Zoo) -> Iterator[Row]:
    """Every attack, the free-of-training ones too: what it cost, what it kept, how it is found."""
    for method in ("partial", "paper"):
        attacks = zoo.measured(zoo.scored(MAIN, method, PROBES).compared())["attacks"]
        for name, found in attacks.items():
            more = ("accuracy_lost", "agreement", "excess_agreement")
            yield {
                "series": method,
                "x": name,
                "copies": found["stolen"],
                "pooled": name in TRAINED,
                **{key: rounded(found[key]) for key in more},
                **zoo.figures(found),
            }


def twins(zoo: Zoo) -> Iterator[Row]:
    """One honest twin and one colleague of each source as owner twins; no suspects in either run.

    A source has owner twins of its own, as its owner would have trained them.
    """
    cast = zoo.cast(MAIN)
    moved = {
        source.name: [_first(cast.suspects, source.name, kind) for kind in (TWIN, COLLEAGUE)]
        for source in cast.sources
    }
    everyone = {m.name for models in moved.values() for m in models if m is not None}
    suspects = [m for m in cast.suspects if m.name not in everyone]
    groups = [m.group for m in cast.bank]
    for method in ("balanced", "partial"):
        scored = zoo.scored(MAIN, method, PROBES)
        without = scored.table(suspects, scored.draw(cast.bank, suspects, groups), groups)
        columns = []
        for at, source in enumerate(cast.sources):
            own = [m for m in moved[source.name] if m is not None]
            left_out = [*groups, *(f"owner twin {m.name}" for m in own)]
            draw = scored.draw([*cast.bank, *own], suspects, left_out)
            one = Draw(draw.score[:, [at]], draw.null[:, [at]])
            in_p = [*groups, *["owner twins"] * len(own)]
            columns.append(scored.with_p(one, in_p, len(own)))
        p = np.concatenate([p for _, p in columns], axis=1)
        score = np.concatenate([score for score, _ in columns], axis=1)
        beside = together(method, MAIN, cast, suspects, score, p)
        for name, compared in (("without", without), ("with", beside)):
            measured = zoo.measured(compared)
            yield {
                "series": method,
                "x": f"{name} owner twins",
                "moved": sorted(everyone),
                **zoo.figures(measured["pooled"]),
                "p_low": {
                    kind: rounded(found["p_low"]) for kind, found in measured["innocents"].items()
                },
            }


def _first(suspects: Any, source: str, kind: str) -> Any:
    return next((m for m in suspects if m.group == source and m.attack == kind), None)
