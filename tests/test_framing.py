"""Lengths are unsigned varints, and frames come out of a stream whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pubsub_sim.errors import FrameTooLarge, MalformedFrame
from pubsub_sim.framing import MAX_UVARINT_BYTES, FrameDecoder, encode_uvarint, read_uvarint, uvarint_bytes

fuzz = settings(max_examples=150)


@given(st.integers(0, 2**63 - 1), st.binary(max_size=3), st.binary(max_size=3))
def test_a_number_is_read_where_it_begins_and_ends(number: int, before: bytes, after: bytes) -> None:
    """Whatever stands around it; its size is known beforehand."""
    encoded = encode_uvarint(number)
    assert len(encoded) == uvarint_bytes(number)
    assert read_uvarint(before + encoded + after, len(before)) == (number, len(before + encoded))


@given(st.integers(0, 2**63 - 1), st.integers(1, MAX_UVARINT_BYTES))
def test_a_number_of_too_many_bytes_is_malformed_and_one_not_all_there_is_waited_for(number: int, longest: int) -> None:
    """The error comes as soon as the longest permitted varint has not ended."""
    encoded = encode_uvarint(number)
    for size in range(len(encoded)):
        if size < longest:
            assert read_uvarint(encoded[:size], 0, longest) == (0, 0)
    if len(encoded) > longest:
        with pytest.raises(MalformedFrame):
            read_uvarint(encoded[:longest], 0, longest)
    else:
        assert read_uvarint(encoded, 0, longest) == (number, len(encoded))


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_a_varint_of_any_length_is_read_back(number: int) -> None:
    """Unsigned LEB128, as multiformats has it."""
    decoder = FrameDecoder(limit_bytes=-1)
    decoder.feed(encode_uvarint(number))
    with pytest.raises(FrameTooLarge, match=f"frame of {number} bytes"):
        decoder.next_frame()


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(min_value=1, max_value=50))
def test_frames_survive_any_cutting_of_the_stream(frames: list[bytes], piece: int) -> None:
    """Frames come out whole and in order, however the bytes arrived."""
    stream = b"".join(encode_uvarint(len(frame)) + frame for frame in frames)
    decoder = FrameDecoder(limit_bytes=300)
    out = []
    for start in range(0, len(stream), piece):
        decoder.feed(stream[start : start + piece])
        while (frame := decoder.next_frame()) is not None:
            out.append(frame)
    assert out == frames


def test_a_length_that_never_ends_is_malformed() -> None:
    """Nine bytes at most, as unsigned-varint says."""
    decoder = FrameDecoder(limit_bytes=10)
    decoder.feed(b"\xff" * 10)
    with pytest.raises(MalformedFrame, match="not an unsigned varint"):
        decoder.next_frame()


@given(st.lists(st.binary(max_size=60), max_size=8), st.integers(0, 80))
@fuzz
def test_any_bytes_of_a_stream_are_frames_until_they_are_none(pieces: list[bytes], limit: int) -> None:
    """No frame is over the limit, none is made up, and only the two errors of a stream end it."""
    decoder = FrameDecoder(limit_bytes=limit)
    fed = taken = b""
    for piece in pieces:
        decoder.feed(piece)
        fed += piece
        try:
            while (frame := decoder.next_frame()) is not None:
                assert len(frame) <= limit
                taken += frame
        except (FrameTooLarge, MalformedFrame):
            break
    assert len(taken) <= len(fed)
    at = 0
    for byte in taken:  # in the order they came
        at = fed.index(byte, at) + 1


@given(st.integers(0, 2**63 - 1), st.binary(max_size=20))
@fuzz
def test_a_length_over_the_limit_is_refused_before_its_bytes_arrive(length: int, rest: bytes) -> None:
    decoder = FrameDecoder(limit_bytes=100)
    decoder.feed(encode_uvarint(length) + rest)
    if length > 100:
        with pytest.raises(FrameTooLarge, match=f"frame of {length} bytes"):
            decoder.next_frame()
    else:
        assert decoder.next_frame() == (rest[:length] if len(rest) >= length else None)
