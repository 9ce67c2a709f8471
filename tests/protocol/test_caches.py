"""What is remembered for a time: seen messages (TC), dead peers (K), blacklisted peers (B); the reference's unit tests."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pubsub_sim.errors import OptionError
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.backoff import DeadPeerBackoff
from pubsub_sim.protocol.blacklist import MapBlacklist, TimeCachedBlacklist
from pubsub_sim.protocol.seen import WHOLE_BYTES, LastSeenCache, SeenCache, SeenStrategy, cache_key, seen_cache
from tests.protocol.clocks import MS, HandClock, S

A, B = PeerId(b"A"), PeerId(b"B")
both = pytest.mark.parametrize("strategy", list(SeenStrategy), ids=lambda strategy: strategy.value)


def key(number: int) -> bytes:
    return str(number).encode()


class SweptCache:
    """A cache of 1 s with a sweep at every multiple of a period, as time passes."""

    def __init__(self, strategy: SeenStrategy, period_ns: int) -> None:
        self.clock = HandClock()
        self.cache: SeenCache | LastSeenCache = seen_cache(strategy, S, self.clock)
        self._period_ns = period_ns
        self._next_ns = self.clock() + period_ns

    def add(self, number: int) -> bool:
        return self.cache.add(key(number), self.clock())

    def has(self, number: int) -> bool:
        return self.cache.has(key(number))

    def advance(self, ns: int) -> None:
        until = self.clock() + ns
        while self._next_ns <= until:
            self.clock.ns = self._next_ns
            self.cache.sweep(self.clock())
            self._next_ns += self._period_ns
        self.clock.ns = until


@both
def test_tc1_what_was_added_is_found(strategy: SeenStrategy) -> None:
    """And is not fresh again; other ids are not found."""
    cache = SweptCache(strategy, 60 * S)
    assert cache.add(1)
    assert cache.has(1)
    assert not cache.add(1)
    assert not cache.has(2)


@both
def test_tc2_what_was_added_expires(strategy: SeenStrategy) -> None:
    """Ids added over one second are all gone two seconds later."""
    cache = SweptCache(strategy, S)
    for number in range(11):
        cache.add(number)
        cache.advance(100 * MS)
    cache.advance(2 * S)
    assert [number for number in range(11) if cache.has(number)] == []
    assert len(cache.cache) == 0


@both
def test_tc3_what_expired_can_be_added_anew(strategy: SeenStrategy) -> None:
    """Not found, then fresh."""
    cache = SweptCache(strategy, S)
    cache.add(1)
    cache.advance(2 * S)
    assert not cache.has(1)
    assert cache.add(1)


def test_tc4_a_last_seen_id_slides_forward() -> None:
    """Asked for at 800 ms it lives past 1.2 s, when its neighbour is gone, and ends when nobody asks any more."""
    cache = SweptCache(SeenStrategy.LAST_SEEN, 100 * MS)
    for number in range(8):
        cache.add(number)
        cache.advance(100 * MS)
    assert cache.has(0)
    cache.advance(410 * MS)
    assert cache.has(0)
    assert not cache.has(1)
    cache.advance(1110 * MS)
    assert not cache.has(0)
    assert not cache.has(0)


def test_tc4_adding_again_slides_forward_too() -> None:
    """Though it is not fresh; a first-seen id stays where it was."""
    for strategy, is_kept in ((SeenStrategy.LAST_SEEN, True), (SeenStrategy.FIRST_SEEN, False)):
        cache = SweptCache(strategy, 100 * MS)
        cache.add(1)
        cache.advance(800 * MS)
        assert not cache.add(1)
        cache.advance(410 * MS)
        assert (len(cache.cache) == 1) == is_kept


def test_k01_a_back_off_grows_to_its_limit_and_ends() -> None:
    """0, then at most 2^i x 200 ms and 10 s, ten times; the eleventh call gives up, ten minutes later all is forgiven."""
    backoff = DeadPeerBackoff(random.Random(1), max_attempts=10)
    delays = [backoff.next_delay_ms(A, 0) for _ in range(10)]
    assert delays[0] == 0
    for number, delay_ms in enumerate(delays):
        assert delay_ms is not None
        assert delay_ms <= min(2**number * 200, 10_000)
    assert delays[-1] == 10_000
    assert backoff.next_delay_ms(A, 0) is None
    assert [backoff.next_delay_ms(B, 0), backoff.next_delay_ms(B, 0)] == [0, 100]
    assert backoff.next_delay_ms(A, 600 * S + 1) == 0
    assert len(backoff) == 2


def test_k02_old_records_are_cleaned_up() -> None:
    """Ten that expired are gone, one new is there."""
    backoff = DeadPeerBackoff(random.Random(1))
    for number in range(10):
        backoff.next_delay_ms(PeerId(key(number)), 0)
    backoff.clean_up(600 * S)
    assert len(backoff) == 10
    backoff.clean_up(600 * S + 1)
    backoff.next_delay_ms(A, 604 * S)
    assert len(backoff) == 1


def timed() -> TimeCachedBlacklist:
    return TimeCachedBlacklist(600, now_ns=HandClock())


@pytest.mark.parametrize(("make", "is_told"), [(MapBlacklist, True), (timed, False)], ids=["b01-map", "b02-timed"])
def test_b01_b02_who_was_added_is_on_the_list(
    make: Callable[[], MapBlacklist | TimeCachedBlacklist], is_told: bool
) -> None:
    """Only the timed list tells whether somebody was on it."""
    blacklist = make()
    assert len(blacklist) == 0
    assert A not in blacklist
    assert blacklist.add(A)
    assert A in blacklist
    assert B not in blacklist
    assert blacklist.add(A) == is_told
    assert len(blacklist) == 1


def test_b02_who_was_added_is_let_go_in_time() -> None:
    """Each after its own time, which adding again does not prolong."""
    clock = HandClock()
    blacklist = TimeCachedBlacklist(1, now_ns=clock)
    blacklist.add(A)
    clock.advance(600 * MS)
    blacklist.add(A)
    blacklist.add(B)
    clock.advance(400 * MS)
    assert A in blacklist
    clock.advance(1)
    assert A not in blacklist
    assert B in blacklist
    assert len(blacklist) == 1
    clock.advance(S)
    assert blacklist.add(B)


def test_b02_a_time_that_is_none_is_refused() -> None:
    """Zero is not "for good"."""
    with pytest.raises(OptionError, match="ttl_s"):
        TimeCachedBlacklist(0, now_ns=HandClock())


@both
def test_the_ids_that_are_lacking_are_those_the_cache_has_not(strategy: SeenStrategy) -> None:
    """Also among long ids, which are remembered by their digests, and for an id that looks like a digest."""
    lengths = (1, 46, WHOLE_BYTES, WHOLE_BYTES + 1, 100)
    ids = [bytes([number]) * length for number, length in enumerate(lengths)]
    ids += [cache_key(message_id) for message_id in ids[3:]]
    for chosen in range(2 ** len(ids)):
        cache = seen_cache(strategy, 100, lambda: 0)
        for place, message_id in enumerate(ids):
            if chosen >> place & 1:
                cache.add(message_id, 0)
        assert cache.lacks(ids) == [message_id for message_id in ids if not cache.has(message_id)]
        remembered = [message_id for message_id in ids if cache.has(message_id)]
        assert cache.lacks(remembered) == cache.lacks([]) == []
