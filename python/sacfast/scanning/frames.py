"""What a worker and its parent say to each other: JSON, with an array's bytes behind it.

A frame is the length of its header (4 bytes, little endian), the header (a JSON object), and,
where the header has a `shape`, that many numbers of its `dtype`, little endian. There is nothing
in it that could be run, and whoever receives one knows how long it may be before reading it.

The parent takes nothing on trust: `checked_opened` and `checked_outputs` hold what a worker says
of a model, and what the model answered, against the rules that every model is opened by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, BinaryIO

from numpy.typing import NDArray

from sacfast.errors import ModelError
from sacfast.kinds import KINDS
from sacfast.models.answers import MAX_CLASSES, check_settings, checked_answers

MAX_HEADER_BYTES = 1 << 16

Header = dict[str, Any]


class FrameError(ValueError):
    """What came is not a frame, or not one that is allowed here."""


def pack(header: Header, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode("ascii")
    return len(text).to_bytes(4, "little") + text + body


def read_header(stream: BinaryIO) -> Header | None:
    """The next header from a blocking stream; None at its end."""
    start = stream.read(4)
    if len(start) < 4:
        return None
    text = stream.read(int.from_bytes(start, "little"))
    return parse_header(text)


def parse_header(text: bytes) -> Header:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError("a header that is not JSON") from error
    if not isinstance(header, dict):
        raise FrameError("a header that is not an object")
    return header


class Decoder:
    """Cuts what a worker sends into frames, piece by piece as it arrives.

    Args:
        body_size: How many bytes follow a header; raises FrameError if there are too many.
    """

    def __init__(self, body_size: Callable[[Header], int]) -> None:
        self._body_size = body_size
        self._buffer = bytearray()
        self._header: Header | None = None

    def feed(self, data: bytes) -> Iterator[tuple[Header, bytes]]:
        """Take what came; yield the frames that are now whole."""
        self._buffer += data
        while True:
            if self._header is None:
                length = int.from_bytes(self._buffer[:4], "little")
                if len(self._buffer) < 4 or length > MAX_HEADER_BYTES:
                    if len(self._buffer) >= 4:
                        raise FrameError(f"a header of {length} bytes")
                    return
                if len(self._buffer) < 4 + length:
                    return
                self._header = parse_header(bytes(self._buffer[4 : 4 + length]))
                del self._buffer[: 4 + length]
            size = self._body_size(self._header)
            if len(self._buffer) < size:
                return
            header, body = self._header, bytes(self._buffer[:size])
            self._header = None
            del self._buffer[:size]
            yield header, body


def checked_opened(value: Any) -> Header:
    """What a worker says about a model that it opened, if that can be so."""
    if not isinstance(value, dict):
        raise FrameError("a description of its model that is no object")
    names = ("digest", "weights_digest", "preprocessing_digest", "outputs_kind", "digits", "k")
    said = {name: value.get(name) for name in names}
    if not (_is_digest(said["digest"]) and _is_digest(said["weights_digest"])):
        raise FrameError("a digest that is none")
    if said["preprocessing_digest"] != "" and not _is_digest(said["preprocessing_digest"]):
        raise FrameError("a digest that is none")
    if not isinstance(said["outputs_kind"], str) or said["outputs_kind"] not in KINDS:
        raise FrameError("an unknown kind of outputs")
    if not all(said[name] is None or type(said[name]) is int for name in ("digits", "k")):
        raise FrameError("numbers that are none")
    try:
        check_settings(said["outputs_kind"], said["digits"], said["k"])
    except ModelError as error:
        raise FrameError(f"what can't be: {error}") from error
    return said


def checked_outputs(
    outputs: NDArray[Any], kind: str, digits: int | None, k: int | None, rows: int
) -> NDArray[Any]:
    """What a worker gives as a model's answers, if answers of this kind can be so."""
    try:
        checked = checked_answers(outputs, kind, rows)
        check_settings(kind, digits, k, checked.shape[-1])
    except ModelError as error:
        raise FrameError(f"what can't be: {error}") from error
    return checked


def outputs_size(header: Header, rows: int, pairs: int) -> int:
    """How many bytes of numbers follow a header: only outputs of a possible size may.

    Answers have `rows` rows, those about pairs of images `pairs` (`ProbeSet.rows`).
    """
    if "shape" not in header:
        return 0
    shape, dtype = header["shape"], header.get("dtype")
    if not isinstance(shape, list) or not all(type(side) is int for side in shape):
        raise FrameError("outputs without a shape")
    if dtype == "<i8" and shape == [rows]:
        return rows * 8
    fits = len(shape) == 2 and shape[0] in (rows, pairs) and 2 <= shape[1] <= MAX_CLASSES
    if dtype == "<f4" and fits:
        return prod(shape) * 4
    raise FrameError(f"outputs of a wrong shape or type for {rows} probes")


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
