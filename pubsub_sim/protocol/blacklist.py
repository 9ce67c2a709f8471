"""Blacklists of peers, permanent or for a limited time (go-libp2p-pubsub `blacklist.go`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.checks import check_seconds

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId


class Blacklist(Protocol):
    """Peers whose messages, forwarded or written by them, are refused."""

    def add(self, peer: PeerId, /) -> bool:
        """Blacklist a peer; return whether that changed anything, if known."""

    def __contains__(self, peer: object, /) -> bool:
        """Return whether a peer is blacklisted."""

    def __len__(self) -> int:
        """Return the number of blacklisted peers; 0 only if there are none."""


class MapBlacklist:
    """A permanent blacklist.

    Args:
        peers: initially blacklisted peers.
    """

    __slots__ = ("_peers",)

    def __init__(self, peers: Iterable[PeerId] = ()) -> None:
        self._peers = dict.fromkeys(peers)

    def add(self, peer: PeerId) -> bool:
        """Add a peer; always return True, as in the reference."""
        self._peers[peer] = None
        return True

    def __contains__(self, peer: object) -> bool:
        return peer in self._peers

    def __len__(self) -> int:
        return len(self._peers)


class TimeCachedBlacklist:
    """A blacklist with expiry.

    Args:
        ttl_s: time a peer stays on it; adding the peer again does not extend that.
        now_ns: monotonic time.
    """

    __slots__ = ("_expiry_ns", "_now_ns", "_ttl_ns")

    def __init__(self, ttl_s: float, *, now_ns: Callable[[], int]) -> None:
        check_seconds("ttl_s", ttl_s)
        self._ttl_ns = int(ttl_s * 1e9)
        self._now_ns = now_ns
        self._expiry_ns: dict[PeerId, int] = {}

    def add(self, peer: PeerId) -> bool:
        """Add a peer; return False if it was on the list."""
        now_ns = self._now_ns()
        self._forget_expired(now_ns)
        if peer in self._expiry_ns:
            return False
        self._expiry_ns[peer] = now_ns + self._ttl_ns
        return True

    def __contains__(self, peer: object) -> bool:
        self._forget_expired(self._now_ns())
        return peer in self._expiry_ns

    def __len__(self) -> int:
        self._forget_expired(self._now_ns())
        return len(self._expiry_ns)

    def _forget_expired(self, now_ns: int) -> None:
        while self._expiry_ns:
            peer = next(iter(self._expiry_ns))  # insertion order is expiry order: the time is constant
            if self._expiry_ns[peer] >= now_ns:
                return
            del self._expiry_ns[peer]
