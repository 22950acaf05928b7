"""From a truth file and a scan, or the models' outputs, to every measure: the whole in order."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sacfast import __version__
from sacfast.detector import Method, check_method
from sacfast.errors import ArgumentError
from sacfast.evaluation.archive import Archive, coarsened, read_archives, shortened
from sacfast.evaluation.calibration import calibration, of_one_scan
from sacfast.evaluation.comparisons import (
    Comparisons,
    Roles,
    comparable,
    from_outputs,
    from_scan,
    roles,
)
from sacfast.evaluation.measures import can_be_measured, measures, midpoint_threshold
from sacfast.evaluation.result import Evaluation, PathArgument
from sacfast.evaluation.truth import PARTS, Model, Truth, read_truth
from sacfast.progress import progress_bar
from sacfast.store import Store
from sacfast.text import one_line

#: What a scan's results end in; anything else but .safetensors is a store.
_ROWS = ".jsonl"
_ARCHIVE = ".safetensors"
_STORES = (".db", ".sqlite", ".sqlite3")


def evaluate(
    truth: PathArgument,
    what: PathArgument | Sequence[PathArgument],
    *,
    methods: Sequence[Method] = ("partial", "paper"),
    part: str = "test",
    attacks: Sequence[str] | None = None,
    owner_twins: Sequence[str] = (),
    statistic: str = "score",
    access: str | None = None,
    count: int | None = None,
    splits: int = 200,
    seed: int = 0,
    progress: bool | None = None,
) -> Evaluation:
    """Measures how well stolen models are told from innocent ones, where the truth is known.

    Args:
        truth: A truth file: CSV with one row a model (docs/evaluation.md).
        what: Results of `scan` (.jsonl) or a store that a scan has written, whose latest scan is
            taken; or one or several outputs archives (.safetensors), one a probe set.
        methods: Methods of `Detector` that outputs are compared by; "paper" is always among them.
            A scan has its own.
        part: The part whose sources, copies and innocents count: "select" while something is being
            chosen, "test" at the end. The null bank is always the part "calibrate".
        attacks: The attacks that are pooled; None: all of the truth file but those with
            `trained` no. A copy is left out only where its accuracy fell more than 15 points below
            its source's, never for its agreement.
        owner_twins: Patterns ("*.twin0") of innocents of the part that are no suspects but owner
            twins, as in `Detector`. Calibration and FDR are measured without them.
        statistic: What is compared with a threshold: "score", or "z", the score in standard
            deviations of the null bank.
        access: Makes outputs coarser first, those of sources and bank too: "labels", "topk:3",
            "rounded:2" …
        count: Only the first so many probes of each archive, >= 2; None: all.
        splits: Null banks that are drawn for calibration and FDR; 0 leaves them out.
        seed: Of everything random: the same files and seed give the same numbers.
        progress: Whether to draw a bar; None: where standard error is a terminal.

    Returns:
        An `Evaluation`.

    Raises:
        ArgumentError: If a file can't be used or an option is not one of those named.
        StoreError: If the store can't be read.

    Source: docs/method.md, Measures; macro-averages, splits and resampled registries are [ours].
    """
    known = _methods(methods)
    _check_options(part, statistic, splits, seed, count)
    rows = read_truth(Path(truth))
    pooled = _attacks(rows, attacks)
    paths = [Path(p) for p in ([what] if isinstance(what, (str, os.PathLike)) else what)]
    archives = bool(paths) and all(path.suffix == _ARCHIVE for path in paths)
    warnings: list[str] = []
    facts: dict[str, Any] = {
        "sacfast": __version__,
        "part": part,
        "statistic": statistic,
        "attacks": pooled,
        "owner_twins": list(owner_twins),
        "seed": seed,
        "warnings": warnings,
    }
    with progress_bar("evaluating", splits + 1 if archives else 1, progress) as step:
        if archives:
            given = read_archives(paths)
            if count is not None:
                given = [shortened(archive, count) for archive in given]
            if access is not None:
                given = [coarsened(archive, access) for archive in given]
            compared, more = _of_outputs(
                rows, given, known, part, owner_twins, statistic, splits, seed, warnings, step
            )
            facts |= {"splits": splits, **more}
        else:
            only = (("access", access), ("count", count), ("owner_twins", owner_twins or None))
            for name, value in only:
                if value is not None:
                    raise ArgumentError(
                        f"evaluate: `{name}` must go with outputs archives, got a scan"
                    )
            compared, more = _of_scan(rows, paths, part, warnings)
            facts |= more
            step("scan")
    facts["left_out"] = [_destroyed(m) for m in rows.stolen(part) if m.destroyed]
    kept, results = [], []
    for comparisons, extra in compared:
        if can_be_measured(comparisons, statistic):
            midpoint = extra.pop("midpoint")
            found = measures(comparisons, rows, pooled, statistic, midpoint[0], seed)
            found["thresholds"]["midpoint_of"] = midpoint[1]
            results.append({**found, **extra})
            kept.append(comparisons)
        else:
            warnings.append(
                f"{comparisons.method} on {comparisons.probes} has no {statistic} to measure"
            )
    if not results:
        raise ArgumentError(f"evaluate: `statistic` must be one that `what` has, got {statistic!r}")
    return Evaluation(facts, results, kept)


_Compared = list[tuple[Comparisons, dict[str, Any]]]


def _of_outputs(
    truth: Truth,
    archives: list[Archive],
    methods: tuple[Method, ...],
    part: str,
    owner_twins: Sequence[str],
    statistic: str,
    splits: int,
    seed: int,
    warnings: list[str],
    step: Any,
) -> tuple[_Compared, dict[str, Any]]:
    present = set.intersection(*(set(archive.outputs) for archive in archives)) & set(truth.models)
    _tell(
        "models of the outputs are not in the truth file",
        sorted(set.union(*(set(a.outputs) for a in archives)) - set(truth.models)),
        warnings,
    )
    wanted = [m.name for m in truth.models.values() if m.part in (part, "calibrate")]
    _tell(
        "models of the truth file are without outputs",
        [name for name in wanted if name not in present],
        warnings,
    )
    everyone = [truth.models[name] for name in truth.models if name in present]
    unfit = comparable(archives, everyone)
    _tell("models can't be compared", [f"{name} ({unfit[name]})" for name in unfit], warnings)
    fit = present - {m.name for m in everyone if m.name in unfit and not m.stolen}
    try:
        cast = roles(truth, part, fit, seed, owner_twins)
    except ArgumentError as error:
        if error.hint is None and warnings:  # which nobody would see
            raise ArgumentError(error.message, hint=warnings[-1]) from error
        raise
    if not truth.parted:
        warnings.append(
            "the truth file knows no parts: half of the innocents' groups, drawn by "
            "the seed, are the null bank"
        )
    compared = from_outputs(archives, cast, methods)
    midpoints = _midpoints(truth, archives, methods, part, owner_twins, statistic, fit, seed)
    step("scores")
    extra: dict[tuple[str, str], dict[str, Any]] = {}
    if splits:
        innocents = (*cast.bank, *(m for m in cast.suspects if not m.stolen))
        stolen = [m for m in cast.suspects if m.stolen and m.name not in unfit]
        extra = calibration(archives, cast.sources, innocents, stolen, methods, splits, seed, step)
    facts = {
        "outputs": [
            {
                "probes": archive.name,
                "digest": archive.probe_digest,
                "count": archive.probes,
                "kind": archive.kind,
                "digits": archive.digits,
                "k": archive.k,
            }
            for archive in archives
        ],
        **_counts(cast),
    }
    none: dict[str, Any] = {"calibration": None, "fdr": None}
    return [
        (
            c,
            {
                "midpoint": midpoints.get((c.probes, c.method), (None, None)),
                **extra.get((c.probes, c.method), none),
            },
        )
        for c in compared
    ], facts


def _midpoints(
    truth: Truth,
    archives: list[Archive],
    methods: tuple[Method, ...],
    part: str,
    owner_twins: Sequence[str],
    statistic: str,
    fit: set[str],
    seed: int,
) -> dict[tuple[str, str], tuple[float, str]]:
    """The papers' thresholds, set on models of the part "select"; none where that is the part that
    is looked at, holds no copies, or has not the owner twins that are asked for."""
    stolen = [m for m in truth.stolen("select") if {m.name, m.source} <= fit and not m.destroyed]
    innocents = [m for m in truth.innocents("select") if m.name in fit]
    suspects = [m for m in innocents if not any(fnmatchcase(m.name, p) for p in owner_twins)]
    if part == "select" or not stolen or not suspects:
        return {}
    if not all(any(fnmatchcase(m.name, p) for m in innocents) for p in owner_twins):
        return {}
    found = {}
    cast = roles(truth, "select", fit, seed, owner_twins)
    for comparisons in from_outputs(archives, cast, methods):
        midpoint = midpoint_threshold(comparisons, statistic)
        if midpoint is not None:
            found[comparisons.probes, comparisons.method] = midpoint
    return found


def _of_scan(
    truth: Truth, paths: list[Path], part: str, warnings: list[str]
) -> tuple[_Compared, dict[str, Any]]:
    if len(paths) != 1 or paths[0].suffix not in (_ROWS, *_STORES):
        raise ArgumentError(
            "evaluate: `what` must be one .jsonl of a scan, one store, or outputs archives "
            f"(.safetensors), got {', '.join(path.name for path in paths)[:200] or 'nothing'}"
        )
    path, method = paths[0], None
    if path.suffix == _ROWS:
        rows = _read_rows(path)
    else:
        from sacfast.scanning.results import Scan

        with Store(path, read_only=True) as store:
            record = store.scan()
        rows, method = Scan(record).rows(), str(record.facts.get("method", "")) or None
    suspects = list(dict.fromkeys(str(row.get("suspect")) for row in rows))
    unknown = [name for name in suspects if name not in truth.models]
    _tell("suspects of the scan are not in the truth file", unknown, warnings)
    compared = from_scan(rows, truth, part, method)
    first = compared[0]
    facts = {
        "scan": path.name,
        "sources": list(first.sources),
        "stolen": len(first.rows(stolen=True)),
        "innocent": len(first.rows(stolen=False)),
    }
    none: dict[str, Any] = {"calibration": None, "fdr": None}
    return [(c, {"midpoint": (None, None), **(of_one_scan(c) or none)}) for c in compared], facts


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise ArgumentError(
            f"evaluate: `what` must be a scan's results, got {path.name}: "
            f"{one_line(str(error), 200)}"
        ) from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise ArgumentError(f"evaluate: `what` must hold a scan's rows, got {path.name} without")
    return rows


def _methods(methods: Sequence[Method]) -> tuple[Method, ...]:
    """The methods asked for, each once, and the papers' beside them."""
    for method in methods:
        check_method("evaluate", method, 0.0)
    return tuple(dict.fromkeys([*methods, "paper"]))


def _check_options(part: str, statistic: str, splits: Any, seed: Any, count: Any) -> None:
    looked_at = [name for name in PARTS if name != "calibrate"]
    if part not in looked_at:
        raise ArgumentError(f"evaluate: `part` must be {' or '.join(looked_at)}, got {part!r}")
    if statistic not in ("score", "z"):
        raise ArgumentError(f"evaluate: `statistic` must be 'score' or 'z', got {statistic!r}")
    for name, value, least in (("splits", splits, 0), ("seed", seed, 0), ("count", count, 2)):
        if name == "count" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ArgumentError(
                f"evaluate: `{name}` must be a whole number >= {least}, got {value!r}"
            )


def _attacks(truth: Truth, attacks: Sequence[str] | None) -> list[str]:
    stolen = [model for model in truth.models.values() if model.stolen]
    known = list(dict.fromkeys(model.attack for model in stolen))
    if attacks is None:
        return list(dict.fromkeys(model.attack for model in stolen if model.trained))
    unknown = [name for name in attacks if name not in known]
    if unknown:
        raise ArgumentError(
            f"evaluate: `attacks` must be of the truth file's ({', '.join(known)[:400]}), "
            f"got {unknown[0]!r}"
        )
    return list(dict.fromkeys(attacks))


def _counts(cast: Roles) -> dict[str, Any]:
    return {
        "sources": [model.name for model in cast.sources],
        "stolen": sum(model.stolen for model in cast.suspects),
        "innocent": sum(not model.stolen for model in cast.suspects),
        "null_bank": len(cast.bank),
        "null_groups": len({model.group for model in cast.bank}),
    }


def _destroyed(model: Model) -> dict[str, Any]:
    return {
        "model": model.name,
        "attack": model.attack,
        "accuracy": model.accuracy,
        "source_accuracy": model.source_accuracy,
    }


def _tell(what: str, names: list[str], warnings: list[str]) -> None:
    if names:
        more = ", …" if len(names) > 5 else ""
        warnings.append(one_line(f"{len(names)} {what}: {', '.join(names[:5])}{more}", 500))
