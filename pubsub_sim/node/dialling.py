"""Background dials requested by the router, bounded in number.

Source: the connectors of go-libp2p-pubsub's gossipsub (`connector`, `pxConnect`, `directConnect`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from pubsub_sim.errors import DialError

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.lifetime import Lifetime
    from pubsub_sim.ports import Host
    from pubsub_sim.protocol.params import HostParams

_log = logging.getLogger("pubsub_sim.dialling")


class Dialler:
    """Dials for one node's router.

    Args:
        host: the network.
        params: limits on concurrent and queued dials, and their timeout.
        lifetime: owns the dials.
    """

    def __init__(self, host: Host, params: HostParams, lifetime: Lifetime) -> None:
        self._host = host
        self._params = params
        self._lifetime = lifetime
        self._waiting: deque[PeerId] = deque()
        self._connectors = 0  # under way

    def dial(self, peer: PeerId) -> bool:
        """Connect to a peer in the background; return False and do nothing if the queue is full (port of the core)."""
        if self._connectors < self._params.connectors:
            self._connectors += 1
            self._lifetime.start(self._connect(peer), "dial for the router")
        elif len(self._waiting) < self._params.max_pending_connections:
            self._waiting.append(peer)
        else:
            return False
        return True

    async def _connect(self, peer: PeerId) -> None:
        """Dial a peer, then the queued ones, one at a time."""
        try:
            await self._dial(peer)
            while self._waiting:
                await self._dial(self._waiting.popleft())
        finally:
            self._connectors -= 1

    async def _dial(self, peer: PeerId) -> None:
        if self._host.is_connected(peer):
            return
        try:
            async with asyncio.timeout(self._params.connection_timeout_s):
                await self._host.connect(peer)
        except (TimeoutError, DialError) as error:
            _log.debug("dial failed: %s", error)
