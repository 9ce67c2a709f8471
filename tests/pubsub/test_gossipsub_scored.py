"""Gossipsub hosts that judge their peers, against both versions: the reference's tests with scores, by their numbers."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from pubsub_sim import (
    GossipsubParams,
    HostOptions,
    MessageRejected,
    OptionConflict,
    OptionError,
    PeerGaterParams,
    World,
)
from pubsub_sim.errors import OnlyGossipsub, ScoringDisabled, TopicClosed
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.floodsub import FloodSub
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.router import Acceptance, Router, RouterTimer
from pubsub_sim.protocol.score_params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from pubsub_sim.protocol.validation import Verdict
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.world.trace import TraceEvent
from tests.protocol.bench import Gate
from tests.pubsub.gossip_worlds import BOOTSTRAPPER, FakePeer, connect_some, connect_star, join_all, play, subscribe

TOPIC = TopicScoreParams(
    topic_weight=1,
    time_in_mesh_quantum_s=1.0,
    first_message_deliveries_weight=1,
    first_message_deliveries_decay=0.9999,
    first_message_deliveries_cap=1000,
    invalid_message_deliveries_weight=-1,
    invalid_message_deliveries_decay=0.9999,
)
PEER = PeerScoreParams(
    topics={"foobar": TOPIC},
    app_specific_score=lambda peer: 0.0,
    app_specific_weight=1,
    behaviour_penalty_weight=-1,
    behaviour_penalty_decay=0.9999,
)
THRESHOLDS = PeerScoreThresholds(
    gossip_threshold=-10, publish_threshold=-100, graylist_threshold=-1000, opportunistic_graft_threshold=500
)
SCORED = GossipsubParams(score=PEER, thresholds=THRESHOLDS, gater=PeerGaterParams())


def scores_of(world: World, host: int) -> list[float]:
    """What a host thinks of the others, by number."""
    scores = world.pubsubs[host].router.scores
    return [scores.get(peer, 0.0) for peer in world.peer_ids]


def unsigned(author: PeerId, number: int) -> RPC:
    """A message no strict host believes."""
    return RPC(publish=[WireMessage(author=author, data=b"x", topic="foobar", seqno=number.to_bytes(8, "big"))])


def test_GS30_an_ignored_message_costs_nothing_and_a_rejected_one_does(version: str) -> None:
    async def script(world: World) -> None:
        topics = await join_all(world)
        (subscription,) = await subscribe(topics[:1])
        await world.connect(0, 1)
        await world.connect(0, 2)
        await world.clock.sleep(1)

        def judge(peer: PeerId, message: Message) -> Verdict:
            return Verdict.IGNORE if peer == world.peer_ids[1] else Verdict.REJECT

        await world.pubsubs[0].register_validator("foobar", judge, inline=True)
        for topic in topics[1:]:
            await topic.publish(b"x")
        await world.clock.sleep(0.1)
        assert subscription.pending == 0
        assert scores_of(world, 0)[1] == 0
        assert scores_of(world, 0)[2] < 0

    play(version, script, hosts=3, params=SCORED)


def test_GS36_who_delivers_first_is_scored_for_it(version: str) -> None:
    """Twenty messages of two hosts in turn: each has ten first deliveries of the other."""

    async def script(world: World) -> None:
        topics = await join_all(world)
        await subscribe(topics)
        await world.connect(0, 1)
        await world.clock.sleep(1)
        for number in range(20):
            await topics[number % 2].publish(b"%d" % number)
            await world.clock.sleep(0.02)
        await world.clock.sleep(1)
        assert scores_of(world, 0)[1] >= 9
        assert scores_of(world, 1)[0] >= 9

    play(version, script, hosts=2, params=SCORED)


def test_A02_an_offer_that_is_not_kept_costs_after_the_follow_up_time(version: str) -> None:
    async def script(world: World) -> None:
        await subscribe(await join_all(world))
        fake = FakePeer(world)
        await fake.connect(0)
        fake.subscribe()
        rpc = RPC()
        rpc.control.ihave.add(topic_id="foobar", message_ids=[b"never sent"])
        await world.clock.sleep(0.2)
        fake.send(rpc)
        await world.clock.sleep(1)
        assert fake.wanted == [b"never sent"]
        assert world.pubsubs[0].router.scores[fake.peer_id] == 0
        await world.clock.sleep(9)
        assert world.pubsubs[0].router.scores[fake.peer_id] < 0

    play(version, script, hosts=1, params=SCORED)


def test_A05_a_peer_that_sends_invalid_messages_is_pruned(version: str) -> None:
    """A hundred messages without signature: rejected, scored, and out of the mesh at the next heartbeat."""

    async def script(world: World) -> None:
        await subscribe(await join_all(world))
        fake = FakePeer(world)
        await fake.connect(0)
        fake.subscribe()
        fake.graft()
        await world.clock.sleep(0.1)
        assert world.pubsubs[0].router.mesh["foobar"] == (fake.peer_id,)
        for number in range(100):
            fake.send(unsigned(fake.peer_id, number))
        await world.clock.sleep(0.2)
        assert world.pubsubs[0].router.scores[fake.peer_id] < 0
        await world.clock.sleep(1)
        assert fake.prunes == 1
        assert world.pubsubs[0].router.mesh["foobar"] == ()

    world = play(version, script, hosts=1, params=SCORED, sign="strict")
    assert any(event.kind == "reject_message" and event.detail == "missing signature" for event in world.trace)


def test_GS33_honest_peers_are_grafted_among_squatters() -> None:
    """Ten hosts among forty that take places in their meshes and deliver nothing: each has three honest members."""
    params = replace(SCORED, prune_backoff_s=0.5, graft_flood_threshold_s=0.1, opportunistic_graft_ticks=2)

    async def script(world: World) -> None:
        rng = random.Random(3)
        topics = await join_all(world)
        await subscribe(topics)
        squatters = [FakePeer(world, b"squatter %d" % number) for number in range(40)]
        for squatter in squatters:
            for host in rng.sample(range(10), 3):
                await squatter.connect(host)
                squatter.subscribe()
                squatter.graft()
        await world.clock.sleep(1)
        await world.connect_all()
        for number in range(1000):
            await topics[number % 10].publish(b"%d" % number)
            await world.clock.sleep(0.02)
        await world.clock.sleep(7)
        honest = set(world.peer_ids)
        meshes = [ps.router.mesh["foobar"] for ps in world.pubsubs]
        assert all(sum(peer in honest for peer in mesh) >= 3 for mesh in meshes)
        assert any(len(mesh) > sum(peer in honest for peer in mesh) for mesh in meshes)

    play("baseline", script, hosts=10, params=params, trace=False)


def test_A02_what_one_asked_for_and_got_costs_nothing(version: str) -> None:
    """Messages with ids of the host's own making are what was promised under these ids."""

    def payload(wire: WireMessage) -> bytes:
        return b"id of " + wire.data

    async def script(world: World) -> None:
        await subscribe(await join_all(world))
        fake = FakePeer(world)
        await fake.connect(0)
        fake.subscribe()
        rpc = RPC()
        rpc.control.ihave.add(topic_id="foobar", message_ids=[b"id of x"])
        await world.clock.sleep(0.2)
        fake.send(rpc)
        await world.clock.sleep(1)
        assert fake.wanted == [b"id of x"]
        fake.send(RPC(publish=[WireMessage(author=fake.peer_id, data=b"x", topic="foobar", seqno=bytes(8))]))
        await world.clock.sleep(9)
        assert world.pubsubs[0].router.scores[fake.peer_id] >= 0

    play(version, script, hosts=1, params=SCORED, options=HostOptions(message_id=payload))


def test_GS39_other_parameters_of_a_topic_apply_to_what_was_counted(version: str) -> None:
    """A hundred invalid messages, squared, weigh ten times as much from the next turn on."""
    lenient = replace(SCORED, thresholds=replace(THRESHOLDS, graylist_threshold=-1e9))

    async def script(world: World) -> None:
        (topic,) = await join_all(world)
        await subscribe([topic])
        fake = FakePeer(world)
        await fake.connect(0)
        await world.clock.sleep(0.1)
        for number in range(100):
            fake.send(unsigned(fake.peer_id, number))
        await world.clock.sleep(0.5)
        assert world.pubsubs[0].router.scores[fake.peer_id] == -10_000
        await topic.set_score_params(replace(TOPIC, invalid_message_deliveries_weight=-10))
        assert world.pubsubs[0].router.scores[fake.peer_id] == -100_000

    play(version, script, hosts=1, params=lenient, sign="strict")


def test_a_topic_without_parameters_is_scored_once_it_has_some(version: str) -> None:
    async def script(world: World) -> None:
        topics = await join_all(world, "another")
        await subscribe(topics)
        await world.connect(0, 1)
        await world.clock.sleep(1)
        await topics[1].publish(b"x")
        await world.clock.sleep(0.1)
        assert scores_of(world, 0)[1] == 0
        await topics[0].set_score_params(TOPIC)
        await topics[1].publish(b"y")
        await world.clock.sleep(0.1)
        assert scores_of(world, 0)[1] == 1

    play(version, script, hosts=2, params=SCORED)


def test_score_parameters_that_cannot_be_taken_are_refused_with_the_reason(version: str) -> None:
    """No parameters at all, a closed handle, a host that does not score, a router that cannot."""

    async def script(world: World) -> None:
        topics = await join_all(world)
        with pytest.raises(OptionError, match="params: expected TopicScoreParams, got None"):
            await topics[0].set_score_params(None)  # type: ignore[arg-type] # what is tested
        with pytest.raises(OnlyGossipsub, match="set_score_params: the router is not gossipsub"):
            await topics[0].set_score_params(TOPIC)
        with pytest.raises(ScoringDisabled, match="foobar: peer scoring is not enabled"):
            await topics[1].set_score_params(TOPIC)
        await topics[1].close()
        with pytest.raises(TopicClosed):
            await topics[1].set_score_params(TOPIC)

    def router(number: int, ids: object) -> Router:
        return GossipSub() if number else FloodSub()

    play(version, script, hosts=2, router=router)


def test_counters_decay_and_bad_scores_are_remembered_by_the_hosts_clock(version: str) -> None:
    """Once a second, to nine tenths; a peer that left is forgotten when its time is over, and not before."""
    params = replace(
        SCORED,
        score=replace(
            PEER, topics={"foobar": replace(TOPIC, invalid_message_deliveries_decay=0.9)}, retain_score_s=10.0
        ),
    )

    async def script(world: World) -> None:
        await subscribe(await join_all(world))
        fake = FakePeer(world)
        await fake.connect(0)
        await world.clock.sleep(0.1)
        fake.send(unsigned(fake.peer_id, 0))
        await world.clock.sleep(0.4)
        router = world.pubsubs[0].router
        assert isinstance(router, GossipSub)
        assert router.score_details[fake.peer_id].topics["foobar"].invalid_message_deliveries == 1
        await world.clock.sleep(2)
        assert router.score_details[fake.peer_id].score == pytest.approx(-(0.9**4))
        world.network.disconnect(fake.peer_id, world.peer_ids[0])
        await world.clock.sleep(9.4)
        assert router.score_details[fake.peer_id].score == pytest.approx(-(0.9**4))
        assert not router.score_details[fake.peer_id].is_connected
        await world.clock.sleep(2)
        assert router.score_details == {}

    play(version, script, hosts=1, params=params, sign="strict")


def test_hosts_behind_one_address_share_the_suspicion(version: str) -> None:
    """Three of four hosts have one address between them: each is one of two too many. By default nobody shares one."""
    params = replace(
        SCORED, score=replace(PEER, ip_colocation_factor_weight=-1, ip_colocation_factor_threshold=1), gater=None
    )

    async def script(world: World) -> None:
        await world.connect_all()
        await world.settle()
        seen.append(scores_of(world, 0)[1:])

    seen: list[list[float]] = []
    play(version, script, hosts=4, params=params, addresses=lambda n: "192.0.2.1" if n else "192.0.2.2")
    play(version, script, hosts=4, params=params)
    assert seen == [[-4, -4, -4], [0, 0, 0]]


def test_a_host_that_loses_messages_gates_those_who_send_in_vain(version: str) -> None:
    """One message is under validation for long, one place is free, many are lost: who sent them is throttled."""
    params = GossipsubParams(gater=PeerGaterParams(), validate_queue_size=1, validate_throttle=1)

    async def script(world: World) -> None:
        await subscribe(await join_all(world))
        fake, good = FakePeer(world), FakePeer(world, b"good")
        for peer in (fake, good):
            await peer.connect(0)

        async def slow(peer: PeerId, message: Message) -> Verdict:
            await world.clock.sleep(1)
            return Verdict.REJECT

        await world.pubsubs[0].register_validator("foobar", slow)
        for number in range(200):
            fake.send(unsigned(fake.peer_id, number))
            await world.clock.sleep(0.05)
        throttled = [event.peer for event in world.trace if event.kind == "throttle_peer"]
        assert len(throttled) > 10
        assert set(throttled) == {fake.peer_id}
        good.send(unsigned(good.peer_id, 0))
        await world.clock.sleep(0.01)
        assert world.trace[-1].kind in ("validate_message", "reject_message")

    play(version, script, hosts=1, params=params, sign="lax-none")


@pytest.mark.parametrize("version_of_trace", ["baseline", "states"])
def test_TR01_a_world_is_traced_from_publish_to_prune(version_of_trace: str) -> None:
    """A star with peer exchange and scores, where every seventh message is refused: each kind of event is there."""
    leaf = replace(SCORED, d=4, d_hi=5, d_lo=3, d_score=3, do_px=True, flood_publish=True)
    centre = replace(BOOTSTRAPPER, score=PEER, thresholds=THRESHOLDS)

    async def script(world: World) -> None:
        for ps in world.pubsubs:
            await ps.register_validator("foobar", lambda peer, message: message.data != b"invalid!", inline=True)
        await connect_star(world)
        await world.clock.sleep(1)
        topics = await join_all(world)
        subscriptions = await subscribe(topics)
        await world.clock.sleep(3)
        for number, topic in enumerate(topics):
            if number % 7 == 0:
                with pytest.raises(MessageRejected):
                    await topic.publish(b"invalid!")
            else:
                await topic.publish(b"%d" % number)
            await world.clock.sleep(0.02)
        for subscription in subscriptions:
            await subscription.cancel()
        await world.clock.sleep(1)

    world = play(version_of_trace, script, params=lambda number: leaf if number else centre)
    kinds = {event.kind for event in world.trace}
    assert kinds >= {"publish_message", "reject_message", "duplicate_message", "deliver_message", "add_peer"}
    assert kinds >= {"recv_rpc", "send_rpc", "join", "leave", "graft", "prune"}


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"score": 1}, "score: expected a PeerScoreParams, or nothing, got 1"),
        ({"gater": "yes"}, "gater: expected a PeerGaterParams, or nothing, got 'yes'"),
        ({"score": PEER, "thresholds": {}}, "thresholds: expected a PeerScoreThresholds, or nothing, got {}"),
        ({"thresholds": THRESHOLDS}, "thresholds: expected no thresholds without score"),
    ],
)
def test_options_that_judge_nobody_are_refused(options: dict[str, object], refusal: str) -> None:
    with pytest.raises(OptionError, match=refusal):
        GossipsubParams(**options)  # type: ignore[arg-type] # what is tested


def test_who_scores_is_said_once() -> None:
    """By the parameters or by an object of one's own."""
    with pytest.raises(OptionConflict) as gater:
        GossipSub(SCORED, gater=Gate(Acceptance.ALL))
    with pytest.raises(OptionConflict) as timers:
        GossipSub(SCORED, timers=[RouterTimer(first_s=1.0, every_s=None, action=lambda: None)])
    assert [(caught.value.option, caught.value.other) for caught in (gater, timers)] == [
        ("gater", "params"),
        ("timers", "params"),
    ]


def test_a_router_of_ones_own_making_judges_by_its_parameters_too(version: str) -> None:
    """Scores beside what no parameter says: who is direct."""

    async def script(world: World) -> None:
        topics = await join_all(world)
        await subscribe(topics)
        await world.connect(0, 1)
        await world.clock.sleep(1)
        await topics[1].publish(b"x")
        await world.clock.sleep(0.1)
        assert scores_of(world, 0)[1] == 1

    play(version, script, hosts=2, router=lambda number, ids: GossipSub(SCORED, direct=[ids[1 - number]]))


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="addresses: expected an IPv4 or IPv6 address, got 'next door'"):
        World(2, addresses=lambda number: "next door")


def test_both_versions_judge_alike() -> None:
    """Scores to the last digit, with everything that judges in use; every tenth message is refused by half of the hosts."""
    params = replace(
        SCORED,
        score=replace(PEER, ip_colocation_factor_weight=-0.1, ip_colocation_factor_threshold=1),
        gater=PeerGaterParams(threshold=0.01),
        validate_queue_size=2,
        idontwant=True,
        idontwant_threshold_bytes=1,
    )

    async def script(world: World) -> None:
        rng = random.Random(5)
        topics = await join_all(world)
        await subscribe(topics)
        await connect_some(world, range(8), 3)
        for number, ps in enumerate(world.pubsubs[4:]):
            await ps.register_validator("foobar", lambda peer, message: message.data[-1:] != b"7", inline=number > 1)
        for number in range(200):
            await rng.choice(topics[:4]).publish(b"%d" % number)
            await world.clock.sleep(0.01)
        await world.clock.sleep(5)
        seen.append([ps.router.scores for ps in world.pubsubs])
        traces.append(list(world.trace))

    seen: list[list[Mapping[PeerId, float]]] = []
    traces: list[list[TraceEvent]] = []
    for version in ("baseline", "states"):
        play(version, script, hosts=8, params=params, addresses=lambda number: f"192.0.2.{number % 3}")
    assert seen[0] == seen[1]
    assert traces[0] == traces[1]
    assert len({score for scores in seen[0] for score in scores.values()}) > 10
