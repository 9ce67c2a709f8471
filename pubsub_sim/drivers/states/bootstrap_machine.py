"""How does the state-machine version wait until a topic has enough peers? `BootstrapStates`, one machine per wait.

Steps that take time are `async` handlers: tasks that end when their state does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asyncmachine import Event, Machine, MachineDisposedError, Outcome

if TYPE_CHECKING:
    from pubsub_sim.node.driver import Seat


class BootstrapHandlers:
    """The five states' handlers.

    Args:
        seat: clock, pause and who is told of errors.
        check: evaluates readiness between two transitions of the host machine.
        look: posts a look for peers; gives what completes with it, or None if it was dropped.
        on_bootstrapped: called in the next round of the loop, once the topic has enough peers.
    """

    __slots__ = ("_check", "_look", "_on_bootstrapped", "_seat")  # one object per wait

    def __init__(
        self,
        seat: Seat,
        check: Callable[[], Outcome],
        look: Callable[[], Awaitable[Any] | None],
        on_bootstrapped: Callable[[], object],
    ) -> None:
        self._seat = seat
        self._check = check
        self._look = look
        self._on_bootstrapped = on_bootstrapped

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

    def TopicBootstrappedState(self, e: Event) -> None:
        self._seat.clock.call_soon(self._on_bootstrapped)
