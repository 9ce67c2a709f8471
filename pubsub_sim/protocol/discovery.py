"""Dialling of discovered peers: the back-off connector of go-libp2p, as configured by go-libp2p-pubsub.

A peer is dialled at most once per 10 s, even if the first dial failed: attempt k may follow after 5^k s, of which
the first two are raised to 10 s and later ones drawn uniformly between 10 s and 5^k s (at most an hour).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.protocol.params import DISCOVERY_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pubsub_sim.ids import PeerId
    from pubsub_sim.ports import Rng

_CACHE_SIZE = 100
_MIN_S = 10.0
_MAX_S = 3600.0
_BASE = 5.0


def namespace_of(topic: str) -> str:
    """Return the namespace in which a topic is advertised."""
    return DISCOVERY_NAMESPACE + topic


class DialPolicy:
    """The back-off of recently dialled peers.

    Args:
        own_id: the host's own id, never dialled.
        rng: seeded random numbers.
    """

    def __init__(self, own_id: PeerId, rng: Rng) -> None:
        self._own_id = own_id
        self._rng = rng
        self._peers: dict[PeerId, tuple[int, int]] = {}  # attempts, next try; the 100 used last

    def choose(self, found: Iterable[PeerId], now_ns: int) -> list[PeerId]:
        """Return the peers to dial now, in the order found, and count them as dialled."""
        chosen = []
        for peer in found:
            if peer == self._own_id or not peer:
                continue
            attempts, next_ns = self._peers.pop(peer, (0, now_ns))
            if next_ns <= now_ns:
                next_ns = now_ns + int(self._delay_s(attempts) * 1e9)
                attempts += 1
                chosen.append(peer)
            self._peers[peer] = (attempts, next_ns)
            if len(self._peers) > _CACHE_SIZE:
                del self._peers[next(iter(self._peers))]
        return chosen

    def _delay_s(self, attempts: int) -> float:
        longest = min(_BASE ** min(attempts, 8), _MAX_S)
        return _MIN_S if longest <= _MIN_S else self._rng.uniform(_MIN_S, longest)
