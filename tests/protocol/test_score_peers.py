"""Scores of what peers are, and how long they are remembered: the reference's unit tests (SC12 to SC18)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from pubsub_sim.errors import OptionError
from pubsub_sim.ids import PeerId
from tests.protocol.clocks import MS, S, message_from
from tests.protocol.scores import (
    COLOCATION,
    FAILURE,
    FIRST,
    INVALID,
    MESH,
    TIME_IN_MESH,
    TOPIC,
    A,
    B,
    Bench,
    C,
    D,
    topic_params,
)


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
