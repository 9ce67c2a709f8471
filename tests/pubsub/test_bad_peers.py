"""A host stays up whatever a peer sends it: it goes on relaying, and both versions do the same."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pubsub_sim import GossipsubParams, HostOptions, HostParams, World
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.params import FLOODSUB_ID, GOSSIPSUB_ID_V11, GOSSIPSUB_ID_V12
from pubsub_sim.protocol.subscription_filter import RegexpFilter
from pubsub_sim.wire.codec import encode_subscriptions
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.signing import KeyPair
from pubsub_sim.world.trace import TraceEvent
from tests.conftest import VERSIONS
from tests.pubsub.hostile import LIMIT_BYTES, NO_UTF8, TOPIC, Attacker, frames, message, signed
from tests.pubsub.test_gossipsub_scored import SCORED
from tests.pubsub.worlds import connect, play, receive, subscriptions

SEED = 1
IDS = [KeyPair(hashlib.sha256(f"{SEED}/key/{number}".encode()).digest()).peer_id for number in range(3)]  # a world's
SPOKEN = {"floodsub": FLOODSUB_ID, "gossipsub": GOSSIPSUB_ID_V12, "scored": GOSSIPSUB_ID_V12}
GOSSIP = GossipsubParams(max_message_bytes=LIMIT_BYTES, idontwant=True, idontwant_threshold_bytes=10, do_px=True)
PARAMS: dict[str, HostParams] = {
    "floodsub": HostParams(max_message_bytes=LIMIT_BYTES),
    "gossipsub": GOSSIP,
    "scored": replace(GOSSIP, score=SCORED.score, thresholds=SCORED.thresholds, gater=SCORED.gater),
}

routers = pytest.mark.parametrize("router", ["floodsub", "gossipsub", "scored"])


def attacked(version: str, router: str, said: list[bytes], sign: str = "strict") -> list[TraceEvent]:
    """What happened in a chain of three hosts, of which the one in the middle was told all this.

    In the end the first host publishes, and the last must receive it.
    """
    trace: list[TraceEvent] = []
    made = "gossipsub" if router == "scored" else router

    async def script(world: World) -> None:
        nonlocal trace
        trace = world.trace
        assert world.peer_ids == IDS
        topics = [await ps.join(TOPIC) for ps in world.pubsubs]
        read = [await topic.subscribe(buffer=1000) for topic in topics]
        await connect(world, (0, 1), (1, 2))
        attacker = Attacker(world, world.pubsubs[1], SPOKEN[router])
        await attacker.connect(world.pubsubs[1])
        await world.clock.sleep(1)
        for frame in said:
            await attacker.say(frame)
            await world.clock.sleep(0.01)  # lest a reset take the frames after it along
        await world.clock.sleep(2)
        await topics[0].publish(b"honest")
        async with asyncio.timeout(5):
            while (await read[2].next()).data != b"honest":
                pass

    play(version, script, hosts=3, seed=SEED, router=made, sign=sign, params=PARAMS[router])
    return trace


@routers
@given(said=st.lists(frames(IDS), min_size=8, max_size=16), sign=st.sampled_from(["strict", "none", "lax"]))
@example(said=[NO_UTF8], sign="strict")
@settings(max_examples=20)
def test_a_host_that_is_told_anything_still_relays_and_both_versions_do_the_same(
    router: str, said: list[bytes], sign: str
) -> None:
    """No frame raises out of a turn (the world would), and none is handled differently."""
    baseline, states = (attacked(version, router, said, sign) for version in VERSIONS)
    assert baseline == states


@pytest.mark.parametrize("filtered", [False, True])
def test_a_topic_name_that_is_no_text_is_nobodys(version: str, filtered: bool) -> None:
    """It is passed over, in subscriptions and in control messages; filters are asked about texts only."""
    asked: list[object] = []

    def allows(peer: PeerId, topic: str) -> bool:
        asked.append(topic)
        return topic.isprintable()

    async def script(world: World) -> None:
        (topic,) = [await ps.join(TOPIC) for ps in world.pubsubs]
        await topic.subscribe()
        attacker = Attacker(world, world.pubsubs[0], GOSSIPSUB_ID_V12)
        await attacker.connect(world.pubsubs[0])
        await attacker.say(NO_UTF8)
        await attacker.say(RPC(subscriptions=[RPC.SubOpts(subscribe=True, topicid=TOPIC)]).SerializeToString())
        await world.clock.sleep(1)
        assert list(world.pubsubs[0]._core.topics) == [TOPIC]

    options = HostOptions(subscription_filter=RegexpFilter("^foo") if filtered else None)
    router = GossipSub(GossipsubParams(idontwant=True), peer_filter=allows)
    play(version, script, hosts=1, router=lambda number, ids: router, options=options)
    assert set(asked) == {TOPIC}


def test_a_peer_that_lets_us_open_no_stream_leaves_nothing_behind(version: str) -> None:
    """Strangers come one after the other, announce, graft and go: they hold no place in the mesh and no topic.

    Their last RPC is handled after their end, and changes nothing either.
    """

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        topic = await ps.join(TOPIC)
        await topic.subscribe()
        events = await topic.events()
        rpc = RPC(subscriptions=[RPC.SubOpts(subscribe=True, topicid=name) for name in (TOPIC, "nobody's")])
        rpc.control.graft.add().topic_id = TOPIC
        for number in range(20):
            stranger = Attacker(world, ps, GOSSIPSUB_ID_V11, name=f"stranger {number}")
            stranger.refuse_streams()
            await stranger.connect(ps)
            await stranger.say(rpc.SerializeToString())
            if number % 2:
                await world.clock.sleep(0.1)
                assert ps.router.mesh[TOPIC] == (stranger.peer_id,)
                joined = await anext(events)
                assert (joined.peer, joined.joined) == (stranger.peer_id, True)
            world.network.disconnect(stranger.peer_id, ps.peer_id)
            await world.clock.sleep(0.1)
            assert ps.router.mesh[TOPIC] == ()
            assert ps._core.topics == {}
            if number % 2:
                left = await anext(events)
                assert (left.peer, left.joined) == (stranger.peer_id, False)

    play(version, script, hosts=1, router="gossipsub")


def test_P02_a_topic_that_its_last_peer_leaves_is_forgotten(version: str) -> None:
    """One RPC leaves two topics, of which one has another peer."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        one, other = (Attacker(world, ps, FLOODSUB_ID, name=name) for name in ("one", "other"))
        for peer, names in ((one, ("a", "b")), (other, ("b",))):
            await peer.connect(ps)
            await peer.say(subscriptions(*names))
        await world.settle()
        assert ps._core.topics == {"a": {one.peer_id: None}, "b": {one.peer_id: None, other.peer_id: None}}
        await one.say(encode_subscriptions(["a", "b"], subscribe=False))
        await world.settle()
        assert ps._core.topics == {"b": {other.peer_id: None}}

    play(version, script, hosts=1)


def test_P05_an_rpc_that_outlives_its_peer_leaves_nothing_behind(version: str) -> None:
    """The peer ends our stream and refuses another, then announces a topic on its own, and disconnects."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        peer = Attacker(world, ps, GOSSIPSUB_ID_V11)
        await peer.connect(ps)
        await peer.say(subscriptions("before"))
        await world.clock.sleep(0.5)
        assert ps._core.topics == {"before": {peer.peer_id: None}}
        peer.refuse_streams()
        peer.inbound[-1].reset()
        await world.clock.sleep(1)
        assert await ps.list_peers() == []
        assert ps._core.topics == {}
        await peer.say(subscriptions("after"))
        await world.clock.sleep(0.5)
        assert ps._core.topics == {"after": {peer.peer_id: None}}
        world.network.disconnect(peer.peer_id, ps.peer_id)
        await world.clock.sleep(1)
        assert await ps.list_peers() == []
        assert ps._core.topics == {}

    play(version, script, hosts=1, router="gossipsub")


@pytest.mark.parametrize("bad", [b"\xff", bytes(LIMIT_BYTES + 1)], ids=["malformed", "too large"])
def test_nothing_is_read_after_a_bad_frame(version: str, bad: bytes) -> None:
    """The stream is reset, and what follows on it is lost, even if the peer has closed it by then."""

    async def script(world: World) -> None:
        (topic,) = [await ps.join(TOPIC) for ps in world.pubsubs]
        subscription = await topic.subscribe()
        attacker = Attacker(world, world.pubsubs[0], FLOODSUB_ID)
        await attacker.connect(world.pubsubs[0])
        for number, hangs_up in enumerate((True, False)):
            await attacker.say(bad)
            await attacker.say(RPC(publish=[signed(message(number))]).SerializeToString())
            if hangs_up:
                attacker.hang_up()
            await world.settle()
            assert subscription.pending == 0
        assert attacker.resets == 1
        await attacker.say(RPC(publish=[signed(message(2))]).SerializeToString())
        await receive(subscription, b"hostile 2")

    play(version, script, hosts=1, params=PARAMS["floodsub"])
