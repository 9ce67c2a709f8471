"""Back-off after PRUNE (gossipsub v1.1): peers that may not be grafted again yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pubsub_sim.ids import PeerId

_SLACK_NS = 2 * 1_000_000_000  # two default heartbeats (`clearBackoff`): the other side's timer may be late


class PruneBackoff:
    """Ends of back-offs in ns, by topic and peer."""

    def __init__(self) -> None:
        self._expiry_ns: dict[str, dict[PeerId, int]] = {}

    def add(self, topic: str, peer: PeerId, expiry_ns: int) -> None:
        """Set a back-off until `expiry_ns`, unless there is a later one."""
        peers = self._expiry_ns.setdefault(topic, {})
        if peers.get(peer, -1) < expiry_ns:
            peers[peer] = expiry_ns

    def of(self, topic: str) -> Mapping[PeerId, int]:
        """Return the entries of a topic, including expired ones not cleared yet, which still exclude peers from grafting."""
        return self._expiry_ns.get(topic, _NONE)

    def view(self) -> dict[str, dict[PeerId, int]]:
        """Return a copy of all entries."""
        return {topic: dict(peers) for topic, peers in self._expiry_ns.items()}

    def clear(self, now_ns: int) -> None:
        """Remove entries that expired more than two seconds ago."""
        for topic, peers in list(self._expiry_ns.items()):
            for peer in [p for p, expiry_ns in peers.items() if expiry_ns + _SLACK_NS < now_ns]:
                del peers[peer]
            if not peers:
                del self._expiry_ns[topic]


_NONE: Mapping[PeerId, int] = {}
