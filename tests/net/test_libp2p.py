"""The libp2p network: what hosts promise, over real sockets."""

from __future__ import annotations

import asyncio
import time

import pytest

from pubsub_sim import OptionError, World, run
from pubsub_sim.errors import DialError, DialledItself, ListenError, StreamRefused
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.plaintext import PlainChannel
from pubsub_sim.libp2p.upgrade import Upgrade
from pubsub_sim.libp2p.yamux_streams import PING, SYN, WINDOW
from pubsub_sim.net.libp2p import Libp2pNetwork
from tests.libp2p.ends import identity_of, key_of
from tests.net.frames import PROTOCOL, Writer, serve
from tests.net.libp2p_hosts import (
    KEYS,
    Net,
    Play,
    Upgraded,
    frame,
    opened,
    rest,
    until,
    write,
)


def test_frames_of_every_size_arrive_in_order(play: Play) -> None:
    """Both ways, the empty one and those at the edges of the length prefix and the window too."""
    sizes = [0, 1, 127, 128, 129, 16_383, 16_384, WINDOW, WINDOW + 1, 1 << 20, 0, 5]
    frames = [bytes([number]) * size for number, size in enumerate(sizes)]

    async def script(net: Net) -> None:
        there, back = await opened(net, 0, 1), await opened(net, 1, 0)
        assert net.network.connections == 1
        for one in frames:
            await write(there.stream, one)
            await write(back.stream, one[::-1])
        await rest(net)
        assert net.readers[1][0].frames == frames
        assert net.readers[0][0].frames == frames
        assert net.network.frames == 2 * 10

    play(script)


def test_frames_written_together_leave_together(play: Play) -> None:
    """The first at once, all others of the round of the loop in one message of the channel, the next round as the first."""

    async def script(net: Net) -> None:
        writer = await opened(net)
        await rest(net)
        (connection,) = net.hosts[0].connections
        channel = connection.channel
        for _ in range(3):
            before = channel.sent
            assert writer.stream.write(b"first")
            at_once = channel.sent
            assert at_once > before
            assert all(writer.stream.write(b"%d" % number) for number in range(20))
            assert channel.sent == at_once
            await rest(net)
            assert isinstance(channel, PlainChannel) or channel.sent == before + 2
        assert net.readers[1][0].frames == 3 * [b"first", *(b"%d" % number for number in range(20))]

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
        one, other = await opened(net, 0, 1), await opened(net, 0, 2)
        Raising(one.stream)
        await rest(net)
        while one.stream.write(b"x"):
            pass
        other.stream.write(b"fine")
        await until(lambda: net.readers[2][0].frames)
        await rest(net)
        assert [type(error) for error in net.unhandled] == [ZeroDivisionError]
        net.unhandled.clear()

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


def test_an_unknown_security_protocol_is_refused() -> None:
    """Two hosts would agree on any name and then speak Noise; a name without its slash is such a one."""

    async def refused() -> None:
        with pytest.raises(OptionError, match=r"security: expected one of /noise, .*, got 'plaintext'"):
            Libp2pNetwork(asyncio.get_running_loop(), {}, security=["/noise", "plaintext"])

    asyncio.run(refused())


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
