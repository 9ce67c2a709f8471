"""Topics, their events and relays: the reference's topic tests, with their ids."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable

import pytest

from pubsub_sim import HostOptions, OptionError, World, min_topic_size
from pubsub_sim.errors import HostClosed, TopicClosed, TopicInUse, TopicNotAllowed
from pubsub_sim.ids import PeerId
from pubsub_sim.node.topic import PeerEvent, Topic, TopicEvents
from pubsub_sim.protocol.subscription_filter import AllowlistFilter, LimitFilter
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from tests.pubsub.worlds import (
    FakePeer,
    connect,
    events_of,
    handle,
    key_of,
    meet,
    never,
    play,
    pub,
    receive,
    sub,
    sub_all,
    subscriptions,
)

Open = Callable[[Topic], Awaitable[Callable[[], Awaitable[None]]]]


async def open_subscription(topic: Topic) -> Callable[[], Awaitable[None]]:
    return (await topic.subscribe()).cancel


async def open_events(topic: Topic) -> Callable[[], Awaitable[None]]:
    events = await topic.events()

    async def close() -> None:
        events.close()

    return close


async def open_relay(topic: Topic) -> Callable[[], Awaitable[None]]:
    return await topic.relay()


async def close_while_open(world: World, opened: Open) -> None:
    ps = world.pubsubs[0]
    await (await ps.join("foobar")).close()
    topic = await ps.join("foobar")
    release = await opened(topic)
    with pytest.raises(TopicInUse):
        await topic.close()
    await release()
    await topic.close()
    with pytest.raises(TopicClosed):
        await topic.subscribe()


def test_T01_close_with_open_subscription(version: str) -> None:
    """A topic is closed once its subscription is cancelled, not before."""
    play(version, lambda world: close_while_open(world, open_subscription), hosts=1)


def test_T02_close_with_open_event_handler(version: str) -> None:
    """A topic is closed once its event handler is, not before."""
    play(version, lambda world: close_while_open(world, open_events), hosts=1)


def test_T03_close_with_open_relay(version: str) -> None:
    """A topic is closed once its relay is, not before."""
    play(version, lambda world: close_while_open(world, open_relay), hosts=1)


def test_T04_topic_reuse(version: str) -> None:
    """A closed handle stays dead and harmless when the topic is joined again."""

    async def script(world: World) -> None:
        sender, receiver = world.pubsubs
        await connect(world, (0, 1))
        old = await sender.join("foobar")
        subscription = await sub(receiver)
        await old.publish(b"1", ready=min_topic_size(1))
        await receive(subscription, b"1")
        await old.close()
        new = await sender.join("foobar")
        with pytest.raises(TopicClosed):
            await old.publish(b"2")
        await never(world, subscription, 2)
        await old.close()
        await new.publish(b"3", ready=min_topic_size(1))
        await receive(subscription, b"3")

    play(version, script)


async def next_events(events: TopicEvents, count: int) -> list[PeerEvent]:
    async with asyncio.timeout(5):
        return [await anext(events) for _ in range(count)]


def test_T05_event_handler_cancel(version: str) -> None:
    """A closed event handler hears of nothing any more; closing it twice is harmless."""

    async def script(world: World) -> None:
        events = await (await handle(world.pubsubs[0], "foobar")).events()
        await sub(world.pubsubs[1])
        events.close()
        events.close()
        await connect(world, (0, 1))
        assert [event async for event in events] == []

    play(version, script)


def test_T06_subscription_join_notification(version: str) -> None:
    """Every handler reports all 19 others, whether they subscribed before the connection or after."""

    async def script(world: World) -> None:
        handlers = [await (await handle(ps, "foobar")).events() for ps in world.pubsubs]
        await sub_all(world.pubsubs[:10])
        await meet(world)
        await sub_all(world.pubsubs[10:])
        for ps, events in zip(world.pubsubs, handlers, strict=True):
            seen = await next_events(events, 19)
            others = {other.peer_id for other in world.pubsubs} - {ps.peer_id}
            assert {event.peer for event in seen if event.joined} == others

    play(version, script, hosts=20)


def test_T07_subscription_leave_notification(version: str) -> None:
    """Cancelling, closing and being blacklisted are reported, each once."""

    async def script(world: World) -> None:
        first = world.pubsubs[0]
        handlers = [await (await handle(ps, "foobar")).events() for ps in world.pubsubs]
        subscribed = await sub_all(world.pubsubs)
        await meet(world)
        for events in handlers:
            await next_events(events, 19)
        await subscribed[1].cancel()
        await world.pubsubs[2].close()
        await first.blacklist(world.pubsubs[3].peer_id)
        await world.settle()
        left = await next_events(handlers[0], 3)
        assert {event.peer for event in left} == {world.pubsubs[n].peer_id for n in (1, 2, 3)}
        assert not any(event.joined for event in left)
        assert handlers[0]._latest == {}

    play(version, script, hosts=20)


def test_T08_subscription_many_notifications(version: str) -> None:
    """The events of 32 peers are all kept until they are read, joins as well as leaves, and nothing else."""

    async def script(world: World) -> None:
        subscribed = await sub_all(world.pubsubs[1:])
        await meet(world)
        for ps in world.pubsubs[1:]:
            seen = await next_events(await (await handle(ps, "foobar")).events(), 31)
            assert all(event.joined for event in seen)
        topic = await handle(world.pubsubs[0], "foobar")
        assert len(await topic.list_peers()) == 32
        await topic.subscribe()
        events = await topic.events()
        assert list(events._latest.values()) == [True] * 32
        await next_events(events, 32)
        for subscription in subscribed:
            await subscription.cancel()
        await world.settle()
        assert await topic.list_peers() == []
        assert list(events._latest.values()) == [False] * 32

    play(version, script, hosts=33, trace=False)


def test_T09_sub_unsub(version: str) -> None:
    """Who has come and gone is no event for a new handler."""

    async def script(world: World) -> None:
        await connect(world, *((0, number) for number in range(1, 35)))
        topic = await handle(world.pubsubs[0], "foobar")
        await topic.subscribe()
        subscribed = await sub_all(world.pubsubs[1:])
        await world.settle()
        assert len(await topic.list_peers()) == 34
        for subscription in subscribed:
            await subscription.cancel()
        await world.settle()
        assert await topic.list_peers() == []
        assert (await topic.events())._latest == {}

    play(version, script, hosts=35)


async def relayed(world: World) -> list[Topic]:
    """The reference's five hosts: 2 and 4 are to read, the others relay."""
    topics = [await handle(ps, "foobar") for ps in world.pubsubs]
    await connect(world, (0, 1), (1, 2), (1, 3), (3, 4))
    for number in (0, 1, 3):
        await topics[number].relay()
    return topics


def test_T10_topic_relay(version: str) -> None:
    """Both readers receive 100 messages of random hosts through hosts that only relay."""

    async def script(world: World) -> None:
        topics = await relayed(world)
        readers = [await topics[number].subscribe() for number in (2, 4)]
        await world.settle()
        rng = random.Random(3)
        for number in range(100):
            await rng.choice(topics).publish(b"%d" % number)
            for reader in readers:
                await receive(reader, b"%d" % number)

    play(version, script, hosts=5)


def test_T11_topic_relay_reuse(version: str) -> None:
    """Relays are counted; cancelling one several times counts once; the last one ends the host's interest."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        topic = await handle(world.pubsubs[0], "foobar")
        stops = [await topic.relay() for _ in range(3)]
        relays = world.pubsubs[0]._core.interest._relays
        assert relays == {"foobar": 3}
        for _ in range(3):
            await stops[0]()
        assert relays == {"foobar": 2}
        for stop in stops[1:]:
            await stop()
        assert relays == {}
        await world.settle()
        assert await world.pubsubs[1].list_peers("foobar") == []
        assert (events_of(world, "join"), events_of(world, "leave")) == (["foobar"], ["foobar"])

    play(version, script)


def test_T12_relay_on_closed_topic(version: str) -> None:
    """An error."""

    async def script(world: World) -> None:
        topic = await handle(world.pubsubs[0], "foobar")
        await topic.close()
        with pytest.raises(TopicClosed):
            await topic.relay()

    play(version, script, hosts=1)


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


def test_T14_min_topic_size_no_discovery(version: str) -> None:
    """A publish waits until enough peers are there; a caller that gives up is told by its own time-out."""

    async def script(world: World) -> None:
        await meet(world)
        topics = [await handle(ps, "foobar") for ps in world.pubsubs]
        first = await topics[1].subscribe()
        await topics[0].publish(b"1", ready=min_topic_size(1))
        await receive(first, b"1")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await topics[0].publish(b"2", ready=min_topic_size(2))
        second = await topics[2].subscribe()
        await topics[0].publish(b"3", ready=min_topic_size(2))
        await receive(second, b"3")
        await receive(first, b"3")

    play(version, script, hosts=3)


def test_T15_topic_message_id_function(version: str) -> None:
    """A topic's own function comes before the host's; both ends use it to tell duplicates."""

    def sha1(message: WireMessage) -> bytes:
        return hashlib.sha1(message.data, usedforsecurity=False).digest()

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        a = [await ps.join("a") for ps in world.pubsubs]
        b = [await ps.join("b", message_id=sha1) for ps in world.pubsubs]
        reader = await b[1].subscribe()
        await world.settle()
        assert await a[0].publish(b"pubsub rocks") == hashlib.sha256(b"pubsub rocks").digest()
        assert await b[0].publish(b"pubsub rocks") == sha1(WireMessage(data=b"pubsub rocks"))
        await b[0].publish(b"pubsub rocks")  # a duplicate, which is no error
        assert (await reader.next()).id == sha1(WireMessage(data=b"pubsub rocks"))
        await never(world, reader, 1)

    play(version, script, options=HostOptions(message_id=lambda message: hashlib.sha256(message.data).digest()))


def test_T16_publish_with_key_invalid_parameters(version: str) -> None:
    """An author without a key and an empty author are refused."""

    async def script(world: World) -> None:
        topic = await handle(world.pubsubs[0], "foobar")
        virtual = key_of("virtual")
        with pytest.raises(OptionError, match="key: expected a key pair"):
            await topic.publish(b"x", author=virtual.peer_id)
        with pytest.raises(OptionError, match="author: expected a peer id, not an empty one"):
            await topic.publish(b"x", key=virtual, author=PeerId(b""))
        await topic.publish(b"x", local=True, author=PeerId(b""))  # ignored for a local message, as in the reference

    play(version, script, hosts=1)


def test_T17_publish_on_a_closed_host(version: str) -> None:
    """Publishing is refused; giving up what the host held is harmless."""

    async def script(world: World) -> None:
        topic = await handle(world.pubsubs[0], "foobar")
        subscription, stop = await topic.subscribe(), await topic.relay()
        await world.pubsubs[0].close()
        with pytest.raises(HostClosed):
            await topic.publish(b"x")
        await subscription.cancel()
        await stop()

    play(version, script, hosts=1)


def test_T18_relay_publish_with_key(version: str) -> None:
    """What is published with a virtual key arrives as written, and signed, by its owner."""

    async def script(world: World) -> None:
        topics = await relayed(world)
        readers = [await topics[number].subscribe() for number in (2, 4)]
        await world.settle()
        virtual = key_of("virtual")
        rng = random.Random(3)
        for number in range(100):
            await rng.choice(topics).publish(b"%d" % number, key=virtual)
            for reader in readers:
                message = await reader.next()
                assert (message.data, message.source) == (b"%d" % number, virtual.peer_id)

    play(version, script, hosts=5)


def test_T19_local_publication(version: str) -> None:
    """A local message reaches the host's own subscription, marked as such, and no peer."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        own, other = await sub_all(world.pubsubs)
        await world.settle()
        await (await handle(world.pubsubs[0], "foobar")).publish(b"hello", local=True)
        await never(world, other, 0.1)
        assert (await own.next()).is_local

    play(version, script)


# --- subscription filters, and what is no topic's business ----------------------------------------------------------


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
