"""Opening files of strangers.

Every file of a model is opened here. A link is followed only as far as it stays below the
registry, nothing but a regular file is opened (a named pipe would block for ever, a device may
do anything), and what was checked is what is read: a file that changed in between, or while it
was read, is an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from sacfast.errors import ModelError, RefusedModelError
from sacfast.text import one_line

MAX_JSON_BYTES = 1 << 20
MAX_JSON_DEPTH = 16

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class SafeFile:
    """A regular file below the folder that its links may lead to, and what it was when checked."""

    name: str
    path: Path
    identity: tuple[int, ...]

    @classmethod
    def check(cls, path: Path, root: Path) -> SafeFile:
        """Follow the links of `path`; refuse what leaves `root` or is no regular file."""
        name = repr(path.name)
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise ModelError(f"{name} can't be opened: {why(error)}") from error
        if not real.is_relative_to(root):
            raise RefusedModelError(f"{name} is a link that leads out of the registry")
        file = cls(name, real, ())
        with file._opened() as handle:
            return cls(name, real, _identity(handle))

    @property
    def size(self) -> int:
        return self.identity[2]

    @contextlib.contextmanager
    def open(self) -> Iterator[BufferedReader]:
        """Open it for reading; ModelError if it isn't, or doesn't stay, what was checked."""
        with self._opened() as handle:
            if _identity(handle) != self.identity:
                raise self.changed()
            yield handle
            if _identity(handle) != self.identity:
                raise self.changed()

    def changed(self) -> ModelError:
        return ModelError(f"{self.name} changed while it was being read")

    def sha256(self) -> str:
        digest = hashlib.sha256()
        with self.open() as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[BufferedReader]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags)
        except OSError as error:
            raise ModelError(f"{self.name} can't be opened: {why(error)}") from error
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                what = _KINDS.get(stat.S_IFMT(mode), "something else")
                raise ModelError(f"{self.name} is {what}, not a regular file")
            with open(descriptor, "rb", closefd=False) as handle:
                yield handle
        finally:
            os.close(descriptor)


def read_config(path: Path, root: Path) -> dict[str, Any]:
    """A config.json as a dictionary; strict JSON, of bounded size and depth."""
    file = SafeFile.check(path, root)
    if file.size > MAX_JSON_BYTES:
        raise ModelError(
            f"{file.name} has {file.size} bytes, more than the {MAX_JSON_BYTES} that a "
            "configuration may have"
        )
    with file.open() as handle:
        return strict_json(handle.read(), file.name)


def strict_json(data: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object: no NaN, no infinity, no key twice, no deep nesting."""
    try:
        value = json.loads(
            data.decode("utf-8-sig"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_keys,
        )
        if not isinstance(value, dict):
            raise ModelError(f"{name} must hold a JSON object, not a {type(value).__name__}")
        if _depth(value) > MAX_JSON_DEPTH:
            raise RecursionError
    except RecursionError as error:
        raise ModelError(f"{name} is nested too deeply") from error
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(f"{name} is not valid JSON: {short(error)}") from error
    return value


def short(error: BaseException, limit: int = 200) -> str:
    """An error's text on one line, cut to size; its type where it has no text."""
    return one_line(str(error), limit) or type(error).__name__


def _identity(handle: BufferedReader) -> tuple[int, ...]:
    """What tells a file from another, and from itself once written to.

    A modification time can be set back to what it was; the time of the change of status, which
    that leaves behind, can't.
    """
    status = os.fstat(handle.fileno())
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def why(error: BaseException) -> str:
    """Why a path can't be opened, in the system's words."""
    if isinstance(error, RuntimeError):
        return "its links lead in a circle"
    return getattr(error, "strerror", None) or short(error)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
