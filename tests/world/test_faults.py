"""A world in which things go wrong as planned: what its hosts see of it, in both versions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pubsub_sim import Crash, Delay, Drop, FaultPlan, LinkModel, OptionError, Partition, SlowReader, Topic, World, run
from pubsub_sim.errors import DialError, HostClosed
from pubsub_sim.net.faults import Fault
from pubsub_sim.node.topic import Subscription
from pubsub_sim.world.trace import TraceEvent, digest

S = 1_000_000_000
Script = Callable[[World, list[Topic], list[Subscription]], Awaitable[None]]


def play(version: str, script: Script, *faults: Fault, hosts: int = 3, **options: Any) -> World:
    """Connected hosts that all subscribe to one topic; links take 1 ms."""

    async def main() -> World:
        link = LinkModel(latency_s=0.001)
        plan = FaultPlan(faults=faults)
        async with World(
            hosts, version=version, **({"discovery": False, "link": link, "faults": plan, "trace": True} | options)
        ) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            subscriptions = [await topic.subscribe() for topic in topics]
            await world.connect_all()
            await world.settle()
            await script(world, topics, subscriptions)
        return world

    return run(main(), clock="virtual")


async def until(world: World, time_s: float) -> None:
    await world.clock.sleep(time_s - world.clock.now_ns() / 1e9)


def faults_in(world: World) -> list[tuple[int, str, int]]:
    """The log's lines of faults: when in ms, what, where."""
    kinds = {"crash", "restart", "partition", "heal", "reading_stops", "reading_goes_on"}
    kinds |= {"drop_begins", "drop_ends", "delay_begins", "delay_ends"}
    return [(event.time_ns // 10**6, event.kind, event.host) for event in world.trace if event.kind in kinds]


def test_frames_on_a_link_are_lost_while_a_drop_lasts(version: str) -> None:
    """Not before, not after, and on no other link."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        for second in range(4):
            await until(world, second + 0.5)
            await topics[0].publish(b"%d" % second)
        await world.settle()
        assert [(await subscriptions[1].next()).data for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        assert world.network.frames_lost == 2  # type: ignore[attr-defined] # of the two messages in the span

    world = play(version, script, Drop(at_s=1, for_s=2, link=(0, 1), probability=1.0))
    assert faults_in(world) == [(1000, "drop_begins", 0), (3000, "drop_ends", 0)]


def test_frames_on_a_link_take_longer_while_a_delay_lasts(version: str) -> None:
    """By what the fault says; the other way round is faster."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        for second in range(3):
            await until(world, second + 0.5)
            await topics[0].publish(b"x")
        await world.settle()
        at_1 = [event.time_ns for event in world.trace if event.kind == "deliver_message" and event.host == 1]
        assert [at - S // 2 - second * S for second, at in enumerate(at_1)] == [10**6, 2 * 10**6, 10**6]

    play(version, script, Delay(at_s=1, for_s=1, link=(1, 0), extra_s=0.3))


def test_a_partition_cuts_and_heals(version: str) -> None:
    """Hosts on either side forget each other, cannot dial, and are connected again at its end."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        ids = [ps.peer_id for ps in world.pubsubs]
        await until(world, 1.5)
        assert world.network.connections == 2  # 0-1 and 2-3
        assert await topics[0].list_peers() == [ids[1]]
        assert await topics[3].list_peers() == [ids[2]]
        with pytest.raises(DialError, match="a partition is in between"):
            await world.connect(0, 2)
        await topics[0].publish(b"half")
        await until(world, 2.5)
        assert world.network.connections == 6
        assert set(await topics[0].list_peers()) == set(ids[1:])
        await topics[3].publish(b"whole")
        await world.settle()
        assert [subscription.pending for subscription in subscriptions] == [2, 2, 1, 1]

    world = play(version, script, Partition(at_s=1, for_s=1, groups=((0, 1),)), hosts=4)
    assert faults_in(world) == [(1000, "partition", -1), (2000, "heal", -1)]


def test_partitions_that_overlap_separate_until_the_last_has_healed(version: str) -> None:
    """Each pair counts who separates it; without `reconnect` connections stay cut."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        await until(world, 2.5)
        assert world.network.connections == 1
        with pytest.raises(DialError):
            await world.connect(0, 1)
        await until(world, 3.5)
        assert world.network.connections == 1
        await world.connect(0, 1)
        assert world.network.connections == 2

    one = Partition(at_s=1, for_s=1, groups=((0,),), reconnect=False)
    other = Partition(at_s=1.5, for_s=1.5, groups=((0,), (1, 2)), reconnect=False)
    play(version, script, one, other)


def test_a_crashed_host_comes_back_as_a_new_life(version: str) -> None:
    """Its peers forget it, its calls are refused; then the same key, empty tables, and its old connections."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        old = world.pubsubs[1]
        back = asyncio.create_task(world.when_restarted(1))
        await until(world, 1.5)
        assert await topics[0].list_peers() == [world.pubsubs[2].peer_id]
        assert world.network.connections == 1
        with pytest.raises(HostClosed):
            await old.topics()
        with pytest.raises(DialError, match="no such host"):
            await world.connect(0, 1)
        with pytest.raises(DialError, match="the dialling host is gone"):
            await world.connect(1, 0)
        await world.settle()
        new = await back
        assert world.clock.now_ns() == 2 * S
        assert new is world.pubsubs[1]
        assert new is not old
        assert new.peer_id == old.peer_id
        assert await new.topics() == []
        await world.settle()
        assert world.network.connections == 3
        again = await (await new.join("t")).subscribe()
        await world.settle()
        assert set(await topics[0].list_peers()) == {ps.peer_id for ps in world.pubsubs[1:]}
        for topic in topics[0], topics[2]:
            await topic.publish(b"x")
        await world.settle()
        assert again.pending == 2

    world = play(version, script, Crash(at_s=1, for_s=1, host=1))
    assert faults_in(world) == [(1000, "crash", 1), (2000, "restart", 1)]
    lines = [event for event in world.trace if event.host == 1]
    names = [event.kind for event in lines]
    assert names[names.index("crash") + 1] == "restart"


def test_a_fault_may_be_waited_for(version: str) -> None:
    """However late it is planned: a program that waits for it is not stuck."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        await world.when_restarted(2)
        assert world.clock.now_ns() == 100_001 * S

    play(version, script, Crash(at_s=100_000, for_s=1, host=2))


def test_a_new_life_numbers_its_messages_after_the_old(version: str) -> None:
    """The key is the same, so an id must not come twice: nobody takes a new message for an old one."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        for _ in range(3):
            await topics[1].publish(b"old")
        await world.settle()
        world.crash(1)
        topic = await (await world.restart(1)).join("t")
        await world.connect(1, 0)
        await world.settle()
        await topic.publish(b"new")
        await world.settle()
        messages = [await subscriptions[0].next() for _ in range(4)]
        seqnos = [message.seqno for message in messages]
        assert seqnos == sorted(seqnos)
        assert len(set(seqnos)) == 4

    play(version, script)


def test_a_host_is_crashed_and_restarted_by_hand_only_where_it_can_be(version: str) -> None:
    """And a world may end while a host is down; who waits for its next life is told."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        with pytest.raises(OptionError, match="number: expected the number of a host that is down, got 0"):
            await world.restart(0)
        world.crash(0)
        with pytest.raises(OptionError, match="number: expected the number of a host that is up, got 0"):
            world.crash(0)
        with pytest.raises(OptionError, match="number: expected a whole number of at most 2, got 3"):
            world.crash(3)
        waiting.append(asyncio.create_task(world.when_restarted(0)))
        await world.settle()

    waiting: list[asyncio.Task[object]] = []
    play(version, script, link=None, faults=None)
    assert isinstance(waiting[0].exception(), HostClosed)


def test_frames_are_still_counted_after_their_reader_crashed(version: str) -> None:
    """What was sent stays sent."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        before = world.network.frames
        world.crash(2)
        await world.settle()
        assert world.network.frames == before
        await world.restart(2)
        assert world.network.frames == before

    play(version, script)


def test_a_slow_reader_gets_everything_later(version: str) -> None:
    """What arrives meanwhile waits in the streams and queues; then it is read, in order."""

    async def script(world: World, topics: list[Topic], subscriptions: list[Subscription]) -> None:
        await until(world, 1.5)
        for number in range(40):  # more than a window, less than a window and a queue
            await topics[0].publish(b"%d" % number)
            await world.clock.sleep(0.001)
        assert subscriptions[1].pending == 0
        await until(world, 1.9)
        assert subscriptions[1].pending == 0
        await world.settle()
        at_1 = [event for event in world.trace if event.kind == "deliver_message" and event.host == 1]
        assert len(at_1) == 40
        assert {event.time_ns for event in at_1} == {
            2 * S,
            2 * S + 10**6,
        }  # those the window had no room for come after
        assert [event.detail for event in at_1] == [
            event.detail for event in world.trace if event.kind == "deliver_message" and event.host == 0
        ]

    world = play(version, script, SlowReader(at_s=1, for_s=1, host=1))
    assert faults_in(world) == [(1000, "reading_stops", 1), (2000, "reading_goes_on", 1)]
    assert not [event for event in world.trace if event.kind == "drop_rpc"]


def chaos(version: str, seed: int) -> list[TraceEvent]:
    """A plan by chance over links of distinct latencies, with a message from a random host every 100 ms."""

    async def main() -> list[TraceEvent]:
        link = LinkModel(latency_s=(0.01, 0.15), jitter=0.1, loss=0.01, bandwidth_bps=20_000_000)
        plan = FaultPlan.random(seed, 6, 10.0, count=12)
        async with World(6, version=version, seed=seed, link=link, faults=plan, trace=True) as world:
            handles: dict[int, Topic] = {}

            async def take_up(number: int) -> None:
                handles[number] = await world.pubsubs[number].join("t")
                await handles[number].subscribe(buffer=1000)

            async def stay(number: int) -> None:
                while True:
                    await world.when_restarted(number)
                    await take_up(number)

            for number in range(6):
                await take_up(number)
            staying = [asyncio.create_task(stay(number)) for number in range(6)]
            for number in range(120):
                with contextlib.suppress(HostClosed):
                    await handles[number % 6].publish(b"%d" % number)
                await world.clock.sleep(0.1)
            for task in staying:
                task.cancel()
            await world.settle()
            return list(world.trace)

    return run(main(), clock="virtual")


@pytest.mark.parametrize("seed", range(3))
def test_chance_repeats_itself_and_is_the_same_for_both_versions(seed: int) -> None:
    """Host by host, both versions see the same faults and messages at the same nanosecond, and a run can be repeated."""
    baseline, states = chaos("baseline", seed), chaos("states", seed)
    assert digest(chaos("baseline", seed)) == digest(baseline)
    for host in range(-1, 6):
        seen = [[event for event in trace if event.host == host] for trace in (baseline, states)]
        assert seen[0] == seen[1]
    assert len({event.kind for event in baseline}) > 10
