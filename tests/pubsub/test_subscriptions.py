"""Subscriptions: what they hold and when they end, what peers hear of them, and which are allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pubsub_sim import HostOptions, World
from pubsub_sim.errors import HostClosed, SubscriptionCancelled, TopicNotAllowed
from pubsub_sim.node.pubsub import PubSub
from pubsub_sim.node.topic import Subscription, Topic
from pubsub_sim.protocol.subscription_filter import AllowlistFilter, LimitFilter
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from tests.pubsub.worlds import FakePeer, connect, events_of, meet, play, pub, receive, sub, sub_all, subscriptions


def test_a_cancelled_subscription_ends_after_what_it_holds(version: str, transport: str) -> None:
    """Buffered messages stay readable; then the iteration ends and `next` is an error. Twice is harmless."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t")
        subscription = await topic.subscribe()
        await topic.publish(b"x")
        await world.settle()
        await subscription.cancel()
        await subscription.cancel()
        assert [message.data async for message in subscription] == [b"x"]
        with pytest.raises(SubscriptionCancelled, match="t"):
            await subscription.next()

    play(version, script, hosts=3, transport=transport)


def test_cancelling_wakes_a_waiting_reader(version: str, transport: str) -> None:
    """Who waits is told."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t")
        subscription = await topic.subscribe()
        reader = asyncio.create_task(subscription.next())
        await world.settle()
        await subscription.cancel()
        with pytest.raises(SubscriptionCancelled):
            await reader

    play(version, script, hosts=3, transport=transport)


def test_closing_the_node_ends_what_is_read_of_it(version: str, transport: str) -> None:
    """Messages that are buffered stay readable; nobody waits for another, nor for an event."""

    async def script(world: World) -> None:
        node, topic, subscription, readers = await _being_read(world)
        held = await topic.subscribe()
        await topic.publish(b"x")
        await world.settle()
        await node.close()
        async with asyncio.timeout(5):
            messages, events = await asyncio.gather(*readers)
            assert [message.data for message in messages] == [b"x"]
            assert events == []
            assert [message.data async for message in held] == [b"x"]
            with pytest.raises(SubscriptionCancelled, match="t"):
                await subscription.next()

    play(version, script, hosts=3, transport=transport)


def test_an_error_that_ends_a_node_reaches_those_who_read_of_it(version: str) -> None:
    """Messages that are buffered stay readable; then the error is the cause of what readers get. The world has it, too."""

    def fail(message: Message) -> None:
        raise ZeroDivisionError("a bug of a router")

    async def script(world: World) -> None:
        node, topic, subscription, readers = await _being_read(world)
        held = await topic.subscribe()
        node.router.publish = fail  # type: ignore[method-assign] # a bug
        await topic.publish(b"x")
        async with asyncio.timeout(5):
            for reader in readers:
                with pytest.raises(HostClosed) as caught:
                    await reader
                assert isinstance(caught.value.__cause__, ZeroDivisionError)
            assert (await held.next()).data == b"x"
            with pytest.raises(HostClosed):
                await held.next()
            with pytest.raises(HostClosed):
                await subscription.next()

    with pytest.raises(ZeroDivisionError, match="a bug of a router"):
        play(version, script, hosts=3)


async def _being_read(world: World) -> tuple[PubSub, Topic, Subscription, list[asyncio.Task[list[Any]]]]:
    """A node, a topic of it, and tasks that read to its end what the topic's subscription and its event handler give."""
    node = world.pubsubs[0]
    topic = await node.join("t")
    subscription, events = await topic.subscribe(), await topic.events()
    return node, topic, subscription, [asyncio.create_task(_read(one)) for one in (subscription, events)]


async def _read(source: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in source]


def test_a_slow_reader_loses_messages_alone(version: str, transport: str) -> None:
    """A full buffer drops for that subscription only."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t")
        slow, fast = await topic.subscribe(buffer=2), await topic.subscribe(buffer=10)
        for number in range(5):
            await topic.publish(b"%d" % number)
            await world.settle()
        assert (slow.pending, fast.pending) == (2, 5)
        assert (await slow.next()).data == b"0"

    world = play(version, script, hosts=3, transport=transport)
    assert len(events_of(world, "undeliverable_message")) == 3


def test_peers_hear_of_the_first_subscription_and_the_end_of_the_last(version: str, transport: str) -> None:
    """Subscribing twice announces once."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        await meet(world)
        before = world.network.frames
        first, second = await topics[0].subscribe(), await topics[0].subscribe()
        await world.settle()
        assert world.network.frames - before == 2  # one announcement to each of two peers
        assert await topics[1].list_peers() == [world.pubsubs[0].peer_id]
        await first.cancel()
        await world.settle()
        assert await topics[1].list_peers() == [world.pubsubs[0].peer_id]
        await second.cancel()
        await world.settle()
        assert await topics[1].list_peers() == []

    play(version, script, hosts=3, transport=transport)


def test_announcing_comes_before_joining(version: str, transport: str) -> None:
    """The event loop's order of effects, in both versions."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t")
        await meet(world)
        world.trace.clear()
        await (await topic.subscribe()).cancel()
        order = [event.kind for event in world.trace if event.host == 0 and event.kind in ("send_rpc", "join", "leave")]
        assert order == ["send_rpc", "send_rpc", "join", "send_rpc", "send_rpc", "leave"]

    play(version, script, hosts=3, transport=transport)


def test_T13_produce_panic(version: str) -> None:
    """Cancelling a subscription twice is harmless to the other one."""

    async def script(world: World) -> None:
        first, second = await sub(world.pubsubs[0]), await sub(world.pubsubs[0])
        await first.cancel()
        await world.clock.sleep(1)
        await first.cancel()
        await pub(world.pubsubs[0], b"x")
        await receive(second, b"x")

    play(version, script, hosts=1)


def test_S03_rpc(version: str) -> None:
    """Hosts with different allow-lists know each other only for the topic both allow, and cannot join others."""

    async def script(world: World) -> None:
        one, two = world.pubsubs
        for ps, topics in ((one, ("test1", "test2")), (two, ("test2", "test3"))):
            for topic in topics:
                await sub(ps, topic)
        with pytest.raises(TopicNotAllowed, match="test3"):
            await one.join("test3")
        await connect(world, (0, 1))
        for topic, at_one, at_two in (("test1", 0, 0), ("test2", 1, 1), ("test3", 0, 0)):
            assert (len(await one.list_peers(topic)), len(await two.list_peers(topic))) == (at_one, at_two)
        assert "test3" not in one._core.topics

    play(
        version,
        script,
        options=lambda number: HostOptions(
            subscription_filter=AllowlistFilter(["test1", "test2"] if number == 0 else ["test2", "test3"])
        ),
    )


def test_S03_an_rpc_with_too_many_subscriptions_is_dropped_whole(version: str) -> None:
    """Its messages too."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        subscription = await sub(ps, "t1")
        fake = FakePeer(world)
        await fake.connect(ps)
        stream = await fake.open(ps)
        message = WireMessage(author=fake.peer_id, data=b"x", seqno=bytes(8), topic="t1")
        fake.key.sign(message)
        stream.write(subscriptions("t1", "t2", "t3") + carrying(message))
        await world.settle()
        assert (subscription.pending, await ps.list_peers("t1")) == (0, [])
        stream.write(subscriptions("t1", "t2") + carrying(message))
        await world.settle()
        assert (subscription.pending, await ps.list_peers("t1")) == (1, [fake.peer_id])

    options = HostOptions(subscription_filter=LimitFilter(AllowlistFilter(["t1"]), 2))
    play(version, script, hosts=1, options=options)


def carrying(message: WireMessage) -> bytes:
    return RPC(publish=[message]).SerializeToString()


def test_an_inspector_drops_rpcs_before_anything_is_noted(version: str) -> None:
    """Nothing is traced, no subscription is noted, no message delivered."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        subscribed = await sub_all(world.pubsubs)
        await world.settle()
        await pub(world.pubsubs[0], b"x")
        await world.settle()
        assert [s.pending for s in subscribed] == [1, 0]
        assert await world.pubsubs[1].list_peers("foobar") == []
        assert events_of(world, "recv_rpc", host=1) == []

    def options(number: int) -> HostOptions:
        return HostOptions(inspect_rpc=(lambda peer, rpc: False) if number == 1 else None)

    play(version, script, options=options)
