"""Tests of Go's gob in Python: what is written is read again, and bad bytes are one clear error."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncmachine.export.gob import (
    BOOL,
    FLOAT,
    INT,
    INTERFACE,
    STRING,
    UINT,
    Array,
    Decoder,
    Encoder,
    GobError,
    Interface,
    Slice,
    Struct,
    Type,
    decode,
    encode,
)
from asyncmachine.export.gob.encoding import write_int, write_uint
from tests.asyncmachine.export.gob_values import TYPED_VALUES

GOLDEN = Path(__file__).parents[2] / "data/am-dbg"


@given(st.lists(TYPED_VALUES, min_size=1, max_size=4), st.integers(1, 50))
def test_what_is_written_is_read_again(sent: list[tuple[Type, Any]], size: int) -> None:
    """Any values of any types come out as they went in, however the bytes are cut."""
    encoder, decoder, received = Encoder(), Decoder(), []
    stream = b"".join(encoder.encode(kind, value) for kind, value in sent)
    for start in range(0, len(stream), size):
        decoder.feed(stream[start : start + size])
        received += list(decoder)
    decoder.finish()
    assert [message.value for message in received] == [value for _, value in sent]


@given(st.floats())
def test_floats_keep_their_bits(number: float) -> None:
    """Not-a-number and the sign of zero survive too, where no zero is left out."""
    (message,) = decode(encode(Slice(FLOAT), [number]))
    assert math.copysign(1, message.value[0]) == math.copysign(1, number)
    assert message.value == [number] or math.isnan(number)


def test_golden_streams_decode_whole() -> None:
    """All bytes that a Go program and am-dbg exchanged are messages."""
    counts = {name: len(decode((GOLDEN / name).read_bytes())) for name in ("1.c2s", "1.s2c", "2.c2s", "2.s2c")}
    assert counts == {"1.c2s": 46, "1.s2c": 46, "2.c2s": 10, "2.s2c": 10}


@pytest.mark.parametrize(
    ("kind", "value", "stream"),
    [
        # from the documentation of Go's encoding/gob
        (INT, 7, "03 04 00 0e"),
        (Struct("Point", [("X", INT), ("Y", INT)]), {"X": 22, "Y": 33},
         "1f ff 81 03 01 01 05 50 6f 69 6e 74 01 ff 82 00 01 02 01 01 58 01 04 00 01 01 59 01 04 00 00 00 07 ff 82 01 2c 01 42 00"),
    ],
)  # fmt: skip
def test_bytes_are_those_of_the_documentation(kind: Type, value: Any, stream: str) -> None:
    """The examples of Go's documentation come out byte by byte."""
    assert encode(kind, value) == bytes.fromhex(stream)
    assert decode(bytes.fromhex(stream))[0].value == value


@given(st.binary(max_size=400))
def test_noise_is_one_error(noise: bytes) -> None:
    """Random bytes decode or raise GobError, and nothing else."""
    decodes_or_says_why(noise)


@given(
    st.sampled_from(["1.c2s", "2.c2s", "2.s2c"]), st.lists(st.tuples(st.integers(0), st.binary(max_size=6)), max_size=4)
)
def test_damaged_streams_are_one_error(name: str, damages: list[tuple[int, bytes]]) -> None:
    """A golden stream with bytes replaced decodes or raises GobError, and nothing else."""
    data = bytearray((GOLDEN / name).read_bytes())
    for at, new in damages:
        at %= len(data)
        data[at : at + len(new)] = new
    decodes_or_says_why(bytes(data))


def decodes_or_says_why(data: bytes) -> None:
    with contextlib.suppress(GobError):
        decode(data)


@pytest.mark.parametrize("cut", [1, 40, 700])
def test_a_truncated_stream_says_so(cut: int) -> None:
    """A stream that ends inside a message is an error that says where."""
    data = (GOLDEN / "2.c2s").read_bytes()[:-cut]
    with pytest.raises(GobError, match=f"byte {len(data)}: the stream ends inside a message") as caught:
        decode(data)
    assert (caught.value.offset, caught.value.reason) == (len(data), "the stream ends inside a message")


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        ("f8 7f ff ff ff ff ff ff ff", "a message of 9223372036854775807 bytes"),
        ("00", "a message of 0 bytes"),
        ("80", "a number of 128 bytes"),
        ("08 06 00 f8 7f ff ff ff ff", "the message ends too early|bytes announced"),
        ("04 0c 00 7f 61", "127 bytes announced, 1 left"),
        ("03 ff 90 00", "type 72 is not defined"),
        ("03 04 01 0e", "no zero byte before"),
        ("04 04 00 0e 0e", "1 bytes too many"),
    ],
)
def test_lengths_are_compared_with_what_is_there(stream: str, reason: str) -> None:
    """No length is believed before its bytes are there."""
    with pytest.raises(GobError, match=reason):
        decode(bytes.fromhex(stream))


def test_a_list_cannot_announce_more_than_it_has() -> None:
    """A list that announces a billion elements is refused before any is made."""
    stream = bytearray(encode(Slice(BOOL), [True, False]))
    stream[-3:] = bytes.fromhex("fc 3b 9a ca 00")
    stream[-9] += 2
    with pytest.raises(GobError, match="a list of 1000000000 elements, more than fit into the message"):
        decode(bytes(stream))


def test_nesting_is_bounded() -> None:
    """A type that holds itself cannot be used to exhaust the stack."""
    nested = Slice(BOOL, "T")
    nested.elem = nested
    value: list[Any] = []
    for _ in range(200):
        value = [value]
    with pytest.raises(GobError, match="nested more than 64 deep"):
        decode(encode(nested, value))
    assert decode(encode(nested, [[], [[]]]))[0].value == [[], [[]]]


def test_types_that_hold_themselves_are_fine() -> None:
    """A linked list, as Go programs have them, goes both ways."""
    node = Struct("Node", [])
    node.fields = (("Name", STRING), ("Next", node))
    value = {"Name": "a", "Next": {"Name": "b", "Next": {}}}
    assert decode(encode(node, value))[0].value == value


def test_interfaces_may_hold_types_of_their_own() -> None:
    """A struct in an interface is defined before it, and once only."""
    point = Struct("Point", [("X", INT)])
    holder = Slice(INTERFACE)
    sent = [Interface("main.Point", point, {"X": 1}), None, Interface("main.Point", point, {"X": 2})]
    ((_, received),) = decode(encode(holder, sent))
    assert [held and held.value for held in received] == [{"X": 1}, None, {"X": 2}]


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (INT, 2**63, "64-bit"),
        (UINT, -1, "64-bit"),
        (STRING, 7, "encode"),
        (Struct("P", [("X", INT)]), {"Y": 1}, "P has no field Y"),
        (Array(INT, 2), [1], "1 elements in an array of 2"),
        (INTERFACE, Interface("", INT, 1), "without the name of its type"),
    ],
)
def test_what_does_not_fit_is_refused(kind: Type, value: Any, reason: str) -> None:
    """A value that does not fit its type is an error, and the stream goes on as if nothing had been asked."""
    encoder = Encoder()
    with pytest.raises(GobError, match=reason) as caught:
        encoder.encode(Slice(kind), [value])
    assert caught.value.offset is None
    point = Struct("Point", [("X", INT)])
    assert decode(encoder.encode(point, {"X": 3}))[0].value == {"X": 3}


def framed(*parts: bytes | int) -> bytes:
    """Return a message: bytes as they are, and signed numbers."""
    body, whole = bytearray(), bytearray()
    for part in parts:
        if isinstance(part, int):
            write_int(body, part)
        else:
            body += part
    write_uint(whole, len(body))
    return bytes(whole + body)


# kinds of types, as they are defined: the field of the definition, and its fields up to the first number
ARRAY, SLICE, MAP, END = b"\x01\x02", b"\x02\x02", b"\x04\x02", b"\x00\x00"
CHAIN = b"".join(framed(-at, SLICE, at + 1, END) for at in range(65, 138))


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (framed(-65, SLICE, 2, END) * 2, "type 65 is defined twice"),
        (framed(-65, b"\x00"), "type 65 is defined as 0 kinds of type"),
        (CHAIN + framed(65, b"\x00\x00"), "types nested more than 64 deep"),
        (framed(-65, ARRAY, 2, b"\x01", 3, END) + framed(65, b"\x00\x01\x02"), "an array of 3 elements with 1"),
        (framed(-65, MAP, 8, b"\x01", 2, END) + framed(65, b"\x00\x00"), "map keys that are not plain values"),
        (framed(8, b"\x00\x03int", 2, b"\x05\x00\x02"), "a value of 5 bytes in an interface has another length"),
        (framed(3, b"\x00"), "the message ends too early"),
    ],
)
def test_types_are_not_trusted(stream: bytes, reason: str) -> None:
    """Definitions that contradict themselves, each other or their values are refused."""
    with pytest.raises(GobError, match=reason):
        decode(stream)


def test_an_interface_may_define_its_type_on_the_spot() -> None:
    """Go defines types that are nested in interfaces inside the message: `65 is a list of int`, then `[1]`."""
    inside = framed(-65, SLICE, 2, END)[1:]
    stream = framed(8, b"\x00\x01L", inside, framed(65, b"\x03\x00\x01", 1))
    assert decode(stream)[0].value.value == [1]
