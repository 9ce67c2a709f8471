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
    from pubsub_sim.ports import Host
    from pubsub_sim.protocol.params import HostParams

_log = logging.getLogger("pubsub_sim.dialling")


class Dialler:
    """Dials for one node's router.

    Args:
        host: the network.
        params: how many dials at once, how many waiting, and how long each may take.
    """

    def __init__(self, host: Host, params: HostParams) -> None:
        self._host = host
        self._params = params
        self._waiting: deque[PeerId] = deque()
        self._dials: set[asyncio.Task[None]] = set()

    def dial(self, peer: PeerId) -> bool:
        """Connect to a peer in the background; False, and nothing happens, if too many dials wait (port of the core)."""
        if len(self._dials) < self._params.connectors:
            self._start(peer)
        elif len(self._waiting) < self._params.max_pending_connections:
            self._waiting.append(peer)
        else:
            return False
        return True

    @property
    def is_idle(self) -> bool:
        """Whether no dial waits or is under way."""
        return not self._dials

    async def close(self) -> None:
        """End all dials."""
        self._waiting.clear()
        dials = list(self._dials)
        for dial in dials:
            dial.cancel()
        await asyncio.gather(*dials, return_exceptions=True)

    def _start(self, peer: PeerId) -> None:
        task = asyncio.get_running_loop().create_task(self._dial(peer), name="dial for the router")
        self._dials.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._dials.discard(task)
        if self._waiting:
            self._start(self._waiting.popleft())

    async def _dial(self, peer: PeerId) -> None:
        if self._host.is_connected(peer):
            return
        try:
            async with asyncio.timeout(self._params.connection_timeout_s):
                await self._host.connect(peer)
        except (TimeoutError, DialError) as error:
            _log.debug("dial failed: %s", error)
