"""One connection, byte by byte: what a connection makes of whatever pieces a socket gives it."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim import run
from pubsub_sim.errors import MessageTooLarge, StreamRefused
from pubsub_sim.net.tcp_connection import HIGH_WATER_BYTES, Connection
from pubsub_sim.net.tcp_frames import LONGEST, LONGEST_TEXT, Kind, control_frame, prefix
from pubsub_sim.net.tcp_stream import TcpStream
from tests.net.frames import PROTOCOL, Reader, peer

MiB = 1 << 20


class Wire(asyncio.Transport):
    """Keeps what is written, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_reading_paused = False
        self.is_aborted = False

    def write(self, data: bytes) -> None:  # type: ignore[override] # bytes are all a connection writes
        self.written.append(data)

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def abort(self) -> None:
        self.is_aborted = True


class Owner:
    """A host with one protocol and one reader per stream."""

    def __init__(self) -> None:
        self.readers: list[Reader] = []
        self.blocked: list[Connection] = []

    def accepts(self, protocols: object) -> tuple[str, object]:
        def accept(inbound: object) -> Reader:
            self.readers.append(Reader(inbound, lambda: 0))  # type: ignore[arg-type]
            return self.readers[-1]

        return PROTOCOL, accept

    def is_blocked_by(self, connection: Connection) -> None:
        self.blocked.append(connection)

    def lost(self, connection: Connection) -> None:
        pass


def connection(owner: Owner, wire: Wire) -> Connection:
    return Connection(owner, peer(1), wire, asyncio.get_running_loop(), is_outbound=True)  # type: ignore[arg-type]


async def sent_by_a_stream(frames: list[bytes]) -> tuple[bytes, int]:
    """The bytes of a stream that is opened, carries the frames and is closed; and in how many writes after opening."""
    wire, owner = Wire(), Owner()
    writer = connection(owner, wire)
    opening = asyncio.create_task(writer.open_stream([PROTOCOL]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    answer = Wire()
    connection(owner, answer).data_received(b"".join(wire.written))
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
        reading = connection(owner, wire)
        position = number = 0
        while position < len(data):
            size = cuts[number % len(cuts)]
            reading.data_received(data[position : position + size])
            position += size
            number += 1
            if owner.readers and number < len(rooms):
                owner.readers[0].room = rooms[number]
                reading.resume_reading()
        (reader,) = owner.readers
        while not reader.ends:
            reader.room = 1
            reading.resume_reading()
        assert reader.frames == frames
        assert reader.ends == [True]
        assert not wire.is_reading_paused
        assert reading.taken == len(frames) + 2

    run(main(), clock="virtual")


def test_a_longer_frame_is_refused() -> None:
    """Before anything of it is written, and as the fault of who sends it."""
    with pytest.raises(MessageTooLarge, match="268435456 bytes is larger than the limit of 268435455 bytes"):
        prefix(LONGEST + 1)


# --- a peer that sends what it likes -------------------------------------------------------------------------------

OPEN = control_frame(Kind.OPEN, 1, PROTOCOL)


@pytest.mark.parametrize("has_reader", [True, False])
@pytest.mark.parametrize("piece", [1000, MiB])
def test_nothing_is_kept_of_a_frame_that_nobody_takes(has_reader: bool, piece: int) -> None:
    """One longer than its reader takes resets the stream at its announcement, in order; after it, frames are read again."""

    async def main() -> None:
        wire, owner = Wire(), Owner()
        reading = connection(owner, wire)
        if has_reader:
            reading.data_received(OPEN)
            owner.readers[0].limit_bytes = MiB
            reading.data_received(prefix(3) + b"one")
        tracemalloc.start()
        try:
            reading.data_received(prefix(100 * MiB) + b"!")
            await asyncio.sleep(0)
            for _ in range((100 * MiB - 1) // piece):
                reading.data_received(bytes(piece))
            assert tracemalloc.get_traced_memory()[1] < 3 * MiB
        finally:
            tracemalloc.stop()
        left = (100 * MiB - 1) % piece
        reading.data_received(bytes(left) + control_frame(Kind.OPEN, 2, PROTOCOL) + prefix(3) + b"two")
        if has_reader:
            assert (owner.readers[0].frames, owner.readers[0].ends) == ([b"one"], [False])
            assert control_frame(Kind.STOP, 1, "") in b"".join(wire.written)
        assert owner.readers[-1].frames == [b"two"]
        assert reading.taken == 2 + 2 * has_reader + 1
        assert not wire.is_aborted

    run(main(), clock="virtual")


def test_a_frame_as_long_as_its_reader_takes_is_read() -> None:
    async def main() -> None:
        reading = connection(owner := Owner(), Wire())
        reading.data_received(OPEN)
        owner.readers[0].limit_bytes = MiB
        data = prefix(MiB) + bytes(MiB)
        for start in range(0, len(data), 1000):
            reading.data_received(data[start : start + 1000])
        assert owner.readers[0].frames == [bytes(MiB)]

    run(main(), clock="virtual")


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff" * 5,
        b"\0\x07\x01\0",
        b"\0" + bytes((Kind.OPEN,)) + b"\xff" * 5,
        b"\0" + bytes((Kind.OPEN, 1)) + prefix(LONGEST_TEXT + 1),
        b"\0" + bytes((Kind.OPEN, 1, 2)) + b"\xff\xfe",
    ],
    ids=["length", "kind", "number", "size of a text", "text"],
)
def test_what_is_no_frame_ends_the_connection(bad: bytes) -> None:
    """And nothing after it is read."""

    async def main() -> None:
        wire, owner = Wire(), Owner()
        reading = connection(owner, wire)
        for byte in bad:
            reading.data_received(bytes((byte,)))
        assert wire.is_aborted
        reading.data_received(OPEN)
        reading.data_received(bytes(MiB))
        assert owner.readers == []

    run(main(), clock="virtual")


def test_who_asks_on_without_reading_the_answers_is_cut_off() -> None:
    async def main() -> None:
        wire = Wire()
        reading = connection(Owner(), wire)
        reading.pause_writing()
        asked = 0
        while not wire.is_aborted:
            reading.data_received(OPEN)
            asked += 1
        assert asked * len(OPEN) < 2 * HIGH_WATER_BYTES

    run(main(), clock="virtual")


def test_an_answer_with_another_protocol_is_a_refusal() -> None:
    async def main() -> None:
        wire = Wire()
        asking = connection(Owner(), wire)
        opening = asyncio.create_task(asking.open_stream([PROTOCOL]))
        await asyncio.sleep(0)
        asking.data_received(control_frame(Kind.ACCEPT, 1, "/other/1"))
        with pytest.raises(StreamRefused, match="a protocol it was not asked for"):
            await opening
        await asyncio.sleep(0)
        assert wire.written[-1] == control_frame(Kind.RESET, 1, "")

    run(main(), clock="virtual")


_numbers = st.sampled_from([0, 1, 2, LONGEST])
_said = st.one_of(
    st.builds(control_frame, st.sampled_from(Kind), _numbers, st.sampled_from([PROTOCOL, "", "/other/1\n" + PROTOCOL])),
    st.sampled_from([0, 1, 127, 128, 5000]).map(lambda size: prefix(size) + bytes(size)),
    st.binary(max_size=12),
)


@given(said=st.lists(_said, max_size=20), piece=st.integers(1, 300))
def test_no_bytes_make_a_line_raise(said: list[bytes], piece: int) -> None:
    """Whatever is asked, answered or announced, of our stream or of its own."""

    async def main() -> None:
        data = b"".join(said)
        wire, owner = Wire(), Owner()
        reading = connection(owner, wire)
        opening = asyncio.create_task(reading.open_stream([PROTOCOL]))
        await asyncio.sleep(0)
        for start in range(0, len(data), piece):
            await asyncio.sleep(0)
            if not wire.is_aborted:
                reading.data_received(data[start : start + piece])
        reading.cut()
        await asyncio.gather(opening, return_exceptions=True)
        assert opening.exception() is None or isinstance(opening.exception(), StreamRefused)

    run(main(), clock="virtual")
