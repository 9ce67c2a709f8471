"""Connections and streams of libp2p that are reset at any point, and dials at once, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time

import pytest

from pubsub_sim.errors import DialError, StreamRefused
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.multistream import HEADER, token
from pubsub_sim.libp2p.yamux_streams import ACK, DATA, PING, RST, SYN, WINDOW_UPDATE
from tests.net.frames import PROTOCOL, Reader, Writer
from tests.net.libp2p_hosts import (
    LIMITS,
    Net,
    Play,
    frame,
    rest,
    still_works,
    until,
    upgraded,
)


class Side(asyncio.Protocol):
    """One of the two sockets of a relay."""

    def __init__(self, relay: Relay, *, is_counted: bool) -> None:
        self.relay = relay
        self.is_counted = is_counted
        self.other: Side | None = None
        self.waiting = bytearray()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        linger = struct.pack("ii", 1, 0)  # closed by a reset
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.relay.joined(self)

    def data_received(self, data: bytes) -> None:
        if self.relay.is_cut:
            return
        if self.is_counted:
            data = data[: self.relay.left]
            self.relay.left -= len(data)
        if self.other is None:
            self.waiting += data
        else:
            self.other.transport.write(data)
        if not self.relay.left:
            self.relay.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self.relay.cut()


class Relay:
    """Carries a connection, and resets it after so many bytes of one of its directions."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.is_cut = False
        self.sides: list[Side] = []

    def joined(self, side: Side) -> None:
        self.sides.append(side)
        if self.is_cut:
            self.cut()
        elif len(self.sides) == 2:
            one, other = self.sides
            one.other, other.other = other, one
            other.transport.write(bytes(one.waiting))

    def cut(self) -> None:
        self.is_cut = True
        for side in self.sides:
            side.transport.abort()


async def conversation(net: Net, left: int, *, from_dialler: bool) -> int:
    """Two hosts connect, identify each other, open streams and send frames, until a reset; gives the bytes that were left."""
    loop, (one, other, _) = asyncio.get_running_loop(), net.hosts
    relay, before = Relay(left), [len(readers) for readers in net.readers[:2]]
    address = other.address
    await loop.create_connection(lambda: Side(relay, is_counted=not from_dialler), address.host, address.port)
    server = await loop.create_server(lambda: Side(relay, is_counted=from_dialler), "127.0.0.1", 0)
    with contextlib.suppress(DialError, StreamRefused):
        await one.dial(Multiaddr.of(*server.sockets[0].getsockname()))
        for host, peer in ((one, other), (other, one)):
            stream = await host.open_stream(peer.peer_id, [PROTOCOL])
            stream.write(b"frame " * 10)
        await until(
            lambda: (
                not one.connections or all(r[n:] and r[-1].frames for n, r in zip(before, net.readers, strict=False))
            )
        )
    relay.cut()
    server.close()
    await until(lambda: not one.connections and not other.connections and not one.is_dialling)
    return relay.left


@pytest.mark.parametrize("from_dialler", [True, False], ids=["from the dialling end", "from the listening end"])
def test_a_reset_after_any_byte_leaves_nothing_behind(play: Play, from_dialler: bool) -> None:
    """In the handshake, in identify, in the choice of a stream's protocol, in a frame: both hosts are as before."""

    async def script(net: Net) -> None:
        plenty = 1 << 20
        total = plenty - await conversation(net, plenty, from_dialler=from_dialler)
        for left in [*range(1, total, 17), total - 1]:
            assert await conversation(net, left, from_dialler=from_dialler) == 0
        assert not net.hosts[0]._upgrading
        await until(lambda: all(reader.ends for readers in net.readers[:2] for reader in readers))
        await still_works(net)

    play(script)


def test_a_stream_reset_after_any_byte_leaves_nothing_behind(play: Play) -> None:
    """The connection stays, with as many streams as before."""

    async def script(net: Net) -> None:
        peer = await upgraded(net)
        (connection,) = net.hosts[0].connections
        before = sum(stream.is_local for stream in connection.session.streams.values())
        data = HEADER + token(PROTOCOL) + b"\x05hello\x07abc"
        for size in range(len(data) + 1):
            number = 2 * size + 1
            peer.send(frame(WINDOW_UPDATE, SYN, number, 0), frame(DATA, 0, number, size, data[:size]))
            if size % 2:
                await asyncio.sleep(0)
            peer.send(frame(WINDOW_UPDATE, RST, number, 0))
        peer.send(frame(PING, SYN, 0, 77))
        await until(lambda: frame(PING, ACK, 0, 77) in bytes(peer.received))
        assert not [stream for stream in connection.session.streams.values() if not stream.is_local]
        assert sum(stream.is_local for stream in connection.session.streams.values()) == before
        await still_works(net)

    play(script)


def test_a_new_stream_is_read_after_the_end_of_ours_is_told(play: Play) -> None:
    """A peer that opens its stream anew repeats what ours, broken by that, makes its owner forget: in this order."""

    async def script(net: Net) -> None:
        order: list[str] = []

        class Told(Writer):
            def ended(self) -> None:
                order.append("ended")

        class Taking(Reader):
            def frame(self, frame: bytes) -> bool:
                order.append(frame.decode())
                return True

        host = net.hosts[0]
        host.serve([PROTOCOL], lambda inbound: Taking(inbound, time.monotonic_ns))
        peer = await upgraded(net)
        (connection,) = host.connections
        before = set(connection.session.streams)
        opening = asyncio.create_task(host.open_stream(connection.peer, [PROTOCOL]))
        await until(lambda: set(connection.session.streams) - before)
        (number,) = set(connection.session.streams) - before
        tokens = HEADER + token(PROTOCOL)
        peer.send(frame(WINDOW_UPDATE, ACK, number, 0), frame(DATA, 0, number, len(tokens), tokens))
        Told(await opening)
        for one, text in ((1, b"\x03one"), (3, b"\x03two")):
            body = tokens + text
            peer.send(frame(WINDOW_UPDATE, SYN, one, 0), frame(DATA, 0, one, len(body), body))
        await until(lambda: "two" in order)
        assert order == ["one", "ended", "two"]

    play(script)


def test_many_dials_of_two_at_once(play: Play) -> None:
    """Cut and dialled again from both sides, over and over: no dial hangs, and messages pass in the end."""

    async def script(net: Net) -> None:
        one, other = net.hosts[:2]
        for _ in range(15):
            await asyncio.gather(
                one.connect(other.peer_id),
                other.connect(one.peer_id),
                one.connect(other.peer_id),
                other.dial(one.address),
            )
            assert 1 <= len(one.connections) <= LIMITS.per_peer
            net.network.disconnect(one.peer_id, other.peer_id)
            await rest(net)
            assert not one.connections + other.connections
        await still_works(net)

    play(script)
