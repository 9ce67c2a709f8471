"""Bootstrap of the state-machine version, which waits until a topic has enough peers: one `BootstrapStates` machine per wait.

Steps that take time are `async` handlers: tasks that end when their state does.

A flow that found enough peers at its first look has had no task, and nobody can tell it from a new one afterwards. Then the next wait
steps the same machine through the same states again, under a name of its own (`Machine.recycle`). All other flows are
disposed of: those that looked for peers, were given up or have failed, and all flows while a tracer is bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from asyncmachine import Event, Machine, MachineDisposedError, Outcome
from pubsub_sim.drivers.states.schemas import BootstrapStates

if TYPE_CHECKING:
    from pubsub_sim.drivers.states.discovery_machine import DiscoveryMachine
    from pubsub_sim.node.driver import HostContext


class BootstrapHandlers:
    """The five states' handlers.

    Args:
        context: clock and pause.
        discovery: evaluates readiness, looks for peers, and is told how the wait ended.
    """

    __slots__ = ("_call", "_context", "_discovery", "_ready", "_topic")

    def __init__(self, context: HostContext, discovery: DiscoveryMachine) -> None:
        self._context = context
        self._discovery = discovery
        self.release()

    def serve(self, topic: str, call: int, ready: Callable[[], bool]) -> None:
        """Take on a wait.

        Args:
            topic: the topic.
            call: number of the wait.
            ready: whether the topic has enough peers.
        """
        self._topic = topic
        self._call = call
        self._ready = ready

    def release(self) -> None:
        """Keep nothing of the wait that is over."""
        self.serve("", -1, bool)

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


class BootstrapFlows:
    """The flow machines of one discovery machine: one for each wait under way, and at most one to be used again.

    Args:
        context: clock and pause.
        discovery: what the flows ask; its machine is their parent.

    Attributes:
        running: number of the wait -> its flow, with its handlers.
    """

    __slots__ = ("_context", "_discovery", "_spare", "running")

    def __init__(self, context: HostContext, discovery: DiscoveryMachine) -> None:
        self._context = context
        self._discovery = discovery
        self.running: dict[int, tuple[Machine, BootstrapHandlers]] = {}
        self._spare: tuple[Machine, BootstrapHandlers] | None = None

    def begin(self, topic: str, call: int, ready: Callable[[], bool]) -> None:
        """Begin a wait; see `BootstrapHandlers.serve`."""
        parent = self._discovery.machine
        flow_id = f"{parent.id}-bf-{parent.tick('BootstrappingTopic')}-{topic}"
        spare, self._spare = self._spare, None
        if spare is None or not spare[0].recycle(id=flow_id):
            if spare is not None:
                spare[0].dispose()
            handlers = BootstrapHandlers(self._context, self._discovery)
            spare = (Machine(BootstrapStates, id=flow_id, handlers=handlers, parent=parent), handlers)
        flow, handlers = self.running[call] = spare
        handlers.serve(topic, call, ready)
        flow.add("Start")

    def end(self, call: int) -> None:
        """End the flow of a wait."""
        flow, handlers = self.running.pop(call)
        if self._spare is None and flow.recycle(id=""):
            handlers.release()
            self._spare = (flow, handlers)
        else:
            flow.dispose()

    def dispose(self) -> None:
        """End all flows."""
        for flow, _ in self.running.values():
            flow.dispose()
        if self._spare is not None:
            self._spare[0].dispose()
            self._spare = None
