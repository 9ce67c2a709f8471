"""How messages travel: to whom, with which facts, at what cost, and in which order."""

from __future__ import annotations

from pubsub_sim import World
from tests.pubsub.worlds import events_of, meet, play


def test_a_message_reaches_every_subscription_with_its_facts(version: str, transport: str) -> None:
    """Payload, topic, author, sequence number, signature, sender and id, at every host, the publisher included."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await meet(world)
        message_id = await topics[0].publish(b"data")
        author = world.pubsubs[0].peer_id
        for subscription in subscriptions:
            message = await subscription.next()
            assert (message.data, message.topic, message.source, message.id) == (b"data", "t", author, message_id)
            assert message.id == author + message.seqno
            assert len(message.signature) == 64
            assert message.received_from == author

    play(version, script, hosts=3, transport=transport)


def test_publish_returns_before_delivery(version: str, transport: str) -> None:
    """The message is handed to the host; its own subscription gets it in a later turn."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t")
        subscription = await topic.subscribe()
        await topic.publish(b"x")
        assert subscription.pending == 0
        assert (await subscription.next()).data == b"x"

    play(version, script, hosts=3, transport=transport)


def test_flooding_costs_one_rpc_per_pair_and_hop(version: str) -> None:
    """Everybody forwards to all but sender and author: (N-1) + (N-1)(N-2) RPCs when all hear it from the author."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        for topic in topics:
            await topic.subscribe()
        await meet(world)
        before = world.network.frames
        await topics[0].publish(b"x")
        await world.settle()
        assert world.network.frames - before == 4 + 4 * 3
        assert len(events_of(world, "deliver_message")) == 5
        assert len(events_of(world, "duplicate_message")) == 4 * 3

    play(version, script, hosts=5)


def test_a_message_crosses_hosts_that_forward_it(version: str, transport: str) -> None:
    """In a line, the middle host passes it on, and is who it was received from."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await world.connect(0, 1)
        await world.connect(1, 2)
        await world.settle()
        await topics[0].publish(b"x")
        message = await subscriptions[2].next()
        assert message.source == world.pubsubs[0].peer_id
        assert message.received_from == world.pubsubs[1].peer_id

    play(version, script, hosts=3, transport=transport)


def test_a_burst_larger_than_every_queue_arrives_in_order(version: str, transport: str) -> None:
    """Publishers wait for room in the host; streams wait for room in the reader; nothing is lost on two hosts."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscription = await topics[1].subscribe(buffer=1000)
        await meet(world)
        for number in range(300):
            await topics[0].publish(b"%d" % number)
            if number % 30 == 29:
                await world.settle()
        assert [int((await subscription.next()).data) for _ in range(300)] == list(range(300))

    play(version, script, transport=transport, hosts=2)
