"""How does the state-machine version wait until a topic has enough peers? `BootstrapStates`, one machine per wait.

Each step is an `async` handler, a task that ends when its state does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asyncmachine import Event, Machine
from pubsub_sim.drivers.states.schemas import BootstrapStates
from pubsub_sim.errors import HostClosed

if TYPE_CHECKING:
    from pubsub_sim.node.driver import Seat


class BootstrapHandlers:
    """The five states' handlers.

    Args:
        seat: clock, pause and who is told of errors.
        check: evaluates readiness in a turn of the host.
        look: posts a look for peers; gives what completes with it, or None if it was dropped.
    """

    def __init__(
        self, seat: Seat, check: Callable[[], Awaitable[bool]], look: Callable[[], Awaitable[Any] | None]
    ) -> None:
        self._seat = seat
        self._check = check
        self._look = look

    def ExceptionState(self, e: Event) -> None:
        self._seat.on_failure(e.args["error"])

    async def BootstrapCheckingState(self, e: Event) -> None:
        try:
            is_ready = await self._check()
        except HostClosed:
            return
        e.machine.add("TopicBootstrapped" if is_ready else "DiscoveringTopic")

    async def DiscoveringTopicState(self, e: Event) -> None:
        discovered = self._look()
        if discovered is not None:
            await discovered
        e.machine.add("BootstrapDelay")

    async def BootstrapDelayState(self, e: Event) -> None:
        await self._seat.clock.wait(self._seat.params.bootstrap_delay_s)
        e.machine.add("BootstrapChecking")


class BootstrapFlow:
    """One bootstrap under way.

    Attributes:
        machine: `ps-<n>-disc-bf-<tick>-<topic>`.
    """

    def __init__(
        self,
        flow_id: str,
        *,
        parent: Machine,
        seat: Seat,
        check: Callable[[], Awaitable[bool]],
        look: Callable[[], Awaitable[Any] | None],
    ) -> None:
        self.machine = Machine(
            BootstrapStates, id=flow_id, handlers=BootstrapHandlers(seat, check, look), parent=parent
        )

    def start(self, on_bootstrapped: Callable[[], object]) -> None:
        """Begin with the first check; `on_bootstrapped` is called once the topic has enough peers."""
        done = self.machine.when("TopicBootstrapped")
        done.add_done_callback(lambda future: None if _ended_early(future) else on_bootstrapped())
        self.machine.add("Start")

    def dispose(self) -> None:
        """End it."""
        self.machine.dispose()


def _ended_early(future: Any) -> bool:
    return future.cancelled() or future.exception() is not None
