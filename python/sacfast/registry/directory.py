r"""A registry that is a directory: which of its folders and files are models.

    registry/
        resnet-a/                 a model: it holds config.json, weights, outputs.* or any other
            config.json           model file, readable or not; its sub-folders are not looked into
            model.safetensors
        some-lab/                 no model file of its own: its sub-folders are listed,
            vit-b/  ...           as some-lab/vit-b, in the group some-lab
        service-x.npy             answers lying by themselves: a model too
        notes/                    a folder without sub-folders in which nothing is recognised:
            readme.md             listed all the same, so that nothing drops out unseen
        models--lab--net/         a Hugging Face cache: each of its snapshots is a model,
            snapshots/3f2a/ ...   in the group lab; the blobs that they link to are not
        README.md                 anything else is ignored

Hidden names are skipped. A link to a model's folder is a model; a link to a folder of models is
not followed, since they are listed where they lie; a link that leads out of the registry is
listed whatever it leads to, and refused when it is opened. Nothing is opened here: what is broken
shows when a model is.

The name of an entry is its path below the registry as printable text: control characters,
undecodable bytes and the backslash are written as escapes, so names stay one to a line, are
valid UTF-8, and no two models share one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sacfast.errors import ArgumentError
from sacfast.models import formats

MAX_DEPTH = 8
_CACHE = "models--"


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
        root: The registry's directory. The folder of one single model is a registry of one.

    Raises:
        ArgumentError: There is no such directory, or it can't be read.
    """
    top = Path(root)
    if not top.is_dir():
        what = "which is a file" if top.exists() else "which does not exist"
        raise ArgumentError(f"list_models: `root` must be a directory, got {str(root)!r}, {what}")
    try:
        names = set(_visible(top))
    except OSError as error:
        raise ArgumentError(
            f"list_models: `root` must be readable, got {str(root)!r}: {error.strerror}"
        ) from error
    if {formats.CONFIG, formats.WEIGHTS} <= names or names & set(formats.OUTPUTS):
        name = printable(top.resolve().name)
        return [Entry(name, top, name, top)]
    paths = _walk(top, 0)
    return sorted((_entry(path, top) for path in paths), key=lambda entry: entry.name)


def printable(name: str) -> str:
    """A file name as text that can be printed, stored and told apart from any other."""
    return "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii")
        for c in name
    )


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """The models in `folder`, which is no model itself."""
    for name in _visible(folder):
        path = folder / name
        if path.is_dir():
            yield from _visit(path, depth + 1)
        elif formats.is_model_file(name):
            yield path


def _visit(folder: Path, depth: int) -> Iterator[Path]:
    """A folder below the registry: a model, a holder of models, or a leaf that gets a row."""
    try:
        names = _visible(folder)
    except OSError:
        yield folder
        return
    snapshots = folder / "snapshots"
    if folder.name.startswith(_CACHE) and snapshots.is_dir():
        yield from (snapshots / name for name in _visible(snapshots))
        return
    marked = any(map(formats.marks_model_folder, names))
    holder = any((folder / name).is_dir() or formats.is_model_file(name) for name in names)
    if marked or not holder or depth >= MAX_DEPTH:
        yield folder
    elif not folder.is_symlink():
        yield from _walk(folder, depth)
    elif not _is_below_registry(folder, depth):
        yield folder


def _is_below_registry(link: Path, depth: int) -> bool:
    """Whether the target of a link lies below the registry, `depth` folders above the link."""
    return link.resolve().is_relative_to(link.parents[depth - 1].resolve())


def _visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _entry(path: Path, root: Path) -> Entry:
    parts = path.relative_to(root).parts
    cache = [part for part in parts if part.startswith(_CACHE)]
    group = cache[0].split("--")[1] if cache else "/".join(parts[:-1])
    return Entry(printable("/".join(parts)), path, printable(group or parts[0]), root)
