"""What a scan will compare, settled before any model is opened.

A plan lists the models of each role and says what the null bank can show. A model that is named as
a source or lies in the null bank is not also a suspect, though the registry lists it; it keeps a
row that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from os import PathLike
from os.path import realpath
from pathlib import Path

from sacfast.detector import Form, Method, check_method
from sacfast.errors import ArgumentError, NullBankError
from sacfast.registry import Entry, list_models
from sacfast.statistics import Reach, reach
from sacfast.store import ModelRecord

PathArgument = str | PathLike[str]

#: The group of owner twins, models of the null bank that the owner trained itself.
OWNER_TWINS = "owner twins"


@dataclass(frozen=True)
class Plan:
    """The models of a scan by role, and what it can show.

    Attributes:
        registry: The registry as it was named.
        sources, null_bank, suspects: The models of each role; owner twins are in the null bank.
        left_out: Entries of the registry that are no suspects, with the reason.
        grouped: Whether null models of one folder count as one draw.
        fdr: The false discovery rate asked for.
        method, ridge: As in `Detector`; where there is nothing to balance (embeddings, scores),
            "balanced" is "partial".
        form: As in `Detector`, for scores against reference images.
    """

    registry: str
    sources: tuple[Entry, ...]
    null_bank: tuple[Entry, ...]
    suspects: tuple[Entry, ...]
    left_out: tuple[ModelRecord, ...]
    grouped: bool
    fdr: float
    method: Method
    ridge: float
    form: Form = "direct"

    def null_groups(self) -> list[str]:
        """The group of each member of the null bank; its own name where groups are off."""
        return [
            entry.group if self.grouped or entry.group == OWNER_TWINS else entry.name
            for entry in self.null_bank
        ]

    def __str__(self) -> str:
        draws = len(set(self.null_groups()))
        twins = sum(entry.group == OWNER_TWINS for entry in self.null_bank)
        bank = f"a null bank of {len(self.null_bank)}"
        bank += f", {_count(twins, 'owner twin')} among them" if twins else ""
        if draws < len(self.null_bank):
            bank += f" from {draws} folders, which count as {draws} (`groups` off counts each)"
        out = f" ({len(self.left_out)} left out: sources or null models)" if self.left_out else ""
        return (
            f"{_count(len(self.suspects), 'suspect')}{out}, "
            f"{_count(len(self.sources), 'source')}, {bank}."
        )

    @property
    def reach(self) -> Reach:
        """What the bank can show if every listed model can be run."""
        pairs = len(self.suspects) * len(self.sources)
        return reach(len(set(self.null_groups())), pairs, self.fdr)


def plan_scan(
    registry: PathArgument,
    *,
    sources: PathArgument | Sequence[PathArgument],
    null_bank: PathArgument | Sequence[PathArgument],
    groups: bool = True,
    fdr: float = 0.05,
    method: Method = "partial",
    ridge: float = 0.02,
    form: Form = "direct",
    owner_twins: PathArgument | Sequence[PathArgument] = (),
) -> Plan:
    """Lists what a scan will compare.

    Args:
        registry: A directory of models (see `sacfast.registry.list_models`).
        sources: One model or several: paths, or names of models in the registry.
        null_bank: One directory of independent models or several.
        groups: Count null models of one parent folder (ORG/MODEL) as one draw. Turn it off only
            where the bank comes out of one process, many seeds.
        fdr: False discovery rate, in (0, 1).
        method, ridge: As in `Detector`; where there is nothing to balance (embeddings, scores),
            "balanced" is "partial".
        form: "direct" or "fri", as in `Detector`.
        owner_twins: Directories of models that the owner trained on the sources' own data.

    Returns:
        A `Plan`.

    Raises:
        ArgumentError: If a path is missing, no source is named, or `fdr` is out of range.
        NullBankError: If the null bank holds fewer than two models.
    """
    if not 0 < fdr < 1:
        raise ArgumentError(f"scan: `fdr` must lie in (0, 1), got {fdr}")
    check_method("scan", method, ridge)
    if form not in ("direct", "fri"):
        raise ArgumentError(f"scan: `form` must be 'direct' or 'fri', got {form!r}")
    root = Path(registry)
    entries = _listed("registry", root)
    source_entries = [_source(root, Path(path)) for path in _several(sources)]
    if not source_entries:
        raise ArgumentError("scan: `sources` must name at least one model, got none")
    source_entries = _unique(source_entries)
    bank_paths = _several(null_bank)
    bank = _unique([entry for path in bank_paths for entry in _listed("null_bank", Path(path))])
    if len(bank_paths) > 1:  # folders of one name in two directories are two groups
        bank = [replace(entry, group=f"{entry.root}/{entry.group}") for entry in bank]
    if len(bank) < 2:
        raise NullBankError(
            f"scan: `null_bank` must hold at least 2 independent models, got {len(bank)}",
            hint="99 or more let a few clear copies among 20 suspects be called",
        )
    bank = _unique([*bank, *_owner_twins(owner_twins)])
    independent = sum(entry.group != OWNER_TWINS for entry in bank)
    if independent < 2:
        raise NullBankError(
            "scan: `owner_twins` must leave at least 2 independent models in `null_bank`, "
            f"got {independent}"
        )
    roles = {_place(entry): "null model" for entry in bank}
    roles |= {_place(entry): "source" for entry in source_entries}
    both = {_place(e) for e in bank} & {_place(e) for e in source_entries}
    if both:
        name = next(e.name for e in source_entries if _place(e) in both)
        raise NullBankError(
            f"scan: `null_bank` must hold independent models only, got the source {name}",
            hint="keep sources and their copies out of the null bank",
        )
    if not entries:
        raise ArgumentError(
            f"scan: `registry` must hold models, got {root} with none",
            hint="one folder a model: config.json + model.safetensors, or outputs.npy",
        )
    suspects, left_out = [], []
    for entry in entries:
        role = roles.get(_place(entry))
        if role is None:
            suspects.append(entry)
        else:
            reason = f"named as a {role} of this scan"
            left_out.append(ModelRecord("suspect", entry.name, entry.group, role, reason))
    if not suspects:
        raise ArgumentError(
            f"scan: `registry` must hold a model that is neither a source nor in the null bank, "
            f"got {root} with none"
        )
    return Plan(
        registry=str(registry),
        sources=tuple(source_entries),
        null_bank=tuple(bank),
        suspects=tuple(suspects),
        left_out=tuple(left_out),
        grouped=groups,
        fdr=fdr,
        method=method,
        ridge=ridge,
        form=form,
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _listed(argument: str, path: Path) -> list[Entry]:
    """The models of a directory, which the user named by an argument of the scan."""
    if not path.is_dir():
        raise ArgumentError(f"scan: `{argument}` must be a directory of models, got {path}")
    return list_models(path)


def _owner_twins(paths: PathArgument | Sequence[PathArgument]) -> list[Entry]:
    twins = []
    for path in map(Path, _several(paths)):
        listed = _listed("owner_twins", path)
        if not listed:
            raise ArgumentError(f"scan: `owner_twins` must hold models, got {path} with none")
        twins += [replace(entry, group=OWNER_TWINS) for entry in listed]
    return twins


def _several(paths: PathArgument | Sequence[PathArgument]) -> list[PathArgument]:
    return [paths] if isinstance(paths, (str, PathLike)) else list(paths)


def _source(root: Path, path: Path) -> Entry:
    """A source by its path, or by its name in the registry."""
    found = path if path.exists() else root / path
    if not found.exists():
        names = [entry.name for entry in list_models(root)]
        near = [name for name in names if name.endswith(f"/{path}")]
        near += get_close_matches(str(path), names, n=3)
        raise ArgumentError(
            f"scan: `sources` must be paths of models, or names in the registry, got {path}",
            hint=f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else None,
        )
    name = found.relative_to(root).as_posix() if found.is_relative_to(root) else found.name
    return Entry(name=name, path=found, group=name)


def _place(entry: Entry) -> str:
    """Where an entry really lies; a circle of links is a place of its own, and no error."""
    return realpath(entry.path)


def _unique(entries: list[Entry]) -> list[Entry]:
    """The entries once each, told apart by as much of their paths as that takes."""
    by_path = list({_place(entry): entry for entry in entries}.values())
    names = [entry.name for entry in by_path]
    if len(set(names)) == len(names):
        return by_path
    return [
        replace(entry, name=entry.path.as_posix()) if names.count(entry.name) > 1 else entry
        for entry in by_path
    ]
