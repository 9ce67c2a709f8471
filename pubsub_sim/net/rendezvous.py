"""The mock discovery server of the reference's tests: a shared table of registrations that never expire.

Whoever owns the hosts may withdraw those of a host that is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pubsub_sim.ids import PeerId


class RendezvousServer:
    """Namespace -> registered peers, in the order they registered."""

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[PeerId, None]] = {}

    def register(self, namespace: str, peer: PeerId) -> None:
        """Add a peer; a second time changes nothing."""
        self._namespaces.setdefault(namespace, {})[peer] = None

    def withdraw(self, peer: PeerId, namespace: str | None = None) -> None:
        """Remove a peer from a namespace, or from all; nothing if it is not registered."""
        for name in list(self._namespaces) if namespace is None else [namespace]:
            peers = self._namespaces.get(name, {})
            peers.pop(peer, None)
            if not peers:
                self._namespaces.pop(name, None)

    def registered(self, namespace: str) -> tuple[PeerId, ...]:
        """Who is registered."""
        return tuple(self._namespaces.get(namespace, ()))


class RendezvousClient:
    """One host's view of the server; implements the Rendezvous port.

    Args:
        server: shared by all hosts.
        own_id: who registers.
        limit: most peers a look-up gives.
        ttl_s: how long a registration is said to live; the pause before the next one.
    """

    def __init__(self, server: RendezvousServer, own_id: PeerId, *, limit: int, ttl_s: float = 60.0) -> None:
        self._server = server
        self._own_id = own_id
        self._limit = limit
        self._ttl_s = ttl_s

    async def advertise(self, namespace: str) -> float:
        """Register at the server after one round of the loop; gives the time to live."""
        await asyncio.sleep(0)  # the server is a round trip away
        self._server.register(namespace, self._own_id)
        return self._ttl_s

    async def find_peers(self, namespace: str) -> Sequence[PeerId]:
        """Look up registered peers after one round of the loop, `limit` at most."""
        await asyncio.sleep(0)
        return self._server.registered(namespace)[: self._limit]
