"""Scores of what peers do in topics: the reference's unit tests (SC01 to SC11)."""

from __future__ import annotations

import pytest

from pubsub_sim.protocol.validation import Reason
from tests.protocol.clocks import MS, S, message_from
from tests.protocol.scores import FAILURE, FIRST, INVALID, MESH, TIME_IN_MESH, TOPIC, A, B, Bench, C, topic_params


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
