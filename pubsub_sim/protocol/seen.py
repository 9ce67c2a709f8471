"""Has this message been here before? The two time caches of go-libp2p-pubsub (`timecache`).

`has` and `add` do not look at expiry: an id vanishes only when `sweep` finds it expired, so it is remembered for the
TTL and up to one sweep period longer. The strategies differ in what starts the TTL: the first sight, or the last. Of
long ids, a digest is remembered (see `kept_ids`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from pubsub_sim.protocol.kept_ids import WHOLE_BYTES, kept_id


class SeenStrategy(enum.Enum):
    """Which sight of a message starts its TTL (go-libp2p-pubsub `timecache.Strategy`)."""

    FIRST_SEEN = "first-seen"
    LAST_SEEN = "last-seen"


class SeenCache:
    """First-seen: message ids with the time until which they are remembered.

    Args:
        ttl_ns: how long an id is remembered at least.
    """

    __slots__ = ("_expiry_ns", "_ttl_ns")

    def __init__(self, ttl_ns: int) -> None:
        self._ttl_ns = ttl_ns
        self._expiry_ns: dict[bytes, int] = {}

    def has(self, message_id: bytes) -> bool:
        """Whether an id is remembered."""
        # asked for every copy of every message: no call for a short id
        return (message_id if len(message_id) <= WHOLE_BYTES else kept_id(message_id)) in self._expiry_ns

    def add(self, message_id: bytes, now_ns: int) -> bool:
        """Remember an id; False if it was already there (its expiry stays as it was)."""
        message_id = kept_id(message_id)
        if message_id in self._expiry_ns:
            return False
        self._expiry_ns[message_id] = now_ns + self._ttl_ns
        return True

    def sweep(self, now_ns: int) -> int:
        """Forget what has expired; gives how many ids that were."""
        return _sweep(self._expiry_ns, now_ns)

    def __len__(self) -> int:
        return len(self._expiry_ns)


class LastSeenCache:
    """Last-seen: an id that is added again, or asked for and found, is remembered anew.

    Args:
        ttl_ns: how long an id is remembered at least.
        now_ns: monotonic time, read when an id is asked for.
    """

    __slots__ = ("_expiry_ns", "_now_ns", "_ttl_ns")

    def __init__(self, ttl_ns: int, now_ns: Callable[[], int]) -> None:
        self._ttl_ns = ttl_ns
        self._now_ns = now_ns
        self._expiry_ns: dict[bytes, int] = {}

    def has(self, message_id: bytes) -> bool:
        """Whether an id is remembered; if it is, its TTL starts again."""
        message_id = kept_id(message_id)
        if message_id not in self._expiry_ns:
            return False
        self._move(message_id, self._now_ns())
        return True

    def add(self, message_id: bytes, now_ns: int) -> bool:
        """Remember an id from now on; False if it was already there."""
        message_id = kept_id(message_id)
        is_fresh = message_id not in self._expiry_ns
        self._move(message_id, now_ns)
        return is_fresh

    def sweep(self, now_ns: int) -> int:
        """Forget what has expired; gives how many ids that were."""
        return _sweep(self._expiry_ns, now_ns)

    def __len__(self) -> int:
        return len(self._expiry_ns)

    def _move(self, message_id: bytes, now_ns: int) -> None:
        self._expiry_ns.pop(message_id, None)  # to the end: insertion order stays expiry order
        self._expiry_ns[message_id] = now_ns + self._ttl_ns


def seen_cache(strategy: SeenStrategy, ttl_ns: int, now_ns: Callable[[], int]) -> SeenCache | LastSeenCache:
    """The cache of a strategy.

    Args:
        strategy: which sight starts the TTL.
        ttl_ns: how long an id is remembered at least.
        now_ns: monotonic time.
    """
    return SeenCache(ttl_ns) if strategy is SeenStrategy.FIRST_SEEN else LastSeenCache(ttl_ns, now_ns)


def _sweep(expiry_ns: dict[bytes, int], now_ns: int) -> int:
    # insertion order is expiry order: the TTL is constant and time does not run backwards
    expired = 0
    for until_ns in expiry_ns.values():
        if until_ns >= now_ns:
            break
        expired += 1
    for message_id in list(expiry_ns)[:expired]:
        del expiry_ns[message_id]
    return expired
