"""What a node promises its user, held against every version and, where time is no part of it, every network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from pubsub_sim import MessageRejected, OptionError, PubSub, World, min_topic_size, run
from pubsub_sim.errors import (
    HostClosed,
    MessageTooLarge,
    NoValidator,
    SubscriptionCancelled,
    TopicClosed,
    TopicExists,
    TopicInUse,
    ValidatorExists,
)
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.protocol.validation import Verdict
from pubsub_sim.wire.message import Message

T = TypeVar("T")
Play = Callable[[World], Awaitable[None]]


@pytest.fixture(params=["memory", "tcp on asyncio", "tcp on uvloop"])
def transport(request: pytest.FixtureRequest) -> str:
    """What a node promises does not depend on its network: in memory on the virtual clock, over sockets on the wall's."""
    name: str = request.param
    return name


def run_on(transport: str, main: Coroutine[Any, Any, T]) -> T:
    return run(main, clock="virtual") if transport == "memory" else run(main, loop=transport.split()[-1])


def play(version: str, script: Play, hosts: int = 3, transport: str = "memory", **options: Any) -> World:
    """Run a script in a world without discovery."""

    async def main() -> World:
        kind = transport.split()[0]
        async with World(hosts, version=version, transport=kind, **({"discovery": False} | options)) as world:
            await script(world)
        return world

    return run_on(transport, main())


async def meet(world: World) -> None:
    await world.connect_all()
    await world.settle()


def kinds(world: World, kind: str) -> int:
    return sum(event.kind == kind for event in world.trace)


# --- topics ------------------------------------------------------------------------------------------------------


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

    play(version, script, transport=transport)


def test_a_topic_in_use_is_not_closed(version: str, transport: str) -> None:
    """Subscriptions, relays and event handlers keep it open."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t")
        subscription = await topic.subscribe()
        with pytest.raises(TopicInUse):
            await topic.close()
        await subscription.cancel()
        stop = await topic.relay()
        with pytest.raises(TopicInUse):
            await topic.close()
        await stop()
        events = await topic.events()
        with pytest.raises(TopicInUse):
            await topic.close()
        events.close()
        await topic.close()

    play(version, script, transport=transport)


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

    play(version, script, transport=transport)


def test_topics_lists_subscriptions_but_not_relays(version: str, transport: str) -> None:
    """As in the reference."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        await (await ps.join("read")).subscribe()
        await (await ps.join("relayed")).relay()
        await ps.join("joined")
        assert await ps.topics() == ["read"]

    play(version, script, transport=transport)


# --- messages ----------------------------------------------------------------------------------------------------


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

    play(version, script, transport=transport)


def test_publish_returns_before_delivery(version: str, transport: str) -> None:
    """The message is handed to the host; its own subscription gets it in a later turn."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t")
        subscription = await topic.subscribe()
        await topic.publish(b"x")
        assert subscription.pending == 0
        assert (await subscription.next()).data == b"x"

    play(version, script, transport=transport)


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
        assert kinds(world, "deliver_message") == 5
        assert kinds(world, "duplicate_message") == 4 * 3

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

    play(version, script, transport=transport)


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

    play(version, script, transport=transport)


def test_a_local_message_stays_at_home(version: str, transport: str) -> None:
    """Own subscriptions get it, peers do not."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        own, other = [await topic.subscribe() for topic in topics[:2]]
        await meet(world)
        await topics[0].publish(b"x", local=True)
        await world.settle()
        assert (own.pending, other.pending) == (1, 0)

    play(version, script, transport=transport)


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

    world = play(version, script, transport=transport)
    assert kinds(world, "undeliverable_message") == 3


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


def test_an_unsigned_world_signs_nothing(version: str, transport: str) -> None:
    """StrictNoSign: no signature, and still one delivery each."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await meet(world)
        await topics[1].publish(b"x")
        for subscription in subscriptions:
            assert (await subscription.next()).signature == b""
        await world.settle()
        assert [subscription.pending for subscription in subscriptions] == [0, 0, 0]

    play(version, script, transport=transport, sign="none")


# --- subscriptions -----------------------------------------------------------------------------------------------


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

    play(version, script, transport=transport)


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

    play(version, script, transport=transport)


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

    play(version, script, transport=transport)


def test_announcing_comes_before_joining(version: str, transport: str) -> None:
    """The event loop's order of effects, in both versions."""

    async def script(world: World) -> None:
        topic = await world.pubsubs[0].join("t")
        await meet(world)
        world.trace.clear()
        await (await topic.subscribe()).cancel()
        order = [event.kind for event in world.trace if event.host == 0 and event.kind in ("send_rpc", "join", "leave")]
        assert order == ["send_rpc", "send_rpc", "join", "send_rpc", "send_rpc", "leave"]

    play(version, script, transport=transport)


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

    play(version, script, transport=transport)


# --- peers -------------------------------------------------------------------------------------------------------


def test_a_disconnected_peer_is_forgotten_and_found_again(version: str, transport: str) -> None:
    """Its announcements go with it and come back with its hello."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        await topics[1].subscribe()
        await meet(world)
        other = world.pubsubs[1].peer_id
        assert other in await topics[0].list_peers()
        await world.disconnect(0, 1)
        await world.settle()
        assert other not in await world.pubsubs[0].list_peers()
        assert await topics[0].list_peers() == []
        await world.connect(0, 1)
        await world.settle()
        assert await topics[0].list_peers() == [other]

    play(version, script, transport=transport)


def test_a_blacklisted_peer_is_neither_heard_nor_passed_on(version: str, transport: str) -> None:
    """Its messages are refused wherever they come from; the connection stays."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await meet(world)
        await world.pubsubs[0].blacklist(world.pubsubs[2].peer_id)
        await world.settle()
        await topics[2].publish(b"x")
        await world.settle()
        assert [subscription.pending for subscription in subscriptions] == [0, 1, 1]
        assert world.network.connections == 3
        reasons = {event.detail for event in world.trace if event.kind == "reject_message" and event.host == 0}
        assert reasons == {"blacklisted peer", "blacklisted source"} or reasons == {"blacklisted source"}

    play(version, script, transport=transport)


# --- validation --------------------------------------------------------------------------------------------------


def reject_all(peer: PeerId, message: Message) -> bool:
    return False


async def ignore_all(peer: PeerId, message: Message) -> Verdict:
    await asyncio.sleep(0.01)
    return Verdict.IGNORE


@pytest.mark.parametrize(
    ("validator", "inline", "reason"),
    [
        (reject_all, True, "validation failed"),
        (reject_all, False, "validation failed"),
        (ignore_all, False, "validation ignored"),
    ],
)
def test_a_refused_message_is_not_delivered_and_not_passed_on(
    version: str, transport: str, validator: Callable[[PeerId, Message], bool], inline: bool, reason: str
) -> None:
    """By an inline, a plain or an asynchronous validator, with the reference's reason."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await world.connect(0, 1)
        await world.connect(1, 2)
        await world.settle()
        await world.pubsubs[1].register_validator("t", validator, inline=inline)
        await topics[0].publish(b"x")
        await world.settle()
        assert [subscription.pending for subscription in subscriptions] == [1, 0, 0]
        assert [event.detail for event in world.trace if event.kind == "reject_message"] == [reason]

    play(version, script, transport=transport)


@pytest.mark.parametrize("inline", [True, False])
def test_a_validator_that_raises_ignores_the_message_and_is_logged(
    version: str, transport: str, inline: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Validation goes on with the next message; a publisher whose own message it is gets the error."""

    def raising(peer: PeerId, message: Message) -> bool:
        if message.data == b"bad":
            raise ZeroDivisionError
        return True

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await meet(world)
        await world.pubsubs[1].register_validator("t", raising, inline=inline)
        for data in (b"bad", b"good"):
            await topics[0].publish(data)
            await world.settle()
        assert (await subscriptions[1].next()).data == b"good"
        with pytest.raises(ZeroDivisionError):
            await topics[1].publish(b"bad")

    play(version, script, transport=transport, hosts=2)
    assert "the validator of t raised" in caplog.text


def test_an_error_in_a_turn_ends_the_host_and_reaches_the_world(version: str, transport: str) -> None:
    """A router that fails is nobody's request: pending calls are refused, and the world says why."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        for topic in topics:
            await topic.subscribe()
        await meet(world)
        world.pubsubs[1].router.publish = None  # type: ignore[method-assign,assignment] # what is tested
        await topics[0].publish(b"x")
        with pytest.raises(TypeError):
            await world.settle()
        with pytest.raises(HostClosed):
            await world.pubsubs[1].topics()

    with pytest.raises(TypeError):
        play(version, script, transport=transport, hosts=2)


def test_a_refused_publish_tells_its_publisher(version: str, transport: str) -> None:
    """Local validation raises with the reason."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        topic = await ps.join("t")
        await ps.register_validator("t", reject_all)
        with pytest.raises(MessageRejected, match="validation failed"):
            await topic.publish(b"x")

    play(version, script, transport=transport)


def test_validators_are_registered_once_per_topic(version: str, transport: str) -> None:
    """A duplicate and a missing one are errors that name the topic."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        await ps.register_validator("t", reject_all)
        with pytest.raises(ValidatorExists, match="t"):
            await ps.register_validator("t", reject_all)
        await ps.unregister_validator("t")
        with pytest.raises(NoValidator, match="t"):
            await ps.unregister_validator("t")

    play(version, script, transport=transport)


# --- readiness and discovery -------------------------------------------------------------------------------------


def test_without_discovery_a_publish_waits_in_steps_of_200_ms(version: str) -> None:
    """The readiness poll of the reference, counted as fixed waits."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        await topics[1].subscribe()
        publishing = asyncio.create_task(topics[0].publish(b"x", ready=min_topic_size(1)))
        await world.clock.sleep(0.5)
        await world.connect(0, 1)
        await publishing
        assert world.clock.now_ns() == 600_000_000
        assert (world.clock.waits, world.clock.waited_ns) == (3, 600_000_000)

    play(version, script)


def test_with_discovery_hosts_find_each_other_and_a_publish_waits_in_steps_of_100_ms(version: str) -> None:
    """Subscribers register, the publisher finds and dials them, and checks again after 100 ms."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics[1:]]
        await world.settle()
        await topics[0].publish(b"x", ready=min_topic_size(4))
        for subscription in subscriptions:
            assert (await subscription.next()).data == b"x"
        assert world.clock.waits == 1
        assert world.clock.now_ns() == 100_000_000

    play(version, script, hosts=5, discovery=True)


def test_two_publishes_of_one_topic_each_wait_for_their_own_readiness(version: str) -> None:
    """Who asks for more waits longer, whoever came first."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscription = await topics[1].subscribe()
        await world.settle()
        patient = asyncio.create_task(topics[0].publish(b"patient", ready=min_topic_size(2)))
        eager = asyncio.create_task(topics[0].publish(b"eager", ready=min_topic_size(1)))
        await world.clock.sleep(5)
        assert eager.done()
        assert not patient.done()
        await topics[2].subscribe()
        await world.clock.sleep(30)
        assert patient.done()
        assert [(await subscription.next()).data for _ in range(2)] == [b"eager", b"patient"]

    play(version, script, discovery=True)


def test_an_abandoned_publish_stops_looking(version: str) -> None:
    """Cancelling a publish that waits for readiness ends its bootstrap; another one still works."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        await world.settle()
        waiting = asyncio.create_task(topics[0].publish(b"never", ready=min_topic_size(1)))
        await world.clock.sleep(1.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        waits = world.clock.waits
        await world.clock.sleep(5)
        assert world.clock.waits == waits
        subscription = await topics[1].subscribe()
        await topics[0].publish(b"x", ready=min_topic_size(1))
        assert (await subscription.next()).data == b"x"

    play(version, script, discovery=True)


# --- bad input and ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hosts": 0}, "hosts: expected a whole number of at least 1, got 0"),
        ({"hosts": "many"}, "hosts: expected a whole number of at least 1, got 'many'"),
        ({"version": "third"}, "version: expected one of baseline, states, direct, got 'third'"),
        ({"router": "carrier pigeon"}, "router: expected one of floodsub, randomsub, gossipsub, got 'carrier pigeon'"),
        ({"transport": "post"}, "transport: expected one of memory, tcp, got 'post'"),
        ({"sign": True}, "sign: expected one of strict, none, lax, lax-none, got True"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
    ],
)
def test_a_world_names_the_option_it_cannot_use(options: dict[str, object], message: str) -> None:
    """The option, its value and what was expected."""
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        World(**({"hosts": 2} | options))  # type: ignore[arg-type] # what is tested


def test_a_host_names_the_argument_it_cannot_use(version: str, transport: str) -> None:
    """Topic names, payloads, buffers, readiness and sizes."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        topic = await ps.join("t")
        with pytest.raises(OptionError, match="topic: expected a topic name"):
            await ps.join("")
        with pytest.raises(OptionError, match="data: expected bytes, got 'text'"):
            await topic.publish("text")  # type: ignore[arg-type] # what is tested
        with pytest.raises(OptionError, match="buffer: expected a whole number of at least 1, got 0"):
            await topic.subscribe(buffer=0)
        with pytest.raises(OptionError, match="size: expected"):
            min_topic_size(-1)
        with pytest.raises(MessageTooLarge, match="larger than the limit of 1000 bytes"):
            await topic.publish(b"x" * 1000)

    play(version, script, transport=transport, params=HostParams(max_message_bytes=1000))


def test_a_closed_host_refuses_calls(version: str, transport: str) -> None:
    """Clearly, and without hanging."""

    async def script(world: World) -> None:
        ps: PubSub = world.pubsubs[0]
        await ps.close()
        with pytest.raises(HostClosed):
            await ps.topics()
        with pytest.raises(HostClosed):
            await ps.join("t")

    play(version, script, transport=transport)


def test_nothing_is_left_running_when_a_world_ends(version: str, transport: str) -> None:
    """No task and no socket outlives its world, and no warning of one."""

    async def main() -> set[str]:
        async with World(4, version=version, transport=transport.split()[0]) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            for topic in topics:
                await topic.subscribe()
            await topics[0].publish(b"x", ready=min_topic_size(3))
        return {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}  # type: ignore[arg-type]

    assert run_on(transport, main()) == set()


def test_equal_seeds_give_equal_worlds_and_others_do_not(version: str) -> None:
    """Keys, sequence numbers and the whole trace repeat with the seed."""

    def trace(seed: int) -> list[object]:
        async def script(world: World) -> None:
            topics = [await ps.join("t") for ps in world.pubsubs]
            for topic in topics:
                await topic.subscribe()
            await topics[0].publish(b"x", ready=min_topic_size(2))
            await world.settle()

        return list(play(version, script, seed=seed, discovery=True).trace)

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)
