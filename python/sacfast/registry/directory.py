r"""A registry that is a directory: which of its folders and files are models.

    registry/
        resnet-a/                 a model: it holds config.json, weights, outputs.* or any other
            config.json           model file, readable or not
            model.safetensors
            older/  ...           listed too if it is a model itself, as resnet-a/older
        some-lab/                 no model file of its own: its sub-folders are listed,
            vit-b/  ...           as some-lab/vit-b, in the group some-lab
        service-x.npy             answers lying by themselves: a model too
        notes/                    a folder without sub-folders in which nothing is recognised:
            readme.md             listed all the same, so that nothing drops out unseen
        models--lab--net/         a Hugging Face cache: its snapshots are listed, in the group
            snapshots/3f2a/ ...   lab; the blobs that they link to are not
        .trash/net/ ...           hidden folders are looked into like others
        README.md                 anything else is ignored

No model hides another. Below a model's folder, in hidden folders, and beside the snapshots of a
cache, everything that is marked as a model is listed, and only there a folder with nothing in it
that is recognised is passed over. A model's folder keeps the files that may be parts of it; other
answers in it (.npy, and .safetensors where no config.json or model.safetensors lies beside them)
are listed by themselves. A registry that holds one model's files and nothing else, no folder
and no other model file, is that one model; beside anything else, its own model is listed by its
file, as model.safetensors or outputs.*.

A link to a model's folder is a model; a link to a folder of models is not followed, since they
are listed where they lie; a link that leads out of the registry is listed and not looked behind,
and refused when it is opened. What can't be looked at (no permission, a name that is too long, a
link to nowhere) is listed, and so is the folder at which the walk gives up, MAX_DEPTH levels
down. Nothing is opened here: what is broken shows when a model is.

The name of an entry is its path below the registry as printable text: control characters,
undecodable bytes and the backslash are written as escapes, so names stay one to a line, are
valid UTF-8, and no two models share one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from sacfast.errors import ArgumentError
from sacfast.models import formats

MAX_DEPTH = 8
_CACHE = "models--"
_SNAPSHOTS = "snapshots"


@dataclass(frozen=True)
class Entry:
    """A model to look at.

    Attributes:
        name: Its path below the registry, in printable text.
        path: Its folder or file.
        group: Who made it, as far as the path tells: the parent folder, or the name itself.
        root: The registry, which links inside the model may not leave (see open_model).
    """

    name: str
    path: Path
    group: str
    root: Path | None = None


def list_models(root: Path | str) -> list[Entry]:
    """List a registry's models, sorted by name.

    Args:
        root: The registry's directory. The folder of one single model, or one file of answers,
            is a registry of one.

    Raises:
        ArgumentError: If there is neither a directory nor a model file, or it can't be read.
    """
    top = Path(root)
    is_folder = _is_folder(top)
    if is_folder is False and formats.is_model_file(top.name):
        name = printable(top.name)
        return [Entry(name, top, name, top.parent)]
    if not is_folder:
        what = "which can't be reached" if os.path.lexists(top) else "which does not exist"
        if is_folder is False:
            what = "which is no model file either"
        raise ArgumentError(
            f"list_models: `root` must be a directory of models, got {str(root)!r}, {what}"
        )
    try:
        names = _names(top)
    except OSError as error:
        raise ArgumentError(
            f"list_models: `root` must be readable, got {str(root)!r}: {error.strerror}"
        ) from error
    found = [_entry(path, top) for path in _walk(top, names, 0)]
    own = _own_model(set(names))
    if own is None:
        return sorted(found, key=lambda entry: entry.name)
    folders = any(_is_folder(top / name) for name in names if not name.startswith("."))
    if len(found) == 1 and not folders:
        name = printable(top.resolve().name)
        return [Entry(name, top, name, top)]
    found = [replace(one, path=top) if one.path == top / own else one for one in found]
    return sorted(found, key=lambda entry: entry.name)


def printable(name: str) -> str:
    """A file name as text that can be printed, stored and told apart from any other."""
    return "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii")
        for c in name
    )


def _own_model(names: set[str]) -> str | None:
    """The file with which a folder of these names opens as one model."""
    if formats.WEIGHTS in names:
        return formats.WEIGHTS if formats.CONFIG in names else None
    return next((name for name in formats.OUTPUTS if name in names), None)


def _walk(
    folder: Path, names: list[str], depth: int, *, quiet: bool = False, marked: bool = False
) -> Iterator[Path]:
    """What is to be listed in a folder that is `depth` levels below the registry.

    Args:
        quiet: List only what is marked as a model.
        marked: The folder is a model itself, and some of its files are parts of it.
    """
    quiet = quiet or marked
    cache = not marked and folder.name.startswith(_CACHE) and _has_snapshots(folder)
    for name in names:
        path = folder / name
        is_folder = _is_folder(path)
        if is_folder:
            aside = name.startswith(".") or (cache and name != _SNAPSHOTS)
            yield from _visit(path, depth + 1, quiet=quiet or aside)
            continue
        unseen = is_folder is None and not (quiet and _is_link(path))
        if unseen or (formats.is_model_file(name) and not (marked and _is_part(name, names))):
            yield path


def _visit(folder: Path, depth: int, *, quiet: bool) -> Iterator[Path]:
    """A folder below the registry: a model, a holder of models, or a leaf that gets a row."""
    link = _is_link(folder)
    if link and not _is_below_registry(folder, depth):
        yield folder
        return
    try:
        names = _names(folder)
    except OSError:
        yield folder
        return
    marked = any(formats.marks_model_folder(name) for name in names if not name.startswith("."))
    # False is a file that can be looked at; None is something that can't.
    holder = any(
        formats.is_model_file(name) or _is_folder(folder / name) is not False for name in names
    )
    deepest = depth >= MAX_DEPTH and holder and not link
    if marked or deepest or not (holder or quiet):
        yield folder
    if holder and not (deepest or link):
        yield from _walk(folder, names, depth, quiet=quiet, marked=marked)


def _is_part(name: str, names: list[str]) -> bool:
    """Whether a file may be a part of the model in whose folder it lies among `names`."""
    suffix = PurePath(name).suffix.lower()
    if name in formats.OUTPUTS or suffix not in formats.OUTPUTS_SUFFIXES:
        return True
    return suffix == ".safetensors" and (formats.CONFIG in names or formats.WEIGHTS in names)


def _has_snapshots(folder: Path) -> bool:
    """Whether a folder named like a Hugging Face cache is one: a link as snapshots makes none."""
    snapshots = folder / _SNAPSHOTS
    try:
        return not _is_link(snapshots) and any(
            _is_folder(snapshots / name) for name in _names(snapshots)
        )
    except OSError:
        return False


def _is_folder(path: Path) -> bool | None:
    """Whether it is a folder, or a link to one; None for what can't be looked at."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return None


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:
        return False


def _is_below_registry(link: Path, depth: int) -> bool:
    """Whether the target of a link lies below the registry, `depth` folders above the link."""
    top = os.path.realpath(link.parents[depth - 1])
    return Path(os.path.realpath(link)).is_relative_to(top)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _entry(path: Path, root: Path) -> Entry:
    parts = path.relative_to(root).parts
    cache = [part for part in parts if part.startswith(_CACHE)]
    group = cache[0].split("--")[1] if cache else "/".join(parts[:-1])
    return Entry(printable("/".join(parts)), path, printable(group or parts[0]), root)
