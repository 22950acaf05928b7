"""What a worker and its parent say to each other: JSON, with an array's bytes behind it.

A frame is the length of its header (4 bytes, little endian), the header (a JSON object), and,
where the header has a `shape`, that many numbers of its `dtype`, little endian. There is nothing
in it that could be run, and whoever receives one knows how long it may be before reading it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

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
