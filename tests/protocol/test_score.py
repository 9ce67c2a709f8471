"""Peer scores: the reference's unit tests (SC01 to SC18), and what holds whatever happens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pubsub_sim.errors import OptionError
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.score import PeerScore
from pubsub_sim.protocol.score_params import PeerScoreParams, TopicScoreParams
from pubsub_sim.protocol.validation import Reason
from tests.protocol.clocks import MS, HandClock, S, message_from

A, B, C, D = (PeerId(name) for name in (b"A", b"B", b"C", b"D"))
TOPIC = "mytopic"
NO_DECAY = math.nextafter(1.0, 0.0)  # a factor of exactly 1 is no decay, and refused

TIME_IN_MESH = {"time_in_mesh_weight": 1.0, "time_in_mesh_quantum_s": 0.001, "time_in_mesh_cap": 3600.0}
FIRST = {
    "first_message_deliveries_weight": 1.0,
    "first_message_deliveries_decay": NO_DECAY,
    "first_message_deliveries_cap": 2000.0,
}
MESH = {
    "mesh_message_deliveries_weight": -1.0,
    "mesh_message_deliveries_activation_s": 1.0,
    "mesh_message_deliveries_window_s": 0.01,
    "mesh_message_deliveries_threshold": 20.0,
    "mesh_message_deliveries_cap": 100.0,
    "mesh_message_deliveries_decay": NO_DECAY,
}
FAILURE = {"mesh_failure_penalty_weight": -1.0, "mesh_failure_penalty_decay": NO_DECAY}
INVALID = {"invalid_message_deliveries_weight": -1.0, "invalid_message_deliveries_decay": NO_DECAY}


def topic_params(*groups: dict[str, float], weight: float = 1.0, **numbers: float) -> TopicScoreParams:
    values = {name: value for group in groups for name, value in group.items()} | numbers
    return TopicScoreParams(skip_atomic_validation=True, topic_weight=weight, **values)


class Bench:
    """A score of some peers, with a clock moved by hand."""

    def __init__(self, params: TopicScoreParams | None = None, *peers: PeerId, **options: object) -> None:
        addresses = options.pop("addresses", None)
        topics = {} if params is None else {TOPIC: params}
        self.clock = HandClock()
        self.scores = PeerScore(
            PeerScoreParams(skip_atomic_validation=True, topics=topics, **options),
            now_ns=self.clock,
            addresses=addresses,
        )
        for peer in peers:
            self.scores.add_peer(peer, "myproto")

    def graft(self, *peers: PeerId) -> None:
        for peer in peers:
            self.scores.graft(peer, TOPIC)

    def refresh(self, times: int = 1) -> None:
        for _ in range(times):
            self.scores.refresh(self.clock())

    def deliver(self, peer: PeerId, count: int) -> None:
        for number in range(count):
            message = message_from(peer, number)
            self.scores.validate_message(message)
            self.scores.deliver_message(message)

    def reject(self, peer: PeerId, count: int, reason: Reason = Reason.INVALID_SIGNATURE) -> None:
        for number in range(count):
            self.scores.reject_message(message_from(peer, number).wire, peer, reason)

    def of(self, peer: PeerId) -> float:
        return self.scores.score(peer)


def test_sc01_time_in_mesh_is_rewarded_per_quantum() -> None:
    """200 ms in quanta of 1 ms, at half weight, are 100; nothing is updated before the refresh."""
    bench = Bench(topic_params(TIME_IN_MESH, weight=0.5), A)
    assert bench.of(A) == 0
    bench.graft(A)
    bench.clock.advance(200 * MS)
    assert bench.of(A) == 0
    bench.refresh()
    assert bench.of(A) == 100
    bench.scores.prune(A, TOPIC)
    assert bench.of(A) == 0


def test_sc01_only_whole_quanta_count() -> None:
    """The time is rounded down."""
    bench = Bench(topic_params(TIME_IN_MESH), A)
    bench.graft(A)
    bench.clock.advance(2 * MS - 1)
    bench.refresh()
    assert bench.of(A) == 1


def test_sc02_time_in_mesh_is_capped() -> None:
    """At a cap of 10 quanta, 40 ms are worth 5 at half weight."""
    bench = Bench(topic_params(TIME_IN_MESH, weight=0.5, time_in_mesh_cap=10.0), A)
    bench.graft(A)
    bench.clock.advance(40 * MS)
    bench.refresh()
    assert bench.of(A) == 5


def test_sc03_first_deliveries_are_rewarded() -> None:
    """One point each."""
    bench = Bench(topic_params(FIRST), A)
    bench.graft(A)
    bench.deliver(A, 100)
    bench.refresh()
    assert bench.of(A) == pytest.approx(100)


def test_sc04_first_deliveries_are_capped() -> None:
    """The counter stops at its cap."""
    bench = Bench(topic_params(FIRST, first_message_deliveries_cap=50.0), A)
    bench.graft(A)
    bench.deliver(A, 100)
    bench.refresh()
    assert bench.of(A) == pytest.approx(50)


def test_sc05_first_deliveries_decay() -> None:
    """By the factor, once per refresh, down to zero."""
    bench = Bench(topic_params(FIRST, first_message_deliveries_decay=0.9), A)
    bench.graft(A)
    bench.deliver(A, 100)
    expected = 100.0
    for _ in range(11):
        bench.refresh()
        expected *= 0.9
        assert bench.of(A) == pytest.approx(expected)
    bench.refresh(100)
    assert bench.of(A) == 0


def test_sc06_mesh_members_are_expected_to_bring_messages() -> None:
    """The first, and one within the window of 10 ms, meet the threshold of 20; who comes after 30 ms misses it."""
    bench = Bench(topic_params(MESH), A, B, C)
    bench.graft(A, B, C)
    bench.refresh()
    assert bench.of(C) == 0  # nothing is expected before the activation time has passed
    bench.clock.advance(S + 1)
    bench.refresh()
    for number in range(100):
        message = message_from(A, number)
        bench.scores.validate_message(message)
        bench.scores.duplicate_message(message.id, B)
        bench.scores.deliver_message(message)
        bench.clock.advance(30 * MS)
        bench.scores.duplicate_message(message.id, C)
    bench.refresh()
    assert [bench.of(peer) for peer in (A, B, C)] == [0, 0, -400]


def test_sc06_a_duplicate_within_the_window_counts() -> None:
    """Up to and including 10 ms after the validation."""
    bench = Bench(topic_params(MESH, mesh_message_deliveries_threshold=1.0), B, C)
    bench.graft(B, C)
    bench.clock.advance(2 * S)
    bench.refresh()
    message = message_from(A, 1)
    bench.scores.validate_message(message)
    bench.scores.deliver_message(message)
    bench.clock.advance(10 * MS)
    bench.scores.duplicate_message(message.id, B)
    bench.clock.advance(1)
    bench.scores.duplicate_message(message.id, C)
    assert [bench.of(B), bench.of(C)] == [0, -1]


def test_sc06_the_same_duplicate_counts_once() -> None:
    """A peer gains nothing by sending a message again."""
    bench = Bench(topic_params(MESH), B)
    bench.graft(B)
    message = message_from(A, 1)
    bench.scores.validate_message(message)
    bench.scores.duplicate_message(message.id, B)
    bench.scores.deliver_message(message)
    bench.scores.duplicate_message(message.id, B)
    assert bench.scores.scores()[B].topics[TOPIC].mesh_message_deliveries == 1


def test_sc06_a_sender_who_came_twice_before_the_verdict_is_credited_once() -> None:
    """Its own duplicate is no second delivery, and a message that is delivered again credits no others again."""
    bench = Bench(topic_params(MESH), A, B)
    bench.graft(A, B)
    message = message_from(A, 1)
    bench.scores.validate_message(message)
    bench.scores.duplicate_message(message.id, A)
    bench.scores.duplicate_message(message.id, B)
    bench.scores.deliver_message(message)
    bench.scores.deliver_message(message_from(C, 1))
    counted = [bench.scores.scores()[peer].topics[TOPIC].mesh_message_deliveries for peer in (A, B)]
    assert counted == [1, 1]


def test_sc06_only_mesh_members_are_credited_for_mesh_deliveries() -> None:
    """First or not, before the graft nothing counts."""
    bench = Bench(topic_params(MESH, FIRST), A, B)
    bench.deliver(A, 1)
    bench.scores.duplicate_message(message_from(A, 0).id, B)
    bench.graft(A, B)
    snapshots = bench.scores.scores()
    assert snapshots[A].topics[TOPIC].mesh_message_deliveries == 0
    assert snapshots[B].topics[TOPIC].mesh_message_deliveries == 0


def test_sc06_who_is_grafted_again_begins_again() -> None:
    """No time in mesh, and nothing expected until more than the activation time has passed."""
    bench = Bench(topic_params(MESH, TIME_IN_MESH), A)
    bench.graft(A)
    bench.clock.advance(2 * S)
    bench.refresh()
    assert bench.of(A) == 2000 - 400
    bench.graft(A)
    assert bench.of(A) == 0
    bench.clock.advance(S)
    bench.refresh()
    assert bench.of(A) == 1000
    bench.clock.advance(1)
    bench.refresh()
    assert bench.of(A) == 1000 - 400


def test_sc07_mesh_deliveries_decay_below_the_threshold() -> None:
    """40 messages times 0.9 to the power of 21 are a deficit."""
    bench = Bench(topic_params(MESH, mesh_message_deliveries_decay=0.9), A)
    bench.graft(A)
    bench.clock.advance(2 * S)
    bench.deliver(A, 40)
    bench.refresh()
    assert bench.of(A) == 0
    bench.refresh(20)
    assert bench.of(A) == pytest.approx(-((20 - 40 * 0.9**21) ** 2))


def test_sc08_a_deficit_sticks_when_the_peer_is_pruned() -> None:
    """Nothing before, the squared deficit after; who delivered is not touched."""
    bench = Bench(topic_params(MESH, FAILURE, mesh_message_deliveries_weight=0.0), A, B)
    bench.graft(A, B)
    bench.clock.advance(2 * S)
    bench.deliver(A, 100)
    bench.refresh()
    assert [bench.of(A), bench.of(B)] == [0, 0]
    bench.scores.prune(B, TOPIC)
    assert [bench.of(A), bench.of(B)] == [0, -400]


def test_sc09_invalid_messages_count_squared() -> None:
    """100 of them are -10,000."""
    bench = Bench(topic_params(INVALID), A)
    bench.graft(A)
    bench.reject(A, 100)
    bench.refresh()
    assert bench.of(A) == pytest.approx(-10_000)


def test_sc10_invalid_messages_are_forgotten_slowly() -> None:
    """The counter decays by 0.9, so the penalty by 0.81."""
    bench = Bench(topic_params(INVALID, invalid_message_deliveries_decay=0.9), A)
    bench.graft(A)
    bench.reject(A, 100)
    expected = -10_000.0
    for _ in range(11):
        bench.refresh()
        expected *= 0.81
        assert bench.of(A) == pytest.approx(expected)


@pytest.mark.parametrize("reason", [Reason.BLACKLISTED_PEER, Reason.BLACKLISTED_SOURCE, Reason.QUEUE_FULL])
def test_sc11_reasons_that_say_nothing_of_the_message_are_not_held_against_anybody(reason: Reason) -> None:
    """Nor is a record made: the same message may still be judged."""
    bench = Bench(topic_params(INVALID), A)
    bench.reject(A, 1, reason)
    assert bench.of(A) == 0
    bench.reject(A, 1, Reason.FAILED)
    assert bench.of(A) == -1


@pytest.mark.parametrize(
    "reason",
    [
        Reason.MISSING_SIGNATURE,
        Reason.INVALID_SIGNATURE,
        Reason.UNEXPECTED_SIGNATURE,
        Reason.UNEXPECTED_AUTH_INFO,
        Reason.SELF_ORIGIN,
    ],
)
def test_sc11_what_is_clearly_invalid_is_held_against_its_sender_each_time(reason: Reason) -> None:
    """Even for the same message again, as no record is made of it."""
    bench = Bench(topic_params(INVALID), A, B)
    bench.reject(A, 1, reason)
    bench.reject(A, 1, reason)
    assert [bench.of(A), bench.of(B)] == [-4, 0]


@pytest.mark.parametrize("reason", [Reason.THROTTLED, Reason.IGNORED])
def test_sc11_throttled_and_ignored_messages_are_held_against_nobody(reason: Reason) -> None:
    """Not against who sent them first, nor before or after the verdict."""
    bench = Bench(topic_params(INVALID), A, B, C)
    message = message_from(A, 1)
    bench.scores.validate_message(message)
    bench.scores.duplicate_message(message.id, B)
    bench.scores.reject_message(message.wire, A, reason)
    bench.scores.duplicate_message(message.id, C)
    bench.scores.reject_message(message.wire, C, Reason.FAILED)  # too late: it has its fate
    assert [bench.of(A), bench.of(B), bench.of(C)] == [0, 0, 0]


def test_sc11_a_failed_message_is_held_against_all_who_brought_it() -> None:
    """After the verdict: -1 each; a second one whose duplicate came before the verdict: -4 each."""
    bench = Bench(topic_params(INVALID), A, B)
    first, second = message_from(A, 1), message_from(A, 2)
    bench.scores.validate_message(first)
    bench.scores.reject_message(first.wire, A, Reason.FAILED)
    bench.scores.duplicate_message(first.id, B)
    assert [bench.of(A), bench.of(B)] == [-1, -1]
    bench.scores.validate_message(second)
    bench.scores.duplicate_message(second.id, B)
    bench.scores.reject_message(second.wire, A, Reason.FAILED)
    assert [bench.of(A), bench.of(B)] == [-4, -4]


def test_sc12_the_application_has_its_say() -> None:
    """Its score times its weight, asked for each time."""
    given = {A: -100.0}
    bench = Bench(None, A, app_specific_score=given.__getitem__, app_specific_weight=0.5)
    for score in range(-100, 100):
        given[A] = float(score)
        assert bench.of(A) == score / 2


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_sc12_an_application_score_that_is_no_number_is_refused(score: float) -> None:
    """It would spoil every comparison of scores."""
    bench = Bench(None, A, app_specific_score=lambda peer: score, app_specific_weight=1.0)
    with pytest.raises(OptionError, match="app_specific_score"):
        bench.of(A)


def places(where: dict[PeerId, Sequence[str]]) -> Callable[[PeerId], Sequence[str]]:
    return where.__getitem__


COLOCATED = {A: ["1.2.3.4"], B: ["2.3.4.5"], C: ["2.3.4.5", "3.4.5.6"], D: ["2.3.4.5"]}
COLOCATION = {"ip_colocation_factor_weight": -1.0, "ip_colocation_factor_threshold": 1}


def test_sc13_peers_behind_one_address_share_the_suspicion() -> None:
    """Three on one address are two too many: -4 each."""
    bench = Bench(None, A, B, C, D, addresses=places(COLOCATED), **COLOCATION)
    assert [bench.of(peer) for peer in (A, B, C, D)] == [0, -4, -4, -4]


def test_sc13_a_moved_peer_is_found_at_the_next_look() -> None:
    """And those it left behind are fewer."""
    where = dict(COLOCATED)
    bench = Bench(None, A, B, C, D, addresses=places(where), **COLOCATION)
    where[D] = ["9.9.9.9"]
    assert bench.of(D) == -4
    bench.scores.refresh_ips()
    assert [bench.of(peer) for peer in (A, B, C, D)] == [0, -1, -1, 0]


def test_sc13_loopback_does_not_count_and_ipv6_counts_by_block_too() -> None:
    """Two in one /64 are one too many there, none on their own addresses; a mapped IPv4 address is that address."""
    where = {
        A: ["127.0.0.1", "::1"],
        B: ["127.0.0.1", "2001:db8::1"],
        C: ["2001:db8::2", "::ffff:1.2.3.4"],
        D: ["1.2.3.4"],
    }
    bench = Bench(None, A, B, C, D, addresses=places(where), **COLOCATION)
    assert [bench.of(peer) for peer in (A, B, C, D)] == [0, -1, -2, -1]


def test_sc13_something_that_is_no_address_is_refused() -> None:
    """With its text."""
    with pytest.raises(OptionError, match="nowhere"):
        Bench(None, A, addresses=lambda peer: ["nowhere"])


def test_sc14_whitelisted_addresses_do_not_count() -> None:
    """A /16 that holds the shared address."""
    options = {**COLOCATION, "ip_colocation_factor_whitelist": ("2.3.0.0/16",)}
    bench = Bench(None, A, B, C, D, addresses=places(COLOCATED), **options)
    assert [bench.of(peer) for peer in (A, B, C, D)] == [0, 0, 0, 0]


BEHAVIOUR = {"behaviour_penalty_weight": -1.0, "behaviour_penalty_decay": 0.99}


def test_sc15_penalties_count_squared_and_decay() -> None:
    """0, -1, -4, and -3.9204 after one decay; a peer we do not know has none."""
    bench = Bench(None, **BEHAVIOUR)
    bench.scores.add_penalty(A, 1)
    assert bench.of(A) == 0
    bench.scores.add_peer(A, "myproto")
    assert bench.of(A) == 0
    bench.scores.add_penalty(A, 1)
    assert bench.of(A) == -1
    bench.scores.add_penalty(A, 1)
    assert bench.of(A) == -4
    bench.refresh()
    assert bench.of(A) == pytest.approx(-3.9204)


def test_sc15_penalties_up_to_the_threshold_are_forgiven() -> None:
    """Only the excess counts."""
    bench = Bench(None, A, **BEHAVIOUR, behaviour_penalty_threshold=3.0)
    bench.scores.add_penalty(A, 3)
    assert bench.of(A) == 0
    bench.scores.add_penalty(A, 2)
    assert bench.of(A) == -4


def test_sc16_a_bad_score_is_retained_for_a_time() -> None:
    """-1000 half a second after the peer left, nothing after 1.05 s."""
    bench = Bench(None, A, app_specific_score=lambda peer: -1000.0, app_specific_weight=1.0, retain_score_s=1.0)
    bench.scores.remove_peer(A)
    bench.clock.advance(500 * MS)
    bench.refresh()
    assert bench.of(A) == -1000
    assert not bench.scores.scores()[A].is_connected
    bench.clock.advance(550 * MS)
    bench.refresh()
    assert bench.of(A) == 0
    assert bench.scores.scores() == {}


def test_sc16_a_good_score_is_not_retained() -> None:
    """Credit is earned anew."""
    bench = Bench(topic_params(FIRST), A, retain_score_s=1000.0)
    bench.deliver(A, 10)
    bench.scores.remove_peer(A)
    assert bench.scores.scores() == {}


def test_sc16_who_comes_back_finds_its_bad_score_as_it_was() -> None:
    """Neither a decay nor a reward while away, and the peer is out of the mesh."""
    bench = Bench(topic_params(TIME_IN_MESH, FIRST, INVALID, invalid_message_deliveries_decay=0.5), A, retain_score_s=9)
    bench.graft(A)
    bench.deliver(A, 3)
    bench.reject(A, 5)
    bench.scores.remove_peer(A)
    bench.refresh(3)
    assert bench.of(A) == -25
    bench.scores.add_peer(A, "myproto")
    bench.clock.advance(100 * S)
    bench.refresh()
    assert bench.of(A) == -6.25


def test_sc16_a_deficit_sticks_when_the_peer_leaves() -> None:
    """Leaving is no way around P3b."""
    bench = Bench(topic_params(MESH, FAILURE), A, retain_score_s=9)
    bench.graft(A)
    bench.clock.advance(2 * S)
    bench.refresh()
    bench.scores.remove_peer(A)
    assert bench.scores.scores()[A].topics[TOPIC].mesh_failure_penalty == 400


def test_sc16_a_score_of_zero_is_retained_up_to_its_time() -> None:
    """Only credit is forgotten at once."""
    bench = Bench(None, A, retain_score_s=1.0)
    bench.scores.remove_peer(A)
    bench.clock.advance(S)
    bench.refresh()
    assert list(bench.scores.scores()) == [A]
    bench.clock.advance(1)
    bench.refresh()
    assert bench.scores.scores() == {}


def test_sc16_who_left_the_mesh_before_it_left_us_is_not_charged_twice() -> None:
    """The deficit was counted at the prune."""
    bench = Bench(topic_params(MESH, FAILURE), A, retain_score_s=9)
    bench.graft(A)
    bench.clock.advance(2 * S)
    bench.refresh()
    bench.scores.prune(A, TOPIC)
    bench.scores.remove_peer(A)
    assert bench.scores.scores()[A].topics[TOPIC].mesh_failure_penalty == 400


def test_sc16_addresses_of_a_retained_peer_count_until_it_is_forgotten() -> None:
    """Reconnecting under another name from the same address is seen."""
    bench = Bench(None, B, C, D, addresses=places(COLOCATED), **COLOCATION, retain_score_s=1.0)
    bench.scores.remove_peer(B)
    assert bench.of(C) == -4
    bench.clock.advance(S + 1)
    bench.refresh()
    assert bench.of(C) == -1


def test_sc17_lower_caps_apply_to_what_was_counted() -> None:
    """100 of a cap of 100 become 50 of 50."""
    bench = Bench(topic_params(FIRST, MESH, first_message_deliveries_cap=100.0), A)
    bench.graft(A)
    bench.deliver(A, 100)
    counted = bench.scores.scores()[A].topics[TOPIC]
    assert (counted.first_message_deliveries, counted.mesh_message_deliveries) == (100, 100)
    lower = topic_params(FIRST, MESH, first_message_deliveries_cap=50.0, mesh_message_deliveries_cap=50.0)
    bench.scores.set_topic_params(TOPIC, lower)
    counted = bench.scores.scores()[A].topics[TOPIC]
    assert (counted.first_message_deliveries, counted.mesh_message_deliveries) == (50, 50)


def test_sc18_new_weights_apply_to_what_was_counted() -> None:
    """-10,000 at a weight of -1 are -100,000 at -10."""
    bench = Bench(topic_params(INVALID), A)
    bench.reject(A, 100)
    assert bench.of(A) == -10_000
    bench.scores.set_topic_params(TOPIC, topic_params(INVALID, invalid_message_deliveries_weight=-10.0))
    assert bench.of(A) == -100_000


def test_a_topic_is_scored_once_it_has_parameters() -> None:
    """Before, nothing is counted in it."""
    bench = Bench(None, A)
    bench.deliver(A, 3)
    assert bench.scores.scores()[A].topics == {}
    bench.scores.set_topic_params(TOPIC, topic_params(FIRST))
    bench.deliver(A, 2)
    assert bench.of(A) == 2


def test_the_cap_of_topics_limits_only_their_sum_and_only_from_above() -> None:
    """30 points are capped to 20 and the application adds its 5; -870 are not."""
    application = {"app_specific_score": lambda peer: 5.0, "app_specific_weight": 1.0}
    bench = Bench(topic_params(FIRST, INVALID), A, topic_score_cap=20.0, **application)
    bench.deliver(A, 30)
    assert bench.of(A) == 25
    bench.reject(A, 30)
    assert bench.of(A) == 30 - 900 + 5


def test_an_unknown_peer_scores_nothing_whatever_it_does() -> None:
    """No record is made of it."""
    bench = Bench(topic_params(FIRST, INVALID))
    bench.graft(A)
    bench.deliver(A, 3)
    bench.reject(A, 3)
    bench.scores.remove_peer(A)
    assert bench.of(A) == 0
    assert bench.scores.scores() == {}


@pytest.mark.parametrize(("age_ns", "credited"), [(S, 1), (S + 1, 0)])
def test_deliveries_are_forgotten_after_their_time(age_ns: int, credited: int) -> None:
    """A duplicate within the window is credited as long as its message is remembered."""
    params = topic_params(MESH, mesh_message_deliveries_window_s=10.0)
    bench = Bench(params, B, seen_msg_ttl_s=1.0)
    bench.graft(B)
    bench.deliver(A, 1)
    bench.clock.advance(age_ns)
    bench.scores.clean_up(bench.clock())
    bench.scores.duplicate_message(message_from(A, 0).id, B)
    assert bench.scores.scores()[B].topics[TOPIC].mesh_message_deliveries == credited


# --- whatever happens --------------------------------------------------------------------------------------------

FULL = topic_params(
    TIME_IN_MESH,
    FIRST,
    MESH,
    FAILURE,
    INVALID,
    first_message_deliveries_decay=0.5,
    mesh_message_deliveries_decay=0.5,
    mesh_failure_penalty_decay=0.5,
    invalid_message_deliveries_decay=0.5,
)
peers = st.sampled_from([A, B, C])
numbers = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.sampled_from(["add", "remove", "graft", "prune", "penalty"]), peers),
    st.tuples(st.sampled_from(["validate", "deliver", "duplicate"]), peers, numbers),
    st.tuples(st.just("reject"), peers, numbers, st.sampled_from(list(Reason))),
    st.tuples(st.just("time"), st.integers(0, 3 * S)),
)


def play(bench: Bench, step: tuple[object, ...]) -> None:
    kind, *rest = step
    scores = bench.scores
    if kind == "time":
        bench.clock.advance(rest[0])
        bench.refresh()
        scores.refresh_ips()
        return
    peer = rest[0]
    message = message_from(peer, rest[1]) if len(rest) > 1 else message_from(peer, 0)
    calls: dict[str, Callable[[], None]] = {
        "add": lambda: scores.add_peer(peer, "myproto"),
        "remove": lambda: scores.remove_peer(peer),
        "graft": lambda: scores.graft(peer, TOPIC),
        "prune": lambda: scores.prune(peer, TOPIC),
        "penalty": lambda: scores.add_penalty(peer, 1),
        "validate": lambda: scores.validate_message(message),
        "deliver": lambda: scores.deliver_message(message),
        "duplicate": lambda: scores.duplicate_message(message.id, peer),
        "reject": lambda: scores.reject_message(message.wire, peer, rest[2]),
    }
    calls[kind]()


def played(history: list[tuple[object, ...]]) -> Bench:
    bench = Bench(
        FULL,
        A,
        B,
        retain_score_s=2.0,
        addresses=lambda peer: ["1.2.3.4"],
        **COLOCATION,
        behaviour_penalty_weight=-1.0,
        behaviour_penalty_decay=0.5,
    )
    for step in history:
        play(bench, step)
    return bench


@settings(deadline=None, max_examples=150)
@given(st.lists(steps, max_size=40))
def test_a_score_is_a_finite_number_and_the_sum_of_its_parts(history: list[tuple[object, ...]]) -> None:
    """Whatever peers do, in any order; counters never fall below zero or rise above their caps."""
    bench = played(history)
    for peer, snapshot in bench.scores.scores().items():
        assert math.isfinite(bench.of(peer))
        assert snapshot.score == bench.of(peer)
        assert snapshot.score == pytest.approx(snapshot.topic_score + snapshot.p5 + snapshot.p6 + snapshot.p7)
        for topic in snapshot.topics.values():
            assert topic.score == pytest.approx(topic.p1 + topic.p2 + topic.p3 + topic.p3b + topic.p4)
            assert min(topic.p1, topic.p2) >= 0 >= max(topic.p3, topic.p3b, topic.p4)
            assert 0 <= topic.mesh_message_deliveries <= 100
            assert topic.mesh_failure_penalty >= 0


@settings(deadline=None, max_examples=100)
@given(st.lists(steps, max_size=40))
def test_what_was_done_is_forgotten_in_time(history: list[tuple[object, ...]]) -> None:
    """Outside the mesh every counter decays to exactly zero, and who left is forgotten."""
    bench = played(history)
    for peer in (A, B, C):
        bench.scores.prune(peer, TOPIC)
    bench.clock.advance(3 * S)
    bench.refresh(30)
    for snapshot in bench.scores.scores().values():
        assert snapshot.is_connected
        assert snapshot.behaviour_penalty == 0
        for topic in snapshot.topics.values():
            assert topic.first_message_deliveries == 0
            assert topic.mesh_message_deliveries == 0
            assert topic.mesh_failure_penalty == 0
            assert topic.invalid_message_deliveries == 0
