"""Bootstrap of the state-machine version, which waits until a topic has enough peers: one `BootstrapStates` machine per wait.

Steps that take time are `async` handlers: tasks that end with their state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from asyncmachine import Event, Machine, MachineDisposedError, Outcome

if TYPE_CHECKING:
    from pubsub_sim.drivers.states.discovery_machine import DiscoveryMachine
    from pubsub_sim.node.driver import HostContext


class BootstrapHandlers:
    """The five states' handlers.

    Args:
        context: clock and pause.
        discovery: evaluates readiness, looks for peers, and receives the outcome of the wait.
        topic: the topic.
        call: number of the wait.
        ready: whether the topic has enough peers.
    """

    __slots__ = ("_call", "_context", "_discovery", "_ready", "_topic")  # one object per wait

    def __init__(
        self, context: HostContext, discovery: DiscoveryMachine, topic: str, call: int, ready: Callable[[], bool]
    ) -> None:
        self._context = context
        self._discovery = discovery
        self._topic = topic
        self._call = call
        self._ready = ready

    def ExceptionState(self, e: Event) -> None:
        self._discovery.fail(e.args["error"])

    def BootstrapCheckingState(self, e: Event) -> None:
        checked = self._discovery.check(self._ready)
        if checked.done:  # the host machine was idle, as it usually is
            self._take_answer(e.machine, checked)
        else:
            e.fork(self._wait_for(e.machine, checked))

    async def _wait_for(self, machine: Machine, checked: Outcome) -> None:
        await checked
        self._take_answer(machine, checked)

    def _take_answer(self, machine: Machine, checked: Outcome) -> None:
        try:
            is_ready = checked.result()
        except MachineDisposedError:
            return  # the host has ended, and this machine will end too
        if isinstance(is_ready, BaseException):
            self._discovery.end_bootstrap(self._topic, self._call, is_ready)
        else:
            machine.add("TopicBootstrapped" if is_ready else "DiscoveringTopic")

    async def DiscoveringTopicState(self, e: Event) -> None:
        discovered = self._discovery.look(self._topic)
        if discovered is not None:
            await discovered
        e.machine.add("BootstrapDelay")

    async def BootstrapDelayState(self, e: Event) -> None:
        await self._context.clock.wait(self._context.params.bootstrap_delay_s)
        e.machine.add("BootstrapChecking")

    def TopicBootstrappedState(self, e: Event) -> None:
        self._discovery.end_bootstrap(self._topic, self._call)
