"""The small decisions: what was seen, who is dialled, when a dead peer is tried again."""

from __future__ import annotations

import random

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.backoff import DeadPeerBackoff
from pubsub_sim.protocol.discovery import DialPolicy
from pubsub_sim.protocol.seen import SeenCache

A, B, OWN = PeerId(b"a"), PeerId(b"b"), PeerId(b"own")
S = 1_000_000_000


def test_a_seen_id_is_remembered_until_a_sweep_finds_it_expired() -> None:
    """First-seen strategy: neither a look nor a second add moves the expiry, and only the sweep forgets."""
    cache = SeenCache(120 * S)
    assert cache.add(b"id", 0)
    assert not cache.add(b"id", 119 * S)
    assert cache.sweep(120 * S) == 0
    assert cache.has(b"id")
    assert cache.sweep(121 * S) == 1
    assert not cache.has(b"id")


def test_a_dead_peer_is_tried_at_once_then_with_growing_pauses_then_given_up() -> None:
    """0, 100 ms, 200-299 ms, 400-697 ms, and no fifth attempt."""
    backoff = DeadPeerBackoff(random.Random(1))
    delays = [backoff.next_delay_ms(A, 0) for _ in range(5)]
    assert delays[:2] == [0, 100]
    assert delays[2] is not None
    assert 200 <= delays[2] <= 299
    assert delays[3] is not None
    assert 400 <= delays[3] <= 697
    assert delays[4] is None


def test_a_dead_peer_is_forgiven_after_ten_minutes() -> None:
    """The record expires."""
    backoff = DeadPeerBackoff(random.Random(1))
    for _ in range(4):
        backoff.next_delay_ms(A, 0)
    assert backoff.next_delay_ms(A, 601 * S) == 0


def test_a_found_peer_is_dialled_once_per_ten_seconds() -> None:
    """Even if nothing is known of the first dial; ourselves and empty ids never."""
    policy = DialPolicy(OWN, random.Random(1))
    assert policy.choose([OWN, PeerId(b""), A, B], 0) == [A, B]
    assert policy.choose([A, B], 10 * S - 1) == []
    assert policy.choose([A], 10 * S) == [A]


def test_later_dials_wait_longer() -> None:
    """The third attempt follows after 10 to 25 s."""
    policy = DialPolicy(OWN, random.Random(1))
    for now in (0, 10 * S, 20 * S):
        assert policy.choose([A], now) == [A]
    assert policy.choose([A], 30 * S - 1) == []
    assert policy.choose([A], 46 * S) == [A]
