"""Topics that are passed on without being read: the reference's relay tests, with their ids."""

from __future__ import annotations

import random

import pytest

from pubsub_sim import World
from pubsub_sim.errors import TopicClosed
from pubsub_sim.node.topic import Topic
from tests.pubsub.worlds import connect, events_of, handle, key_of, play, receive


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
        relays = world.pubsubs[0]._core.local_topics._relays
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


def test_a_relay_forwards_without_reading(version: str, transport: str) -> None:
    """The middle host of the line only relays; once it stops, nothing passes."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscription = await topics[2].subscribe()
        stop = await topics[1].relay()
        await world.connect(0, 1)
        await world.connect(1, 2)
        await world.settle()
        await topics[0].publish(b"one")
        assert (await subscription.next()).data == b"one"
        await stop()
        await stop()
        await world.settle()
        await topics[0].publish(b"two")
        await world.settle()
        assert subscription.pending == 0

    play(version, script, hosts=3, transport=transport)
