"""Frames on links that take time: when they arrive, in what order, and which do not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pubsub_sim import LinkModel, OptionError, World, run
from pubsub_sim.ids import PeerId
from pubsub_sim.net.clock import clock_of
from pubsub_sim.net.link import Lane
from pubsub_sim.net.linked import LinkedNetwork
from pubsub_sim.net.memory import WINDOW, MemoryNetwork, MemoryStream
from tests.net.frames import PROTOCOL, Reader, Writer, peer, serve

MS = 1_000_000
Script = Callable[[LinkedNetwork, Writer, Reader], Awaitable[None]]


def play(script: Script, seed: int = 1, **model: Any) -> None:
    """One stream from host 0 to host 1."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = clock_of(loop)
        network = LinkedNetwork(loop, clock, LinkModel(**model), seed)
        one, other = network.add_host(peer(0)), network.add_host(peer(1))
        readers = serve(other, clock.now_ns)
        await one.connect(peer(1))
        writer = Writer(await one.open_stream(peer(1), [PROTOCOL]))
        await script(network, writer, readers[0])

    run(main(), clock="virtual")


async def rest(network: LinkedNetwork) -> None:
    while not network.is_quiet:
        await network.clock.sleep(0.001)


def test_a_frame_takes_the_latency_to_the_nanosecond() -> None:
    """A dial and an opened stream take a round trip each before it."""

    async def script(network: LinkedNetwork, writer: Writer, reader: Reader) -> None:
        assert network.clock.now_ns() == 4 * 12_345_678
        writer.stream.write(b"x")
        await rest(network)
        assert reader.times_ns == [5 * 12_345_678]

    play(script, latency_s=0.012345678)


def test_frames_of_a_stream_stay_in_order_whatever_the_jitter() -> None:
    """A frame that would overtake arrives with the one before it."""

    async def script(network: LinkedNetwork, writer: Writer, reader: Reader) -> None:
        sent_ns = []
        for number in range(200):
            sent_ns.append(network.clock.now_ns())
            assert writer.stream.write(b"%d" % number)
            await network.clock.sleep(0.001)
        await rest(network)
        assert [int(frame) for frame in reader.frames] == list(range(200))
        delays = [at - sent for at, sent in zip(reader.times_ns, sent_ns, strict=True)]
        assert 10 * MS <= min(delays) < 14 * MS
        assert 18 * MS < max(delays) <= 20 * MS
        assert len(set(delays)) > 20

    play(script, latency_s=0.010, jitter=1.0)


class Watcher:
    """Notes what it is told."""

    def __init__(self, network: LinkedNetwork) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._network = network

    def connected(self, one: PeerId, other: PeerId) -> None:
        self.told.append(("connected", one, other))

    def disconnected(self, one: PeerId, other: PeerId) -> None:
        self.told.append(("disconnected", one, other))

    def lost(self, writer: PeerId, reader: PeerId, frame: bytes) -> None:
        self.told.append(("lost", self._network.clock.now_ns(), writer, reader, frame))


def test_a_watcher_is_told_of_connections_and_lost_frames() -> None:
    """Of each once, when it happens: a lost frame when it would have arrived."""

    async def script(network: LinkedNetwork, writer: Writer, reader: Reader) -> None:
        watcher = network.watcher = Watcher(network)
        begin_ns = network.clock.now_ns()
        writer.stream.write(b"x")
        await rest(network)
        for _ in range(2):
            network.disconnect(peer(0), peer(1))
        await network.host(peer(1)).connect(peer(0))
        assert watcher.told == [
            ("lost", begin_ns + 5 * MS, peer(0), peer(1), b"x"),
            ("disconnected", peer(0), peer(1)),
            ("connected", peer(1), peer(0)),
        ]

    play(script, latency_s=0.005, loss=1.0)


def test_a_lost_frame_is_lost_whole_and_gives_its_slot_back() -> None:
    """About as many as the probability says; the others arrive; the window does not leak."""

    async def script(network: LinkedNetwork, writer: Writer, reader: Reader) -> None:
        for number in range(1000):
            assert writer.stream.write(b"%d" % number)
            await network.clock.sleep(0.001)
        writer.stream.close()
        await rest(network)
        assert network.frames_lost + len(reader.frames) == 1000
        assert 150 < network.frames_lost < 250
        assert reader.frames == sorted(reader.frames, key=int)
        assert reader.ends == [True]

    play(script, latency_s=0.005, loss=0.2)


def test_a_network_may_lose_everything_but_the_end() -> None:
    """Ends are never lost, or a peer would live for ever."""

    async def script(network: LinkedNetwork, writer: Writer, reader: Reader) -> None:
        writer.stream.write(b"x")
        writer.stream.close()
        await rest(network)
        assert (reader.frames, reader.ends) == ([], [True])

    play(script, loss=1.0)


def test_bandwidth_sends_one_frame_after_the_other() -> None:
    """8 Mbit/s are a microsecond per byte; a frame's length prefix is sent too."""

    async def script(network: LinkedNetwork, writer: Writer, reader: Reader) -> None:
        start_ns = network.clock.now_ns()
        for size in (1000, 100, 0):
            writer.stream.write(bytes(size))
        await network.clock.sleep(1)
        writer.stream.write(bytes(9))
        await rest(network)
        arrived = [at - start_ns for at in reader.times_ns]
        assert arrived == [2_002_000, 2_103_000, 2_104_000, 1000 * MS + 1_010_000]

    play(script, latency_s=0.001, bandwidth_bps=8_000_000)


def test_directions_do_not_share_bandwidth() -> None:
    """Each direction of a link has its own line, which all streams of that direction share."""
    model = LinkModel(bandwidth_bps=8_000)
    there, back = Lane(model, 1, 0, 1), Lane(model, 1, 1, 0)
    assert [there.carry(1, 0), back.carry(1, 0), there.carry(1, 0)] == [MS, MS, 2 * MS]


def test_latencies_of_a_range_are_those_of_the_seed_and_distinct() -> None:
    """Uniform in whole ns, one per link, the same in both directions."""
    model = LinkModel(latency_s=(0.010, 0.150))

    def drawn(seed: int) -> list[int]:
        return [model.latency_ns(seed, a, b) for a in range(20) for b in range(a)]

    for seed in range(3):
        latencies = drawn(seed)
        assert latencies == drawn(seed)
        assert latencies == [model.latency_ns(seed, b, a) for a in range(20) for b in range(a)]
        assert len(set(latencies)) == 190
        assert 10 * MS <= min(latencies) < 15 * MS
        assert 145 * MS < max(latencies) <= 150 * MS
    assert drawn(0) != drawn(1)


def test_a_function_of_the_hosts_gives_each_direction_its_latency() -> None:
    """For topologies and measured matrices."""
    model = LinkModel(latency_s=lambda a, b: 0.001 * (10 * a + b))
    assert [model.latency_ns(1, 0, 1), model.latency_ns(1, 1, 0)] == [MS, 10 * MS]
    with pytest.raises(OptionError, match=r"latency_s\(2, 1\): expected a number of at least 0, got -1"):
        LinkModel(latency_s=lambda a, b: -1).latency_ns(1, 2, 1)


def test_a_links_chance_is_its_own() -> None:
    """What one link does with its frames changes nothing on another, nor the other direction."""
    model = LinkModel(latency_s=0.01, jitter=1.0, loss=0.5)

    def draws(a: int, b: int) -> list[tuple[bool, int]]:
        lane = Lane(model, 1, a, b)
        return [(lane.loses(), lane.carry(1, 0)) for _ in range(20)]

    assert draws(0, 1) == draws(0, 1)
    assert len({str(draws(a, b)) for a, b in ((0, 1), (1, 0), (0, 2), (1, 2))}) == 4


def test_frames_in_flight_count_against_the_window() -> None:
    """A writer fills the window, is refused, and is told once the reader took a frame."""

    async def script(network: LinkedNetwork, writer: Writer, reader: Reader) -> None:
        reader.room = 0
        assert [writer.stream.write(b"x") for _ in range(WINDOW + 1)] == [True] * WINDOW + [False]
        await network.clock.sleep(1)
        assert writer.rooms == 0
        reader.room = 1 << 30
        network.host(peer(1)).resume_reading()
        assert writer.rooms == 1
        assert len(reader.frames) == WINDOW

    play(script, latency_s=0.01)


def test_an_end_comes_after_the_frames_and_a_reset_loses_them() -> None:
    """A close travels like a frame; a reset is known at once."""

    async def closed(network: LinkedNetwork, writer: Writer, reader: Reader) -> None:
        writer.stream.write(b"x")
        writer.stream.close()
        await network.clock.sleep(0.009)
        assert (reader.frames, reader.ends) == ([], [])
        await rest(network)
        assert (reader.frames, reader.ends) == ([b"x"], [True])

    async def reset(network: LinkedNetwork, writer: Writer, reader: Reader) -> None:
        writer.stream.write(b"x")
        reader.inbound.reset()
        await network.clock.sleep(0.001)
        assert (reader.frames, reader.ends, writer.closes) == ([], [False], 1)
        await rest(network)
        assert reader.frames == []

    play(closed, latency_s=0.01)
    play(reset, latency_s=0.01)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"latency_s": -1}, "latency_s: expected a number of at least 0, got -1"),
        ({"latency_s": (0.2, 0.1)}, r"latency_s: expected a range as \(low, high\), got \(0.2, 0.1\)"),
        ({"latency_s": (0.1, float("inf"))}, "latency_s: expected a number of at least 0, got inf"),
        ({"latency_s": "fast"}, "latency_s: expected a number of at least 0, got 'fast'"),
        ({"jitter": float("nan")}, "jitter: expected a number of at least 0, got nan"),
        ({"loss": 1.5}, "loss: expected a number of at least 0 and at most 1, got 1.5"),
        ({"bandwidth_bps": 0}, "bandwidth_bps: expected a whole number of at least 1, got 0"),
    ],
)
def test_an_unusable_value_is_named(options: dict[str, Any], sentence: str) -> None:
    """Before a world is built of it."""
    with pytest.raises(OptionError, match=sentence):
        LinkModel(**options)


def test_a_message_crosses_a_world_in_the_time_of_its_links(version: str) -> None:
    """In a line of hosts each hop costs its latency and nothing else."""

    async def main() -> list[int]:
        link = LinkModel(latency_s=lambda a, b: 0.001 * (1 + a + b))
        async with World(3, version=version, discovery=False, link=link, trace=True) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            for topic in topics:
                await topic.subscribe()
            await world.connect(0, 1)
            await world.connect(1, 2)
            await world.settle()
            start_ns = world.clock.now_ns()
            await topics[0].publish(b"x")
            await world.settle()
            return [event.time_ns - start_ns for event in world.trace if event.kind == "deliver_message"]

    assert run(main(), clock="virtual") == [0, 2 * MS, 6 * MS]


def test_a_world_without_a_link_model_has_the_plain_network() -> None:
    """What is measured pays nothing for what is not asked for; and a link model is checked."""

    async def main() -> None:
        async with World(2, discovery=False) as world:
            await world.connect(0, 1)
            await world.settle()
            assert type(world.network) is MemoryNetwork
            assert {type(stream) for host in world._network_hosts.values() for stream in host.streams} == {MemoryStream}

    run(main(), clock="virtual")
    with pytest.raises(OptionError, match="link: expected a LinkModel, or nothing, got 'fast'"):
        World(2, link="fast")  # type: ignore[arg-type] # what is tested


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_links_take_time_on_the_wall_clock_too(version: str, loop: str) -> None:
    """At least their latency, and frames stay in order."""

    async def main() -> None:
        link = LinkModel(latency_s=(0.001, 0.005), jitter=1.0)
        async with World(2, version=version, discovery=False, link=link) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            subscription = await topics[1].subscribe()
            await world.connect(0, 1)
            await world.settle()
            start_ns = world.clock.now_ns()
            for number in range(30):
                await topics[0].publish(b"%d" % number)
            assert [int((await subscription.next()).data) for _ in range(30)] == list(range(30))
            assert world.clock.now_ns() - start_ns >= 1_000_000

    run(main(), loop=loop)
