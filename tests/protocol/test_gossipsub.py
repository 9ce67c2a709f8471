"""What gossipsub decides, one decision at a time, on ports that record: whom it hears, tells and sends to."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.floodsub import FloodSub
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.gossip_peers import Feature, features_of
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.params import (
    FLOODSUB_ID,
    GOSSIPSUB_ID_V10,
    GOSSIPSUB_ID_V11,
    GOSSIPSUB_ID_V12,
    RANDOMSUB_ID,
    HostParams,
)
from pubsub_sim.protocol.router import Acceptance
from pubsub_sim.protocol.score_params import PeerScoreParams, PeerScoreThresholds
from pubsub_sim.wire.rpc_pb2 import RPC, ControlGraft, ControlIHave, ControlMessage, ControlPrune, Message
from tests.protocol.bench import LOW, Bench, Gate, Ledger, Scores, bench_of, grafts, offers


def test_GS01_degrees_that_do_not_fit_are_refused_if_they_are_checked() -> None:
    with pytest.raises(OptionConflict, match="d_score=10 cannot be used with d_hi=1"):
        GossipsubParams(d_hi=1, d_score=10, checks_degrees=True)
    for unfit in ({"d": 13}, {"d": 4}, {"d_out": 5}, {"d_out": 3}):
        with pytest.raises(OptionError):
            GossipsubParams(**unfit, checks_degrees=True)
    GossipsubParams(d_hi=7, d_score=10)
    GossipsubParams(d_out=3)


@pytest.mark.parametrize(
    ("impossible", "message"),
    [
        ({"d": 13}, "d=13 cannot be used with d_hi=12"),
        ({"d": 4}, "d_lo=5 cannot be used with d=4"),
        ({"d_lo": 13}, "d_lo=13 cannot be used with d=6"),
        ({"d_out": 13}, "d_out=13 cannot be used with d_hi=12"),
        ({"prune_backoff_s": 86_401}, "prune_backoff_s: expected at most 86400 s, as no peer honours more, got 86401"),
        ({"unsubscribe_backoff_s": 1e6}, "unsubscribe_backoff_s: expected at most 86400 s, as no peer honours more"),
        ({"history_gossip": 6}, "history_gossip=6 cannot be used with history_length=5"),
        ({"thresholds": PeerScoreThresholds()}, "cannot be used with score=None"),
    ],
    ids=str,
)
def test_parameters_that_cannot_work_together_are_refused(impossible: dict[str, Any], message: str) -> None:
    """No mesh can have such degrees, and no peer such a back-off: each refusal says why."""
    with pytest.raises(OptionError, match=re.escape(message)):
        GossipsubParams(**impossible)


def test_what_a_router_cannot_do_beside_its_host_is_refused() -> None:
    """Two sets of thresholds, and an option of the host that only the router was given; equal ones are fine."""
    score = PeerScoreParams(skip_atomic_validation=True)
    with pytest.raises(OptionConflict, match=r"thresholds=.* cannot be used with params="):
        GossipSub(GossipsubParams(score=score, thresholds=PeerScoreThresholds()), thresholds=LOW)
    router = GossipSub(GossipsubParams(max_message_bytes=4096))
    with pytest.raises(OptionConflict, match=r"max_message_bytes=4096 cannot be used with .* of the host=1048576"):
        Bench(router)
    Bench(router, params=HostParams(max_message_bytes=4096))


def test_flooding_in_no_protocol_is_refused() -> None:
    """No peer could ever be spoken to; a text is not a list of its letters."""
    for protocols in ((), "/floodsub/1.0.0"):
        with pytest.raises(OptionError, match="protocols: expected protocol ids, at least one"):
            FloodSub(protocols)


def test_GS02_a_bootstrapper_keeps_no_mesh() -> None:
    """All degrees 0 are fine."""
    GossipsubParams(d=0, d_lo=0, d_hi=0, d_out=0, d_score=0, checks_degrees=True)


@pytest.mark.parametrize(
    "unusable",
    [
        {"d": -1},
        {"d": 2.5},
        {"gossip_factor": -0.1},
        {"gossip_factor": float("nan")},
        {"heartbeat_interval_s": 0},
        {"history_length": 2},
        {"flood_publish": 1},
        {"outbound_queue_size": 0},
        {"opportunistic_graft_ticks": 0},
    ],
    ids=str,
)
def test_a_parameter_that_cannot_be_used_is_named(unusable: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="|".join([*unusable, "history_gossip"])):
        GossipsubParams(**unusable)  # type: ignore[arg-type] # that is the point


@pytest.mark.parametrize(
    ("protocol", "features"),
    [
        (FLOODSUB_ID, Feature.NONE),
        (RANDOMSUB_ID, Feature.NONE),
        (GOSSIPSUB_ID_V10, Feature.MESH),
        ("/meshsub/1.1.0", Feature.MESH | Feature.PX),
        (GOSSIPSUB_ID_V12, Feature.MESH | Feature.PX | Feature.IDONTWANT),
    ],
)
def test_FT01_what_a_protocol_can_do(protocol: str, features: Feature) -> None:
    assert features_of(protocol) == features


def test_the_protocol_v12_is_spoken_only_if_wanted() -> None:
    assert GossipSub().protocols == ("/meshsub/1.1.0", "/meshsub/1.0.0", "/floodsub/1.0.0")
    assert GossipSub(GossipsubParams(idontwant=True)).protocols[0] == "/meshsub/1.2.0"


def test_GS31_pending_control_messages_that_still_hold_ride_on_the_next_rpc() -> None:
    """In t1's mesh: GRAFT t1 rides, PRUNE t1 does not. In t2's mesh nobody, of t3 no mesh: the PRUNEs ride."""
    router = GossipSub()
    bench = Bench(router)
    peer = bench.add_peer("p")
    for topic in ("t1", "t2"):
        bench.core.join(topic)
    bench.graft(peer, "t1")
    bench.outboxes[peer].is_full = True
    topics = ("t1", "t2", "t3")
    router._sender.send(
        peer,
        RPC(
            control=ControlMessage(
                graft=[ControlGraft(topic_id=topic) for topic in topics],
                prune=[ControlPrune(topic_id=topic) for topic in topics],
            )
        ),
    )
    bench.outboxes[peer].is_full = False
    bench.receive(peer, RPC(subscriptions=[RPC.SubOpts(subscribe=True, topicid="t1")]))
    bench.core.publish_message(bench.message("t1"))
    (rpc,) = bench.take(peer)
    assert len(rpc.publish) == 1
    assert [graft.topic_id for graft in rpc.control.graft] == ["t1"]
    assert [prune.topic_id for prune in rpc.control.prune] == ["t2", "t3"]


def test_a_refused_graft_is_sent_at_the_next_heartbeat() -> None:
    router = GossipSub()
    bench, (peer,) = bench_of(1, router)
    bench.outboxes[peer].is_full = True
    bench.core.join("t")
    bench.outboxes[peer].is_full = False
    assert bench.take(peer) == []
    router.heartbeat()
    assert grafts(bench.take(peer)) == ["t"]
    router.heartbeat()
    assert bench.take(peer) == []


def test_a_refused_offer_is_lost() -> None:
    router = GossipSub(GossipsubParams(d=0, d_lo=0, d_out=0))
    bench, (peer,) = bench_of(1, router)
    bench.core.join("t")
    bench.receive(peer, RPC(control=ControlMessage(prune=[ControlPrune(topic_id="t")])))
    bench.core.publish_message(bench.message("t"))
    bench.outboxes[peer].is_full = True
    router.heartbeat()
    bench.outboxes[peer].is_full = False
    for _ in range(3):
        router.heartbeat()
    offers = [list(have.message_ids) for rpc in bench.take(peer) for have in rpc.control.ihave]
    assert len(offers) == 2  # a message is gossiped about in three heartbeats, the first of which was refused


def test_grafts_of_all_lost_pieces_of_an_rpc_are_kept() -> None:
    """A full queue loses every piece of a large RPC: each graft in them is tried again."""
    topics = [f"topic {number:040}" for number in range(40)]
    router = GossipSub(GossipsubParams())
    bench = Bench(router, params=HostParams(max_message_bytes=1000))
    for topic in topics:
        router.join(topic)
    peer = bench.add_peer("peer", *topics)
    bench.outboxes[peer].is_full = True
    router.heartbeat()
    bench.outboxes[peer].is_full = False
    assert bench.take(peer) == []
    router.heartbeat()
    sent = bench.take(peer)
    assert len(sent) > 1
    assert sorted(grafts(sent)) == topics


def test_an_answer_that_is_too_large_is_sent_in_pieces() -> None:
    router = GossipSub()
    bench = Bench(router, params=HostParams(max_message_bytes=1000))
    peer = bench.add_peer("peer", "t")
    bench.core.join("t")
    bench.receive(peer, RPC(control=ControlMessage(prune=[ControlPrune(topic_id="t")])))
    messages = [bench.message("t", bytes([n]) * 300) for n in range(10)]
    for message in messages:
        bench.core.publish_message(message)
    rpc = RPC()
    rpc.control.iwant.add(message_ids=[message.id for message in messages])
    bench.take(peer)
    bench.receive(peer, rpc)
    pieces = bench.take(peer)
    assert [m.data for piece in pieces for m in piece.publish] == [message.data for message in messages]
    assert max(piece.ByteSize() for piece in pieces) <= 1000


@pytest.mark.parametrize(("peers", "told"), [(10, 4), (30, 6), (106, 25)])
def test_gossip_goes_to_a_quarter_of_those_outside_the_mesh_but_to_six_if_there_are(peers: int, told: int) -> None:
    router = GossipSub()
    bench, others = bench_of(peers, router)
    bench.core.join("t")
    message = bench.message("t")
    bench.core.publish_message(message)
    router.heartbeat()
    heard = offers(bench, others)
    assert len(heard) == told
    assert set(map(tuple, heard.values())) == {(message.id,)}
    assert not set(heard) & set(router.mesh["t"])


def test_nobody_is_told_of_nothing() -> None:
    router = GossipSub()
    bench, others = bench_of(30, router)
    bench.core.join("t")
    for peer in others:
        bench.take(peer)
    router.heartbeat()
    assert all(bench.take(peer) == [] for peer in others)


def test_a_long_offer_is_cut_differently_for_each_peer() -> None:
    router = GossipSub(GossipsubParams(max_ihave_length=10))
    bench, others = bench_of(12, router)
    bench.core.join("t")
    for _ in range(30):
        bench.core.publish_message(bench.message("t"))
    router.heartbeat()
    heard = offers(bench, others)
    assert [len(ids) for ids in heard.values()] == [10] * 6
    assert len(set(map(frozenset, heard.values()))) > 1


def test_gossip_of_several_topics_to_one_peer_leaves_in_one_rpc() -> None:
    router = GossipSub(GossipsubParams(d=0, d_lo=0, d_out=0))
    bench = Bench(router)
    bench.core.join("a")
    bench.core.join("b")
    peer = bench.add_peer("peer", "a", "b")
    for topic in ("a", "b"):
        bench.core.publish_message(bench.message(topic))
    bench.take(peer)
    router.heartbeat()
    (rpc,) = bench.take(peer)
    assert [have.topic_id for have in rpc.control.ihave] == ["a", "b"]


def test_only_what_is_new_is_asked_for_and_remembered_as_promised() -> None:
    promises = Ledger()
    router = GossipSub(promises=promises)
    bench, (peer,) = bench_of(1, router)
    bench.core.join("t")
    bench.take(peer)
    bench.core.mark_seen(b"seen")
    offered = [
        ControlIHave(topic_id="t", message_ids=[b"seen", b"new"]),
        ControlIHave(topic_id="u", message_ids=[b"u"]),
    ]
    bench.receive(peer, RPC(control=ControlMessage(ihave=offered)))
    (rpc,) = bench.take(peer)
    assert [list(iwant.message_ids) for iwant in rpc.control.iwant] == [[b"new"]]
    assert promises.made == [(peer, [b"new"])]


def test_a_message_goes_to_the_mesh_and_to_flooding_peers_once_each() -> None:
    router = GossipSub()
    bench, peers = bench_of(20, router)
    floods = bench.add_peer("floods", "t", protocol=FLOODSUB_ID)
    bench.core.join("t")
    for peer in peers:
        bench.take(peer)
    bench.core.publish_message(bench.message("t"))
    reached = [peer for peer in [*peers, floods] if bench.take(peer)]
    assert sorted(reached) == sorted([*router.mesh["t"], floods])


def test_below_the_graylist_threshold_only_subscriptions_are_heeded() -> None:
    bad, direct = PeerId(b"bad"), PeerId(b"direct")
    scoring = Scores({bad: -3, direct: -3})
    router = GossipSub(
        scoring=scoring,
        thresholds=PeerScoreThresholds(gossip_threshold=-1, publish_threshold=-1, graylist_threshold=-2),
        direct=[direct],
        gater=None,
    )
    bench = Bench(router)
    bench.core.join("t")
    bench.add_peer("bad", "t")
    bench.graft(bad, "t")
    assert bench.core.topics["t"] == {bad: None}
    assert bench.take(bad) == []
    assert router.accept_from(bad) is Acceptance.NONE
    assert router.accept_from(direct) is Acceptance.ALL


def test_a_throttled_peer_is_traced_and_its_messages_are_ignored() -> None:
    router = GossipSub(gater=Gate(Acceptance.CONTROL))
    bench = Bench(router)
    peer = bench.add_peer("peer", "t")
    bench.core.local_topics.record_relay("t")
    bench.core.join("t")
    bench.traced.clear()
    rpc = RPC(publish=[Message(data=b"x", topic="t", author=peer, seqno=bytes(8))])
    rpc.control.prune.add(topic_id="t")
    bench.receive(peer, rpc)
    assert bench.handed_over == []
    assert bench.traced == [("throttle", peer, ""), ("prune", peer, "t")]


def test_direct_peers_are_not_gossiped_to() -> None:
    direct = PeerId(b"direct")
    router = GossipSub(GossipsubParams(d=0, d_lo=0, d_out=0), direct=[direct])
    bench = Bench(router)
    bench.core.join("t")
    bench.add_peer("direct", "t")
    told = bench.add_peer("told", "t")
    bench.core.publish_message(bench.message("t"))
    router.heartbeat()
    assert list(offers(bench, [direct, told])) == [told]


def test_what_does_not_hold_any_more_leaves_no_trace_in_the_next_rpc() -> None:
    """A GRAFT for a mesh that was left since is dropped, and the message leaves without a control part."""
    router = GossipSub()
    bench, (peer,) = bench_of(1, router)
    bench.outboxes[peer].is_full = True
    bench.core.join("t")
    bench.core.blacklist_peer(PeerId(b"nobody"))
    router.heartbeat()  # still full: the GRAFT is kept
    router._mesh.meshes["t"].clear()
    bench.outboxes[peer].is_full = False
    router._sender.send(peer, RPC(publish=[bench.message("t").wire]))
    (rpc,) = bench.take(peer)
    assert not rpc.HasField("control")


def test_pending_gossip_takes_the_place_of_other_gossip_in_an_rpc() -> None:
    router = GossipSub()
    bench, (peer,) = bench_of(1, router)
    pending = RPC(control=ControlMessage(ihave=[ControlIHave(topic_id="t", message_ids=[b"pending"])]))
    router._sender.queue_gossip([peer], pending.SerializeToString())
    router._sender.send(peer, RPC(control=ControlMessage(ihave=[ControlIHave(topic_id="t", message_ids=[b"own"])])))
    (rpc,) = bench.take(peer)
    assert [list(have.message_ids) for have in rpc.control.ihave] == [[b"pending"]]


@pytest.mark.parametrize(
    ("meshed", "suggested", "is_enough"), [(4, 0, False), (5, 0, True), (5, 6, False), (11, 50, False), (12, 50, True)]
)
def test_GS27_a_mesh_is_enough_at_Dlo_or_as_suggested_and_always_at_Dhi(
    meshed: int, suggested: int, is_enough: bool
) -> None:
    router = GossipSub()
    bench = Bench(router)
    bench.core.join("t")
    for n in range(meshed):
        bench.graft(bench.add_peer(f"peer {n}", "t"), "t")
    assert router.has_enough_peers("t", suggested) is is_enough


@pytest.mark.parametrize("floods", [False, True], ids=["to flooding peers", "flood publish"])
def test_own_messages_are_not_flooded_below_the_publish_threshold(floods: bool) -> None:
    scoring = Scores()
    router = GossipSub(GossipsubParams(flood_publish=floods, d=0, d_lo=0, d_out=0), scoring=scoring, thresholds=LOW)
    bench = Bench(router)
    bench.core.join("t")
    protocol = GOSSIPSUB_ID_V11 if floods else FLOODSUB_ID
    good, bad = (bench.add_peer(name, "t", protocol=protocol) for name in ("good", "bad"))
    scoring.scores = {good: -10, bad: -11}
    bench.core.publish_message(bench.message("t"))
    assert [len(bench.take(peer)) for peer in (good, bad)] == [1, 0]
