"""Who is in a gossipsub mesh, fanout or neither, against both versions: the reference's tests, by their numbers."""

from __future__ import annotations

import pytest

from pubsub_sim import GossipsubParams, PeerScoreThresholds, World
from pubsub_sim.errors import OnlyGossipsub
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.gossipsub import GossipSub
from tests.pubsub.gossip_worlds import (
    BOOTSTRAPPER,
    DENSE,
    connect_some,
    connect_star,
    join_all,
    mesh_of,
    meshed_world,
    play,
    receive,
    rounds,
    scored_by,
    subscribe,
)


def test_meshes_have_the_degrees_of_the_parameters_and_are_mutual() -> None:
    """Between Dlo and Dhi, and each member has us in its mesh."""

    async def script(world: World) -> None:
        await meshed_world(world, DENSE)
        await world.clock.sleep(3)
        meshes = [mesh_of(world, host) for host in range(20)]
        assert all(5 <= len(mesh) <= 12 for mesh in meshes)
        assert all(host in meshes[member] for host, mesh in enumerate(meshes) for member in mesh)

    play("baseline", script)


def test_GS12_a_pruned_peer_is_not_grafted_until_its_backoff_is_over(version: str) -> None:
    """A host everybody comes to despise: who had it in the mesh has a back-off of PruneBackoff for it."""
    despised: list[PeerId] = []
    params = GossipsubParams(
        heartbeat_initial_delay_s=0.01,
        heartbeat_interval_s=0.1,
        score=scored_by(lambda peer: -1000.0 * (peer in despised)),
    )

    async def script(world: World) -> None:
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await world.connect_all()
        await world.clock.sleep(1)
        despised.append(world.peer_ids[0])
        before_ns = world.clock.now_ns()
        await world.clock.sleep(1)
        expiries = [ps.router.backoff.get("foobar", {}).get(world.peer_ids[0]) for ps in world.pubsubs[1:]]  # type: ignore[attr-defined] # a view of gossipsub's own
        assert expiries.count(None) < 5
        assert all(expiry is None or expiry <= before_ns + 61_000_000_000 for expiry in expiries)
        assert not any(0 in mesh_of(world, host) for host in range(1, 10))
        await rounds(topics[1:], subscriptions[1:], 10)

    play(version, script, hosts=10, params=params)


def star_params(number: int) -> GossipsubParams:
    """A centre that keeps no mesh, and leaves with small ones."""
    leaf = GossipsubParams(d=4, d_hi=5, d_lo=3, d_score=3, do_px=True, flood_publish=True)
    return leaf if number else BOOTSTRAPPER


def test_GS20_a_star_becomes_a_mesh_by_peer_exchange(version: str) -> None:
    """The centre prunes everybody and offers others: in the end nobody has one connection only."""

    async def script(world: World) -> None:
        await connect_star(world)
        await world.clock.sleep(1)
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await world.clock.sleep(10)
        for ps in world.pubsubs:
            assert len(await ps.list_peers()) > 1
        for number, topic in enumerate(topics):
            await topic.publish(b"%d" % number)
            for subscription in subscriptions:
                await receive(subscription, b"%d" % number)

    play(version, script, params=star_params)


def test_GS22_direct_peers_are_connected_and_connected_again(version: str) -> None:
    params = GossipsubParams(direct_connect_ticks=2)
    direct = {0: [], 1: [2], 2: [1]}

    async def script(world: World) -> None:
        await world.connect(0, 1)
        await world.connect(0, 2)
        await world.clock.sleep(2)
        assert world.peer_ids[2] in await world.pubsubs[1].list_peers()
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await world.clock.sleep(1)
        await rounds(topics, subscriptions, 3)
        await world.disconnect(1, 2)
        await world.clock.sleep(5)
        assert world.peer_ids[2] in await world.pubsubs[1].list_peers()
        await rounds(topics, subscriptions, 3)
        assert [mesh_of(world, host) for host in (1, 2)] == [[0], [0]]

    play(
        version,
        script,
        hosts=3,
        router=lambda number, ids: GossipSub(params, direct=[ids[other] for other in direct[number]]),
    )


def test_GS23_direct_peers_come_and_go(version: str) -> None:
    """Hosts 1 and 2 find each other once they are direct on both sides; later they are peers like others."""

    async def script(world: World) -> None:
        one, two = world.pubsubs[1:]
        await world.connect(0, 1)
        await world.connect(0, 2)
        await world.clock.sleep(3)
        assert two.peer_id not in await one.list_peers()
        await one.add_direct_peer(two.peer_id)
        await two.add_direct_peer(one.peer_id)
        await world.clock.sleep(3)
        assert two.peer_id in await one.list_peers()
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await world.clock.sleep(1)
        assert [mesh_of(world, host) for host in (1, 2)] == [[0], [0]]
        await rounds(topics, subscriptions, 3)
        await one.remove_direct_peer(two.peer_id)
        await two.remove_direct_peer(one.peer_id)
        await world.clock.sleep(2)
        assert [sorted(mesh_of(world, host)) for host in (1, 2)] == [[0, 2], [0, 1]]
        await rounds(topics, subscriptions, 3)

    play(version, script, hosts=3, params=GossipsubParams(direct_connect_ticks=2))


def test_only_gossipsub_has_direct_peers(version: str) -> None:
    async def script(world: World) -> None:
        one, two = world.pubsubs
        for call in (one.add_direct_peer, one.remove_direct_peer):
            with pytest.raises(OnlyGossipsub, match="direct_peer: the router is not gossipsub"):
                await call(two.peer_id)

    play(version, script, hosts=2, router="floodsub")


def test_GS24_a_peer_filter_keeps_peers_out(version: str) -> None:
    """Hosts 0 and 1 accept each other only; 2 accepts anybody, and hears nothing."""
    accepted = {0: [1], 1: [0], 2: [0, 1]}

    async def script(world: World) -> None:
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await world.connect(0, 1)
        await world.connect(0, 2)
        await world.clock.sleep(1)
        await rounds(topics[:2], subscriptions[:2], 10)
        await world.clock.sleep(2)
        assert subscriptions[2].pending == 0

    play(
        version,
        script,
        hosts=3,
        router=lambda number, ids: GossipSub(
            peer_filter=lambda peer, topic: peer in [ids[other] for other in accepted[number]]
        ),
    )


def test_GS25_direct_peers_are_in_no_fanout_and_no_mesh(version: str) -> None:
    direct = {0: [], 1: [2], 2: [1]}

    async def script(world: World) -> None:
        await world.connect(0, 1)
        await world.connect(0, 2)
        await world.connect(1, 2)
        topics = await join_all(world)
        subscriptions = await subscribe(topics[:2])
        await world.clock.sleep(1)
        await rounds(topics[2:], subscriptions, 3)
        assert world.pubsubs[2].router.fanout["foobar"] == (world.peer_ids[0],)
        await subscribe(topics[2:])
        await world.clock.sleep(2)
        assert mesh_of(world, 2) == [0]

    play(
        version, script, hosts=3, router=lambda number, ids: GossipSub(direct=[ids[other] for other in direct[number]])
    )


def test_GS26_flood_publish_reaches_more_than_the_mesh(version: str) -> None:
    """From the centre of a star whose mesh holds twelve, each of twenty hosts gets the message."""

    async def script(world: World) -> None:
        await connect_star(world)
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await world.clock.sleep(1)
        for number in range(20):
            await topics[0].publish(b"%d" % number)
            for subscription in subscriptions:
                await receive(subscription, b"%d" % number)

    play(version, script, params=GossipsubParams(flood_publish=True))


def test_GS27_enough_peers_means_a_filled_mesh(version: str) -> None:
    async def script(world: World) -> None:
        await subscribe(await join_all(world))
        assert not any(ps.router.has_enough_peers("foobar", 0) for ps in world.pubsubs)
        await connect_some(world, range(20), DENSE)
        await world.clock.sleep(3)
        assert all(ps.router.has_enough_peers("foobar", 0) for ps in world.pubsubs)

    play(version, script)


def test_GS28_other_parameters_make_other_meshes() -> None:
    async def script(world: World) -> None:
        await meshed_world(world, DENSE)
        await world.clock.sleep(3)
        assert all(2 <= len(mesh_of(world, host)) <= 4 for host in range(20))

    play("baseline", script, params=GossipsubParams(d=3, d_lo=2, d_hi=4, d_out=1, d_score=2))


def test_GS29_nothing_is_exchanged_with_a_peer_of_negative_score(version: str) -> None:
    thresholds = PeerScoreThresholds(gossip_threshold=-10, publish_threshold=-100, graylist_threshold=-10_000)

    despised: list[PeerId] = []
    params = GossipsubParams(score=scored_by(lambda peer: -1000.0 * (peer in despised)), thresholds=thresholds)

    async def script(world: World) -> None:
        despised.append(world.peer_ids[0])
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await connect_some(world, range(20), DENSE)
        await world.clock.sleep(3)
        for number, topic in enumerate(topics):
            await topic.publish(b"%d" % number)
            await world.clock.sleep(0.02)
        await world.clock.sleep(2)
        got = [[(await s.next()).data for _ in range(s.pending)] for s in subscriptions]
        assert got[0] == [b"0"]
        assert all(b"0" not in data and len(data) == 19 for data in got[1:])

    play(version, script, params=params)


def test_GS34_leaving_a_topic_sets_the_short_backoff_on_both_sides(version: str) -> None:
    async def script(world: World) -> None:
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await world.connect(0, 1)
        await world.clock.sleep(2)
        assert [mesh_of(world, host) for host in (0, 1)] == [[1], [0]]
        await subscriptions[0].cancel()
        left_ns = world.clock.now_ns()
        await world.clock.sleep(0.1)
        for ps, other in zip(world.pubsubs, reversed(world.peer_ids), strict=True):
            expiry_ns = ps.router.backoff["foobar"][other]  # type: ignore[attr-defined] # a view of gossipsub's own
            assert abs(expiry_ns - left_ns - 10_000_000_000) < 1_000_000_000

    play(version, script, hosts=2)


def test_GS35_a_peer_with_a_backoff_is_not_grafted_by_a_join(version: str) -> None:
    """The mesh was pruned by leaving; joining again within the back-off takes only the other peer."""

    async def script(world: World) -> None:
        topics = await join_all(world)
        await world.connect(0, 1)
        await world.connect(0, 2)
        first = await subscribe(topics[:2])
        await world.clock.sleep(1.5)
        assert mesh_of(world, 0) == [1]
        await first[0].cancel()
        await world.clock.sleep(0.5)
        await subscribe([topics[2], topics[0]])
        await world.clock.sleep(1)
        assert mesh_of(world, 0) == [2]

    play(version, script, hosts=3)


def test_GS52_a_full_mesh_is_cut_to_D_by_the_rule_of_2026(version: str) -> None:
    """Eight leaves graft the centre of a star, whose Dhi is eight."""

    async def script(world: World) -> None:
        await connect_star(world)
        await subscribe(await join_all(world))
        await world.clock.sleep(2.1)
        assert len(mesh_of(world, 0)) == 6

    play(version, script, hosts=9, params=GossipsubParams(d_hi=8, cuts_at_d_hi=True))
