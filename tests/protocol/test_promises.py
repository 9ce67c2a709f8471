"""Promises to follow up an IWANT: the reference's unit tests (PR01, PR02), and what fulfils or voids a promise."""

from __future__ import annotations

import random

import pytest

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.promises import Promises
from pubsub_sim.protocol.validation import Reason
from tests.protocol.clocks import MS, HandClock, S, message_from

A, B, C = PeerId(b"A"), PeerId(b"B"), PeerId(b"C")
MESSAGES = [message_from(A, number) for number in range(100)]
IDS = [message.id for message in MESSAGES]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def promises(clock: HandClock) -> Promises:
    return Promises(now_ns=clock, rng=random.Random(1), followup_s=0.1)


def test_pr01_broken_promises_are_counted_once(promises: Promises, clock: HandClock) -> None:
    """One each for the two peers who did not deliver; the throttled one had no chance to."""
    for peer in (A, B, C):
        promises.add(peer, IDS)
    promises.throttle_peer(C)
    clock.advance(100 * MS)
    assert promises.broken(clock()) == {}
    clock.advance(1)
    assert promises.broken(clock()) == {A: 1, B: 1}
    assert promises.broken(clock()) == {}
    assert promises.outstanding == {}


@pytest.mark.parametrize("hook", ["validate_message", "deliver_message"])
def test_pr02_nothing_is_broken_when_all_was_delivered(promises: Promises, clock: HandClock, hook: str) -> None:
    """Whoever delivered it, and as soon as its validation begins."""
    promises.add(A, IDS)
    promises.add(B, IDS)
    for message in MESSAGES:
        getattr(promises, hook)(message)
    assert promises.outstanding == {}
    clock.advance(S)
    assert promises.broken(clock()) == {}


@pytest.mark.parametrize("reason", list(Reason))
def test_a_refused_message_was_delivered_unless_its_signature_is_missing_or_wrong(
    promises: Promises, clock: HandClock, reason: Reason
) -> None:
    """Other refusals have penalties of their own."""
    promises.add(A, [MESSAGES[0].id])
    promises.reject_message(MESSAGES[0].wire, A, reason)
    clock.advance(S)
    is_broken = reason in {Reason.MISSING_SIGNATURE, Reason.INVALID_SIGNATURE}
    assert promises.broken(clock()) == ({A: 1} if is_broken else {})


def test_a_second_request_does_not_prolong_a_promise(promises: Promises, clock: HandClock) -> None:
    """The first one stands."""
    promises.add(A, [IDS[0]])
    clock.advance(60 * MS)
    promises.add(A, [IDS[0]])
    clock.advance(41 * MS)
    assert promises.broken(clock()) == {A: 1}


def test_of_each_request_one_message_is_watched(promises: Promises, clock: HandClock) -> None:
    """Chosen by chance among all; asking for nothing promises nothing."""
    promises.add(A, [])
    assert promises.outstanding == {}
    for round_number in range(200):
        promises.add(PeerId(bytes([1, round_number])), IDS[:4])
    assert set(promises.outstanding.values()) == {1}
    for message in MESSAGES[:3]:
        promises.deliver_message(message)
    assert 0 < len(promises.outstanding) < 100  # about a quarter watched the fourth


def test_the_default_follow_up_time_is_three_seconds(clock: HandClock) -> None:
    """The reference's."""
    promises = Promises(now_ns=clock, rng=random.Random(1))
    promises.add(A, IDS)
    assert promises.broken(clock() + 3 * S) == {}
    assert promises.broken(clock() + 3 * S + 1) == {A: 1}
