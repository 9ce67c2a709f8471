"""yamux: frames as the specification writes them, windows, ends, limits, and what hostile peers come to."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pubsub_sim.libp2p.errors import Libp2pError, ProtocolViolation, TooManyStreams, TooMuchUnsent
from pubsub_sim.libp2p.yamux import Session
from pubsub_sim.libp2p.yamux_streams import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    LONGEST_FRAME,
    PING,
    RESOURCE_LIMIT,
    RST,
    SYN,
    WINDOW,
    WINDOW_UPDATE,
    Event,
    Finished,
    GoneAway,
    Opened,
    PingAnswered,
    Received,
    WasReset,
    YamuxLimits,
    YamuxStream,
)


def frame(kind: int, flags: int, number: int, length: int, body: bytes = b"", version: int = 0) -> bytes:
    return struct.pack(">BBHII", version, kind, flags, number, length) + body


def pair() -> tuple[Session, Session]:
    return Session(is_dialler=True), Session(is_dialler=False)


def opened(session: Session, number: int) -> YamuxStream:
    """A stream that the other end opened."""
    events = session.receive(frame(WINDOW_UPDATE, SYN, number, 0))
    assert [type(event) for event in events] == [Opened]
    session.take()
    return session.streams[number]


def test_frames_are_those_of_the_specification() -> None:
    """Opening, data, finishing, pings and the end, byte for byte."""
    session = Session(is_dialler=True)
    stream = session.open()
    session.write(stream, b"hel")
    session.write(stream, b"lo")
    session.finish(stream)
    session.ping(7)
    session.go_away()
    assert session.take() == b"".join(
        (
            bytes.fromhex("00 01 0001 00000001 00000000"),
            bytes.fromhex("00 02 0001 00000000 00000007"),
            bytes.fromhex("00 03 0000 00000000 00000000"),
            bytes.fromhex("00 00 0000 00000001 00000005") + b"hello",
            bytes.fromhex("00 01 0004 00000001 00000000"),
        )
    )
    assert not session.has_output


def test_numbers_are_odd_for_the_dialling_end_and_even_for_the_other() -> None:
    """Counting from 1 and from 2."""
    one, other = pair()
    assert [one.open().number for _ in range(3)] == [1, 3, 5]
    assert [other.open().number for _ in range(3)] == [2, 4, 6]


def test_a_stream_is_opened_answered_used_and_ended() -> None:
    """Each side hears of what the other does, once, and neither keeps anything of it."""
    one, other = pair()
    stream = one.open()
    one.write(stream, b"question")
    one.finish(stream)
    (first, second, third) = other.receive(one.take())
    theirs = other.streams[1]
    assert (first, second, third) == (Opened(theirs), Received(theirs, b"question"), Finished(theirs))
    other.write(theirs, b"answer")
    other.finish(theirs)
    assert one.receive(other.take()) == [Received(stream, b"answer"), Finished(stream)]
    assert stream.is_answered
    assert not one.streams
    assert not other.streams


class Taking:
    """A user that takes frames as they were received."""

    def __init__(self, events: list[tuple[type[Event], bytes]]) -> None:
        self._events = events

    def take_whole(self, data: bytes) -> None:
        self._events.append((Received, data[12:]))


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(0, 60), st.booleans())
def test_a_single_frame_is_taken_as_any_other(bodies: list[bytes], cut: int, is_finished: bool) -> None:
    """What is a whole frame of data, and nothing else, has a way of its own: it changes nothing but the effort."""
    data = frame(WINDOW_UPDATE, SYN, 1, 0) + b"".join(frame(DATA, 0, 1, len(body), body) for body in bodies)
    if is_finished:
        data += frame(WINDOW_UPDATE, FIN, 1, 0) + frame(DATA, 0, 1, 0)
    seen: list[list[tuple[type[Event], bytes]]] = []
    for has_short_way in (True, False):
        session = Session(is_dialler=False)
        events: list[tuple[type[Event], bytes]] = []
        taking = Taking(events)
        for part in (data[:cut], data[cut:], frame(DATA, 0, 1, 3, b"end")):
            taker = session.receive_whole(part) if has_short_way else None
            if taker is not None:
                taker.take_whole(part)
                continue
            try:
                found = session.receive(part)
            except ProtocolViolation:
                events.append((Finished, b"violation"))
                break
            for event in found:
                if isinstance(event, Opened):
                    event.stream.taker = taking
                elif isinstance(event, Received):
                    session.credit(event.stream, len(event.data))
                events.append((type(event), event.data if isinstance(event, Received) else b""))
        stream = session.streams.get(1)
        window = stream.receive_window - stream.unconsumed if stream is not None else 0
        seen.append([*events, (Opened, b"%d" % window)])
    assert seen[0] == seen[1]
    assert seen[0][-2] == ((Finished, b"violation") if is_finished else (Received, b"end"))


@given(st.lists(st.sampled_from([1, 100, LONGEST_FRAME, LONGEST_FRAME + 1, WINDOW]), max_size=8), st.booleans())
def test_data_packed_at_once_are_those_that_would_have_been_taken(sizes: list[int], is_pinged: bool) -> None:
    """Byte for byte, as long as nothing waits that would have to be sent before."""
    outputs: list[bytes] = []
    for has_short_way in (True, False):
        session = Session(is_dialler=True)
        stream = session.open()
        session.take()
        output = b""
        for number, size in enumerate(sizes):
            if is_pinged and number == 1:
                session.ping(7)
            body = bytes((number,)) * size
            packed = session.pack(stream, body) if has_short_way else None
            if packed is None:
                session.write(stream, body)
                while session.has_output:
                    output += session.take()
            output += packed or b""
        outputs.append(output)
        assert stream.send_window >= 0
    assert outputs[0] == outputs[1]


def test_nothing_is_packed_for_a_stream_that_cannot_be_written() -> None:
    """Neither after its end nor after its reset by the other side."""
    session = Session(is_dialler=True)
    finished, reset = session.open(), session.open()
    session.finish(finished)
    session.receive(frame(WINDOW_UPDATE, RST, reset.number, 0))
    session.take()
    assert session.pack(finished, b"x") is session.pack(reset, b"x") is None


def test_what_was_received_whole_is_credited_unless_it_is_taken_back() -> None:
    """Half a window is granted anew, without what its user could not consume."""
    session = Session(is_dialler=True)
    stream = opened(session, 2)
    stream.taker = Taking([])
    size = WINDOW // 8
    for number in range(4):
        assert not session.has_output
        assert session.receive_whole(frame(DATA, 0, 2, size, b"x" * size)) is not None
        if not number:
            session.credit(stream, -size)
    assert not session.has_output
    assert session.receive_whole(frame(DATA, 0, 2, size, b"x" * size)) is not None
    assert session.take() == frame(WINDOW_UPDATE, 0, 2, 4 * size)
    session.credit(stream, size)
    assert stream.receive_window == WINDOW - size


def test_a_ping_is_answered_ahead_of_data() -> None:
    """With the same number; the answer to one of ours is told."""
    one, other = pair()
    stream = opened(one, 2)
    one.write(stream, b"x" * LONGEST_FRAME)
    one.receive(frame(PING, SYN, 0, 0xDEADBEEF))
    assert one.take().startswith(frame(PING, ACK, 0, 0xDEADBEEF))
    other.ping(3)
    assert one.receive(other.take()) == []
    assert other.receive(one.take()) == [PingAnswered(3)]


def test_an_end_announced_refuses_new_streams() -> None:
    """Those there are go on."""
    one, other = pair()
    there = opened(one, 2)
    assert one.receive(frame(GO_AWAY, 0, 0, 1)) == [GoneAway(1)]
    assert one.receive(frame(WINDOW_UPDATE, SYN, 4, 0)) == []
    assert one.take() == frame(WINDOW_UPDATE, RST, 4, RESOURCE_LIMIT)
    assert one.receive(frame(DATA, 0, 2, 1, b"x")) == [Received(there, b"x")]
    other.go_away()
    assert other.is_going_away


def test_no_more_is_sent_than_the_window_allows() -> None:
    """The rest waits for an update, and goes in frames of at most 64 KiB."""
    session = Session(is_dialler=True)
    stream = session.open()
    session.take()
    session.write(stream, b"a" * (WINDOW + 100))
    sent = b""
    while session.has_output:
        sent += session.take()
    assert len(sent) == WINDOW + 4 * 12
    assert stream.pending_bytes == 100
    session.receive(frame(WINDOW_UPDATE, ACK, 1, 60))
    assert session.take() == frame(DATA, 0, 1, 60, b"a" * 60)
    session.finish(stream)
    assert not session.has_output
    session.receive(frame(WINDOW_UPDATE, 0, 1, 1000))
    assert session.take() == frame(DATA, 0, 1, 40, b"a" * 40) + frame(WINDOW_UPDATE, FIN, 1, 0)


def test_streams_take_turns() -> None:
    """A stream with much to send does not keep another waiting for more than a frame."""
    session = Session(is_dialler=True)
    big, small = session.open(), session.open()
    session.take()
    session.write(big, b"b" * WINDOW)
    session.write(small, b"s")
    sent = session.take()
    assert sent.index(frame(DATA, 0, small.number, 1, b"s")) == 12 + LONGEST_FRAME


def test_a_writer_is_told_of_what_was_taken_once_it_is_half_a_window() -> None:
    """Only bytes that the user has taken count."""
    session = Session(is_dialler=True)
    stream = opened(session, 2)
    session.receive(frame(DATA, 0, 2, WINDOW, b"x" * WINDOW))
    session.credit(stream, WINDOW // 2 - 1)
    assert not session.has_output
    session.credit(stream, 1)
    assert session.take() == frame(WINDOW_UPDATE, 0, 2, WINDOW // 2)
    assert stream.receive_window == WINDOW // 2


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (frame(DATA, 0, 2, 1, version=1), "version 0"),
        (frame(4, 0, 2, 0), "known type"),
        (frame(PING, SYN, 2, 0), "stream 0"),
        (frame(GO_AWAY, 0, 2, 0), "stream 0"),
        (frame(DATA, 0, 0, 0), "other than 0"),
        (frame(WINDOW_UPDATE, SYN, 3, 0), "an even number"),
        (frame(WINDOW_UPDATE, SYN, 2, 0), "a new number"),
        (frame(DATA, 0, 2, WINDOW + 1), "within a window"),
        (frame(DATA, FIN, 2, WINDOW + 1), "within a window"),
        (frame(DATA, SYN, 4, 0xFFFFFFFF), "within a window"),
        (frame(WINDOW_UPDATE, 0, 2, 0xFFFFFFFF), "a window of at most"),
        (frame(DATA, FIN, 2, 0) + frame(DATA, 0, 2, 1), "finished"),
    ],
)
def test_a_violation_is_found_at_the_header(data: bytes, expected: str) -> None:
    """Nothing of a body is waited for."""
    session = Session(is_dialler=True)
    opened(session, 2)
    with pytest.raises(ProtocolViolation, match=expected) as caught:
        session.receive(data)
    assert caught.value.layer == "yamux"


def test_data_past_the_window_is_found_however_it_is_split() -> None:
    """Frames within the window that are too much together."""
    session = Session(is_dialler=True)
    stream = opened(session, 2)
    for _ in range(4):
        session.receive(frame(DATA, 0, 2, LONGEST_FRAME, b"x" * LONGEST_FRAME))
    assert stream.receive_window == 0
    with pytest.raises(ProtocolViolation, match="window of 0 bytes"):
        session.receive(frame(DATA, 0, 2, 1))


def test_frames_for_streams_that_are_gone_are_dropped() -> None:
    """Their bodies too, whatever their length, and what comes behind is read."""
    session = Session(is_dialler=True)
    stream = opened(session, 2)
    session.reset(stream)
    assert session.take() == frame(WINDOW_UPDATE, RST, 2, 0)
    for data in (frame(DATA, 0, 2, 5, b"12345"), frame(WINDOW_UPDATE, 0, 2, 9), frame(WINDOW_UPDATE, RST, 2, 0)):
        assert session.receive(data) == []
    assert session.receive(frame(DATA, FIN, 2, WINDOW * 4)) == []
    assert session.receive(b"x" * WINDOW * 4 + frame(GO_AWAY, 0, 0, 0)) == [GoneAway(0)]


def test_a_reset_carries_its_code_and_ends_both_directions() -> None:
    """What waited to be sent is dropped."""
    one, other = pair()
    stream = one.open()
    other.receive(one.take())
    one.write(stream, b"never sent")
    other.reset(other.streams[1], RESOURCE_LIMIT)
    assert one.receive(other.take()) == [WasReset(stream, RESOURCE_LIMIT)]
    assert not one.has_output
    assert not one.streams


def test_streams_beyond_the_limit_are_reset_and_nothing_is_kept_of_them() -> None:
    """A flood of streams leaves as many as are allowed; when one is over, another may come."""
    session = Session(is_dialler=True, limits=YamuxLimits(inbound=10))
    for number in range(2, 2 + 2 * 1000, 2):
        session.receive(frame(WINDOW_UPDATE, SYN, number, 0))
        session.take()
    assert len(session.streams) == 10
    session.reset(session.streams[2])
    session.receive(frame(WINDOW_UPDATE, SYN, 5000, 0))
    assert len(session.streams) == 10
    assert 5000 in session.streams


def test_streams_without_an_answer_are_counted() -> None:
    """No more are opened than the other end may leave unanswered; an answer or a refusal makes room."""
    session = Session(is_dialler=True, limits=YamuxLimits(unanswered=3))
    streams = [session.open() for _ in range(3)]
    with pytest.raises(TooManyStreams):
        session.open()
    session.receive(frame(WINDOW_UPDATE, ACK, streams[0].number, 0))
    session.receive(frame(WINDOW_UPDATE, RST, streams[1].number, 0))
    session.open()
    session.open()
    with pytest.raises(TooManyStreams):
        session.open()


@pytest.mark.parametrize("question", [frame(PING, SYN, 0, 1), frame(WINDOW_UPDATE, SYN, 0x10000, 0)])
def test_a_peer_that_asks_and_does_not_read_is_cut_off(question: bytes) -> None:
    """Answers that nobody takes do not pile up."""
    session = Session(is_dialler=True, limits=YamuxLimits(inbound=0))
    questions = YamuxLimits().unsent_bytes // len(question)
    for _ in range(questions):
        session.receive(question)
    with pytest.raises(TooMuchUnsent):
        session.receive(question)


FRAMES = st.builds(
    frame,
    st.sampled_from([0, 1, 2, 3, 4]),
    st.integers(0, 15),
    st.sampled_from([0, 1, 2, 3, 4, 6]),
    st.sampled_from([0, 1, 7, WINDOW, WINDOW + 1, 0xFFFFFFFF]),
    st.binary(max_size=8),
)


@given(st.lists(FRAMES | st.binary(max_size=30), max_size=30), st.booleans(), st.integers(1, 50))
def test_arbitrary_frames_give_events_or_a_violation(parts: list[bytes], dials: bool, piece: int) -> None:
    """Whatever comes, in whatever pieces: the errors of the protocol only, the limits are kept, and users can go on."""
    session = Session(is_dialler=dials, limits=YamuxLimits(inbound=2))
    mine = session.open()
    data = b"".join(parts)
    try:
        for at in range(0, len(data), piece):
            for event in session.receive(data[at : at + piece]):
                if isinstance(event, Received):
                    session.credit(event.stream, len(event.data))
                elif isinstance(event, Opened):
                    session.write(event.stream, b"hello")
            session.take()
    except Libp2pError:
        return
    assert sum(not stream.is_local for stream in session.streams.values()) <= 2
    session.finish(mine)
    session.reset(mine)
    session.take()


@settings(max_examples=60)
@given(st.data())
def test_all_that_is_written_arrives_in_order(data: st.DataObject) -> None:
    """Any schedule of opening, writing, taking and carrying pieces: each stream's bytes arrive whole, and no window breaks."""
    ends = pair()
    wires = [b"", b""]  # on the way to each
    written: dict[tuple[int, int], bytes] = {}
    arrived: dict[tuple[int, int], bytes] = {}
    finished: set[tuple[int, int]] = set()

    def carry(to: int, size: int) -> None:
        piece, wires[to] = wires[to][:size], wires[to][size:]
        for event in ends[to].receive(piece):
            take(to, event)

    def take(to: int, event: Event) -> None:
        if isinstance(event, Received):
            key = (1 - to, event.stream.number)
            arrived[key] = arrived.get(key, b"") + event.data
            ends[to].credit(event.stream, len(event.data))
        elif isinstance(event, Finished):
            finished.add((1 - to, event.stream.number))

    for _ in range(data.draw(st.integers(1, 25))):
        who = data.draw(st.integers(0, 1))
        session = ends[who]
        action = data.draw(st.sampled_from(["open", "write", "flush", "carry", "finish"]))
        writable = [s for s in session.streams.values() if s.is_writable]
        if action == "open":
            session.open()
        elif action == "write" and writable:
            stream = data.draw(st.sampled_from(writable))
            block = bytes((data.draw(st.integers(0, 255)),)) * data.draw(st.sampled_from([1, 100, 70_000, 300_000]))
            session.write(stream, block)
            key = (who, stream.number)
            written[key] = written.get(key, b"") + block
        elif action == "finish" and writable:
            session.finish(data.draw(st.sampled_from(writable)))
        elif action == "flush":
            wires[1 - who] += session.take()
        else:
            carry(who, data.draw(st.sampled_from([1, 11, 13, 5000, 1 << 20])))
    while any(wires) or any(session.has_output for session in ends):
        for who in (0, 1):
            wires[1 - who] += ends[who].take()
            carry(1 - who, 1 << 22)
    assert arrived == written
    for who in (0, 1):
        assert all((1 - who, number) in finished or s.is_readable for number, s in ends[who].streams.items())
        assert all(s.send_window >= 0 and s.receive_window >= 0 for s in ends[who].streams.values())
