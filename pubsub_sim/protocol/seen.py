"""Has this message been here before? The first-seen time cache of go-libp2p-pubsub (`timecache`).

`has` and `add` do not look at expiry: an id vanishes only when `sweep` finds it expired, so it is remembered for the
TTL and up to one sweep period longer.
"""

from __future__ import annotations


class SeenCache:
    """Message ids with the time until which they are remembered.

    Args:
        ttl_ns: how long an id is remembered at least.
    """

    __slots__ = ("_expiry_ns", "_ttl_ns", "has")

    def __init__(self, ttl_ns: int) -> None:
        self._ttl_ns = ttl_ns
        self._expiry_ns: dict[bytes, int] = {}
        self.has = self._expiry_ns.__contains__  # asked for every copy of every message

    def add(self, message_id: bytes, now_ns: int) -> bool:
        """Remember an id; False if it was already there (its expiry stays as it was)."""
        if message_id in self._expiry_ns:
            return False
        self._expiry_ns[message_id] = now_ns + self._ttl_ns
        return True

    def sweep(self, now_ns: int) -> int:
        """Forget what has expired; gives how many ids that were."""
        # insertion order is expiry order: the TTL is constant and time does not run backwards
        expired = 0
        for expiry_ns in self._expiry_ns.values():
            if expiry_ns >= now_ns:
                break
            expired += 1
        for message_id in list(self._expiry_ns)[:expired]:
            del self._expiry_ns[message_id]
        return expired

    def __len__(self) -> int:
        return len(self._expiry_ns)
