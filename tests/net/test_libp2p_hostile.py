"""What hostile and broken peers come to, over real sockets: the host stays up, drops them, and keeps nothing of them."""

from __future__ import annotations

import asyncio
import random
import struct
import time

import pytest

from pubsub_sim.libp2p.identify import IDENTIFY, IDENTIFY_PUSH
from pubsub_sim.libp2p.identify import PING as PING_PROTOCOL
from pubsub_sim.libp2p.multistream import HEADER, token
from pubsub_sim.libp2p.yamux_streams import ACK, DATA, FIN, PING, RST, SYN, WINDOW, WINDOW_UPDATE
from pubsub_sim.net.libp2p_connection import KEEP_ALIVE, SILENT_TICKS
from tests.net.frames import PROTOCOL
from tests.net.libp2p_hosts import (
    LIMITS,
    Net,
    Play,
    frame,
    raw,
    still_works,
    until,
    upgraded,
)


@pytest.mark.parametrize(
    "begin",
    [b"", b"\x13", HEADER, HEADER + token("/noise"), HEADER + token("/noise") + b"\x00\x20abc", HEADER + b"\x05/no"],
    ids=["silent", "half a header", "header", "noise", "half a message", "half a token"],
)
def test_a_handshake_that_goes_no_further_is_cut_off_in_time(play: Play, begin: bytes) -> None:
    """Wherever it stops."""

    async def script(net: Net) -> None:
        peer = await raw(net)
        peer.transport.write(begin)
        await peer.ended
        await still_works(net)

    play(script)


def test_a_handshake_byte_by_byte_is_cut_off_in_time(play: Play) -> None:
    """What comes does not prolong it."""

    async def script(net: Net) -> None:
        peer = await raw(net)
        data = HEADER + (token("/no") * 200)
        begun = time.monotonic()
        for at in range(len(data)):
            if peer.ended.done():
                break
            peer.transport.write(data[at : at + 1])
            await asyncio.sleep(0.005)
        await peer.ended
        assert time.monotonic() - begun < 10 * LIMITS.upgrade_s
        await still_works(net)

    play(script)


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n" * 20, b"\xff" * 100, HEADER + token("/noise") + b"\xff\xff" + bytes(70_000)],
    ids=["http", "no varint", "oversized"],
)
def test_what_is_no_handshake_is_cut_off_at_once(play: Play, data: bytes) -> None:
    """Without waiting for the time limit or for the rest."""

    async def script(net: Net) -> None:
        peer = await raw(net)
        peer.transport.write(data)
        await peer.ended
        await still_works(net)

    play(script)


def test_connections_without_a_name_are_limited(play: Play) -> None:
    """Those beyond the limit are refused at once; the others are cut off in time, and then there is room again."""

    async def script(net: Net) -> None:
        peers = [await raw(net) for _ in range(5 * LIMITS.upgrading)]
        await until(lambda: sum(peer.ended.done() for peer in peers) >= 4 * LIMITS.upgrading)
        await asyncio.gather(*(peer.ended for peer in peers))
        await still_works(net)

    play(script)


def test_connections_of_one_peer_are_limited(play: Play) -> None:
    """As go-libp2p does."""

    async def script(net: Net) -> None:
        peers = [await upgraded(net) for _ in range(LIMITS.per_peer)]
        await until(lambda: len(net.hosts[0].connections) == LIMITS.per_peer)
        extra = await upgraded(net)
        await extra.ended
        assert not any(peer.ended.done() for peer in peers)
        await still_works(net)

    play(script)


@pytest.mark.parametrize(
    "frames",
    [
        [frame(WINDOW_UPDATE, SYN, 1, 0), frame(DATA, 0, 1, WINDOW + 1)],
        [frame(DATA, SYN, 1, 0xFFFFFFFF)],
        [frame(WINDOW_UPDATE, SYN, 1, 0xFFFFFFFF), frame(WINDOW_UPDATE, 0, 1, 0xFFFFFFFF)],
        [frame(WINDOW_UPDATE, SYN, 2, 0)],
        [frame(7, 0, 1, 0)],
        [b"\xff" * 100],
    ],
    ids=["over the window", "longer than a window", "window overflow", "wrong parity", "unknown type", "no frame"],
)
def test_a_violation_of_the_muxer_ends_the_connection(play: Play, frames: list[bytes]) -> None:
    """At once, and only that one."""

    async def script(net: Net) -> None:
        peer = await upgraded(net)
        peer.send(*frames)
        await peer.ended
        await still_works(net)

    play(script)


@pytest.mark.parametrize(
    "body",
    [b"", HEADER, HEADER + b"\x05/tes", HEADER + token("/nothing"), b"\xff" * 20, b"\x85\x10"],
    ids=["nothing", "header", "half a token", "unknown", "no varint", "long token"],
)
def test_streams_without_a_protocol_are_reset_in_time(play: Play, body: bytes) -> None:
    """Wherever their negotiation stops; the connection stays."""

    async def script(net: Net) -> None:
        peer = await upgraded(net)
        session = net.hosts[0].connections[0].session
        peer.send(frame(WINDOW_UPDATE, SYN, 1, 0), frame(DATA, 0, 1, len(body), body))
        await until(lambda: struct.pack(">HHI", WINDOW_UPDATE, RST, 1) in bytes(peer.received))
        assert 1 not in session.streams
        await still_works(net)

    play(script)


def test_what_stands_behind_a_violation_in_a_stream_is_dropped(play: Play) -> None:
    """Data and the end that came in the same segment: the stream was reset by then, and nobody hears of them."""

    async def script(net: Net) -> None:
        peer = await upgraded(net)
        more = [frame(DATA, 0, 1, 3, b"abc"), frame(DATA, 0, 1, len(HEADER), HEADER), frame(WINDOW_UPDATE, FIN, 1, 0)]
        peer.send(
            frame(WINDOW_UPDATE, SYN, 1, 0), frame(DATA, 0, 1, 2, b"\xff\xff"), frame(DATA, 0, 1, 9, b"\xff" * 9), *more
        )
        await until(lambda: struct.pack(">HHI", WINDOW_UPDATE, RST, 1) in bytes(peer.received))
        await still_works(net)

    play(script)


def test_a_flood_of_streams_leaves_as_many_as_are_allowed(play: Play) -> None:
    """The rest is reset; others are not hindered."""

    async def script(net: Net) -> None:
        peer = await upgraded(net)
        session = net.hosts[0].connections[0].session
        for start in range(1, 4001, 400):
            peer.send(*(frame(WINDOW_UPDATE, SYN, number, 0) for number in range(start, start + 400, 2)))
            await asyncio.sleep(0)
            assert sum(not stream.is_local for stream in session.streams.values()) <= LIMITS.streams
        await still_works(net)

    play(script)


def test_a_peer_that_falls_silent_is_given_up(play: Play) -> None:
    """Pinged first: one that answers stays, one whose line is dead goes, as do the streams it had."""

    async def script(net: Net) -> None:
        silent, alive = await upgraded(net), await upgraded(net)
        both = one, other = net.hosts[0].connections
        for _ in range(1 + SILENT_TICKS):  # at the first, both have been heard of
            for connection in both:
                connection.tick()
        ping = frame(PING, SYN, 0, KEEP_ALIVE)
        await until(lambda: ping in bytes(alive.received) and ping in bytes(silent.received))
        heard = other.channel.received
        alive.send(frame(PING, ACK, 0, KEEP_ALIVE))
        await until(lambda: other.channel.received > heard)
        for connection in both:
            connection.tick()
        assert (one.is_over, other.is_over) == (True, False)
        await silent.ended
        assert net.hosts[0].connections == [other]
        await still_works(net)

    play(script)


def test_a_peer_that_closes_one_direction_is_dropped(play: Play) -> None:
    """At any time: half-open connections are not kept."""

    async def script(net: Net) -> None:
        for begin in (b"", HEADER, None):
            peer = await (upgraded(net) if begin is None else raw(net))
            peer.transport.write(begin or b"")
            peer.transport.write_eof()
            await peer.ended
        await until(lambda: not net.hosts[0].connections)
        await still_works(net)

    play(script)


@pytest.mark.parametrize("question", ["pings", "streams", "echoes"])
def test_a_peer_that_asks_and_does_not_read_is_dropped(play: Play, question: str) -> None:
    """What waits for it stays below a few hundred KiB; others are served meanwhile."""

    async def script(net: Net) -> None:
        peer = await upgraded(net)
        peer.transport.pause_reading()
        (connection,) = net.hosts[0].connections
        number = 1
        if question == "echoes":
            opening = HEADER + token(PING_PROTOCOL)
            peer.send(frame(WINDOW_UPDATE, SYN, number, 1 << 31), frame(DATA, 0, number, len(opening), opening))
            await until(lambda: number in connection.session.streams)
        while not connection.is_over:
            if question == "pings":
                peer.send(*(frame(PING, SYN, 0, n) for n in range(1000)))
            elif question == "streams":
                peer.send(*(frame(WINDOW_UPDATE, SYN, number + 2 * n, 0) for n in range(1000)))
                number += 2000
            elif number in connection.session.streams:
                peer.send(frame(DATA, 0, number, 16_384, bytes(16_384)))
            else:  # the stream is reset, the connection stays
                break
            if not connection.is_over:
                pending = sum(stream.pending_bytes for stream in connection.session.streams.values())
                assert connection.transport.get_write_buffer_size() + pending < 1 << 20
            await asyncio.sleep(0)
        await still_works(net)

    play(script)


def test_an_identification_that_drips_is_cut_off_in_time(play: Play) -> None:
    """What comes does not prolong it; the peer is announced as one of whom nothing is known."""

    async def script(net: Net) -> None:
        heard: list[bytes] = []
        net.hosts[0].on_connected(heard.append)
        peer = await upgraded(net)
        (connection,) = net.hosts[0].connections
        (number,) = (stream.number for stream in connection.session.streams.values() if stream.is_local)
        peer.send(frame(WINDOW_UPDATE, ACK, number, 0))
        for byte in HEADER + token(IDENTIFY) + b"\xff\x3f" + bytes(1 << 14):
            if heard:
                break
            peer.send(frame(DATA, 0, number, 1, bytes((byte,))))
            await asyncio.sleep(0.005)
        assert heard == [connection.peer]
        await until(lambda: number not in connection.session.streams)
        await still_works(net)

    play(script)


# --- whatever comes ---------------------------------------------------------------------------------------------------


def anything(rng: random.Random) -> bytes:
    """A frame of yamux, more or less; some of its streams negotiate, identify themselves or send frames."""
    kind, flags = (
        rng.choice((DATA, DATA, DATA, WINDOW_UPDATE, WINDOW_UPDATE, PING, rng.randrange(6))),
        rng.choice((0, SYN, ACK, FIN, RST, rng.randrange(16))),
    )
    number = rng.choice((0, 1, 1, 2, 3, 3, 5, 7, rng.randrange(100), rng.randrange(1 << 32)))
    if kind == PING:
        number = rng.choice((0, 0, 0, number))
    if kind != DATA:
        return frame(kind, flags, number, rng.choice((0, 0, 1, 100, WINDOW, rng.randrange(1 << 32))))
    protocol = rng.choice((IDENTIFY, IDENTIFY_PUSH, PING_PROTOCOL, PROTOCOL, "/nothing", "na"))
    body = rng.choice(
        (HEADER, HEADER + token(protocol), token(protocol), rng.randbytes(rng.randrange(40)), b"\x05hello" * 3)
    )
    return frame(kind, flags, number, len(body) + rng.choice((0, 0, 0, 0, 0, 0, 1, -1, 1 << 20)) if body else 0, body)


def test_any_frames_end_at_most_their_connection(play: Play) -> None:
    """Thousands of frames by chance, valid ones among them: no error reaches the loop, and others are served."""

    async def script(net: Net) -> None:
        for seed in range(60):
            rng = random.Random(seed)
            peer = await upgraded(net)
            peer.send(frame(WINDOW_UPDATE, SYN, 1, 0), frame(WINDOW_UPDATE, SYN, 3, 0))
            for _ in range(rng.randrange(1, 60)):
                if peer.ended.done():
                    break
                peer.send(*(anything(rng) for _ in range(rng.choice((1, 1, 1, 3)))))
                if rng.random() < 0.3:
                    await asyncio.sleep(0)
            peer.transport.abort()
            await peer.ended
            await until(lambda: not net.hosts[0].connections)
        await still_works(net)

    play(script)


def test_any_bytes_end_a_handshake(play: Play) -> None:
    """Real beginnings with something else behind them, however they are cut."""

    async def script(net: Net) -> None:
        security = net.network.security[0]
        for seed in range(60):
            rng = random.Random(seed)
            begin = rng.choice((b"", HEADER, HEADER + token(security), HEADER + token("/nothing") * rng.randrange(70)))
            size = rng.choice((0, 32, 300))
            begin += rng.choice((b"", bytes((size >> 8, size & 255)))) + rng.randbytes(size)
            peer = await raw(net)
            for start in range(0, len(begin), 97):
                peer.transport.write(begin[start : start + 97])
                if rng.random() < 0.2:
                    await asyncio.sleep(0)
            if rng.random() < 0.5:
                peer.transport.abort()
            else:
                peer.transport.write_eof()
            await peer.ended
        assert not net.hosts[0].connections
        await still_works(net)

    play(script)
