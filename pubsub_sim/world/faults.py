"""Fault injection: the execution of a fault plan in a world. Each fault begins and ends at its time and is logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.errors import DialError
from pubsub_sim.foreign import FOREIGN_ERRORS
from pubsub_sim.net.faults import Crash, Delay, Drop, Fault, FaultPlan, Partition, SlowReader
from pubsub_sim.node.lifetime import Lifetime

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.net.linked import LinkedNetwork

_log = logging.getLogger("pubsub_sim.faults")

Pair = tuple[int, int]


class Struck(Protocol):
    """The interface of a world to its faults."""

    def peer_id(self, number: int) -> PeerId:
        """Return the peer id of a host."""

    def note(self, kind: str, host: int, peer: bytes, detail: str) -> None:
        """Write into the log; host -1 means no particular host."""

    def crash(self, number: int) -> None:
        """Crash a host."""

    async def restart(self, number: int) -> object:
        """Restart a host."""

    async def connect(self, a: int, b: int) -> None:
        """Make `a` dial `b`. Raises DialError."""


class FaultPlayer:
    """The player of one plan.

    Args:
        plan: the faults.
        world: the world.
        network: the world's network.

    Attributes:
        failure: the error that ended the plan, or None.
    """

    def __init__(self, plan: FaultPlan, world: Struck, network: LinkedNetwork) -> None:
        self._plan = plan
        self._world = world
        self._network = network
        self.failure: BaseException | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._lifetime = Lifetime("the fault plan")
        self._lifetime.on_failure = self._failed

    def start(self) -> None:
        """Schedule all faults from now on; a program may wait for them, so they are not background work."""
        loop = asyncio.get_running_loop()
        for fault in self._plan.faults:
            self._timers.append(loop.call_later(fault.at_s, self._begin, fault))

    async def close(self) -> None:
        """Stop playing."""
        self._cancel_timers()
        await self._lifetime.close()

    @property
    def is_idle(self) -> bool:
        """Whether no restart and no reconnection is under way."""
        return self._lifetime.is_idle

    def _begin(self, fault: Fault) -> None:
        try:
            end = self._strike(fault)
        except FOREIGN_ERRORS as error:
            self._lifetime.fail(error)
        else:
            self._timers.append(asyncio.get_running_loop().call_later(fault.for_s, self._finish, end))

    def _finish(self, end: Callable[[], None]) -> None:
        try:
            end()
        except FOREIGN_ERRORS as error:
            self._lifetime.fail(error)

    def _failed(self, error: BaseException) -> None:
        self.failure = error
        self._cancel_timers()

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _strike(self, fault: Fault) -> Callable[[], None]:
        """Apply a fault and return the function that ends it."""
        if isinstance(fault, Drop):
            return self._drop(fault)
        if isinstance(fault, Delay):
            return self._delay(fault)
        if isinstance(fault, Partition):
            return self._partition(fault)
        if isinstance(fault, Crash):
            return self._crash(fault)
        assert isinstance(fault, SlowReader)
        return self._slow_reader(fault)

    # --- links ---------------------------------------------------------------------------------------------------

    def _drop(self, fault: Drop) -> Callable[[], None]:
        ids = [self._world.peer_id(number) for number in fault.link]
        lanes = [self._network.lane(ids[0], ids[1]), self._network.lane(ids[1], ids[0])]
        for lane in lanes:
            lane.add_loss(fault.probability)
        self._world.note("drop_begins", fault.link[0], ids[1], f"{fault.probability:g}")

        def end() -> None:
            for lane in lanes:
                lane.remove_loss(fault.probability)
            self._world.note("drop_ends", fault.link[0], ids[1], f"{fault.probability:g}")

        return end

    def _delay(self, fault: Delay) -> Callable[[], None]:
        ids = [self._world.peer_id(number) for number in fault.link]
        lanes = [self._network.lane(ids[0], ids[1]), self._network.lane(ids[1], ids[0])]
        extra_ns = round(fault.extra_s * 1e9)
        for lane in lanes:
            lane.delay(extra_ns)
        self._world.note("delay_begins", fault.link[0], ids[1], f"{extra_ns} ns")

        def end() -> None:
            for lane in lanes:
                lane.delay(-extra_ns)
            self._world.note("delay_ends", fault.link[0], ids[1], f"{extra_ns} ns")

        return end

    def _partition(self, fault: Partition) -> Callable[[], None]:
        groups = "|".join(",".join(map(str, group)) for group in fault.groups)
        self._world.note("partition", -1, b"", groups)
        cut = self._network.separate(fault.groups)

        def heal() -> None:
            self._network.unite(fault.groups)
            self._world.note("heal", -1, b"", groups)
            if fault.reconnect:
                self._lifetime.start(self._dial(cut), "reconnection after a partition")

        return heal

    # --- hosts ---------------------------------------------------------------------------------------------------

    def _crash(self, fault: Crash) -> Callable[[], None]:
        peers = self._network.neighbours(fault.host)
        self._world.crash(fault.host)

        async def come_back() -> None:
            await self._world.restart(fault.host)
            if fault.reconnect:
                await self._dial((fault.host, peer) for peer in peers)

        def end() -> None:
            self._lifetime.start(come_back(), f"restart of host {fault.host}")

        return end

    def _slow_reader(self, fault: SlowReader) -> Callable[[], None]:
        peer_id = self._world.peer_id(fault.host)
        self._network.pause_reading(peer_id)
        self._world.note("reading_stops", fault.host, b"", "")

        def end() -> None:
            self._network.resume_reading(peer_id)
            self._world.note("reading_goes_on", fault.host, b"", "")

        return end

    async def _dial(self, pairs: Iterable[Pair]) -> None:
        for a, b in pairs:
            try:
                await self._world.connect(a, b)
            except DialError as error:  # prevented by another fault
                _log.debug("host %d was not reconnected to host %d: %s", a, b, error)
