"""What a gossipsub host's options make of its evaluators: whose time, ids, addresses and numbers they go by."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.gater import PeerGater, PeerGaterParams
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.options import HostOptions
from pubsub_sim.protocol.peer_evaluation import PeerEvaluation, make_evaluation
from pubsub_sim.protocol.promises import Promises
from pubsub_sim.protocol.score import PeerScore
from pubsub_sim.protocol.score_params import PeerScoreParams, TopicScoreParams
from pubsub_sim.protocol.validation import Reason
from pubsub_sim.wire.message import outgoing
from tests.protocol.bench import Bench, S

A, B = PeerId(b"A"), PeerId(b"B")
WIRE = outgoing("t", b"x", author=A, seqno=bytes(8))

JUDGED = GossipsubParams(
    iwant_followup_s=1.0,
    score=PeerScoreParams(
        skip_atomic_validation=True,
        topics={
            "t": TopicScoreParams(
                skip_atomic_validation=True,
                topic_weight=1,
                invalid_message_deliveries_weight=-1,
                invalid_message_deliveries_decay=0.5,
            )
        },
        ip_colocation_factor_weight=-10,
        ip_colocation_factor_threshold=1,
        decay_interval_s=2.0,
        seen_msg_ttl_s=90.0,
    ),
    gater=PeerGaterParams(decay_interval_s=3.0, source_decay=0.5),
)


def judged() -> tuple[Bench, PeerEvaluation]:
    """A host whose messages are known by their payloads, and what evaluates its peers."""
    options = HostOptions(message_id=lambda wire: b"id of " + wire.data)
    bench = Bench(GossipSub(), params=JUDGED, options=options)
    return bench, make_evaluation(JUDGED, bench.core)


def timer(evaluation: PeerEvaluation, every_s: float) -> Callable[[], None]:
    (found,) = [timer for timer in evaluation.timers if timer.every_s == every_s]
    assert found.first_s == every_s
    return found.action


@pytest.fixture
def score() -> tuple[Bench, PeerEvaluation, PeerScore]:
    bench, evaluation = judged()
    assert isinstance(evaluation.scoring, PeerScore)
    for peer in (A, B):
        bench.places[peer] = f"192.0.2.{peer[0]}"
        evaluation.scoring.add_peer(peer, "")
    return bench, evaluation, evaluation.scoring


def test_a_host_without_such_options_has_no_judges_and_no_timers() -> None:
    assert make_evaluation(GossipsubParams(), Bench(GossipSub()).core) == PeerEvaluation()


def test_scores_and_a_gater_can_be_had_one_without_the_other() -> None:
    core = Bench(GossipSub()).core
    scored = make_evaluation(GossipsubParams(score=JUDGED.score), core)
    assert (scored.gater, len(scored.tracers), len(scored.timers)) == (None, 2, 2)
    gated = make_evaluation(GossipsubParams(gater=JUDGED.gater), core)
    assert (gated.scoring, gated.promises, len(gated.tracers), len(gated.timers)) == (None, None, 1, 1)


def test_promises_are_kept_by_the_hosts_ids_and_the_follow_up_time() -> None:
    """A message that was refused has been sent, under the id it was promised by; one that was not, is late."""
    _, evaluation = judged()
    promises = evaluation.promises
    assert isinstance(promises, Promises)
    promises.add(A, [b"id of x"])
    promises.reject_message(WIRE, A, Reason.IGNORED)
    assert promises.outstanding == {}
    promises.add(A, [b"id of y"])
    assert promises.broken(1 * S) == {}
    assert promises.broken(1 * S + 1) == {A: 1}


def test_an_invalid_message_is_known_by_the_hosts_id(score: tuple[Bench, PeerEvaluation, PeerScore]) -> None:
    """Who brings it later is blamed too."""
    _, _, scores = score
    scores.reject_message(WIRE, A, Reason.FAILED)
    scores.duplicate_message(b"id of x", B)
    assert (scores.score(A), scores.score(B)) == (-1, -1)


def test_counters_decay_at_the_interval_of_the_parameters(score: tuple[Bench, PeerEvaluation, PeerScore]) -> None:
    _, evaluation, scores = score
    scores.reject_message(WIRE, A, Reason.FAILED)
    timer(evaluation, 2.0)()
    assert scores.score(A) == -0.25


def test_once_a_minute_addresses_are_looked_at_and_old_deliveries_forgotten(
    score: tuple[Bench, PeerEvaluation, PeerScore],
) -> None:
    bench, evaluation, scores = score
    scores.reject_message(WIRE, A, Reason.FAILED)
    before = scores.score(B)
    bench.places[B] = bench.places[A]
    timer(evaluation, 60.0)()
    assert scores.score(B) == before - 10
    scores.duplicate_message(b"id of x", B)
    assert scores.score(B) == before - 11
    bench.time_ns = 91 * S
    timer(evaluation, 60.0)()
    scores.duplicate_message(b"id of x", B)
    assert scores.score(B) == before - 11


def test_the_gater_knows_peers_by_their_addresses_and_forgets_at_its_interval() -> None:
    bench, evaluation = judged()
    gater = evaluation.gater
    assert isinstance(gater, PeerGater)
    bench.places.update(dict.fromkeys((A, B), "192.0.2.1"))
    for peer in (A, B):
        gater.add_peer(peer, "")
    gater.reject_message(WIRE, A, Reason.FAILED)
    assert gater.source_of(B).rejected == 1
    timer(evaluation, 3.0)()
    assert gater.source_of(B).rejected == 0.5
