"""Who joined and who left a topic: the reference's tests of topic events, with their ids."""

from __future__ import annotations

import asyncio

from pubsub_sim import World
from pubsub_sim.node.topic import PeerEvent, TopicEvents
from tests.pubsub.worlds import connect, handle, meet, play, sub, sub_all


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


def test_topic_events_start_with_who_is_there_and_coalesce(version: str, transport: str) -> None:
    """A join and a leave nobody read cancel out."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        await topics[1].subscribe()
        await meet(world)
        events = await topics[0].events()
        event = await anext(events)
        assert (event.peer, event.joined) == (world.pubsubs[1].peer_id, True)
        subscription = await topics[2].subscribe()
        await world.settle()
        await subscription.cancel()
        await world.disconnect(0, 1)
        await world.settle()
        event = await anext(events)
        assert (event.peer, event.joined) == (world.pubsubs[1].peer_id, False)

    play(version, script, hosts=3, transport=transport)
