"""Hosts over loopback sockets: connections, streams, back-pressure and ends, on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import pytest

from pubsub_sim import FaultPlan, LinkModel, OptionError, World, run
from pubsub_sim.errors import DialError, DialledItself, StreamRefused
from pubsub_sim.net.tcp import TcpHost, TcpNetwork
from pubsub_sim.ports import Stream
from tests.net.frames import PROTOCOL, Reader, Writer, peer, serve

Play = Callable[[Callable[[TcpNetwork, list[TcpHost], list[list[Reader]]], Awaitable[None]]], None]
LIMIT_S = 20.0


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a script with three hosts that are not connected, on each loop."""

    def play_on(script: Callable[[TcpNetwork, list[TcpHost], list[list[Reader]]], Awaitable[None]]) -> None:
        async def main() -> None:
            network = TcpNetwork(asyncio.get_running_loop())
            try:
                hosts = [network.add_host(peer(number)) for number in range(3)]
                readers = [serve(host, time.monotonic_ns) for host in hosts]
                await network.open()
                async with asyncio.timeout(LIMIT_S):
                    await script(network, hosts, readers)
            finally:
                await network.close()

        run(main(), loop=request.param)

    return play_on


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - the state is the network's, which has no event for it
        await asyncio.sleep(0)


async def rest(network: TcpNetwork) -> None:
    """Until all that was written has been taken, and callbacks of it have run."""
    await until(lambda: network.is_quiet)
    for _ in range(3):
        await asyncio.sleep(0)


async def stream(host: TcpHost, to: int) -> Writer:
    await host.connect(peer(to))
    return Writer(await host.open_stream(peer(to), [PROTOCOL]))


async def write(to: Stream, frame: bytes) -> None:
    while not to.write(frame):  # noqa: ASYNC110 - who writes here does not listen for room
        await asyncio.sleep(0)


def test_frames_of_every_size_arrive_in_order(play: Play) -> None:
    """Both ways over one connection, the empty one and those at the edges of the length prefix too."""
    sizes = [0, 1, 127, 128, 129, 16_383, 16_384, 1 << 20, 0, 5]
    frames = [bytes([number]) * size for number, size in enumerate(sizes)]

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        there = await stream(hosts[0], 1)
        back = await stream(hosts[1], 0)
        assert network.connections == 1
        for frame in frames:
            await write(there.stream, frame)
            await write(back.stream, frame[::-1])
        await rest(network)
        assert readers[1][0].frames == frames
        assert readers[0][0].frames == frames
        assert network.frames == 2 * 8

    play(script)


def test_a_reader_without_room_is_felt_by_its_writer(play: Play) -> None:
    """The writer is refused in the end, is told once there is room, and nothing is lost or out of order."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        writer = await stream(hosts[0], 1)
        reader = readers[1][0]
        reader.room = 3
        frame, written = bytes(10_000), 0
        refused_ns = 0
        while not refused_ns or time.monotonic_ns() - refused_ns < 20_000_000:
            if writer.stream.write(b"%8d" % written + frame):
                written += 1
                refused_ns = 0
            else:
                refused_ns = refused_ns or time.monotonic_ns()
            await asyncio.sleep(0)
        assert len(reader.frames) == 3
        assert 10 < written < 10_000
        assert not network.is_quiet
        told = writer.rooms
        while len(reader.frames) < written:
            reader.room = 7
            hosts[1].resume_reading()
            await asyncio.sleep(0)
        assert writer.rooms > told
        assert [int(taken[:8]) for taken in reader.frames] == list(range(written))
        assert network.is_quiet

    play(script)


def test_a_round_of_the_loop_takes_a_window_of_frames(play: Play) -> None:
    """More are refused until they have left; then the writer is told."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        writer = await stream(hosts[0], 1)
        await rest(network)
        assert [writer.stream.write(b"x") for _ in range(33)] == [True] * 32 + [False]
        await until(lambda: writer.rooms)
        assert writer.stream.write(b"x")

    play(script)


def test_a_closed_stream_ends_after_its_frames(play: Play) -> None:
    """Cleanly; what is written afterwards is dropped; another stream can be opened."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        writer = await stream(hosts[0], 1)
        writer.stream.write(b"last")
        writer.stream.close()
        assert writer.stream.write(b"dropped")
        await rest(network)
        assert (readers[1][0].frames, readers[1][0].ends, writer.closes) == ([b"last"], [True], 0)
        again = await stream(hosts[0], 1)
        again.stream.write(b"more")
        await rest(network)
        assert (readers[1][1].frames, readers[1][0].frames) == ([b"more"], [b"last"])
        assert network.connections == 1

    play(script)


def test_a_reset_stream_is_over_for_both(play: Play) -> None:
    """Whichever end resets it."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        writer = await stream(hosts[0], 1)
        writer.stream.reset()  # type: ignore[attr-defined] # the Stream port has it
        await rest(network)
        assert (readers[1][0].ends, writer.closes) == ([False], 1)
        writer = await stream(hosts[0], 1)
        readers[1][1].inbound.reset()
        await rest(network)
        assert (readers[1][1].ends, writer.closes) == ([False], 1)
        writer.stream.write(b"x")
        await rest(network)
        assert readers[1][1].frames == []

    play(script)


def test_a_second_stream_replaces_the_first(play: Play) -> None:
    """One per direction: the old one is reset at both ends, the new one works."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        first = await stream(hosts[0], 1)
        second = await stream(hosts[0], 1)
        await rest(network)
        assert (first.closes, readers[1][0].ends) == (1, [False])
        second.stream.write(b"x")
        await rest(network)
        assert readers[1][1].frames == [b"x"]

    play(script)


def test_a_stream_needs_a_connection_and_a_common_protocol(play: Play) -> None:
    """The first of ours that the peer speaks is taken."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        with pytest.raises(StreamRefused, match="not connected"):
            await hosts[0].open_stream(peer(1), [PROTOCOL])
        await hosts[0].connect(peer(1))
        with pytest.raises(StreamRefused, match="supports none of /other/1, /other/2"):
            await hosts[0].open_stream(peer(1), ["/other/1", "/other/2"])
        assert (await hosts[0].open_stream(peer(1), ["/other/1", PROTOCOL])).protocol == PROTOCOL

    play(script)


def test_hosts_that_dial_each_other_at_once_get_one_connection(play: Play) -> None:
    """All pairs in both directions and twice: one connection each, told once to each end."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        told: list[tuple[int, bytes]] = []
        for number, host in enumerate(hosts):
            host.on_connected(lambda other, number=number: told.append((number, other)))
        pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
        await asyncio.gather(*(hosts[a].connect(peer(b)) for a, b in pairs + pairs))
        await rest(network)
        assert network.connections == 3
        assert sorted(told) == [(a, peer(b)) for a, b in pairs]
        for a, b in pairs:
            assert hosts[a].is_outbound(peer(b)) != hosts[b].is_outbound(peer(a))
            (await stream(hosts[a], b)).stream.write(bytes((a, b)))
        await rest(network)
        for b in range(3):
            assert sorted(reader.frames[0] for reader in readers[b]) == [bytes((a, b)) for a in range(3) if a != b]

    play(script)


def test_a_cut_connection_ends_everything_on_it(play: Play) -> None:
    """Both ends at once; openings under way are refused; it can be dialled again."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        writer = await stream(hosts[0], 1)
        opening = asyncio.create_task(hosts[1].open_stream(peer(0), [PROTOCOL]))
        await asyncio.sleep(0)
        network.disconnect(peer(1), peer(0))
        assert not hosts[0].is_connected(peer(1))
        assert not hosts[0].is_outbound(peer(1))
        assert not hosts[1].is_connected(peer(0))
        with pytest.raises(StreamRefused, match="the connection is gone"):
            await opening
        await rest(network)
        assert (writer.closes, readers[1][0].ends, network.connections) == (1, [False], 0)
        await stream(hosts[1], 0)
        assert network.connections == 1

    play(script)


def test_a_connection_that_breaks_is_noticed_by_the_other_end(play: Play) -> None:
    """A socket that dies takes its streams with it."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        writer = await stream(hosts[0], 1)
        hosts[1].connections[peer(0)].transport.abort()
        await until(lambda: not hosts[0].connections and not hosts[1].connections)
        await rest(network)
        assert (writer.closes, readers[1][0].ends) == (1, [False])

    play(script)


def test_a_dial_that_fails_says_why(play: Play) -> None:
    """An unknown peer, a port nobody listens on, a server that is no host, and a host that is somebody else."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        with pytest.raises(DialError, match="no such host"):
            await hosts[0].connect(peer(9))
        network.remove_host(peer(2))
        with pytest.raises(DialError, match="no such host"):
            await hosts[0].connect(peer(2))
        hosts[1].address, own = hosts[2].address, hosts[1].address
        with pytest.raises(DialError, match=r"cannot reach .*Connect"):
            await hosts[0].connect(peer(1))
        stranger = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        hosts[1].address = stranger.sockets[0].getsockname()
        with pytest.raises(DialError, match="the connection ended before the greeting"):
            await hosts[0].connect(peer(1))
        stranger.close()
        new = network.add_host(peer(2))
        await network.open()
        hosts[1].address = new.address
        with pytest.raises(DialError, match="somebody else answered"):
            await hosts[0].connect(peer(1))
        hosts[1].address = own
        await hosts[0].connect(peer(1))
        assert hosts[0].is_connected(peer(1))

    play(script)


def test_a_host_that_dials_itself_is_told_so(play: Play) -> None:
    """By its id, and by its address under the id of another host; nothing is left of either."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        with pytest.raises(DialledItself, match="that is the dialling host itself"):
            await hosts[0].connect(peer(0))
        own, hosts[1].address = hosts[1].address, hosts[0].address
        with pytest.raises(DialError, match="the dialling host itself answered"):
            await hosts[0].connect(peer(1))
        hosts[1].address = own
        assert not hosts[0].connections
        assert network.is_quiet
        await hosts[0].connect(peer(1))

    play(script)


def test_bytes_that_are_no_greeting_and_no_frame_end_a_connection(play: Play) -> None:
    """A stranger is sent away; a peer that announces an endless frame is cut."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        reader, writer = await asyncio.open_connection(*hosts[1].address)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        await stream(hosts[0], 1)
        hosts[0].connections[peer(1)].transport.write(b"\xff\xff\xff\xff\xff")
        await until(lambda: not hosts[0].connections and not hosts[1].connections)

    play(script)


def test_frames_cost_no_task_and_one_write_per_round(play: Play) -> None:
    """A stream is callbacks; what is written in one round of the loop leaves at once."""

    async def script(network: TcpNetwork, hosts: list[TcpHost], readers: list[list[Reader]]) -> None:
        writer = await stream(hosts[0], 1)
        await rest(network)
        for number in range(20):
            writer.stream.write(b"%d" % number)
        assert network.connections == 1
        assert len(hosts[0].connections[peer(1)].pending) == 40
        await asyncio.sleep(0)
        assert hosts[0].connections[peer(1)].pending == []
        await rest(network)
        assert len(readers[1][0].frames) == 20
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(script)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_host_over_sockets_crashes_and_comes_back(version: str, loop: str) -> None:
    """By hand; the new life listens anew and is found by its peers."""

    async def main() -> None:
        async with World(3, version=version, transport="tcp", discovery=False) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            subscriptions = [await topic.subscribe() for topic in topics]
            await world.connect_all()
            await world.settle()
            frames = world.network.frames
            world.crash(1)
            await world.settle()
            assert world.network.connections == 1
            assert world.network.frames == frames
            new = await world.restart(1)
            again = await (await new.join("t")).subscribe()
            await world.connect(0, 1)
            await world.connect(1, 2)
            await world.settle()
            await topics[0].publish(b"x")
            assert (await again.next()).data == (await subscriptions[2].next()).data == b"x"

    run(main(), loop=loop)


def test_sockets_are_refused_on_the_virtual_clock_and_beside_a_model() -> None:
    """One sentence each."""

    async def main() -> None:
        async with World(2, transport="tcp"):
            pass

    with pytest.raises(OptionError, match=r"transport='tcp' .* clock='virtual'"):
        run(main(), clock="virtual")
    with pytest.raises(OptionError, match=r"link=.* transport='tcp'"):
        World(2, transport="tcp", link=LinkModel())
    with pytest.raises(OptionError, match=r"faults=.* transport='tcp'"):
        World(2, transport="tcp", faults=FaultPlan(faults=()))
