"""Frames: cut anywhere they come out whole; anything else is an error before it is read."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacfast.scanning.frames import MAX_HEADER_BYTES, Decoder, FrameError, pack, read_header

FRAMES = st.lists(
    st.tuples(st.dictionaries(st.text(), st.integers() | st.text()), st.binary()), max_size=5
)


@given(FRAMES, st.lists(st.integers(1, 20)))
def test_frames_survive_being_cut_anywhere(
    frames: list[tuple[dict[str, object], bytes]], cuts: list[int]
) -> None:
    wanted = [({**header, "size": len(body)}, body) for header, body in frames]
    stream = b"".join(pack(header, body) for header, body in wanted)
    decoder = Decoder(lambda header: header["size"])
    got = []
    for cut in [*cuts, len(stream)]:
        got += decoder.feed(stream[:cut])
        stream = stream[cut:]
    assert got == wanted


@given(st.binary(max_size=200))
def test_garbage_is_a_frame_error_or_nothing(data: bytes) -> None:
    decoder = Decoder(lambda header: 0)
    try:
        frames = list(decoder.feed(data))
    except FrameError:
        return
    assert all(isinstance(header, dict) and body == b"" for header, body in frames)


def test_a_header_that_is_too_long_is_refused_by_its_length() -> None:
    length = (MAX_HEADER_BYTES + 1).to_bytes(4, "little")
    with pytest.raises(FrameError, match="a header of 65537 bytes"):
        list(Decoder(lambda header: 0).feed(length))


@pytest.mark.parametrize("text", [b"[1]", b"{", b"\xff\xfe", b"[" * 60_000])
def test_headers_that_are_none(text: bytes) -> None:
    with pytest.raises(FrameError):
        list(Decoder(lambda header: 0).feed(len(text).to_bytes(4, "little") + text))


def test_the_end_of_a_stream() -> None:
    stream = io.BytesIO(pack({"a": 1}) + b"\x01\x00")
    assert read_header(stream) == {"a": 1}
    assert read_header(stream) is None
