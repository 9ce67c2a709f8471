"""How does the state-machine version wait until a topic has enough peers? `BootstrapStates`, one machine per wait.

Steps that take time are `async` handlers: tasks that end when their state does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asyncmachine import Event, Machine, MachineDisposedError, Outcome
from pubsub_sim.drivers.states.schemas import BootstrapStates

if TYPE_CHECKING:
    from pubsub_sim.node.driver import Seat


class BootstrapHandlers:
    """The five states' handlers.

    Args:
        seat: clock, pause and who is told of errors.
        check: evaluates readiness between two transitions of the host machine.
        look: posts a look for peers; gives what completes with it, or None if it was dropped.
    """

    def __init__(self, seat: Seat, check: Callable[[], Outcome], look: Callable[[], Awaitable[Any] | None]) -> None:
        self._seat = seat
        self._check = check
        self._look = look

    def ExceptionState(self, e: Event) -> None:
        self._seat.on_failure(e.args["error"])

    def BootstrapCheckingState(self, e: Event) -> None:
        checked = self._check()
        if checked.done:  # the host machine was idle, as it nearly always is
            self._checked(e.machine, checked)
        else:
            e.fork(self._wait_for(e.machine, checked))

    async def _wait_for(self, machine: Machine, checked: Outcome) -> None:
        await checked
        self._checked(machine, checked)

    def _checked(self, machine: Machine, checked: Outcome) -> None:
        try:
            is_ready = checked.result()
        except MachineDisposedError:
            return  # the host has ended, and so will this flow
        machine.add("TopicBootstrapped" if is_ready else "DiscoveringTopic")

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
        check: Callable[[], Outcome],
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
