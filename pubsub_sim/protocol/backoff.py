"""Back-off for reopening a dead peer's stream: 0, 100 ms, then doubling, four attempts (go-libp2p-pubsub `backoff`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.ports import Rng

_MIN_MS = 100
_MAX_MS = 10_000
_JITTER_MS = 100
_MAX_ATTEMPTS = 4
_TTL_NS = 600 * 1_000_000_000


class DeadPeerBackoff:
    """The recent failures and the current delay of each peer.

    Args:
        rng: seeded random numbers.
        max_attempts: maximal number of attempts to reopen a stream to a peer (`MaxBackoffAttempts`, 4).
    """

    def __init__(self, rng: Rng, max_attempts: int = _MAX_ATTEMPTS) -> None:
        self._rng = rng
        self._max_attempts = max_attempts
        self._peers: dict[PeerId, tuple[int, int, int]] = {}  # delay_ms, attempts, last tried

    def next_delay_ms(self, peer: PeerId, now_ns: int) -> int | None:
        """Return the delay before the next attempt, in ms; None when the attempts are used up."""
        delay_ms, attempts, last_ns = self._peers.get(peer, (0, 0, now_ns - _TTL_NS - 1))
        if now_ns - last_ns > _TTL_NS:
            delay_ms, attempts = 0, 0
        elif attempts >= self._max_attempts:
            return None
        elif delay_ms < _MIN_MS:
            delay_ms = _MIN_MS
        else:
            delay_ms = min(2 * delay_ms + self._rng.randint(0, _JITTER_MS - 1), _MAX_MS)
        self._peers[peer] = (delay_ms, attempts + 1, now_ns)
        return delay_ms

    def clean_up(self, now_ns: int) -> None:
        """Forget peers that were last tried over ten minutes ago."""
        for peer in [p for p, (_, _, last_ns) in self._peers.items() if now_ns - last_ns > _TTL_NS]:
            del self._peers[peer]

    def __len__(self) -> int:
        return len(self._peers)
