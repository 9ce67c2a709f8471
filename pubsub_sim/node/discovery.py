"""The steps of discovery that both versions arrange in time: look for peers once and dial them, register again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pubsub_sim.errors import DialError
from pubsub_sim.protocol.discovery import DialPolicy, namespace_of
from pubsub_sim.protocol.operations import Eval

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import HostContext
    from pubsub_sim.ports import Clock, Host, Rendezvous, Rng
    from pubsub_sim.protocol.params import HostParams

Ask = Callable[[Eval[Any]], Awaitable[Any]]
"""Evaluates a function in a turn of the host, and gives what it gives."""

Fail = Callable[[BaseException], None]
"""Ends the host because of an error."""

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

    def advertisement(self, topic: str) -> Advertisement:
        """A topic to be registered for, again and again; whoever asks for it runs it in a task."""
        return Advertisement(topic, self, self._clock)

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


async def polls(ask: Ask, context: HostContext) -> AsyncIterator[list[str]]:
    """The poll timer of discovery: gives, whenever it is due, the joined topics that lack peers.

    Args:
        ask: evaluates a function in a turn of the host.
        context: the host, its clock and its options.

    Raises:
        HostClosed: the host has ended.
    """
    params, clock = context.params, context.clock
    await clock.sleep(params.discovery_initial_delay_s)
    yield await ask(Eval(context.core.topics_lacking_peers, "discovery poll"))
    while params.discovery_poll_s:
        await clock.sleep(params.discovery_poll_s)
        yield await ask(Eval(context.core.topics_lacking_peers, "discovery poll"))


class Advertisement:
    """Registers for a topic, and again whenever it is due.

    Args:
        topic: its name.
        finder: registers.
        clock: the world's time.

    Attributes:
        is_registering: whether a registration is due or under way.
        task: what runs it; set by whoever starts it.
    """

    __slots__ = ("_clock", "_finder", "_topic", "is_registering", "task")

    def __init__(self, topic: str, finder: PeerFinder, clock: Clock) -> None:
        self._topic = topic
        self._finder = finder
        self._clock = clock
        self.is_registering = True
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Register until cancelled."""
        while True:
            interval_s = await self._finder.advertise(self._topic)
            self.is_registering = False
            await self._clock.sleep(interval_s)
            self.is_registering = True

    def cancel(self) -> None:
        """Register no more."""
        if self.task is not None:
            self.task.cancel()
