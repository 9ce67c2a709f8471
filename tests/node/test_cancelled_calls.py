"""A call that is cancelled has no effect, or one that can be taken back, at whatever round of the loop its caller goes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pubsub_sim import HostOptions, World, min_topic_size, run
from pubsub_sim.errors import TopicExists
from pubsub_sim.node.topic import Topic
from pubsub_sim.wire.message import Message

LONGEST = 40
"""Rounds after which every call here has ended."""


async def cancelled(rounds: int, call: Awaitable[Any]) -> Any:
    """Begin a call and cancel it some rounds of the loop later; what it gave if it had ended before, else None."""
    task = asyncio.ensure_future(call)
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return None if task.cancelled() else task.result()


def each_round(script: Callable[[int], Awaitable[bool]]) -> Callable[[], Awaitable[list[int]]]:
    """Play a script for one round after the other, until its call has ended by itself; gives the rounds that cut it short."""

    async def play() -> list[int]:
        for rounds in range(LONGEST):
            if await script(rounds):
                return list(range(rounds))
        raise AssertionError("the call never ends")

    return play


WAYS = [(discovery, busy) for discovery in (False, True) for busy in (False, True)]
Handle = Callable[[Topic], Awaitable[Any]]
HANDLES: dict[str, Handle] = {
    "subscribe": lambda topic: topic.subscribe(),
    "relay": lambda topic: topic.relay(),
    "events": lambda topic: topic.events(),
}


async def give_up(what: str, handle: Any) -> None:
    """Close what a call gave."""
    if what == "subscribe":
        await handle.cancel()
    elif what == "relay":
        await handle()
    else:
        handle.close()


@pytest.mark.parametrize("router", ["floodsub", "gossipsub"])
@pytest.mark.parametrize("what", HANDLES)
@pytest.mark.parametrize(("discovery", "is_busy"), WAYS)
def test_a_cancelled_handle_is_no_handle(version: str, router: str, what: str, discovery: bool, is_busy: bool) -> None:
    """Other hosts see nothing of it in the end, and the topic can be closed; the first one and one more of them."""

    async def main() -> None:
        async with World(2, version=version, discovery=discovery, router=router) as world:
            await world.connect_all()
            await world.settle()
            node = world.pubsubs[0]
            number = 0

            async def script(rounds: int) -> bool:
                nonlocal number
                topic = await node.join(f"t{number}")
                number += 1
                first = await HANDLES[what](topic) if is_busy else None
                given = await cancelled(rounds, HANDLES[what](topic))
                await world.settle()
                if given is not None:
                    await give_up(what, given)
                assert await node.topics() == ([topic.name] if first is not None and what == "subscribe" else [])
                if first is not None:
                    await give_up(what, first)
                await world.settle()
                assert await node.topics() == []
                assert await world.pubsubs[1].list_peers(topic.name) == []
                await topic.close()
                return given is not None

            was_cancelled = await each_round(script)()
            assert was_cancelled[:2] == [0, 1]
            await world.settle()

    run(main(), clock="virtual")


def test_a_cancelled_join_leaves_the_name_free(version: str) -> None:
    """And one of a name that is taken leaves the other handle as it is."""

    async def main() -> None:
        async with World(1, version=version) as world:
            node = world.pubsubs[0]

            async def script(rounds: int) -> bool:
                given = await cancelled(rounds, node.join("t"))
                if given is None:
                    given = await node.join("t")
                    await given.close()
                    return False
                await given.close()
                return True

            async def taken(rounds: int) -> bool:
                task = asyncio.ensure_future(node.join("taken"))
                for _ in range(rounds):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                subscription = await topic.subscribe()
                await subscription.cancel()
                return not task.cancelled() and isinstance(task.exception(), TopicExists)

            assert await each_round(script)() == [0, 1, 2]
            topic = await node.join("taken")
            assert await each_round(taken)() == [0, 1, 2]
            await topic.close()

    run(main(), clock="virtual")


@pytest.mark.parametrize("pauses", [None, 0.0, 0.1])
@pytest.mark.parametrize("is_ready", [False, True])
@pytest.mark.parametrize("discovery", [False, True])
def test_a_cancelled_publish_is_sent_whole_or_not_at_all(
    version: str, pauses: float | None, is_ready: bool, discovery: bool
) -> None:
    """Whatever it was waiting for: all subscriptions have the message, or none; and the next publish goes out."""

    async def judge(peer: bytes, message: Message) -> bool:
        await asyncio.sleep(pauses or 0)
        return True

    async def main() -> None:
        options = HostOptions(message_id=lambda wire: hashlib.sha256(wire.data).digest())
        async with World(2, version=version, discovery=discovery, options=options) as world:
            await world.connect_all()
            topics = [await node.join("t") for node in world.pubsubs]
            subscriptions = [await topic.subscribe(buffer=200) for topic in topics]
            await world.settle()
            if pauses is not None:
                await world.pubsubs[0].register_validator("t", judge)
            ready = min_topic_size(1) if is_ready else None

            async def script(rounds: int) -> bool:
                given = await cancelled(rounds, topics[0].publish(b"cut %d" % rounds, ready=ready))
                await topics[0].publish(b"whole %d" % rounds)
                await world.clock.sleep(1)
                await world.settle()
                read = [{(await one.next()).data for _ in range(one.pending)} for one in subscriptions]
                whole = {b"whole %d" % rounds}
                expected = whole | {b"cut %d" % rounds} if given is not None else whole
                assert read == [expected, expected]
                return given is not None or rounds == LONGEST - 1

            await each_round(script)()

    run(main(), clock="virtual")


@pytest.mark.parametrize("discovery", [False, True])
def test_a_publish_that_is_cancelled_while_it_waits_for_peers_stops_looking(version: str, discovery: bool) -> None:
    """Its world comes to rest."""

    async def main() -> None:
        async with World(1, version=version, discovery=discovery) as world:
            topic = await world.pubsubs[0].join("t")
            for rounds in range(30):
                assert await cancelled(rounds, topic.publish(b"x", ready=min_topic_size(1))) is None
            for pause_s in (0.05, 0.1, 0.15, 1.0):
                task = asyncio.ensure_future(topic.publish(b"x", ready=min_topic_size(1)))
                await world.clock.sleep(pause_s)
                assert await cancelled(0, task) is None
            await world.settle()

    run(main(), clock="virtual")


def test_a_cancelled_reader_loses_no_message_and_no_event(version: str) -> None:
    """Whoever reads next has it."""

    async def main() -> None:
        async with World(2, version=version, discovery=False) as world:
            await world.connect_all()
            topics = [await node.join("t") for node in world.pubsubs]
            subscription, events = await topics[0].subscribe(), await topics[0].events()
            for rounds in range(12):
                reading = asyncio.ensure_future(subscription.next())
                await asyncio.sleep(0)
                await topics[1].publish(b"%d" % rounds)
                message = await cancelled(rounds, reading)
                assert (message or await subscription.next()).data == b"%d" % rounds
                watching = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                theirs = await topics[1].subscribe()
                event = await cancelled(rounds, watching)
                assert (event or await anext(events)).joined
                await theirs.cancel()
                assert not (await anext(events)).joined

    run(main(), clock="virtual")
