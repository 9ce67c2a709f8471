"""Who is in a mesh or fanout, one decision at a time, on ports that record."""

from __future__ import annotations

import pytest

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.mesh import LONGEST_BACKOFF_S
from pubsub_sim.protocol.params import FLOODSUB_ID, GOSSIPSUB_ID_V10, GOSSIPSUB_ID_V11
from pubsub_sim.protocol.prune_backoff import PruneBackoff
from pubsub_sim.protocol.score import PeerScore
from pubsub_sim.protocol.score_params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from pubsub_sim.protocol.tracing import Tracers
from pubsub_sim.wire.rpc_pb2 import RPC, ControlMessage, ControlPrune
from tests.protocol.bench import LOW, OWN, Bench, Ledger, S, Scores, bench_of, grafts, prunes


def test_a_join_grafts_D_peers_and_tells_them() -> None:
    router = GossipSub()
    bench, peers = bench_of(20, router)
    bench.core.join("t")
    members = router.mesh["t"]
    assert len(members) == 6
    assert [peer for peer in peers if grafts(bench.take(peer)) == ["t"]] == sorted(members)
    assert bench.traced == [("graft", peer, "t") for peer in members]


def test_a_leave_prunes_with_the_short_backoff() -> None:
    router = GossipSub()
    bench, (peer,) = bench_of(1, router)
    bench.core.join("t")
    bench.take(peer)
    bench.core.leave("t")
    (prune,) = prunes(bench.take(peer))
    assert (prune.topic_id, prune.backoff, list(prune.peers)) == ("t", 10, [])
    assert router.backoff == {"t": {peer: 10 * S}}
    assert router.mesh == {}


def test_a_join_takes_over_the_fanout() -> None:
    """Its members first; the rest is chosen."""
    router = GossipSub()
    bench, _ = bench_of(3, router)
    bench.core.publish_message(bench.message("t"))
    fanout = router.fanout["t"]
    for name in "abcdef":
        bench.add_peer(name, "t")
    bench.core.join("t")
    assert router.fanout == {}
    assert set(fanout) < set(router.mesh["t"])
    assert len(router.mesh["t"]) == 6


def test_GS32_one_rpc_grafts_several_topics() -> None:
    router = GossipSub()
    bench = Bench(router)
    for topic in ("a", "b", "c"):
        bench.core.join(topic)
    peer = bench.add_peer("peer", "a", "b", "c")
    bench.graft(peer, "a", "b", "c")
    assert router.mesh == {"a": (peer,), "b": (peer,), "c": (peer,)}
    assert bench.take(peer) == []


def test_a_full_mesh_takes_only_peers_we_dialled() -> None:
    router = GossipSub()
    bench, peers = bench_of(12, router)
    bench.core.join("t")
    bench.graft(peers[0], "t")
    for peer in peers:
        bench.graft(peer, "t")
    stranger, dialled = bench.add_peer("stranger", "t"), bench.add_peer("dialled", "t", outbound=True)
    bench.graft(stranger, "t")
    bench.graft(dialled, "t")
    assert [p.backoff for p in prunes(bench.take(stranger))] == [60]
    assert prunes(bench.take(dialled)) == []
    assert len(router.mesh["t"]) == 13
    assert stranger not in router.mesh["t"]


@pytest.mark.parametrize(("after_s", "penalty"), [(1, 2), (9, 2), (11, 1), (59, 1), (60, 0)])
def test_a_graft_during_the_backoff_is_penalised_twice_if_it_comes_very_early(after_s: int, penalty: int) -> None:
    """And begins the back-off anew, as a refused one does."""
    scoring = Scores()
    router = GossipSub(scoring=scoring)
    bench, (peer,) = bench_of(1, router)
    bench.core.join("t")
    bench.receive(peer, RPC(control=ControlMessage(prune=[ControlPrune(topic_id="t")])))
    bench.take(peer)
    bench.time_ns = after_s * S
    bench.graft(peer, "t")
    assert scoring.penalties.get(peer, 0) == penalty
    assert (peer in router.mesh["t"]) == (penalty == 0)
    assert len(prunes(bench.take(peer))) == (1 if penalty else 0)
    assert router.backoff["t"][peer] == (after_s + 60 if penalty else 60) * S


def test_a_graft_of_a_peer_with_a_negative_score_is_refused_without_a_penalty_or_an_offer() -> None:
    scoring = Scores()
    router = GossipSub(GossipsubParams(do_px=True), scoring=scoring, thresholds=LOW)
    bench, _ = bench_of(5, router)
    bench.core.join("t")
    bad = bench.add_peer("bad", "t")
    scoring.scores[bad] = -1
    bench.graft(bad, "t")
    (prune,) = prunes(bench.take(bad))
    assert list(prune.peers) == []
    assert scoring.penalties == {}
    assert bad not in router.mesh["t"]


def test_a_direct_peer_is_not_grafted() -> None:
    direct = PeerId(b"direct")
    router = GossipSub(direct=[direct])
    bench = Bench(router)
    bench.add_peer("direct", "t")
    bench.core.join("t")
    bench.graft(direct, "t")
    assert router.mesh == {"t": ()}
    assert len(prunes(bench.take(direct))) == 1
    bench.core.publish_message(bench.message("t"))
    assert len(bench.take(direct)[0].publish) == 1


def test_a_prune_says_how_long_and_whom_to_try_to_peers_that_understand_it() -> None:
    """The spec's v1.1; a peer of v1.0 gets the topic alone."""
    router = GossipSub(GossipsubParams(do_px=True, prune_peers=3))
    bench, peers = bench_of(12, router)
    bench.core.join("t")
    for peer in peers:
        bench.graft(peer, "t")  # the mesh is full
    refused = {}
    for name, protocol in (("old", GOSSIPSUB_ID_V10), ("new", GOSSIPSUB_ID_V11)):
        late = bench.add_peer(name, "t", protocol=protocol)
        bench.graft(late, "t")
        (refused[name],) = prunes(bench.take(late))
    assert (refused["old"].backoff, list(refused["old"].peers)) == (0, [])
    assert refused["new"].backoff == 60
    assert len(refused["new"].peers) == 3
    assert b"new" not in [info.peer_id for info in refused["new"].peers]


def test_offered_peers_are_dialled_if_the_offer_is_to_be_trusted() -> None:
    """At most PrunePeers, nobody we know, and none from a peer below the accept-PX threshold."""
    scoring = Scores()
    router = GossipSub(
        GossipsubParams(prune_peers=3), scoring=scoring, thresholds=PeerScoreThresholds(accept_px_threshold=1)
    )
    bench, (known, other) = bench_of(2, router)
    bench.core.join("t")
    rpc = RPC()
    offer = rpc.control.prune.add(topic_id="t", backoff=7)
    for name in (known, OWN, b"new 1", b"new 2", b"new 3", b"new 4"):
        offer.peers.add(peer_id=name)
    bench.receive(other, rpc)
    assert bench.dialled == []
    assert router.backoff["t"][other] == 7 * S
    scoring.scores[other] = 1
    bench.receive(other, rpc)
    assert 1 <= len(bench.dialled) <= 3
    assert set(bench.dialled) <= {b"new 1", b"new 2", b"new 3", b"new 4"}


def test_a_peer_that_is_gone_leaves_meshes_and_keeps_its_backoff() -> None:
    router = GossipSub()
    bench, (gone, stays) = bench_of(2, router)
    bench.core.join("t")
    bench.receive(gone, RPC(control=ControlMessage(prune=[ControlPrune(topic_id="t")])))
    bench.graft(stays, "t")
    bench.core.blacklist_peer(stays)
    bench.core.blacklist_peer(gone)
    assert router.mesh == {"t": ()}
    assert list(router.backoff["t"]) == [gone]


def test_a_mesh_below_Dlo_is_filled_to_D_with_peers_that_may_be_grafted() -> None:
    direct = PeerId(b"direct")
    scoring = Scores()
    router = GossipSub(scoring=scoring, direct=[direct])
    bench = Bench(router)
    bench.core.join("t")
    bad, backed_off = bench.add_peer("bad", "t"), bench.add_peer("backed off", "t")
    scoring.scores[bad] = -0.5
    bench.receive(backed_off, RPC(control=ControlMessage(prune=[ControlPrune(topic_id="t")])))
    bench.add_peer("direct", "t")
    bench.add_peer("floods", "t", protocol=FLOODSUB_ID)
    good = [bench.add_peer(f"good {n}", "t") for n in range(4)]
    router.heartbeat()
    assert sorted(router.mesh["t"]) == good
    good += [bench.add_peer(f"good {n}", "t") for n in range(4, 10)]
    router.heartbeat()
    assert len(router.mesh["t"]) == 6
    assert set(router.mesh["t"]) < set(good)


def overfull(router: GossipSub, count: int, outbound: int) -> tuple[Bench, list[PeerId]]:
    """A mesh of more than Dhi: all have grafted us, the dialled ones last, as only those are taken when it is full."""
    bench = Bench(router)
    bench.core.join("t")
    peers = [bench.add_peer(f"peer {n:02}", "t", outbound=n >= count - outbound) for n in range(count)]
    for peer in peers:
        bench.graft(peer, "t")
    assert len(router.mesh["t"]) == count
    return bench, peers


def test_a_mesh_above_Dhi_is_cut_to_D_and_keeps_the_best_scored() -> None:
    scoring = Scores()
    router = GossipSub(scoring=scoring)
    bench, peers = overfull(router, 16, 8)
    scoring.scores = {peers[1]: 4, peers[3]: 3, peers[5]: 2, peers[7]: 1}
    router.heartbeat()
    members = router.mesh["t"]
    assert len(members) == 6
    assert {peers[n] for n in (1, 3, 5, 7)} < set(members)
    pruned = [peer for peer in peers if peer not in members]
    assert all([p.topic_id for p in prunes(bench.take(peer))] == ["t"] for peer in pruned)
    assert sorted(router.backoff["t"]) == pruned


@pytest.mark.parametrize("seed", range(10))
def test_a_cut_mesh_keeps_two_peers_that_we_dialled(seed: int) -> None:
    """Even if they have no place among the best: Dout."""
    scoring = Scores()
    router = GossipSub(GossipsubParams(d_hi=13), scoring=scoring)
    bench, peers = overfull(router, 14, 2)
    bench.core.rng.shuffle([bytes(1)] * seed)
    scoring.scores = {peer: 100.0 - n for n, peer in enumerate(peers)}
    router.heartbeat()
    assert len(router.mesh["t"]) == 6
    assert set(peers[-2:]) < set(router.mesh["t"])


def test_a_mesh_at_Dhi_is_cut_only_by_the_rule_of_2026() -> None:
    for cuts, size in ((False, 12), (True, 6)):
        router = GossipSub(GossipsubParams(cuts_at_d_hi=cuts))
        overfull(router, 12, 2)
        router.heartbeat()
        assert len(router.mesh["t"]) == size


def test_a_mesh_without_dialled_members_gets_two() -> None:
    router = GossipSub()
    bench = Bench(router)
    bench.core.join("t")
    for n in range(6):
        bench.graft(bench.add_peer(f"peer {n}", "t"), "t")
    dialled = [bench.add_peer(f"dialled {n}", "t", outbound=True) for n in range(4)]
    router.heartbeat()
    assert len(router.mesh["t"]) == 8
    assert sum(peer in dialled for peer in router.mesh["t"]) == 2


def test_members_whose_score_has_become_negative_are_pruned_without_an_offer() -> None:
    scoring = Scores()
    router = GossipSub(GossipsubParams(do_px=True), scoring=scoring)
    bench, peers = bench_of(6, router)
    bench.core.join("t")
    bench.take(peers[0])
    scoring.scores[peers[0]] = -1
    router.heartbeat()
    (prune,) = prunes(bench.take(peers[0]))
    assert (prune.backoff, list(prune.peers)) == (60, [])
    assert peers[0] not in router.mesh["t"]


def test_GS33_a_mesh_with_a_poor_median_takes_in_two_better_peers() -> None:
    """Opportunistic grafting, with scores as given; every two heartbeats here."""
    scoring = Scores()
    params = GossipsubParams(opportunistic_graft_ticks=2)
    router = GossipSub(params, scoring=scoring, thresholds=PeerScoreThresholds(opportunistic_graft_threshold=10))
    bench, peers = bench_of(6, router)
    bench.core.join("t")
    better = [bench.add_peer(f"better {n}", "t") for n in range(5)]
    worse = bench.add_peer("worse", "t")
    scoring.scores = dict.fromkeys(peers, 2.0) | dict.fromkeys(better, 5.0) | {worse: 1.0}
    router.heartbeat()
    assert len(router.mesh["t"]) == 6
    router.heartbeat()
    assert len(router.mesh["t"]) == 8
    assert set(router.mesh["t"]) - set(peers) < set(better)


def test_broken_promises_are_penalised() -> None:
    scoring, promises = Scores(), Ledger()
    router = GossipSub(scoring=scoring, promises=promises)
    _, (peer,) = bench_of(1, router)
    promises.to_report = {peer: 3}
    router.heartbeat()
    router.heartbeat()
    assert scoring.penalties == {peer: 3}


def test_direct_peers_are_dialled_again_every_so_many_heartbeats() -> None:
    direct = PeerId(b"direct")
    router = GossipSub(GossipsubParams(direct_connect_ticks=3), direct=[direct])
    bench = Bench(router)
    for _ in range(3):
        router.heartbeat()
    assert bench.dialled == [direct]
    bench.add_peer("direct")
    for _ in range(3):
        router.heartbeat()
    assert bench.dialled == [direct]
    assert [(timer.first_s, timer.every_s) for timer in router.timers] == [(0.1, 1.0), (1.0, None)]


def test_an_expired_backoff_counts_until_it_is_cleared() -> None:
    """When we choose, an entry is an entry; every fifteenth heartbeat those are forgotten that ended 2 s ago."""
    router = GossipSub()
    bench, (peer,) = bench_of(1, router)
    bench.core.join("t")
    bench.receive(peer, RPC(control=ControlMessage(prune=[ControlPrune(topic_id="t", backoff=1)])))
    for tick in range(1, 16):
        bench.time_ns = tick * S
        assert router.mesh["t"] == ()
        router.heartbeat()
    assert router.backoff == {}
    assert router.mesh["t"] == (peer,)


def test_one_unknown_topic_in_a_graft_costs_the_offer_for_all() -> None:
    """A peer that probes for topics learns of no peers; the unknown topic itself is not answered."""
    router = GossipSub(GossipsubParams(do_px=True))
    bench, peers = bench_of(12, router)
    bench.core.join("t")
    for peer in peers:
        bench.graft(peer, "t")  # the mesh is full
    late = bench.add_peer("late", "t")
    bench.graft(late, "t", "unknown")
    (prune,) = prunes(bench.take(late))
    assert (prune.topic_id, prune.backoff, list(prune.peers)) == ("t", 60, [])


def test_opportunistic_grafting_takes_nobody_at_the_median() -> None:
    scoring = Scores()
    params = GossipsubParams(opportunistic_graft_ticks=1)
    router = GossipSub(params, scoring=scoring, thresholds=PeerScoreThresholds(opportunistic_graft_threshold=10))
    bench, peers = bench_of(6, router)
    bench.core.join("t")
    scoring.scores = dict.fromkeys([*peers, *(bench.add_peer(f"equal {n}", "t") for n in range(5))], 2.0)
    router.heartbeat()
    assert sorted(router.mesh["t"]) == peers


def test_a_fanout_loses_who_left_the_topic_or_fell_below_the_threshold_and_is_filled_again() -> None:
    scoring = Scores()
    router = GossipSub(scoring=scoring, thresholds=LOW)
    bench, peers = bench_of(6, router)
    bench.core.publish_message(bench.message("t"))
    assert sorted(router.fanout["t"]) == peers
    bench.receive(peers[0], RPC(subscriptions=[RPC.SubOpts(subscribe=False, topicid="t")]))
    scoring.scores[peers[1]] = -11
    late = [bench.add_peer(f"z late {n}", "t") for n in range(2)]
    router.heartbeat()
    assert sorted(router.fanout["t"]) == peers[2:] + late


def test_a_backoff_only_moves_later_and_is_cleared_two_seconds_after_its_end() -> None:
    backoff = PruneBackoff()
    peer = PeerId(b"peer")
    backoff.add("t", peer, 10 * S)
    backoff.add("t", peer, 5 * S)
    backoff.clear(12 * S)
    assert backoff.view() == {"t": {peer: 10 * S}}
    backoff.clear(12 * S + 1)
    assert backoff.view() == {}


@pytest.mark.parametrize(
    ("asked_s", "given_s"),
    [
        (0, 60),
        (1, 1),
        (3600, 3600),
        *[(asked_s, LONGEST_BACKOFF_S) for asked_s in (LONGEST_BACKOFF_S + 1, 2**33, 2**63, 2**64 - 1)],
    ],
)
def test_a_prune_keeps_a_peer_out_of_the_mesh_as_long_as_it_asks_and_a_day_at_most(asked_s: int, given_s: int) -> None:
    """After that, heartbeats forget it, however much was asked for; nothing overflows."""
    router = GossipSub()
    bench, (peer,) = bench_of(1, router)
    bench.core.join("t")
    bench.receive(peer, RPC(control=ControlMessage(prune=[ControlPrune(topic_id="t", backoff=asked_s)])))
    assert router.backoff == {"t": {peer: given_s * S}}
    bench.time_ns = (given_s + 3) * S
    for _ in range(15):
        router.heartbeat()
    assert router.backoff == {}


def test_a_topic_grafted_many_times_at_once_is_refused_once() -> None:
    """Each time is penalised, twice as it comes so early; one PRUNE says what there is to say."""
    scores = Scores()
    bench, (peer,) = bench_of(1, GossipSub(scoring=scores, thresholds=LOW))
    bench.core.join("t")
    bench.receive(peer, RPC(control=ControlMessage(prune=[ControlPrune(topic_id="t")])))
    bench.take(peer)
    bench.graft(peer, *["t"] * 50)
    assert [prune.topic_id for prune in prunes(bench.take(peer))] == ["t"]
    assert scores.penalties == {peer: 100}


def leaves(*topics: str) -> RPC:
    """The RPC of a peer that unsubscribes."""
    return RPC(subscriptions=[RPC.SubOpts(subscribe=False, topicid=topic) for topic in topics])


SCORED = TopicScoreParams(
    skip_atomic_validation=True,
    topic_weight=1,
    time_in_mesh_weight=1,
    time_in_mesh_quantum_s=1,
    time_in_mesh_cap=1e6,
    first_message_deliveries_weight=1,
    first_message_deliveries_decay=0.9,
    first_message_deliveries_cap=10,
    mesh_message_deliveries_weight=-1,
    mesh_message_deliveries_decay=0.9,
    mesh_message_deliveries_cap=10,
    mesh_message_deliveries_threshold=3,
    mesh_message_deliveries_activation_s=1,
    mesh_failure_penalty_weight=-1,
    mesh_failure_penalty_decay=0.9,
)
JUDGED = GossipsubParams(
    score=PeerScoreParams(skip_atomic_validation=True, topics={"t": SCORED, "u": SCORED}),
    thresholds=PeerScoreThresholds(gossip_threshold=-1e9, publish_threshold=-1e9, graylist_threshold=-1e9),
)


def test_a_peer_that_unsubscribes_leaves_the_mesh_of_that_topic_only() -> None:
    """It is traced as pruned, once, also if its PRUNE follows, whose back-off counts."""
    router = GossipSub(GossipsubParams())
    bench = Bench(router)
    peer = bench.add_peer("peer", "t", "u")
    for topic in ("t", "u"):
        router.join(topic)
    bench.receive(peer, leaves("t"))
    assert router.mesh == {"t": (), "u": (peer,)}
    bench.receive(peer, leaves("t"))
    rpc = RPC()
    rpc.control.prune.add(topic_id="t", backoff=10)
    bench.receive(peer, rpc)
    assert [entry for entry in bench.traced if entry[0] == "prune"] == [("prune", peer, "t")]
    assert router.backoff["t"][peer] == 10 * S


def test_a_peer_that_unsubscribes_leaves_the_fanout() -> None:
    """At once, and another one takes its place with the next message."""
    router = GossipSub(GossipsubParams(d=1, d_lo=1))
    bench = Bench(router)
    peers = [bench.add_peer(name, "t") for name in ("one", "two")]
    router.publish(bench.message("t"))
    (chosen,) = router.fanout["t"]
    (other,) = [peer for peer in peers if peer != chosen]
    bench.receive(chosen, leaves("t"))
    assert router.fanout["t"] == ()
    router.publish(bench.message("t"))
    assert router.fanout["t"] == (other,)


def test_a_graft_that_waits_for_a_peer_that_unsubscribed_is_not_sent() -> None:
    """Nor is it gossiped to about the topic."""
    router = GossipSub(GossipsubParams())
    bench = Bench(router)
    peer = bench.add_peer("peer", "t")
    bench.outboxes[peer].is_full = True
    router.join("t")
    router.publish(bench.message("t"))
    bench.outboxes[peer].is_full = False
    bench.receive(peer, leaves("t"))
    router.heartbeat()
    assert bench.take(peer) == []


def test_nothing_stays_to_the_credit_of_a_peer_that_unsubscribes() -> None:
    """Time in the mesh and first deliveries; its score in other topics goes on."""
    router = GossipSub(JUDGED)
    bench = judged_bench(router)
    peer = bench.add_peer("peer", "t", "u")
    for topic in ("t", "u"):
        router.join(topic)
    score = router._evaluation.scoring
    assert isinstance(score, PeerScore)
    score.deliver_message(bench.message("t", author=peer))
    bench.time_ns += S // 2
    score.refresh(bench.time_ns)
    assert set(router.score_details[peer].topics) == {"t", "u"}
    bench.receive(peer, leaves("t"))
    assert set(router.score_details[peer].topics) == {"u"}
    bench.receive(peer, leaves("u"))
    assert router.scores[peer] == 0


def test_what_is_held_against_a_peer_outlives_its_unsubscribing_and_counts_once() -> None:
    """A deficit of deliveries becomes one failure, whether its PRUNE follows or not, and decays."""
    router = GossipSub(JUDGED)
    bench = judged_bench(router)
    peer = bench.add_peer("peer", "t")
    router.join("t")
    score = router._evaluation.scoring
    assert isinstance(score, PeerScore)
    bench.time_ns += 2 * S
    score.refresh(bench.time_ns)
    bench.receive(peer, leaves("t"))
    rpc = RPC()
    rpc.control.prune.add(topic_id="t", backoff=10)
    bench.receive(peer, rpc)
    assert router.scores[peer] == -9
    for _ in range(100):
        score.refresh(bench.time_ns)
    assert router.scores[peer] == 0


def judged_bench(router: GossipSub) -> Bench:
    """A bench whose router's score is told of everything."""
    bench = Bench(router)
    bench.core.set_tracer(Tracers(OWN, watchers=(), evaluators=router.evaluators))
    return bench
