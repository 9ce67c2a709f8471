"""Flooding: the reference's floodsub tests, with their ids."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest

from pubsub_sim import HostOptions, HostParams, OptionConflict, World, min_topic_size, run
from pubsub_sim.errors import SubscriptionCancelled
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.blacklist import MapBlacklist
from pubsub_sim.protocol.floodsub import FloodSub
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from tests.pubsub.worlds import (
    FakePeer,
    NoDiscovery,
    add_node,
    connect,
    dial,
    handle,
    key_of,
    meet,
    never,
    play,
    pub,
    receive,
    rounds,
    sparse,
    sub,
    sub_all,
)


def sha256(message: WireMessage) -> bytes:
    return hashlib.sha256(message.data).digest()


def test_F01_basic_floodsub(version: str) -> None:
    """20 hosts, sparsely connected: everybody receives 100 messages in order."""

    async def script(world: World) -> None:
        subscriptions = await sub_all(world.pubsubs)
        await sparse(world)
        await rounds(world.pubsubs, subscriptions, 100)

    play(version, script, hosts=20)


def test_F02_multihops(version: str) -> None:
    """Along a chain of six, the last one receives what the first publishes without subscribing."""

    async def script(world: World) -> None:
        await connect(world, *((a, a + 1) for a in range(5)))
        subscriptions = await sub_all(world.pubsubs[1:])
        await world.settle()
        await pub(world.pubsubs[0], b"i like cats")
        await receive(subscriptions[-1], b"i like cats")

    play(version, script, hosts=6)


def test_F03_reconnects(version: str) -> None:
    """A cancelled subscription ends empty and a new one receives; the other is not touched by either."""

    async def script(world: World) -> None:
        await connect(world, (0, 1), (0, 2))
        a, b = await sub_all(world.pubsubs[1:], "cats")
        await world.settle()
        await pub(world.pubsubs[0], b"apples and oranges", "cats")
        await receive(a, b"apples and oranges")
        await receive(b, b"apples and oranges")
        await b.cancel()
        await world.settle()
        await pub(world.pubsubs[0], b"potato", "cats")
        await receive(a, b"potato")
        with pytest.raises(SubscriptionCancelled):
            await b.next()
        assert await world.pubsubs[2].topics() == []
        again = await sub(world.pubsubs[2], "cats")
        await world.settle()
        await pub(world.pubsubs[0], b"tomato", "cats")
        await receive(again, b"tomato")

    play(version, script, hosts=3)


def test_F04_no_connection(version: str) -> None:
    """Without connections nothing arrives."""

    async def script(world: World) -> None:
        subscription = await sub(world.pubsubs[5])
        await pub(world.pubsubs[0], b"to nobody")
        await never(world, subscription, 0.2)

    play(version, script, hosts=10)


def test_F05_self_receive(version: str) -> None:
    """A host receives its own messages once it subscribes, and not those before."""

    async def script(world: World) -> None:
        await pub(world.pubsubs[0], b"hello world")
        await world.settle()
        subscription = await sub(world.pubsubs[0])
        await pub(world.pubsubs[0], b"goodbye world")
        await receive(subscription, b"goodbye world")
        assert subscription.pending == 0

    play(version, script, hosts=1)


def test_F06_one_to_one(version: str) -> None:
    """The one subscriber receives what each of the two publishes."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        subscription = await sub(world.pubsubs[1])
        await world.settle()
        for number, ps in enumerate(world.pubsubs):
            data = random.Random(number).randbytes(16)
            await pub(ps, data)
            await receive(subscription, data)

    play(version, script)


def test_F07_tree_topology(version: str) -> None:
    """In a tree, peers are the neighbours, and everybody receives from a leaf and from an inner host."""

    async def script(world: World) -> None:
        await connect(world, (0, 1), (1, 2), (1, 4), (2, 3), (0, 5), (5, 6), (5, 8), (6, 7), (8, 9))
        subscriptions = await sub_all(world.pubsubs, "fizzbuzz")
        await world.settle()
        for host, expected in ((0, {1, 5}), (1, {0, 2, 4}), (2, {1, 3})):
            peers = {world.pubsubs[n].peer_id for n in expected}
            assert set(await world.pubsubs[host].list_peers("fizzbuzz")) == peers
        for publisher in (9, 3):
            await pub(world.pubsubs[publisher], b"%d" % publisher, "fizzbuzz")
            for subscription in subscriptions:
                await receive(subscription, b"%d" % publisher)

    play(version, script, hosts=10)


def test_F08_pluggable_protocol_hub(version: str) -> None:
    """A host that speaks two protocols bridges hosts that speak one each."""

    async def script(world: World) -> None:
        a, b, c = (add_node(world, version, router=FloodSub(p)) for p in (["/p/1", "/p/2"], ["/p/1"], ["/p/2"]))
        subscriptions = await sub_all((a, b, c))
        await dial(b, a)
        await dial(c, a)
        await world.settle()
        await pub(c, b"test")
        for subscription in subscriptions:
            await receive(subscription, b"test")

    play(version, script, hosts=1)


def test_F09_pluggable_protocol_no_overlap(version: str) -> None:
    """Hosts without a common protocol are no peers."""

    async def script(world: World) -> None:
        a, b = (add_node(world, version, router=FloodSub([p])) for p in ("/p/1", "/p/2"))
        own, other = await sub_all((a, b))
        await dial(a, b)
        await world.settle()
        await pub(a, b"test")
        await receive(own, b"test")
        await never(world, other, 1)
        assert await a.list_peers() == []

    play(version, script, hosts=1)


def test_F10_sub_reporting(version: str) -> None:
    """Topics are those with a subscription now."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        foo, bar = await sub(ps, "foo"), await sub(ps, "bar")
        assert set(await ps.topics()) == {"foo", "bar"}
        await sub(ps, "baz")
        assert set(await ps.topics()) == {"foo", "bar", "baz"}
        await bar.cancel()
        assert set(await ps.topics()) == {"foo", "baz"}
        await foo.cancel()
        assert set(await ps.topics()) == {"baz"}
        await sub(ps, "fish")
        assert set(await ps.topics()) == {"baz", "fish"}

    play(version, script, hosts=1)


def test_F11_peer_topic_reporting(version: str) -> None:
    """A host knows which peer takes part in which topic."""

    async def script(world: World) -> None:
        await connect(world, (0, 1), (0, 2), (0, 3))
        for number, topics in ((1, ("foo", "bar", "baz")), (2, ("foo", "ipfs")), (3, ("baz", "ipfs"))):
            for topic in topics:
                await sub(world.pubsubs[number], topic)
        await world.settle()
        for topic, members in (("ipfs", {2, 3}), ("foo", {1, 2}), ("baz", {1, 3}), ("bar", {1}), ("none", set())):
            expected = {world.pubsubs[n].peer_id for n in members}
            assert set(await world.pubsubs[0].list_peers(topic)) == expected

    play(version, script, hosts=4)


def test_F12_subscribe_multiple_times(version: str) -> None:
    """Two subscriptions of one topic each receive the message."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        subscriptions = [await sub(world.pubsubs[0]) for _ in range(2)]
        await world.settle()
        await pub(world.pubsubs[1], b"bar")
        for subscription in subscriptions:
            await receive(subscription, b"bar")

    play(version, script)


def test_F13_peer_disconnect(version: str) -> None:
    """A peer that is gone is in no topic."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        await sub_all(world.pubsubs)
        await world.settle()
        assert await world.pubsubs[0].list_peers("foobar") == [world.pubsubs[1].peer_id]
        await world.disconnect(1, 0)
        await world.settle()
        assert await world.pubsubs[0].list_peers("foobar") == []

    play(version, script)


def test_F17_message_sender(version: str) -> None:
    """In a chain, a message is received from the neighbour that passed it on; one's own from oneself."""

    async def script(world: World) -> None:
        await connect(world, (0, 1), (1, 2))
        subscriptions = await sub_all(world.pubsubs)
        await world.settle()
        for publisher in range(3):
            for _ in range(100):
                await pub(world.pubsubs[publisher], b"test")
                for reader, subscription in enumerate(subscriptions):
                    sender = reader if reader == publisher else 1 if reader != 1 else publisher
                    assert (await subscription.next()).received_from == world.pubsubs[sender].peer_id

    play(version, script, hosts=3)


def test_F18_configurable_max_message_size(version: str) -> None:
    """With a limit of 4 MiB, 2 MiB reach everybody."""

    async def script(world: World) -> None:
        subscriptions = await sub_all(world.pubsubs)
        await sparse(world)
        data = bytes(2 << 20)
        await pub(world.pubsubs[0], data)
        for subscription in subscriptions:
            await receive(subscription, data)

    play(version, script, hosts=10, params=HostParams(max_message_bytes=4 << 20), trace=False)


def test_F19_announce_retry(version: str) -> None:
    """A retry announces once more within a second, and then no more."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        await sub(ps, "test")
        fake = FakePeer(world)
        await fake.connect(ps)
        await world.clock.sleep(0.1)
        ps.retry_announcement(fake.peer_id, "test", random.Random(1).randint(1, 1000), subscribe=True)
        await world.clock.sleep(1.1)
        assert fake.announced("test") == [True, True]

    play(version, script, hosts=1)


def test_F19_a_wish_that_is_gone_is_not_announced_again(version: str) -> None:
    """Nor one for a peer that is gone."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        subscription = await sub(ps, "test")
        fake = FakePeer(world)
        await fake.connect(ps)
        await world.settle()
        ps.retry_announcement(fake.peer_id, "test", 500, subscribe=True)
        ps.retry_announcement(key_of("nobody").peer_id, "test", 500, subscribe=True)
        await subscription.cancel()
        await world.clock.sleep(1)
        assert fake.announced("test") == [True, False]

    play(version, script, hosts=1)


def test_F19_an_announcement_to_a_full_queue_is_tried_until_there_is_room(version: str) -> None:
    """A peer that does not read hears of the topic once it does."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        fake = FakePeer(world)
        fake.is_reading = False
        await fake.connect(ps)
        await world.clock.sleep(0.1)
        for number in range(80):
            await sub(ps, f"t{number}")
        await world.clock.sleep(3)
        assert fake.announced("t79") == []
        fake.resume()
        await world.clock.sleep(3)
        assert [fake.announced(f"t{number}") for number in range(80)] == [[True]] * 80

    world = play(version, script, hosts=1)
    assert any(event.kind == "drop_rpc" for event in world.trace)


def test_F20_assorted_options(version: str) -> None:
    """Another message id, a short queue, the default author and a blacklist of one's own do not get in the way."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        subscriptions = await sub_all(world.pubsubs)
        await world.clock.sleep(1)
        for number, ps in enumerate(world.pubsubs):
            data = b"message %d" % number
            assert await pub(ps, data) == hashlib.sha256(data).digest()
            for subscription in subscriptions:
                await receive(subscription, data)

    play(
        version,
        script,
        params=HostParams(outbound_queue_size=10),
        options=lambda number: HostOptions(message_id=sha256, blacklist=MapBlacklist()),
    )


def test_F21_invalid_message_author(version: str) -> None:
    """An author whose key the host does not have is refused when the host is made."""

    async def main() -> None:
        async with World(1, version=version, options=HostOptions(author=PeerId(b"bogotr0n"))):
            pass

    with pytest.raises(OptionConflict, match="author=b'bogotr0n' cannot be used with policy="):
        run(main(), clock="virtual")


def test_F22_preconnected_nodes(version: str) -> None:
    """Hosts connected before one of them had a node find each other; one then publishes when the other is there."""

    async def script(world: World) -> None:
        first = add_node(world, version, rendezvous=NoDiscovery())
        bare = world.network.add_host(key_of("late").peer_id)
        await bare.connect(first.peer_id)
        second = add_node(world, version, host=bare, name="late", rendezvous=NoDiscovery())
        topics = [await handle(ps, "test") for ps in (first, second)]
        for number in range(2):
            subscription = await topics[1].subscribe()
            async with asyncio.timeout(10):
                await topics[0].publish(b"%d" % number, ready=min_topic_size(1))
                await receive(subscription, b"%d" % number)
            await subscription.cancel()
            await world.settle()

    play(version, script, hosts=1)


def test_F23_dedup_inbound_streams(version: str) -> None:
    """Of three streams of one peer the newest stays."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        fake = FakePeer(world)
        await fake.connect(ps)
        closed: list[int] = []
        streams = []
        for number in range(3):
            streams.append(await fake.open(ps, lambda number=number: closed.append(number)))  # type: ignore[misc]
            await world.clock.sleep(0.1)
        assert closed == [0, 1]
        assert list(ps._core.peer_streams._inbound) == [fake.peer_id]

    play(version, script, hosts=1)


def test_two_hosts_that_share_nothing_receive_in_order_of_publication(version: str) -> None:
    """Messages of one publisher keep their order along every path of a dense world."""

    async def script(world: World) -> None:
        subscriptions = await sub_all(world.pubsubs)
        await meet(world)
        for number in range(20):
            await pub(world.pubsubs[0], b"%d" % number)
        await world.settle()
        for subscription in subscriptions:
            messages: list[Message] = [await subscription.next() for _ in range(subscription.pending)]
            assert [int(message.data) for message in messages] == list(range(20))

    play(version, script, hosts=5)
