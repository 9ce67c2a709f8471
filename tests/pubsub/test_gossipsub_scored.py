"""Gossipsub with real scores, promises and gater, against both versions: the reference's tests, by their numbers."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pubsub_sim import GossipsubParams, World
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.gater import PeerGater, PeerGaterParams
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.promises import Promises
from pubsub_sim.protocol.router import Router, RouterTimer
from pubsub_sim.protocol.score import PeerScore
from pubsub_sim.protocol.score_params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from pubsub_sim.protocol.validation import Verdict
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from tests.pubsub.gossip_worlds import FakePeer, join_all, play, subscribe

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


class Scored:
    """Makes the routers of a world, with everything that judges peers."""

    def __init__(self, params: GossipsubParams | None = None) -> None:
        self.world: World
        self._params = params or GossipsubParams()

    def __call__(self, number: int, peer_ids: Sequence[PeerId]) -> Router:
        rng = random.Random(number)
        score = PeerScore(PEER, now_ns=self._now_ns)
        return GossipSub(
            self._params,
            scoring=score,
            thresholds=THRESHOLDS,
            promises=Promises(now_ns=self._now_ns, rng=rng, followup_s=self._params.iwant_followup_s),
            gater=PeerGater(PeerGaterParams(), now_ns=self._now_ns, rng=rng),
            timers=[RouterTimer(first_s=1.0, every_s=1.0, action=lambda: score.refresh(self._now_ns()))],
        )

    def _now_ns(self) -> int:
        return self.world.clock.now_ns()


def scores_of(world: World, host: int) -> list[float]:
    """What a host thinks of the others, by number."""
    scores = world.pubsubs[host].router.scores
    return [scores.get(peer, 0.0) for peer in world.peer_ids]


def test_GS30_an_ignored_message_costs_nothing_and_a_rejected_one_does(version: str) -> None:
    scored = Scored()

    async def script(world: World) -> None:
        scored.world = world
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

    play(version, script, hosts=3, router=scored)


def test_GS36_who_delivers_first_is_scored_for_it(version: str) -> None:
    """Twenty messages of two hosts in turn: each has ten first deliveries of the other."""
    scored = Scored()

    async def script(world: World) -> None:
        scored.world = world
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

    play(version, script, hosts=2, router=scored)


def test_A02_an_offer_that_is_not_kept_costs_after_the_follow_up_time(version: str) -> None:
    scored = Scored()

    async def script(world: World) -> None:
        scored.world = world
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

    play(version, script, hosts=1, router=scored)


def test_A05_a_peer_that_sends_invalid_messages_is_pruned(version: str) -> None:
    """A hundred messages without signature: rejected, scored, and out of the mesh at the next heartbeat."""
    scored = Scored()

    async def script(world: World) -> None:
        scored.world = world
        await subscribe(await join_all(world))
        fake = FakePeer(world)
        await fake.connect(0)
        fake.subscribe()
        fake.graft()
        await world.clock.sleep(0.1)
        assert world.pubsubs[0].router.mesh["foobar"] == (fake.peer_id,)
        for number in range(100):
            seqno = number.to_bytes(8, "big")
            fake.send(RPC(publish=[WireMessage(author=fake.peer_id, data=b"x", topic="foobar", seqno=seqno)]))
        await world.clock.sleep(0.2)
        assert world.pubsubs[0].router.scores[fake.peer_id] < 0
        await world.clock.sleep(1)
        assert fake.prunes == 1
        assert world.pubsubs[0].router.mesh["foobar"] == ()

    world = play(version, script, hosts=1, router=scored, sign="strict")
    assert any(event.kind == "reject_message" and event.detail == "missing signature" for event in world.trace)


def test_GS33_honest_peers_are_grafted_among_squatters() -> None:
    """Ten hosts among forty that take places in their meshes and deliver nothing: each has three honest members."""
    scored = Scored(
        GossipsubParams(
            prune_backoff_s=0.5, graft_flood_threshold_s=0.1, opportunistic_graft_ticks=2, heartbeat_interval_s=1.0
        )
    )

    async def script(world: World) -> None:
        scored.world = world
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

    play("baseline", script, hosts=10, router=scored, trace=False)
