"""Gossipsub in whole worlds, against both versions: the reference's tests of the router, by their numbers."""

from __future__ import annotations

import asyncio

import pytest

from pubsub_sim import GossipsubParams, World, min_topic_size
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.floodsub import FloodSub
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.router import Router
from pubsub_sim.protocol.tracing import RawTracer
from pubsub_sim.wire.message import Message
from tests.pubsub.gossip_worlds import (
    DENSE,
    SPARSE,
    connect_some,
    join_all,
    mesh_of,
    meshed_world,
    play,
    receive,
    rounds,
    subscribe,
)


@pytest.mark.parametrize("dials", [SPARSE, DENSE], ids=["GS03 sparse", "GS04 dense"])
def test_GS03_GS04_every_message_reaches_every_host(version: str, dials: int) -> None:
    """A hundred messages of random hosts, one after the other."""

    async def script(world: World) -> None:
        topics, subscriptions = await meshed_world(world, dials)
        await rounds(topics, subscriptions, 100)

    play(version, script)


def test_GS05_a_host_that_does_not_subscribe_publishes_to_its_fanout(version: str) -> None:
    """And takes part like the others once it does."""

    async def script(world: World) -> None:
        topics = await join_all(world)
        subscriptions = await subscribe(topics[1:])
        await connect_some(world, range(20), DENSE)
        await world.clock.sleep(2)
        await rounds(topics[:1], subscriptions, 100)
        assert 0 < len(world.pubsubs[0].router.fanout["foobar"]) <= 6
        subscriptions += await subscribe(topics[:1])
        await world.clock.sleep(1)
        assert world.pubsubs[0].router.fanout == {}
        await rounds(topics[:1], subscriptions, 100)

    play(version, script)


def test_GS06_a_fanout_is_kept_up_when_its_members_leave_and_return(version: str) -> None:
    async def script(world: World) -> None:
        topics = await join_all(world)
        subscriptions = await subscribe(topics[1:])
        await connect_some(world, range(20), DENSE)
        await world.clock.sleep(2)
        await rounds(topics[:1], subscriptions, 100)
        for subscription in subscriptions:
            await subscription.cancel()
        await world.clock.sleep(2)
        subscriptions = await subscribe(topics[1:])
        await world.clock.sleep(2)
        await rounds(topics[:1], subscriptions, 100)

    play(version, script)


def test_GS07_a_fanout_expires(version: str) -> None:
    """A second after the last publish, as the parameter says."""

    async def script(world: World) -> None:
        topics = await join_all(world)
        subscriptions = await subscribe(topics[1:])
        await connect_some(world, range(10), DENSE)
        await world.clock.sleep(2)
        await rounds(topics[:1], subscriptions, 5)
        assert world.pubsubs[0].router.fanout
        await world.clock.sleep(2)
        assert not world.pubsubs[0].router.fanout

    play(version, script, hosts=10, params=GossipsubParams(fanout_ttl_s=1.0))


def test_GS08_gossip_beside_messages_disturbs_nothing(version: str) -> None:
    """A hundred messages with pauses, so that there is something to gossip about."""

    async def script(world: World) -> None:
        topics, subscriptions = await meshed_world(world, DENSE)
        for _ in range(100):
            await rounds(topics, subscriptions, 1)
            await world.clock.sleep(0.1)
        await world.clock.sleep(2)
        assert all(subscription.pending == 0 for subscription in subscriptions)

    play(version, script)


def test_GS10_late_subscribers_get_messages_by_gossip(version: str) -> None:
    """They are told of what was published before they came, and ask for it."""

    async def script(world: World) -> None:
        topics = await join_all(world)
        early = await subscribe(topics[1:7])
        await connect_some(world, range(7), DENSE)
        await connect_some(world, [0, *range(7, 20)], DENSE)
        await world.clock.sleep(1)
        sent = [b"%d" % number for number in range(10)]
        for data in sent:
            await topics[0].publish(data)
            for subscription in early:
                await receive(subscription, data)
        await world.clock.sleep(0.1)
        for subscription in await subscribe(topics[7:]):
            async with asyncio.timeout(10):
                got = [(await subscription.next()).data for _ in sent]
            assert sorted(got) == sent

    play(version, script)


def test_GS11_hosts_that_leave_are_pruned(version: str) -> None:
    async def script(world: World) -> None:
        topics, subscriptions = await meshed_world(world, DENSE)
        for subscription in subscriptions[:5]:
            await subscription.cancel()
        await world.clock.sleep(0.1)
        assert all(not set(mesh_of(world, host)) & set(range(5)) for host in range(5, 20))
        await rounds(topics, subscriptions[5:], 10)

    play(version, script)


def test_GS13_hosts_that_subscribe_one_by_one_are_grafted(version: str) -> None:
    async def script(world: World) -> None:
        await connect_some(world, range(20), SPARSE)
        await world.clock.sleep(1)
        topics = await join_all(world)
        subscriptions = []
        for topic in topics:
            subscriptions += await subscribe([topic])
            await world.clock.sleep(0.1)
        await world.clock.sleep(1)
        await rounds(topics, subscriptions, 100)

    play(version, script)


def test_GS14_closed_hosts_are_forgotten(version: str) -> None:
    async def script(world: World) -> None:
        topics, subscriptions = await meshed_world(world, DENSE)
        for ps in world.pubsubs[:5]:
            await ps.close()
        await world.clock.sleep(1)
        assert all(not set(mesh_of(world, host)) & set(range(5)) for host in range(5, 20))
        await rounds(topics[5:], subscriptions[5:], 10)

    play(version, script)


def test_GS15_grafts_that_found_no_room_are_tried_again(version: str) -> None:
    """More topics than an outbound queue has places: what was refused is kept and sent later."""

    async def script(world: World) -> None:
        await connect_some(world, range(10), DENSE)
        names = [f"topic {number}" for number in range(35)]
        topics = {name: await join_all(world, name) for name in names}
        subscriptions = {name: await subscribe(topics[name]) for name in names}
        await world.clock.sleep(5)
        for number, name in enumerate(names):
            await topics[name][number % 10].publish(b"%d" % number)
            for subscription in subscriptions[name]:
                await receive(subscription, b"%d" % number)

    play(version, script, hosts=10)


def test_GS16_control_messages_get_through_a_flood(version: str) -> None:
    """While one host floods a topic as fast as it can, others are subscribed; two seconds later each is meshed.

    With 500 messages; the reference's 10 000 take many times as long.
    """

    async def script(world: World) -> None:
        background = await join_all(world, "flood")
        await subscribe(background)
        await connect_some(world, range(20), DENSE)
        await world.clock.sleep(2)

        async def flood() -> None:
            for number in range(500):
                await background[0].publish(b"%d" % number)

        flooding = asyncio.create_task(flood())
        names = [f"topic {number}" for number in range(5)]
        topics = {name: await join_all(world, name) for name in names}
        subscriptions = {name: await subscribe(topics[name]) for name in names}
        await flooding
        await world.clock.sleep(2)
        for number, name in enumerate(names):
            await topics[name][number].publish(b"%d" % number)
            for subscription in subscriptions[name]:
                await receive(subscription, b"%d" % number)

    play(version, script, trace=False)


def test_GS17_flooding_and_gossiping_hosts_understand_each_other(version: str) -> None:
    def router(number: int, ids: object) -> Router:
        return GossipSub() if number < 20 else FloodSub()

    async def script(world: World) -> None:
        topics, subscriptions = await meshed_world(world, SPARSE)
        await rounds(topics, subscriptions, 100)

    play(version, script, hosts=30, router=router)


def test_GS18_a_message_crosses_a_chain(version: str) -> None:
    async def script(world: World) -> None:
        for host in range(5):
            await world.connect(host, host + 1)
        topics = await join_all(world)
        subscriptions = await subscribe(topics[1:])
        await world.clock.sleep(2)
        await topics[0].publish(b"i like cats")
        await receive(subscriptions[-1], b"i like cats")

    play(version, script, hosts=6)


def test_GS19_a_message_crosses_a_tree(version: str) -> None:
    async def script(world: World) -> None:
        for a, b in [(0, 1), (1, 2), (1, 4), (2, 3), (0, 5), (5, 6), (5, 8), (6, 7), (8, 9)]:
            await world.connect(a, b)
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await world.clock.sleep(2)
        for publisher in (9, 3):
            await topics[publisher].publish(b"%d" % publisher)
            for subscription in subscriptions:
                await receive(subscription, b"%d" % publisher)

    play(version, script, hosts=10)


def test_a_publish_waits_for_the_mesh(version: str) -> None:
    """Readiness asks the router, whose peers count once they are in the mesh."""

    async def script(world: World) -> None:
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await connect_some(world, range(20), DENSE)
        await topics[0].publish(b"x", ready=min_topic_size(5))
        for subscription in subscriptions:
            await receive(subscription, b"x")

    play(version, script)


def test_discovery_fills_meshes(version: str) -> None:
    """With a rendezvous, hosts find each other until their meshes are large enough."""

    async def script(world: World) -> None:
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await topics[0].publish(b"x", ready=min_topic_size(5))
        for subscription in subscriptions:
            await receive(subscription, b"x")

    play(version, script, discovery=True)


GOSSIPY = {
    "GossipSub v1.1": {"params": GossipsubParams(do_px=True)},
    "GossipSub v1.2": {"params": GossipsubParams(idontwant=True, idontwant_threshold_bytes=1, cuts_at_d_hi=True)},
    "RandomSub": {"router": "randomsub"},
}


@pytest.mark.parametrize("options", GOSSIPY.values(), ids=GOSSIPY)
def test_both_versions_see_the_same_in_the_same_order(options: dict[str, object]) -> None:
    """RPCs with their bytes, grafts, prunes, deliveries: host by host, with their virtual times."""
    seen = []

    async def script(world: World) -> None:
        topics, subscriptions = await meshed_world(world, SPARSE)
        await rounds(topics, subscriptions, 20)
        await subscriptions[3].cancel()
        await world.disconnect(0, 1)
        await world.clock.sleep(2)
        await topics[3].publish(b"to the fanout")
        await world.clock.sleep(2)
        seen.append([[event for event in world.trace if event.host == host] for host in range(10)])

    for version in ("baseline", "states"):
        play(version, script, hosts=10, **options)  # type: ignore[arg-type] # options of World
    assert seen[0] == seen[1]
    assert sum(map(len, seen[0])) > 1000


def test_who_scores_peers_is_told_what_other_peers_bring(version: str) -> None:
    """The hooks reach a scoring that is a tracer, beside the world's trace; own messages are kept from it."""

    class Listening(RawTracer):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def score(self, peer: PeerId) -> float:
            return 0.0

        def add_penalty(self, peer: PeerId, count: int) -> None:
            raise AssertionError("nobody misbehaves")

        def graft(self, peer: PeerId, topic: str) -> None:
            self.heard.append("graft")

        def deliver_message(self, message: Message) -> None:
            self.heard.append(f"deliver {message.data.decode()}")

    scorings = [Listening(), Listening()]

    async def script(world: World) -> None:
        topics = await join_all(world)
        await subscribe(topics)
        await world.connect(0, 1)
        await world.clock.sleep(2)
        for number, topic in enumerate(topics):
            await topic.publish(b"%d" % number)
            await world.settle()

    world = play(version, script, hosts=2, router=lambda number, ids: GossipSub(scoring=scorings[number]))
    assert [scoring.heard for scoring in scorings] == [["graft", "deliver 1"], ["graft", "deliver 0"]]
    assert sum(event.kind == "deliver_message" for event in world.trace) == 4


def test_a_failing_heartbeat_ends_the_host(version: str) -> None:
    """An error in the router's own time is nobody's to catch: the world reports it."""

    class Broken(GossipSub):
        def heartbeat(self) -> None:
            raise ZeroDivisionError("heartbeat")

    async def script(world: World) -> None:
        await subscribe(await join_all(world))
        await world.connect(0, 1)
        await world.clock.sleep(2)

    with pytest.raises(ZeroDivisionError):
        play(version, script, hosts=2, router=lambda number, ids: GossipSub() if number else Broken())


def test_parameters_of_another_router_are_refused() -> None:
    with pytest.raises(ValueError, match="params: expected HostParams for this router, got GossipsubParams"):
        World(2, router="floodsub", params=GossipsubParams())
