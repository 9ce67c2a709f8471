"""What a gossipsub host lets a single peer do to it: the reference's attacks, by their numbers, and IDONTWANT.

The peer is no pubsub host; it says what the test has it say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pubsub_sim import GossipsubParams, PeerScoreParams, PeerScoreThresholds, World
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.params import GOSSIPSUB_ID_V11, GOSSIPSUB_ID_V12
from pubsub_sim.wire.rpc_pb2 import RPC, Message
from tests.pubsub.gossip_worlds import FakePeer, join_all, play, subscribe

V12 = GossipsubParams(idontwant=True, idontwant_threshold_bytes=16)


def id_of(message: Message) -> bytes:
    return message.author + message.seqno


def ihave(ids: Sequence[bytes], topic: str = "foobar") -> RPC:
    rpc = RPC()
    rpc.control.ihave.add(topic_id=topic, message_ids=ids)
    return rpc


def iwant(ids: Sequence[bytes]) -> RPC:
    rpc = RPC()
    rpc.control.iwant.add(message_ids=ids)
    return rpc


def idontwant(ids: Sequence[bytes]) -> RPC:
    rpc = RPC()
    rpc.control.idontwant.add(message_ids=ids)
    return rpc


async def meet(world: World, fake: FakePeer, host: int = 0, *, grafts: bool = True) -> None:
    """The fake peer connects, subscribes and grafts."""
    await fake.connect(host)
    fake.subscribe()
    if grafts:
        fake.graft()
    await world.clock.sleep(0.05)


def test_A01_a_message_is_given_to_one_who_asks_three_times(version: str) -> None:
    """The peer answers each copy by asking for it: it gets the first and three more."""

    async def script(world: World) -> None:
        fake = FakePeer(world)
        (topic,) = await join_all(world)
        await subscribe([topic])
        await meet(world, fake)
        fake.answer = lambda rpc: [fake.send(iwant([id_of(m)])) for m in rpc.publish] and None
        await topic.publish(b"x")
        await world.clock.sleep(1)
        assert fake.data == [b"x"] * 4

    play(version, script, hosts=1)


def test_A02_what_is_asked_for_in_one_heartbeat_is_bounded(version: str) -> None:
    """Of fifteen thousand offers, ten are looked at; of one offer of six thousand ids, five thousand are asked for."""

    async def script(world: World) -> None:
        fake = FakePeer(world)
        await subscribe(await join_all(world))
        await meet(world, fake, grafts=False)
        await world.clock.sleep(0.06)  # the first heartbeat is over
        for number in range(15_000):
            fake.send(ihave([b"id %d" % number]))
        await world.clock.sleep(0.5)
        assert len(fake.wanted) == 10
        await world.clock.sleep(1)
        fake.send(ihave([b"many %d" % number for number in range(6000)]))
        fake.send(ihave([b"one more"]))
        await world.clock.sleep(0.1)
        assert len(fake.wanted) == 5010
        assert b"one more" not in fake.wanted

    play(version, script, hosts=1)


def test_A03_a_graft_for_a_topic_we_do_not_have_is_not_answered(version: str) -> None:
    async def script(world: World) -> None:
        fake = FakePeer(world)
        await subscribe(await join_all(world))
        await fake.connect(0)
        fake.graft("no such topic")
        await world.clock.sleep(0.1)
        assert fake.prunes == 0
        assert "no such topic" not in world.pubsubs[0].router.mesh

    play(version, script, hosts=1)


def test_A04_grafting_during_the_backoff_costs_more_each_time_until_nothing_is_heard(version: str) -> None:
    params = GossipsubParams(
        prune_backoff_s=0.2,
        graft_flood_threshold_s=0.1,
        score=PeerScoreParams(
            app_specific_score=lambda peer: 0.0, behaviour_penalty_weight=-100, behaviour_penalty_decay=0.9999
        ),
        thresholds=PeerScoreThresholds(gossip_threshold=-100, publish_threshold=-500, graylist_threshold=-1000),
    )

    async def script(world: World) -> None:
        fake = FakePeer(world, protocol=GOSSIPSUB_ID_V11)
        await subscribe(await join_all(world))
        await meet(world, fake)
        assert world.pubsubs[0].router.mesh["foobar"] == (fake.peer_id,)
        assert fake.prunes == 0
        fake.prune()
        await world.clock.sleep(0.12)
        scores = []
        for _ in range(3):
            fake.graft()
            await world.clock.sleep(0.02)
            scores.append(world.pubsubs[0].router.scores[fake.peer_id])
        assert fake.prunes == 3
        assert 0 > scores[0] > scores[1] > scores[2]
        assert scores[2] < -1000
        await world.clock.sleep(0.3)
        fake.graft()
        await world.clock.sleep(0.05)
        assert fake.prunes == 3
        assert world.pubsubs[0].router.mesh["foobar"] == ()

    play(version, script, hosts=1, params=params)


def test_GS40_large_answers_are_cut_to_what_a_stream_carries(version: str) -> None:
    """A peer that is in no mesh and asks for everything it is told of gets everything, in RPCs of at most 1 MiB."""

    async def script(world: World) -> None:
        fake = FakePeer(world)
        (topic,) = await join_all(world)
        await subscribe([topic])
        told: dict[bytes, None] = {}

        def answer(rpc: RPC) -> None:
            if rpc.control.graft:
                fake.prune()
            for offer in rpc.control.ihave:
                new = [i for i in offer.message_ids if i not in told]
                told.update(dict.fromkeys(new))
                if new:
                    fake.send(iwant(new))

        fake.answer = answer
        await meet(world, fake, grafts=False)
        await world.clock.sleep(2)
        count, size = 1000, 20_000
        for number in range(count):
            await topic.publish(number.to_bytes(4, "big").ljust(size, b"."))
            await world.clock.sleep(0.02)
        await world.clock.sleep(5)
        assert len(set(fake.data)) == count
        assert len(told) == count
        with_messages = [rpc for rpc in fake.received if rpc.publish]
        assert len(with_messages) >= count * size // 2**20
        assert max(rpc.ByteSize() for rpc in with_messages) <= 2**20

    play(version, script, hosts=1, trace=False)


# --- IDONTWANT (v1.2) --------------------------------------------------------------------------------------------


def test_GS43_large_messages_are_refused_elsewhere_before_they_are_validated(version: str) -> None:
    """A middle host with a slow validator tells its mesh at once which copies it does not need."""

    async def script(world: World) -> None:
        fake = FakePeer(world, protocol=GOSSIPSUB_ID_V12)
        topics = await join_all(world)
        await subscribe(topics)
        await world.connect(0, 1)
        await meet(world, fake, host=1)
        await world.clock.sleep(2)

        async def slow(peer: PeerId, message: object) -> bool:
            await asyncio.sleep(0.1)
            return True

        await world.pubsubs[1].register_validator("foobar", slow)
        sent = [await topics[0].publish(b"%016d" % number) for number in range(10)]
        await world.clock.sleep(0.05)
        assert sorted(fake.refused) == sorted(sent)
        assert fake.data == []
        await world.clock.sleep(0.1)
        assert len(fake.data) == 10

    play(version, script, hosts=2, params=V12)


def test_GS44_GS51_a_message_that_a_peer_refused_is_not_sent_to_it(version: str) -> None:
    """Until, four heartbeats later, the refusal has lapsed."""

    async def script(world: World) -> None:
        fake = FakePeer(world, protocol=GOSSIPSUB_ID_V12)
        topics = await join_all(world)
        await subscribe(topics)
        await meet(world, fake)
        other = FakePeer(world, b"other", GOSSIPSUB_ID_V12)
        await meet(world, other)
        refused, lapsed, wanted = (
            Message(author=other.peer_id, seqno=bytes(7) + bytes([n]), data=b"%d" % n, topic="foobar") for n in range(3)
        )
        fake.send(idontwant([id_of(refused), id_of(lapsed)]))
        await world.clock.sleep(0.1)
        other.send(RPC(publish=[refused, wanted]))
        await world.clock.sleep(0.1)
        assert fake.data == [b"2"]
        await world.clock.sleep(4)
        other.send(RPC(publish=[lapsed]))
        await world.clock.sleep(0.1)
        assert fake.data == [b"2", b"1"]

    play(version, script, hosts=1, params=V12)


def test_GS45_GS47_GS48_GS49_who_is_not_told(version: str) -> None:
    """Not the sender, not a peer of v1.1, not one outside the mesh, and nobody of small messages."""

    async def script(world: World) -> None:
        await subscribe(await join_all(world))
        sender, older, outside, member = (
            FakePeer(world, name, protocol)
            for name, protocol in [
                (b"sender", GOSSIPSUB_ID_V12),
                (b"older", GOSSIPSUB_ID_V11),
                (b"outside", GOSSIPSUB_ID_V12),
                (b"member", GOSSIPSUB_ID_V12),
            ]
        )
        for fake in (sender, older, member):
            await meet(world, fake)
        await outside.connect(0)
        outside.subscribe()
        outside.answer = lambda rpc: outside.prune() if rpc.control.graft else None
        await world.clock.sleep(2)
        large, small = (
            Message(author=sender.peer_id, seqno=bytes(8) + data[:1], data=data, topic="foobar")
            for data in (b"large".ljust(16), b"small")
        )
        sender.send(RPC(publish=[large, small]))
        await world.clock.sleep(0.1)
        assert [fake.refused for fake in (sender, older, outside, member)] == [[], [], [], [id_of(large)]]

    play(version, script, hosts=1, params=V12)


def test_GS46_a_published_message_is_refused_before_it_is_sent(version: str) -> None:
    async def script(world: World) -> None:
        fake = FakePeer(world, protocol=GOSSIPSUB_ID_V12)
        (topic,) = await join_all(world)
        await subscribe([topic])
        await meet(world, fake)
        message_id = await topic.publish(b"large".ljust(16))
        await world.clock.sleep(0.1)
        kinds = [
            "refusal" if rpc.control.idontwant else "message"
            for rpc in fake.received
            if rpc.control.idontwant or rpc.publish
        ]
        assert kinds == ["refusal", "message"]
        assert fake.refused == [message_id]

    play(version, script, hosts=1, params=V12)


def test_GS50_a_peer_that_refused_a_message_does_not_get_it_by_asking_either(version: str) -> None:
    async def script(world: World) -> None:
        fake = FakePeer(world, protocol=GOSSIPSUB_ID_V12)
        (topic,) = await join_all(world)
        await subscribe([topic])
        await meet(world, fake, grafts=False)
        fake.answer = lambda rpc: fake.prune() if rpc.control.graft else None
        await world.clock.sleep(2)
        message_id = await topic.publish(b"x")
        fake.send(idontwant([message_id]))
        await world.clock.sleep(1.5)
        assert any(message_id in offer.message_ids for rpc in fake.received for offer in rpc.control.ihave)
        fake.send(iwant([message_id]))
        await world.clock.sleep(0.1)
        assert fake.data == []

    play(version, script, hosts=1, params=V12)


def test_A06_A07_refusals_are_bounded_per_heartbeat_and_rpc(version: str) -> None:
    """Ten ids of one RPC are heeded; a thousand RPCs in a heartbeat; the next heartbeat begins anew."""

    async def script(world: World) -> None:
        fake = FakePeer(world, protocol=GOSSIPSUB_ID_V12)
        other = FakePeer(world, b"other", GOSSIPSUB_ID_V12)
        await subscribe(await join_all(world))
        await meet(world, fake)
        await meet(world, other)
        await world.clock.sleep(0.05)  # the first heartbeat is over
        messages = [
            Message(author=other.peer_id, seqno=n.to_bytes(8, "big"), data=b"%d" % n, topic="foobar") for n in range(13)
        ]
        fake.send(idontwant([id_of(m) for m in messages[:11]]))
        for _ in range(999):
            fake.send(idontwant([b"another"]))
        fake.send(idontwant([id_of(messages[11])]))
        await world.clock.sleep(0.2)
        other.send(RPC(publish=messages[:12]))
        await world.clock.sleep(0.2)
        assert fake.data == [b"10", b"11"]
        await world.clock.sleep(1)
        fake.send(idontwant([id_of(messages[12])]))
        await world.clock.sleep(0.1)
        other.send(RPC(publish=messages[12:]))
        await world.clock.sleep(0.1)
        assert fake.data == [b"10", b"11"]

    play(version, script, hosts=1, params=V12)


def test_A08_refusals_are_forgotten_with_their_peer(version: str) -> None:

    async def script(world: World) -> None:
        fake = FakePeer(world, protocol=GOSSIPSUB_ID_V12)
        (topic,) = await join_all(world)
        await subscribe([topic])
        await meet(world, fake)
        router = world.pubsubs[0].router
        assert isinstance(router, GossipSub)
        fake.send(idontwant([b"one", b"two"]))
        await world.clock.sleep(0.1)
        assert list(router._gossip._unwanted) == [fake.peer_id]
        world.network.disconnect(fake.peer_id, world.peer_ids[0])
        await world.settle()
        assert router._gossip._unwanted == {}

    play(version, script, hosts=1, params=V12)
