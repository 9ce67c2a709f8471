"""IP addresses of hosts, as their peers see them. Each host has its own, unless it is given one to share.

No frame travels by these addresses. Peers are scored and gated by them.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId

_FIRST = IPv4Address("10.0.0.1")


class Addresses:
    """Addresses of the hosts of a network, in the order they come: 10.0.0.1, 10.0.0.2, ... A host keeps its own."""

    def __init__(self) -> None:
        self._numbers: dict[PeerId, int] = {}

    def of(self, peer_id: PeerId) -> str:
        """The address of a host, in all its lives."""
        return str(_FIRST + self._numbers.setdefault(peer_id, len(self._numbers)))
