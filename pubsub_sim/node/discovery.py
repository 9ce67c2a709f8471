"""The steps of discovery shared by both versions: look up peers and dial them, register and renew."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pubsub_sim.errors import DialError, HostClosed, UnusableAnswer
from pubsub_sim.foreign import FOREIGN_ERRORS, Cancellations, ForeignCode
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.discovery import DialPolicy, namespace_of
from pubsub_sim.protocol.operations import Eval

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext
    from pubsub_sim.node.lifetime import Lifetime
    from pubsub_sim.ports import Clock, Host, Rendezvous, Rng
    from pubsub_sim.protocol.params import HostParams

Ask = Callable[[Eval[Any]], Awaitable[Any]]
"""Evaluates a function in a turn of the host and returns its result."""

Fail = Callable[[BaseException], None]
"""Ends the host because of an error."""

T = TypeVar("T")

SHORTEST_REGISTRATION_S = 1.0
"""Shortest time in seconds between two registrations, whatever lifetime the service returns."""

_log = logging.getLogger("pubsub_sim.discovery")


class PeerFinder:
    """Looks for peers and dials them.

    Args:
        host: the network.
        service: the discovery service.
        clock: the world's time.
        params: time limits.
        rng: seeded random numbers for the dial back-off.
        lifetime: owns the dials.
        foreign: counts the service's failures.
    """

    def __init__(
        self,
        host: Host,
        service: Rendezvous,
        clock: Clock,
        params: HostParams,
        rng: Rng,
        lifetime: Lifetime,
        foreign: ForeignCode,
    ) -> None:
        self._host = host
        self._lifetime = lifetime
        self._foreign = foreign
        self._service = service
        self._clock = clock
        self._params = params
        self._policy = DialPolicy(host.peer_id, rng)

    async def find(self, topic: str) -> None:
        """Look up the peers registered for a topic and dial each in a task, without waiting for the dials.

        A failed lookup is logged and counts as empty, as in the reference.
        """
        for peer in self._policy.choose(await self._found(namespace_of(topic)), self._clock.now_ns()):
            self._lifetime.start(self._dial(peer), "dial")

    async def advertise(self, topic: str) -> float:
        """Register once; return the seconds until the next registration (2 min after a failure)."""
        ours = Cancellations()
        try:
            return _lifetime_s(await self._service.advertise(namespace_of(topic)))
        except (TimeoutError, OSError, DialError) as error:
            _log.debug("advertising %s failed: %s", topic, error)
        except FOREIGN_ERRORS as error:
            if ours.are_ours(error):
                raise
            self._foreign.note("registration of the discovery service", error, "it will be retried")
        return self._params.advertise_retry_s

    async def _found(self, namespace: str) -> list[PeerId]:
        """Return the registered peers known to the service."""
        ours = Cancellations()
        try:
            async with asyncio.timeout(self._params.find_peers_timeout_s):
                return [_peer_id(peer) for peer in await self._service.find_peers(namespace)]
        except (TimeoutError, OSError, DialError) as error:
            _log.debug("looking for peers in %s failed: %s", namespace, error)
        except FOREIGN_ERRORS as error:
            if ours.are_ours(error):
                raise
            self._foreign.note("look-up of the discovery service", error, "nobody was found")
        return []

    def stop(self, task: asyncio.Task[None] | None) -> None:
        """Cancel a task of an advertisement."""
        self._lifetime.stop(task)

    def advertisement(self, topic: str) -> Advertisement:
        """Return the advertisement of a topic, to be run in a task by the caller."""
        return Advertisement(topic, self, self._clock)

    async def _dial(self, peer: PeerId) -> None:
        try:
            async with asyncio.timeout(self._params.dial_timeout_s):
                await self._host.connect(peer)
        except (TimeoutError, DialError) as error:
            _log.debug("dial failed: %s", error)


def _lifetime_s(answer: Any) -> float:
    """Return the lifetime of a registration; raise UnusableAnswer for an invalid one."""
    if isinstance(answer, bool) or not isinstance(answer, int | float) or not math.isfinite(answer) or answer <= 0:
        raise UnusableAnswer(answer, "seconds greater than 0")
    return max(float(answer), SHORTEST_REGISTRATION_S)


def _peer_id(answer: Any) -> PeerId:
    if not isinstance(answer, bytes):
        raise UnusableAnswer(answer, "peer ids, which are bytes")
    return PeerId(answer)


async def polls(ask: Ask, context: HostContext) -> AsyncIterator[list[str]]:
    """Yield the joined topics that lack peers, at each tick of the poll timer, until the host has ended.

    Args:
        ask: evaluates a function in a turn of the host.
        context: the host, its clock and its options.
    """
    params, clock = context.params, context.clock
    with suppress(HostClosed):
        await clock.sleep(params.discovery_initial_delay_s)
        yield await ask(Eval(context.core.topics_lacking_peers, "discovery poll"))
        while params.discovery_poll_s:
            await clock.sleep(params.discovery_poll_s)
            yield await ask(Eval(context.core.topics_lacking_peers, "discovery poll"))


class Advertisement:
    """A registration for a topic that is renewed when due.

    Args:
        topic: its name.
        finder: registers.
        clock: the world's time.

    Attributes:
        is_registering: whether a registration is due or under way.
        task: its task, set by the caller that starts it.
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
        """Stop registering."""
        self._finder.stop(self.task)
