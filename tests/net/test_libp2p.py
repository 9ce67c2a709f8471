"""The libp2p network: what hosts promise, and what hostile or broken peers come to, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import struct
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from pubsub_sim import OptionError, World, run
from pubsub_sim.errors import DialError, DialledItself, ListenError, StreamRefused
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.multistream import HEADER, token
from pubsub_sim.libp2p.noise import NOISE
from pubsub_sim.libp2p.plaintext import PLAINTEXT
from pubsub_sim.libp2p.upgrade import Upgrade
from pubsub_sim.libp2p.yamux_streams import DATA, PING, RST, SYN, WINDOW, WINDOW_UPDATE
from pubsub_sim.net.libp2p import Libp2pHost, Libp2pNetwork
from pubsub_sim.net.libp2p_limits import Libp2pLimits
from pubsub_sim.ports import Stream
from tests.libp2p.ends import identity_of, key_of
from tests.net.frames import PROTOCOL, Reader, Writer, serve

LIMIT_S = 20.0
KEYS = [key_of(f"host {number}") for number in range(3)]
LIMITS = Libp2pLimits(upgrade_s=0.3, dial_s=0.5, identify_s=0.5, negotiate_s=0.3, upgrading=8, per_peer=3, streams=16)


@dataclass
class Net:
    """Three hosts that are not connected."""

    network: Libp2pNetwork
    hosts: list[Libp2pHost]
    readers: list[list[Reader]]


Play = Callable[[Callable[[Net], Awaitable[None]]], None]


@pytest.fixture(params=["asyncio noise", "uvloop noise", "uvloop plaintext"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a script with three hosts, on each loop, and without encryption."""
    loop, security = request.param.split()

    def play_on(script: Callable[[Net], Awaitable[None]]) -> None:
        async def main() -> None:
            network = Libp2pNetwork(
                asyncio.get_running_loop(),
                {key.peer_id: key.sign_bytes for key in KEYS},
                security=[NOISE if security == "noise" else PLAINTEXT],
                limits=LIMITS,
            )
            try:
                hosts = [network.add_host(key.peer_id) for key in KEYS]
                readers = [serve(host, time.monotonic_ns) for host in hosts]
                await network.open()
                async with asyncio.timeout(LIMIT_S):
                    await script(Net(network, hosts, readers))
            finally:
                await network.close()

        run(main(), loop=loop)

    return play_on


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - the state is the network's, which has no event for it
        await asyncio.sleep(0)


async def rest(net: Net) -> None:
    await until(lambda: net.network.is_quiet)
    for _ in range(3):
        await asyncio.sleep(0)


async def opened(net: Net, a: int = 0, b: int = 1) -> Writer:
    await net.hosts[a].connect(KEYS[b].peer_id)
    return Writer(await net.hosts[a].open_stream(KEYS[b].peer_id, [PROTOCOL]))


async def write(to: Stream, frame: bytes) -> None:
    while not to.write(frame):  # noqa: ASYNC110 - who writes here does not listen for room
        await asyncio.sleep(0)


def test_frames_of_every_size_arrive_in_order(play: Play) -> None:
    """Both ways, the empty one and those at the edges of the length prefix and the window too."""
    sizes = [0, 1, 127, 128, 129, 16_383, 16_384, WINDOW, WINDOW + 1, 1 << 20, 0, 5]
    frames = [bytes([number]) * size for number, size in enumerate(sizes)]

    async def script(net: Net) -> None:
        there, back = await opened(net, 0, 1), await opened(net, 1, 0)
        assert net.network.connections == 1
        for frame in frames:
            await write(there.stream, frame)
            await write(back.stream, frame[::-1])
        await rest(net)
        assert net.readers[1][0].frames == frames
        assert net.readers[0][0].frames == frames
        assert net.network.frames == 2 * 10

    play(script)


def test_a_reader_without_room_is_felt_by_its_writer(play: Play) -> None:
    """No more than a window is taken off the wire; once there is room nothing is lost or out of order."""

    async def script(net: Net) -> None:
        writer = await opened(net)
        reader = net.readers[1][0]
        reader.room = 3
        written = 0
        while writer.stream.write(b"%8d" % written + bytes(10_000)) or not net.hosts[1].is_blocked:
            written += 1
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        while writer.stream.write(b"%8d" % written + bytes(10_000)):
            written += 1
        assert len(reader.frames) == 3
        assert written < 3 + 4 * WINDOW // 10_000
        assert not net.network.is_quiet
        while len(reader.frames) < written:
            reader.room = 7
            net.hosts[1].resume_reading()
            await asyncio.sleep(0)
        numbers = [int(taken[:8]) for taken in reader.frames]
        assert numbers == sorted(set(numbers))
        assert writer.rooms

    play(script)


def test_a_writer_that_raises_hinders_no_other_connection(play: Play) -> None:
    """Connections of a host are flushed in one call of the loop: the error is the loop's, and the others go on."""

    class Raising(Writer):
        def writable(self) -> None:
            raise ZeroDivisionError

    async def script(net: Net) -> None:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context.get("exception")))
        one, other = await opened(net, 0, 1), await opened(net, 0, 2)
        Raising(one.stream)
        await rest(net)
        while one.stream.write(b"x"):
            pass
        other.stream.write(b"fine")
        await until(lambda: net.readers[2][0].frames)
        await rest(net)
        assert [type(error) for error in errors] == [ZeroDivisionError]

    play(script)


def test_streams_end_as_they_are_ended(play: Play) -> None:
    """Closed after its frames and cleanly; reset by either end and told to both; a cut connection ends both directions."""

    async def script(net: Net) -> None:
        writer = await opened(net)
        writer.stream.write(b"last")
        writer.stream.close()
        assert writer.stream.write(b"dropped")
        await rest(net)
        assert (net.readers[1][0].frames, net.readers[1][0].ends, writer.closes) == ([b"last"], [True], 0)
        again = await opened(net)
        net.readers[1][1].inbound.reset()
        await until(lambda: again.closes)
        assert net.readers[1][1].ends == [False]
        third = await opened(net)
        net.network.disconnect(KEYS[0].peer_id, KEYS[1].peer_id)
        await rest(net)
        assert (third.closes, net.readers[1][2].ends) == (1, [False])
        assert not net.hosts[0].is_connected(KEYS[1].peer_id)
        with pytest.raises(StreamRefused, match="not connected"):
            await net.hosts[0].open_stream(KEYS[1].peer_id, [PROTOCOL])

    play(script)


def test_dials_that_cannot_be(play: Play) -> None:
    """Ourselves, nobody, and somebody else than is expected."""

    async def script(net: Net) -> None:
        with pytest.raises(DialledItself):
            await net.hosts[0].connect(KEYS[0].peer_id)
        with pytest.raises(DialError, match="no address"):
            await net.hosts[0].connect(key_of("nobody").peer_id)
        wrong = net.hosts[1].address.of_peer(key_of("nobody").peer_id)
        with pytest.raises(DialError, match="answered"):
            await net.hosts[0].dial(wrong)
        assert not net.hosts[1].connections
        net.network.remove_host(KEYS[2].peer_id)
        with pytest.raises(DialError):
            await net.hosts[0].connect(KEYS[2].peer_id)

    play(script)


def test_both_dials_of_two_at_once_stand_and_messages_pass(play: Play) -> None:
    """And if the connection of the streams is cut, they can be opened on the other."""

    async def script(net: Net) -> None:
        one, other = net.hosts[:2]
        await asyncio.gather(one.connect(other.peer_id), other.connect(one.peer_id))
        writer = await opened(net)
        writer.stream.write(b"x")
        await rest(net)
        assert net.readers[1][0].frames == [b"x"]
        count = len(one.connections)
        writer.stream.connection.cut()  # type: ignore[attr-defined]
        await rest(net)
        assert len(one.connections) == count - 1
        assert writer.closes == 1

    play(script)


def test_a_protocol_served_later_is_announced_again(play: Play) -> None:
    """By a push; who waits for connections hears of the peer again."""

    async def script(net: Net) -> None:
        heard: list[bytes] = []
        net.hosts[0].on_connected(heard.append)
        await net.hosts[0].connect(KEYS[1].peer_id)
        await rest(net)
        with pytest.raises(StreamRefused, match="supports none"):
            await net.hosts[0].open_stream(KEYS[1].peer_id, ["/later/1"])
        serve(net.hosts[1], time.monotonic_ns, ["/later/1"])
        await until(lambda: len(heard) == 2)
        await net.hosts[0].open_stream(KEYS[1].peer_id, ["/later/1"])

    play(script)


class Raw(asyncio.Protocol):
    """A peer that speaks as far as a test wants."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def raw(host: Libp2pHost) -> Raw:
    _, protocol = await asyncio.get_running_loop().create_connection(Raw, host.address.host, host.address.port)
    return protocol


class Upgraded(Raw):
    """A peer with an upgraded connection that may send any frames of yamux."""

    def __init__(self, security: str) -> None:
        super().__init__()
        self.upgrade = Upgrade(identity_of("hostile"), [security], is_dialler=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(self.upgrade.begin())

    def data_received(self, data: bytes) -> None:
        if self.upgrade.is_over:
            self.received += self.upgrade.secured.channel.open(data)
        else:
            self.transport.write(self.upgrade.receive(data))

    def send(self, *frames: bytes) -> None:
        self.transport.write(self.upgrade.secured.channel.seal(b"".join(frames)))


async def upgraded(net: Net) -> Upgraded:
    loop, host = asyncio.get_running_loop(), net.hosts[0]
    security = net.network.security[0]
    before = len(host.connections)
    _, peer = await loop.create_connection(lambda: Upgraded(security), host.address.host, host.address.port)
    await until(lambda: peer.upgrade.is_over and (peer.ended.done() or len(host.connections) > before))
    return peer


def frame(kind: int, flags: int, number: int, length: int, body: bytes = b"") -> bytes:
    return struct.pack(">HHII", kind, flags, number, length) + body


async def still_works(net: Net) -> None:
    """The host that was attacked takes connections, streams and frames of others."""
    writer = await opened(net, 1, 0)
    writer.stream.write(b"fine")
    await until(lambda: net.readers[0] and net.readers[0][-1].frames)
    assert net.readers[0][-1].frames == [b"fine"]


@pytest.mark.parametrize(
    "begin",
    [b"", b"\x13", HEADER, HEADER + token("/noise"), HEADER + token("/noise") + b"\x00\x20abc", HEADER + b"\x05/no"],
    ids=["silent", "half a header", "header", "noise", "half a message", "half a token"],
)
def test_a_handshake_that_goes_no_further_is_cut_off_in_time(play: Play, begin: bytes) -> None:
    """Wherever it stops."""

    async def script(net: Net) -> None:
        peer = await raw(net.hosts[0])
        peer.transport.write(begin)
        await peer.ended
        await still_works(net)

    play(script)


def test_a_handshake_byte_by_byte_is_cut_off_in_time(play: Play) -> None:
    """What comes does not prolong it."""

    async def script(net: Net) -> None:
        peer = await raw(net.hosts[0])
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
        peer = await raw(net.hosts[0])
        peer.transport.write(data)
        await peer.ended
        await still_works(net)

    play(script)


def test_connections_without_a_name_are_limited(play: Play) -> None:
    """Those beyond the limit are refused at once; the others are cut off in time, and then there is room again."""

    async def script(net: Net) -> None:
        peers = [await raw(net.hosts[0]) for _ in range(5 * LIMITS.upgrading)]
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


def flood_memory(security: str, count: int) -> int:
    """Bytes that a host keeps after so many hostile frames of each kind from one peer."""

    async def main() -> int:
        network = Libp2pNetwork(
            asyncio.get_running_loop(),
            {key.peer_id: key.sign_bytes for key in KEYS},
            security=[security],
            limits=LIMITS,
        )
        hosts = [network.add_host(key.peer_id) for key in KEYS]
        net = Net(network, hosts, [serve(host, time.monotonic_ns) for host in hosts])
        await network.open()
        peer = await upgraded(net)
        tracemalloc.start()
        opening = HEADER + token("/nothing")
        for start in range(0, count, 100):
            parts = []
            for number in range(start, start + 100):
                stream = 2 * number + 1
                parts.append(frame(WINDOW_UPDATE, SYN, stream, 0))
                parts.append(frame(DATA, 0, stream, len(opening), opening))
                parts.append(frame(WINDOW_UPDATE, 8, stream, 0))
                parts.append(frame(PING, SYN, 0, number))
                parts.append(frame(DATA, 0, stream + 2, 3, b"abc"))
            peer.send(*parts)
            peer.received.clear()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await until(lambda: peer.ended.done() or network.is_quiet)
        await asyncio.sleep(2 * LIMITS.negotiate_s)  # the timers of streams that are over
        peer.received.clear()
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await network.close()
        return kept

    return run(main(), loop="asyncio")


@pytest.mark.parametrize("security", [NOISE, PLAINTEXT])
def test_memory_does_not_grow_with_hostile_frames(security: str) -> None:
    """Ten times as many leave no more than a fifth more behind."""
    few, many = flood_memory(security, 1_000), flood_memory(security, 10_000)
    assert many <= max(1.2 * few, few + 20_000)


def test_a_reset_at_any_point_leaves_nothing_behind(play: Play) -> None:
    """A peer whose connection breaks after any number of bytes of a real conversation."""

    async def script(net: Net) -> None:
        for limit in [*range(0, 100, 7), *range(100, 900, 61)]:
            loop = asyncio.get_running_loop()
            security = net.network.security[0]
            _, peer = await loop.create_connection(
                lambda security=security: Upgraded(security), net.hosts[0].address.host, net.hosts[0].address.port
            )
            sent = 0
            transport = peer.transport
            while not peer.upgrade.is_over and sent < limit:
                sent += 30
                await asyncio.sleep(0)
            if peer.upgrade.is_over:
                peer.send(frame(WINDOW_UPDATE, SYN, 1, 0), frame(DATA, 0, 1, 400, bytes(limit % 400)))
            transport.abort()
            await peer.ended
        await until(lambda: not net.hosts[0].connections)
        await still_works(net)

    play(script)


def test_two_of_ours_with_muxers_negotiated_afterwards(play: Play) -> None:
    """A peer that names no muxer in its handshake is taken too (py-libp2p)."""

    async def script(net: Net) -> None:
        loop, host, security = asyncio.get_running_loop(), net.hosts[0], net.network.security[0]

        def make() -> Upgraded:
            peer = Upgraded(security)
            peer.upgrade = Upgrade(identity_of("late", muxers=()), [security], is_dialler=True)
            return peer

        _, peer = await loop.create_connection(make, host.address.host, host.address.port)
        await until(lambda: peer.upgrade.is_over)
        assert not peer.upgrade.is_early
        peer.send(frame(PING, SYN, 0, 5))
        await until(lambda: frame(PING, 2, 0, 5) in bytes(peer.received))

    play(script)


def test_an_address_in_use_is_told() -> None:
    """With the address."""

    async def main() -> None:
        signers = {key.peer_id: key.sign_bytes for key in KEYS}
        network = Libp2pNetwork(asyncio.get_running_loop(), signers)
        first = network.add_host(KEYS[0].peer_id)
        try:
            with pytest.raises(ListenError, match="cannot listen on /ip4/"):
                network.add_host(KEYS[1].peer_id, listen=Multiaddr(first.address.host, first.address.port))
        finally:
            await network.close()

    run(main())


def test_sockets_live_on_wall_time() -> None:
    """A world over libp2p needs the wall clock, and no model of links."""

    async def main() -> None:
        async with World(2, transport="libp2p"):
            pass

    with pytest.raises(OptionError, match="wall clock"):
        run(main(), clock="virtual")
