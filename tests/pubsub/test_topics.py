"""Topic handles and publishing: the reference's topic tests, with their ids, and what else a handle promises."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import pytest

from pubsub_sim import HostOptions, OptionError, World, min_topic_size
from pubsub_sim.errors import HostClosed, TopicClosed, TopicExists, TopicInUse
from pubsub_sim.ids import PeerId
from pubsub_sim.node.topic import Topic
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from tests.pubsub.worlds import connect, handle, key_of, meet, never, play, receive, sub, sub_all

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


def test_T01_close_with_open_subscription(version: str, transport: str) -> None:
    """A topic is closed once its subscription is cancelled, not before."""
    play(version, lambda world: close_while_open(world, open_subscription), hosts=1, transport=transport)


def test_T02_close_with_open_event_handler(version: str, transport: str) -> None:
    """A topic is closed once its event handler is, not before."""
    play(version, lambda world: close_while_open(world, open_events), hosts=1, transport=transport)


def test_T03_close_with_open_relay(version: str, transport: str) -> None:
    """A topic is closed once its relay is, not before."""
    play(version, lambda world: close_while_open(world, open_relay), hosts=1, transport=transport)


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


def test_T19_local_publication(version: str, transport: str) -> None:
    """A local message reaches the host's own subscription, marked as such, and no peer."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        own, other = await sub_all(world.pubsubs)
        await world.settle()
        await (await handle(world.pubsubs[0], "foobar")).publish(b"hello", local=True)
        await never(world, other, 0.1)
        assert (await own.next()).is_local

    play(version, script, transport=transport)


def test_a_topic_is_joined_once(version: str, transport: str) -> None:
    """A second join is an error that names the topic; after a close it works again."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        topic = await ps.join("t")
        with pytest.raises(TopicExists, match="t"):
            await ps.join("t")
        await topic.close()
        await topic.close()
        await ps.join("t")

    play(version, script, hosts=3, transport=transport)


def test_a_closed_topic_refuses_calls(version: str, transport: str) -> None:
    """Every call but close says that the topic is closed; listing peers gives none."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t")
        await topic.close()
        for call in (topic.subscribe, topic.relay, topic.events):
            with pytest.raises(TopicClosed):
                await call()
        with pytest.raises(TopicClosed):
            await topic.publish(b"x")
        assert await topic.list_peers() == []

    play(version, script, hosts=3, transport=transport)


def test_topics_lists_subscriptions_but_not_relays(version: str, transport: str) -> None:
    """As in the reference."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        await (await ps.join("read")).subscribe()
        await (await ps.join("relayed")).relay()
        await ps.join("joined")
        assert await ps.topics() == ["read"]

    play(version, script, hosts=3, transport=transport)
