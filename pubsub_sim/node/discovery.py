"""How does a node look for peers once, dial whom it found, and register once? The steps both versions arrange in time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pubsub_sim.errors import DialError
from pubsub_sim.protocol.discovery import DialPolicy, namespace_of

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.ports import Clock, Host, Rendezvous, Rng
    from pubsub_sim.protocol.params import HostParams

_log = logging.getLogger("pubsub_sim.discovery")


class PeerFinder:
    """Looks for peers and dials them.

    Args:
        host: the network.
        service: the discovery service.
        clock: the world's time.
        params: time limits.
        rng: seeded chance of the dial back-off.
    """

    def __init__(self, host: Host, service: Rendezvous, clock: Clock, params: HostParams, rng: Rng) -> None:
        self._host = host
        self._service = service
        self._clock = clock
        self._params = params
        self._policy = DialPolicy(host.peer_id, rng)
        self._dials: set[asyncio.Task[None]] = set()

    async def find(self, topic: str) -> None:
        """Ask who has registered for a topic and dial them, each in a task of its own; returns without their outcome.

        A failed look-up is logged and counts as an empty one, as in the reference.
        """
        try:
            async with asyncio.timeout(self._params.find_peers_timeout_s):
                found = await self._service.find_peers(namespace_of(topic))
        except (TimeoutError, OSError, DialError) as error:
            _log.debug("looking for peers of %s failed: %s", topic, error)
            return
        for peer in self._policy.choose(found, self._clock.now_ns()):
            dial = asyncio.get_running_loop().create_task(self._dial(peer), name="dial")
            self._dials.add(dial)
            dial.add_done_callback(self._dials.discard)

    async def advertise(self, topic: str) -> float:
        """Register once; gives the seconds after which to register again (2 min after a failure)."""
        try:
            return await self._service.advertise(namespace_of(topic))
        except (TimeoutError, OSError, DialError) as error:
            _log.debug("advertising %s failed: %s", topic, error)
            return self._params.advertise_retry_s

    @property
    def is_idle(self) -> bool:
        """Whether no dial is under way."""
        return not self._dials

    async def close(self) -> None:
        """End all dials."""
        dials = list(self._dials)
        for dial in dials:
            dial.cancel()
        await asyncio.gather(*dials, return_exceptions=True)

    async def _dial(self, peer: PeerId) -> None:
        try:
            async with asyncio.timeout(self._params.dial_timeout_s):
                await self._host.connect(peer)
        except (TimeoutError, DialError) as error:
            _log.debug("dial failed: %s", error)
