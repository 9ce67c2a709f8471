"""One connection, byte by byte: what a line makes of whatever pieces a socket gives it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim import run
from pubsub_sim.errors import FrameTooLarge
from pubsub_sim.net.tcp_frames import LONGEST, prefix
from pubsub_sim.net.tcp_line import Line
from pubsub_sim.net.tcp_stream import TcpStream
from pubsub_sim.wire.framing import encode_uvarint
from tests.net.frames import PROTOCOL, Reader, peer


class Wire(asyncio.Transport):
    """Keeps what is written, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_reading_paused = False

    def write(self, data: bytes) -> None:  # type: ignore[override] # bytes are all a line writes
        self.written.append(data)

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def abort(self) -> None:
        pass


class Owner:
    """A host with one protocol and one reader per stream."""

    def __init__(self) -> None:
        self.readers: list[Reader] = []
        self.blocked: list[Line] = []

    def accepts(self, protocols: object) -> tuple[str, object]:
        def accept(inbound: object) -> Reader:
            self.readers.append(Reader(inbound, lambda: 0))  # type: ignore[arg-type]
            return self.readers[-1]

        return PROTOCOL, accept

    def is_blocked_by(self, line: Line) -> None:
        self.blocked.append(line)

    def lost(self, line: Line) -> None:
        pass


def line(owner: Owner, wire: Wire) -> Line:
    return Line(owner, peer(1), wire, asyncio.get_running_loop(), is_outbound=True)  # type: ignore[arg-type]


async def sent_by_a_stream(frames: list[bytes]) -> tuple[bytes, int]:
    """The bytes of a stream that is opened, carries the frames and is closed; and in how many writes after opening."""
    wire, owner = Wire(), Owner()
    writer = line(owner, wire)
    opening = asyncio.create_task(writer.open_stream([PROTOCOL]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    answer = Wire()
    line(owner, answer).data_received(b"".join(wire.written))
    await asyncio.sleep(0)
    writer.data_received(b"".join(answer.written))
    stream = await opening
    assert isinstance(stream, TcpStream)
    before = len(wire.written)
    for number, frame in enumerate(frames):
        assert stream.write(frame)
        if number % 32 == 31:
            await asyncio.sleep(0)
    stream.close()
    await asyncio.sleep(0)
    return b"".join(wire.written), len(wire.written) - before


@given(
    sizes=st.lists(st.sampled_from([0, 1, 2, 100, 127, 128, 300, 16_383, 16_384, 20_000]), max_size=40),
    cuts=st.lists(st.integers(1, 5000), min_size=1, max_size=20),
    rooms=st.lists(st.integers(0, 3), max_size=10),
)
def test_frames_come_out_whole_whatever_the_pieces_and_the_room(
    sizes: list[int], cuts: list[int], rooms: list[int]
) -> None:
    """Cut anywhere, held up anywhere, with bytes that still arrive after reading was paused."""
    frames = [bytes([number]) * size for number, size in enumerate(sizes)]

    async def main() -> None:
        data, writes = await sent_by_a_stream(frames)
        assert writes == len(sizes) // 32 + 1
        wire, owner = Wire(), Owner()
        reading = line(owner, wire)
        position = number = 0
        while position < len(data):
            size = cuts[number % len(cuts)]
            reading.data_received(data[position : position + size])
            position += size
            number += 1
            if owner.readers and number < len(rooms):
                owner.readers[0].room = rooms[number]
                reading.go_on()
        (reader,) = owner.readers
        while not reader.ends:
            reader.room = 1
            reading.go_on()
        assert reader.frames == frames
        assert reader.ends == [True]
        assert not wire.is_reading_paused
        assert reading.taken == len(frames) + 2

    run(main(), clock="virtual")


@given(st.integers(0, LONGEST))
def test_a_length_prefix_is_an_unsigned_varint(size: int) -> None:
    """As in libp2p's framing."""
    assert prefix(size) == encode_uvarint(size)


def test_a_longer_frame_is_refused() -> None:
    """Before anything of it is written."""
    with pytest.raises(FrameTooLarge, match="frame of 268435456 bytes is larger than the limit of 268435455 bytes"):
        prefix(LONGEST + 1)
