"""The two time caches of seen messages (go-libp2p-pubsub `timecache`), and the keys of such tables.

`has` and `add` ignore expiry: an id is removed only when `sweep` finds it expired, so it is remembered for the TTL and up
to one sweep period longer. The strategies differ in the start of the TTL: the first sight of a message, or the last.

The author of a message chooses the length of its id, up to the size of an RPC. Honest ids are short: an Ed25519 peer id and
a sequence number are 46 bytes. With full ids, tables of past messages (seen, refused, promised) could grow to all bytes
received in their lifetime, as in the reference. Here they store at most 64 bytes of an id (`cache_key`); ids that are sent,
cached or shown are unchanged.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Mapping, Sequence

WHOLE_BYTES = 63
"""Maximal length of an id that is its own key: shorter than a digest, so that an id cannot equal the digest of another."""


def cache_key(message_id: bytes) -> bytes:
    """Return the id itself, or the SHA-512 of a long one (cf. the reference's `computeChecksum` for IDONTWANT, SHA-256 over 32)."""
    return message_id if len(message_id) <= WHOLE_BYTES else hashlib.sha512(message_id).digest()


class SeenStrategy(enum.Enum):
    """The sight of a message that starts its TTL (go-libp2p-pubsub `timecache.Strategy`)."""

    FIRST_SEEN = "first-seen"
    LAST_SEEN = "last-seen"


class _TimeCache:
    """Message ids, each with the time until which it is remembered, in the order of these times.

    Args:
        ttl_ns: minimal time an id is remembered.
    """

    __slots__ = ("_expiry_ns", "_ttl_ns")

    def __init__(self, ttl_ns: int) -> None:
        self._ttl_ns = ttl_ns
        self._expiry_ns: dict[bytes, int] = {}

    def forget(self, message_id: bytes) -> None:
        """Remember an id no longer."""
        self._expiry_ns.pop(cache_key(message_id), None)

    def sweep(self, now_ns: int) -> int:
        """Forget what has expired; gives how many ids that were."""
        expired = 0  # the TTL is constant and time does not run backwards: insertion order is expiry order
        for until_ns in self._expiry_ns.values():
            if until_ns >= now_ns:
                break
            expired += 1
        for message_id in list(self._expiry_ns)[:expired]:
            del self._expiry_ns[message_id]
        return expired

    def __len__(self) -> int:
        return len(self._expiry_ns)


class SeenCache(_TimeCache):
    """First-seen: message ids with the time until which they are remembered.

    Args:
        ttl_ns: how long an id is remembered at least.
    """

    __slots__ = ()

    @property
    def ids(self) -> Mapping[bytes, object]:
        """The table: ids of at most WHOLE_BYTES bytes, and the digests of longer ones."""
        return self._expiry_ns

    def has(self, message_id: bytes) -> bool:
        """Return whether an id is remembered."""
        # called for every copy of every message: no further call for a short id
        return (message_id if len(message_id) <= WHOLE_BYTES else cache_key(message_id)) in self._expiry_ns

    def lacks(self, message_ids: Sequence[bytes]) -> list[bytes]:
        """Return those of some ids that are not remembered, in order."""
        known = self._expiry_ns
        for one in message_ids:
            if one not in known or len(one) > WHOLE_BYTES:
                break
        else:
            return []  # as nearly always
        return [one for one in message_ids if (one if len(one) <= WHOLE_BYTES else cache_key(one)) not in known]

    def add(self, message_id: bytes, now_ns: int) -> bool:
        """Add an id; return False if it was already there (its expiry is unchanged)."""
        message_id = cache_key(message_id)
        if message_id in self._expiry_ns:
            return False
        self._expiry_ns[message_id] = now_ns + self._ttl_ns
        return True


class LastSeenCache(_TimeCache):
    """Last-seen: an id that is added again, or asked for and found, is remembered anew.

    Args:
        ttl_ns: minimal time an id is remembered.
        now_ns: monotonic time, read on lookups.
    """

    __slots__ = ("_now_ns",)

    def __init__(self, ttl_ns: int, now_ns: Callable[[], int]) -> None:
        super().__init__(ttl_ns)
        self._now_ns = now_ns

    def has(self, message_id: bytes) -> bool:
        """Return whether an id is remembered; if so, restart its TTL."""
        message_id = cache_key(message_id)
        if message_id not in self._expiry_ns:
            return False
        self._move(message_id, self._now_ns())
        return True

    def lacks(self, message_ids: Sequence[bytes]) -> list[bytes]:
        """Return those of some ids that are not remembered, in order; the TTL of the others starts again."""
        return [one for one in message_ids if not self.has(one)]

    def add(self, message_id: bytes, now_ns: int) -> bool:
        """Add an id or restart its TTL; return False if it was already there."""
        message_id = cache_key(message_id)
        is_fresh = message_id not in self._expiry_ns
        self._move(message_id, now_ns)
        return is_fresh

    def _move(self, message_id: bytes, now_ns: int) -> None:
        self._expiry_ns.pop(message_id, None)  # to the end: insertion order stays expiry order
        self._expiry_ns[message_id] = now_ns + self._ttl_ns


def seen_cache(strategy: SeenStrategy, ttl_ns: int, now_ns: Callable[[], int]) -> SeenCache | LastSeenCache:
    """Return a cache for a strategy.

    Args:
        strategy: the sight that starts the TTL.
        ttl_ns: minimal time an id is remembered.
        now_ns: monotonic time.
    """
    return SeenCache(ttl_ns) if strategy is SeenStrategy.FIRST_SEEN else LastSeenCache(ttl_ns, now_ns)
