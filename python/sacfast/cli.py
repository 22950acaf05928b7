"""The `sacfast` command: parses, calls, prints and exits; what it calls lives elsewhere.

Exit codes: 0 nothing flagged, or a command that judges nothing went well · 1 failure · 2 usage: an
option, registry, model or result path that can't be used ·
3 something is called stolen · 4 nothing is, but some suspects could not be judged · 130 Ctrl-C.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sacfast import __version__
from sacfast.errors import ArgumentError, SacfastError
from sacfast.scanning.limits import Limits
from sacfast.terminal import (
    comparison_table,
    console,
    evaluation_tables,
    facts_table,
    findings_table,
    scan_table,
    text,
)

_GIB = 1 << 30

_SAME_NAME = (
    "probes", "out", "fdr", "count", "size", "seed", "quality", "select", "device", "kind",
    "references", "form", "severity", "sd", "how", "source", "surrogates", "classes",
)  # fmt: skip

#: What arguments of the functions are called on the command line.
_OPTIONS = {
    "registry": "REGISTRY",
    "images": "DIR",
    "sources": "--source",
    "null_bank": "--null-bank",
    "owner_twins": "--owner-twins",
    "photographs": "PHOTOS",
    "reference_photographs": "--references-from",
    "root": "the directory",
    "truth": "TRUTH",
    "what": "WHAT",
    "attacks": "--attacks",
    "method": "--method",
    "statistic": "--statistic",
    "access": "--access",
    "part": "--part",
    "folder": "DIR",
    "path": "the file",
    "a": "A",
    "b": "B",
    **{name: f"--{name}" for name in _SAME_NAME},
}

app = typer.Typer(
    name="sacfast",
    help="Finds stolen copies of neural networks in a registry, by sample correlation.",
    epilog="Start with: sacfast demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
probes_app = typer.Typer(help="Make and look at probe sets.", no_args_is_help=True)
app.add_typer(probes_app, name="probes")

#: The kinds of probe sets, written out for the command line; a test keeps them equal to
#: AUGMENTATIONS, which is not imported for `--help`.
ProbeKind = Literal[
    "jpeg", "normal", "cutmix", "cutmix_paper", "noise", "transpose",
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur",
    "zoom_blur", "snow", "fog", "brightness", "contrast", "elastic_transform", "pixelate",
    "jpeg_compression",
]  # fmt: skip
ProbesOption = Annotated[
    Path, typer.Option("--probes", help="A probe set, made by `sacfast probes build`.")
]
TimeoutOption = Annotated[float, typer.Option(help="Wall seconds that one model may take.", min=1)]
MemoryOption = Annotated[
    float, typer.Option(help="GiB that one model may use beyond what the framework takes.", min=0.1)
]
WorkersOption = Annotated[
    int | None,
    typer.Option(help="Worker processes; one a core unless given.", min=1),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def scan(
    registry: Annotated[Path, typer.Argument(help="A directory of models.")],
    source: Annotated[
        list[Path],
        typer.Option(
            "--source",
            help="The owner's model: a path or a name in the registry. Repeat for several.",
        ),
    ],
    probes: ProbesOption,
    null_bank: Annotated[
        list[Path],
        typer.Option(
            "--null-bank",
            help="A directory of models trained without the source. Repeat for several.",
        ),
    ],
    store: Annotated[
        Path | None,
        typer.Option(help="Keeps fingerprints and scans; what it knows is not run again."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Results: .jsonl, .csv or .parquet."),
    ] = None,
    fdr: Annotated[float, typer.Option(help="False discovery rate over the whole scan.")] = 0.05,
    method: Annotated[
        Literal["partial", "balanced", "pearson", "paper"],
        typer.Option(help="Score that the verdicts rest on; the papers' distance is always shown."),
    ] = "partial",
    groups: Annotated[
        bool,
        typer.Option(help="Count null models of one folder (ORG/MODEL) as one draw."),
    ] = True,
    owner_twins: Annotated[
        list[Path] | None,
        typer.Option(
            "--owner-twins",
            help="A directory of models that the owner trained on the source's own data.",
        ),
    ] = None,
    form: Annotated[
        Literal["direct", "fri"],
        typer.Option(help="Face models: compare their scores, or as the paper does."),
    ] = "direct",
    workers: WorkersOption = None,
    timeout: TimeoutOption = Limits.timeout,
    memory: MemoryOption = Limits.memory / _GIB,
    as_json: JsonOption = False,
) -> None:
    """Say which models of a registry are stolen copies of a source.

    Says first what the null bank can show, then runs every model once in worker processes and
    prints the most pressing rows.

    \b
    Examples:
      sacfast scan registry --source mine/resnet --null-bank independent \\
          --probes probes.safetensors --store fingerprints.db --out results.jsonl
      sacfast scan registry --source a --source b --null-bank bank \\
          --probes probes.safetensors --json | jq .counts

    \b
    Exit codes: 0 nothing flagged, 1 failure, 2 usage, 3 something is called
    stolen, 4 nothing is, but some suspects could not be judged.
    """
    from sacfast.access import costs
    from sacfast.probes import ProbeSet
    from sacfast.scanning.plan import plan_scan
    from sacfast.scanning.results import check_out
    from sacfast.scanning.scan import run_plan
    from sacfast.store import Store

    if out is not None:
        check_out(out)
    plan = plan_scan(
        registry,
        sources=source,
        null_bank=null_bank,
        groups=groups,
        fdr=fdr,
        method=method,
        form=form,
        owner_twins=owner_twins or (),
    )
    say = console(stderr=as_json)
    opened = ProbeSet.open(probes)
    say.print(text(_in_options(f"{plan} {plan.reach}")))
    with _interruptible(store), Store(store or ":memory:") as kept:
        found = run_plan(
            plan,
            opened,
            kept,
            limits=Limits(workers, timeout, int(memory * _GIB)),
        )
    if out is not None:
        found.save(out)
    facts = found.record.facts
    if facts["reach"] != str(plan.reach):
        say.print(text(f"What could be compared in the end: {facts['reach']}"))
    for warning in facts["warnings"]:
        console(stderr=True).print(text(f"warning: {warning}", "yellow"))
    if as_json:
        _print_json({"counts": found.counts, "facts": facts, "rows": found.rows()})
    else:
        say.print()
        say.print(scan_table(found))
        for line in costs(pair.mode for pair in found.record.pairs if pair.mode):
            say.print(text(line, "dim"))
        if out is not None:
            say.print(text(f"All rows: {out}"))
        if store is not None:
            say.print(text(f"To look at it: sacfast report {store} -o report.html"))
    raise typer.Exit(found.exit_code)


@app.command()
def fingerprint(
    models: Annotated[list[Path], typer.Argument(help="Models, or directories of models.")],
    probes: ProbesOption,
    store: Annotated[Path, typer.Option(help="Where the fingerprints are kept.")],
    workers: WorkersOption = None,
    timeout: TimeoutOption = Limits.timeout,
    memory: MemoryOption = Limits.memory / _GIB,
    as_json: JsonOption = False,
) -> None:
    """Run models once on a probe set and keep what they answer.

    Exit code 4 if a model gave no outputs.

    \b
    Example:
      sacfast fingerprint registry --probes probes.safetensors --store fingerprints.db
    """
    from sacfast.probes import ProbeSet
    from sacfast.registry import list_models
    from sacfast.scanning.fingerprinting import fingerprint_models
    from sacfast.store import Store

    entries = [entry for path in models for entry in list_models(path)]
    with _interruptible(store), Store(store) as kept:
        records = fingerprint_models(
            [("suspect", entry) for entry in entries],
            ProbeSet.open(probes),
            kept,
            limits=Limits(workers, timeout, int(memory * _GIB)),
        )
    silent = [record for record in records if record.status != "ok"]
    if as_json:
        _print_json([asdict(record) for record in records])
    else:
        for record in silent:
            console().print(text(f"{record.name}: {record.status}: {record.reason}", "magenta"))
        console().print(text(f"{len(records) - len(silent)} of {len(records)} models in {store}"))
    raise typer.Exit(4 if silent else 0)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="A model, e.g. yours.")],
    b: Annotated[Path, typer.Argument(help="Another model.")],
    probes: ProbesOption,
    timeout: TimeoutOption = Limits.timeout,
    memory: MemoryOption = Limits.memory / _GIB,
    as_json: JsonOption = False,
) -> None:
    """Compare two models without a null bank: no verdict.

    \b
    Example:
      sacfast compare mine/resnet theirs/net --probes probes.safetensors
    """
    from sacfast.scanning.compare import compare as compare_models
    from sacfast.scanning.results import plain

    found = compare_models(a, b, probes=probes, timeout=timeout, memory=int(memory * _GIB))
    if as_json:
        _print_json({name: plain(value) for name, value in asdict(found).items()})
    else:
        console().print(comparison_table(found))
    raise typer.Exit(4 if found.reason else 0)


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Argument(help="A CSV table of the models: who stole from whom.")],
    what: Annotated[
        list[Path],
        typer.Argument(
            help="Results of a scan (.jsonl), a store, or outputs archives (.safetensors), one a "
            "probe set."
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(help="partial, balanced, pearson, paper; with commas. paper always is one."),
    ] = None,
    part: Annotated[
        Literal["test", "select"],
        typer.Option(help="Whose models count; the null bank is the part calibrate."),
    ] = "test",
    attacks: Annotated[
        list[str] | None,
        typer.Option(help="Those that are pooled, with commas; all trained ones unless given."),
    ] = None,
    owner_twins: Annotated[
        list[str] | None,
        typer.Option(
            help="Names or patterns (*.twin0) of innocents that are the owner's own twins."
        ),
    ] = None,
    statistic: Annotated[
        Literal["score", "z"], typer.Option(help="What is held against one threshold.")
    ] = "score",
    access: Annotated[
        str | None,
        typer.Option(help="Make outputs coarser first: labels, topk:3, rounded:2, probs …"),
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Only the first so many probes of each archive.", min=2)
    ] = None,
    splits: Annotated[
        int, typer.Option(help="Null banks drawn for calibration and FDR; 0 for none.", min=0)
    ] = 200,
    seed: Annotated[int, typer.Option(help="Seed of random choices.", min=0)] = 0,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="All measures, as JSON, into this file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="A page with tables and figures.")
    ] = None,
) -> None:
    """Measure how well stolen models are told from innocent ones.

    For that the truth must be known. docs/evaluation.md says what the files look like and what is
    measured.

    \b
    Examples:
      sacfast evaluate models.csv jpeg.safetensors noise.safetensors \\
          --method partial,balanced --json evaluation.json --html evaluation.html
      sacfast evaluate models.csv results.jsonl

    \b
    Exit codes: 0 measured, 1 failure, 2 usage: a file or option that can't be used.
    """
    from sacfast.evaluation import evaluate as evaluate_models

    for option, path in (("--json", json_out), ("--html", html)):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise ArgumentError(
                f"evaluate: {option} must be a file in an existing folder, got {path}"
            )
    methods: Any = [n.strip() for names in method or ["partial"] for n in names.split(",")]
    found = evaluate_models(
        truth,
        what,
        methods=methods,
        part=part,
        attacks=[name.strip() for names in attacks for name in names.split(",")]
        if attacks
        else None,
        owner_twins=owner_twins or (),
        statistic=statistic,
        access=access,
        count=count,
        splits=splits,
        seed=seed,
    )
    for warning in found.facts["warnings"]:
        console(stderr=True).print(text(f"warning: {warning}", "yellow"))
    console().print(evaluation_tables(found))
    if json_out is not None:
        console().print(text(f"All measures: {found.save(json_out)}"))
    if html is not None:
        console().print(text(f"Page: {found.save_page(html)}"))


@app.command()
def report(
    store: Annotated[Path, typer.Argument(help="A store that a scan has written.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path(
        "report.html"
    ),
    scan: Annotated[
        int | None,
        typer.Option(help="The number of a scan; the latest unless given."),
    ] = None,
) -> None:
    """Write one HTML page about a scan.

    It is self-contained: no network is needed to read it.

    \b
    Example:
      sacfast report fingerprints.db -o report.html
    """
    from sacfast.report import write_report

    path = write_report(store, out, scan=scan)
    console().print(text(f"Report: {path}"))


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what this installation can do.

    Exit code 1 if a part is broken.

    \b
    Example:
      sacfast doctor --json
    """
    from sacfast.doctor import check_up

    findings = check_up()
    if as_json:
        _print_json([asdict(finding) for finding in findings])
    else:
        console().print(findings_table(findings))
    raise typer.Exit(1 if any(finding.state == "broken" for finding in findings) else 0)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where everything goes.")] = Path(
        "sacfast-demo"
    ),
    seed: Annotated[int, typer.Option(help="Another seed, other models.", min=0)] = 0,
) -> None:
    """Steal models, hide them, find them.

    Trains about 125 small networks on handwritten digits (two minutes on 2 cores), some of them
    stolen from one of the others, and runs the real commands on them.

    \b
    Example:
      sacfast demo --out sacfast-demo
    """
    from sacfast.demo import run_demo

    raise typer.Exit(run_demo(out, seed))


@probes_app.command("build")
def probes_build(
    images: Annotated[Path, typer.Argument(help="A directory of images.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The probe set to write.")] = Path(
        "probes.safetensors"
    ),
    kind: Annotated[
        ProbeKind, typer.Option(help="What is done to the images; the last 14 are corruptions.")
    ] = "jpeg",
    quality: Annotated[
        int | None, typer.Option(help="JPEG quality; 25 unless given.", min=1, max=100)
    ] = None,
    severity: Annotated[
        int | None,
        typer.Option(help="Of a corruption, or of jpeg: 25, 18, 15, 10, 7.", min=1, max=5),
    ] = None,
    sd: Annotated[
        float | None,
        typer.Option(help="Standard deviation of noise, in 8-bit levels; 51 unless given."),
    ] = None,
    count: Annotated[int, typer.Option(help="How many probes.", min=2)] = 200,
    select: Annotated[
        Literal["first", "random", "balanced"],
        typer.Option(help="Which images; balanced takes sub-folders as classes."),
    ] = "random",
    seed: Annotated[int, typer.Option(help="Seed of random choices.", min=0)] = 0,
    size: Annotated[
        int | None,
        typer.Option(help="Resize and crop to this many pixels; else all must be of one size."),
    ] = None,
    device: Annotated[
        Literal["cpu", "gpu"], typer.Option(help="Where DALI compresses; bytes may differ on gpu.")
    ] = "cpu",
) -> None:
    """Freeze probe images, decoded, in one file with a digest.

    \b
    Examples:
      sacfast probes build photos --size 224 -o probes.safetensors
      sacfast probes build photos --kind fog --severity 3 --size 224 -o fog.safetensors
    """
    from sacfast.probes import build_probes

    built = build_probes(
        images,
        kind=kind,
        quality=quality,
        count=count,
        select=select,
        seed=seed,
        size=size,
        device=device,
        severity=severity,
        sd=sd,
    )
    built.save(out)
    for skipped in built.skipped:
        console(stderr=True).print(text(f"skipped: {skipped}", "yellow"))
    console().print(facts_table({**_probe_facts(built), "written to": out}))


@probes_app.command("select")
def probes_select(
    candidates: Annotated[Path, typer.Argument(help="A large probe set to choose from.")],
    how: Annotated[
        Literal["misclassified", "informative"],
        typer.Option(help="By the source's mistakes, or by where a null bank disagrees."),
    ],
    source: Annotated[Path | None, typer.Option(help="misclassified: the owner's model.")] = None,
    surrogates: Annotated[
        Path | None,
        typer.Option(help="misclassified: a directory of models that must be wrong too (SAC-w)."),
    ] = None,
    null_bank: Annotated[
        Path | None, typer.Option(help="informative: a directory of independent models.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many probes.", min=2)] = 200,
    classes: Annotated[
        Path | None,
        typer.Option(help="misclassified: a file of class names, in the order of the outputs."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The probe set to write.")] = Path(
        "selected.safetensors"
    ),
    store: Annotated[Path | None, typer.Option(help="Keeps the answers on the candidates.")] = None,
    workers: WorkersOption = None,
    timeout: TimeoutOption = Limits.timeout,
    memory: MemoryOption = Limits.memory / _GIB,
) -> None:
    """Choose from a probe set those that tell models apart.

    Runs models on all candidates; one that can't be run is left out with a warning.

    \b
    Examples:
      sacfast probes build photos --size 224 --count 2000 -o many.safetensors
      sacfast probes select many.safetensors --how misclassified --source mine/resnet \\
          --surrogates extracted -o probes.safetensors
      sacfast probes select many.safetensors --how informative --null-bank independent
    """
    from sacfast.scanning.selecting import read_classes, run_selection
    from sacfast.store import Store

    names = None if classes is None else read_classes(classes)
    with _interruptible(store), Store(store or ":memory:") as kept:
        found = run_selection(
            candidates,
            how,
            count=count,
            source=source,
            surrogates=surrogates,
            null_bank=null_bank,
            classes=names,
            store=kept,
            limits=Limits(workers, timeout, int(memory * _GIB)),
        )
    found.probes.save(out)
    for warning in found.warnings:
        console(stderr=True).print(text(f"warning: {_in_options(warning)}", "yellow"))
    console().print(facts_table({**_probe_facts(found.probes), "written to": out}))


@probes_app.command("faces")
def probes_faces(
    photographs: Annotated[
        Path, typer.Argument(metavar="PHOTOS", help="A directory, one sub-folder a person.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The probe set to write.")] = Path(
        "faces.safetensors"
    ),
    references: Annotated[int, typer.Option(help="How many reference images.", min=2)] = 64,
    count: Annotated[int, typer.Option(help="How many probes.", min=2)] = 200,
    references_from: Annotated[
        Path | None,
        typer.Option(help="Photographs of other people, to take the references from."),
    ] = None,
    quality: Annotated[int, typer.Option(help="JPEG quality of the probes.", min=1, max=100)] = 25,
    seed: Annotated[int, typer.Option(help="Seed of random choices.", min=0)] = 0,
    size: Annotated[
        int | None,
        typer.Option(help="Resize and crop to this many pixels; else all must be of one size."),
    ] = None,
) -> None:
    """Freeze reference images and probes of other people, for face verification.

    Face models are scored on pairs: each probe with each reference image.

    \b
    Example:
      sacfast probes faces photos --references 64 --count 200 --size 112 -o faces.safetensors
    """
    from sacfast.faces import face_probes

    built = face_probes(
        photographs,
        references=references,
        count=count,
        quality=quality,
        seed=seed,
        size=size,
        reference_photographs=references_from,
    )
    built.save(out)
    for skipped in built.skipped:
        console(stderr=True).print(text(f"skipped: {skipped}", "yellow"))
    console().print(facts_table({**_probe_facts(built), "written to": out}))


@probes_app.command("show")
def probes_show(
    path: Annotated[Path, typer.Argument(help="A probe set.")], as_json: JsonOption = False
) -> None:
    """Check a probe set against its digest and say what is in it.

    \b
    Example:
      sacfast probes show probes.safetensors --json
    """
    from sacfast.probes import ProbeSet

    opened = ProbeSet.open(path)
    if as_json:
        _print_json(opened.facts())
    else:
        console().print(facts_table(_probe_facts(opened)))


@probes_app.command("export")
def probes_export(
    path: Annotated[Path, typer.Argument(help="A probe set.")],
    folder: Annotated[Path, typer.Argument(help="Where the images go; made if it is not there.")],
) -> None:
    """Write the probes as PNG images, to ask a service with.

    Row i of its answers must be the answer to image i (see README, Asking a service).

    \b
    Example:
      sacfast probes export probes.safetensors ask
    """
    from sacfast.probes import ProbeSet, export_probes

    opened = ProbeSet.open(path)
    paths = export_probes(opened, folder)
    console().print(text(f"{len(paths)} images: {paths[0]} … {paths[-1].name}"))
    if r := opened.references:
        pairs = f"{paths[r].name} … (a row each) with {paths[0].name} … {paths[r - 1].name}"
        console().print(text(f"The pairs to ask about: {pairs} (a column each)"))


def _probe_facts(probes: Any) -> dict[str, Any]:
    n, height, width, _ = probes.pixels.shape
    parameters = dict(probes.parameters)
    selection = parameters.pop("selection", None)
    made = ", ".join(f"{name}={value}" for name, value in parameters.items())
    facts = {
        "probes": f"{n} × {height}×{width} RGB",
        "kind": f"{probes.kind} ({made})" if made else probes.kind,
    }
    if selection is not None:
        facts["chosen"] = f"{selection['how']}, from candidates {selection['candidates'][:12]}"
    return {**facts, "digest": probes.digest}


@contextmanager
def _interruptible(store: Path | None) -> Iterator[None]:
    """Ctrl-C ends a long command with a word on what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        kept = "nothing is kept without --store" if store is None else f"{store} keeps what is done"
        console(stderr=True).print(text(f"interrupted; {kept}"))
        raise typer.Exit(130) from None


def _print_json(value: Any) -> None:
    sys.stdout.write(
        json.dumps(value, ensure_ascii=False, indent=2, default=str, allow_nan=False) + "\n"
    )


def _version(show: bool) -> None:
    if show:
        console().print(f"sacfast {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command; an error of ours is a message and exit code 1, never a traceback."""
    try:
        app()
    except SacfastError as error:
        message = _in_options(str(error))
        console(stderr=True).print(text("error: ", "bold red").append(_lines(message)))
        sys.exit(2 if isinstance(error, ArgumentError) else 1)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): stop quietly, as other commands do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _in_options(message: str) -> str:
    """An error's arguments as the options that a user of the command types."""
    message = message.replace("`groups` off", "--no-groups")
    message = re.sub(r"`(\w+)`", lambda found: _OPTIONS.get(found[1], found[0]), message)
    return re.sub(r"hint: (size|count)=(\d+)", r"hint: --\1 \2", message)


def _lines(message: str) -> str:
    """A message whose line breaks are ours and whose other control characters are shown."""
    return "\n".join(str(text(line)) for line in message.splitlines())
