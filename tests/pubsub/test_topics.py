"""Topic handles and publishing: the reference's topic tests, with their ids, and what else a handle promises."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import pytest

from pubsub_sim import HostOptions, HostParams, MessageRejected, OptionConflict, OptionError, World, min_topic_size
from pubsub_sim.errors import HostClosed, TopicClosed, TopicExists, TopicInUse
from pubsub_sim.ids import PeerId
from pubsub_sim.node.topic import Topic
from pubsub_sim.protocol.seen import SeenStrategy
from pubsub_sim.protocol.validation import Verdict
from pubsub_sim.wire.codec import largest_rpc_bytes
from pubsub_sim.wire.message import Message
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
        with pytest.raises(OptionConflict, match=r"author=.* cannot be used with key=None"):
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("\udcff", "a topic name that UTF-8 can encode"),  # what os.fsdecode gives for a file name that is no UTF-8
        ("", "a topic name, a string that is not empty"),
        (b"t", "a topic name, a string that is not empty"),
        ("n" * 1000, r"a topic name that fits into an RPC of 1000 bytes \(max_message_bytes\)"),
        ("n" * 981, r"a topic name that fits into an RPC of 1000 bytes \(max_message_bytes\)"),
    ],
    ids=["no UTF-8", "empty", "bytes", "long", "with nothing beside it"],
)
def test_a_name_that_cannot_be_sent_is_refused_by_join(version: str, name: str, expected: str) -> None:
    """With a sentence, and the host goes on."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        with pytest.raises(OptionError, match=f"topic: expected {expected}, got"):
            await ps.join(name)
        await (await ps.join("t")).subscribe()
        assert await ps.topics() == ["t"]

    play(version, script, hosts=1, params=HostParams(max_message_bytes=1000))


@pytest.mark.parametrize("router", ["floodsub", "randomsub", "gossipsub"])
def test_the_longest_name_that_can_be_joined_is_announced_meshed_and_left(version: str, router: str) -> None:
    """No RPC of its own is too large for a frame."""
    name = "n" * 900
    limit = largest_rpc_bytes(name)

    async def script(world: World) -> None:
        with pytest.raises(OptionError, match="fits into an RPC"):
            await world.pubsubs[0].join(name + "n")
        subscriptions = [await sub(ps, name) for ps in world.pubsubs]
        await meet(world)
        await world.clock.sleep(2)
        assert [len(await ps.list_peers(name)) for ps in world.pubsubs] == [1, 1]
        await subscriptions[0].cancel()
        await world.clock.sleep(2)
        assert not await world.pubsubs[1].list_peers(name)
        assert not [event for event in world.trace if event.kind == "drop_rpc"]

    play(version, script, router=router, params=HostParams(max_message_bytes=limit))


def by_content(message: WireMessage) -> bytes:
    return hashlib.sha256(message.data).digest()


class Judge:
    """Raises, refuses, or takes its time, as long as it is down."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.is_down = True
        self.calls = 0

    async def __call__(self, peer: PeerId, message: Message) -> bool | Verdict:
        self.calls += 1
        await asyncio.sleep(0.1)
        if not self.is_down:
            return True
        if self.way == "raises":
            raise OSError("the database is down")
        if self.way == "slow":
            await asyncio.sleep(60)
        return Verdict.IGNORE if self.way == "ignores" else False


@pytest.mark.parametrize("strategy", SeenStrategy)
@pytest.mark.parametrize(
    ("way", "error"),
    [("raises", OSError), ("rejects", MessageRejected), ("ignores", MessageRejected), ("slow", TimeoutError)],
)
def test_content_of_a_publish_that_failed_is_published_the_next_time(
    version: str, strategy: SeenStrategy, way: str, error: type[Exception]
) -> None:
    """Its validator raised or refused it, or its caller went: it was not seen."""
    judge = Judge(way)

    async def script(world: World) -> None:
        topic = await handle(world.pubsubs[0], "t")
        subscription = await sub(world.pubsubs[1], "t")
        await connect(world, (0, 1))
        await world.pubsubs[0].register_validator("t", judge)
        for _ in range(2):
            with pytest.raises(error):
                await asyncio.wait_for(topic.publish(b"x"), 5)
        judge.is_down = False
        for _ in range(2):  # the second is a duplicate, and no error
            assert await topic.publish(b"x") == hashlib.sha256(b"x").digest()
        await world.settle()
        assert subscription.pending == 1
        assert judge.calls == 3

    play(version, script, options=HostOptions(message_id=by_content, seen_strategy=strategy))


@pytest.mark.parametrize("is_accepted", [True, False])
def test_content_that_is_being_judged_is_judged_again_only_if_it_fails(version: str, is_accepted: bool) -> None:
    """Two publish the same at once: both succeed and it is sent once, or both are told that it was refused."""
    judge = Judge("rejects")
    judge.is_down = not is_accepted

    async def script(world: World) -> None:
        topic = await handle(world.pubsubs[0], "t")
        subscription = await topic.subscribe()
        await world.pubsubs[0].register_validator("t", judge)
        answers = await asyncio.gather(*(topic.publish(b"x") for _ in range(3)), return_exceptions=True)
        await world.settle()
        kinds = {type(answer) for answer in answers}
        assert (kinds, judge.calls) == (({bytes}, 1) if is_accepted else ({MessageRejected}, 3))
        assert subscription.pending == is_accepted

    play(version, script, hosts=1, options=HostOptions(message_id=by_content))


def test_a_publish_that_goes_while_another_waits_for_its_verdict_leaves_the_message_to_it(version: str) -> None:
    """At whatever moment the first caller goes, the content is sent once."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        for rounds in range(8):
            judge = Judge("slow")
            judge.is_down = False
            data = b"%d" % rounds
            topic = await handle(ps, "t")
            subscription = await topic.subscribe()
            await ps.register_validator("t", judge)
            first = asyncio.create_task(topic.publish(data))
            second = asyncio.create_task(topic.publish(data))
            for _ in range(rounds):
                await asyncio.sleep(0)
            first.cancel()
            await second
            await world.settle()
            assert subscription.pending == 1
            await subscription.cancel()
            await ps.unregister_validator("t")

    play(version, script, hosts=1, options=HostOptions(message_id=by_content))


def test_flags_of_publish_and_register_validator_are_named(version: str) -> None:
    """A value in their place is refused before anything happens."""

    async def script(world: World) -> None:
        topic = await handle(world.pubsubs[0], "t")
        with pytest.raises(TypeError, match="positional"):
            await topic.publish(b"x", True)  # type: ignore[misc] # what is tested
        with pytest.raises(TypeError, match="positional"):
            await world.pubsubs[0].register_validator("t", lambda peer, message: True, True)  # type: ignore[misc] # as above

    play(version, script, hosts=1)
