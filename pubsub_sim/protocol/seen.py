"""The two time caches of seen messages (go-libp2p-pubsub `timecache`), and the keys of such tables.

`has` and `add` do not look at expiry: an id vanishes only when `sweep` finds it expired, so it is remembered for the
TTL and up to one sweep period longer. The strategies differ in what starts the TTL: the first sight, or the last.

The author of a message chooses how long its id is, up to the size of an RPC. Honest ids are short: an Ed25519 peer id and
a sequence number are 46 bytes. Tables that hold ids of messages that are gone (seen, refused, promised) would hold as many
bytes as were received in their whole time, in the reference too. Ours hold 64 bytes of an id at most (`cache_key`); what is
sent, cached or shown keeps its id as it is.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Sequence

WHOLE_BYTES = 63
"""Longest id that is its own key: shorter than a digest, so that no id can pass for the digest of another."""


def cache_key(message_id: bytes) -> bytes:
    """The id itself, or the SHA-512 of a long one (for IDONTWANT as the reference's `computeChecksum`, SHA-256 over 32)."""
    return message_id if len(message_id) <= WHOLE_BYTES else hashlib.sha512(message_id).digest()


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
        return (message_id if len(message_id) <= WHOLE_BYTES else cache_key(message_id)) in self._expiry_ns

    def lacks(self, message_ids: Sequence[bytes]) -> list[bytes]:
        """Those of some ids that are not remembered, in order."""
        known = self._expiry_ns
        return [one for one in message_ids if (one if len(one) <= WHOLE_BYTES else cache_key(one)) not in known]

    def add(self, message_id: bytes, now_ns: int) -> bool:
        """Remember an id; False if it was already there (its expiry stays as it was)."""
        message_id = cache_key(message_id)
        if message_id in self._expiry_ns:
            return False
        self._expiry_ns[message_id] = now_ns + self._ttl_ns
        return True

    def forget(self, message_id: bytes) -> None:
        """Remember an id no longer."""
        self._expiry_ns.pop(cache_key(message_id), None)

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
        message_id = cache_key(message_id)
        if message_id not in self._expiry_ns:
            return False
        self._move(message_id, self._now_ns())
        return True

    def lacks(self, message_ids: Sequence[bytes]) -> list[bytes]:
        """Those of some ids that are not remembered, in order; the TTL of the others starts again."""
        return [one for one in message_ids if not self.has(one)]

    def add(self, message_id: bytes, now_ns: int) -> bool:
        """Remember an id from now on; False if it was already there."""
        message_id = cache_key(message_id)
        is_fresh = message_id not in self._expiry_ns
        self._move(message_id, now_ns)
        return is_fresh

    def forget(self, message_id: bytes) -> None:
        """Remember an id no longer."""
        self._expiry_ns.pop(cache_key(message_id), None)

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
