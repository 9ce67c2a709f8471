"""How does the state-machine version look for peers? `DiscoveryStates`, and a flow machine per bootstrap."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asyncmachine import Event, Machine, MachineDisposedError, Outcome, Result
from pubsub_sim.drivers.states.bootstrap_machine import BootstrapHandlers
from pubsub_sim.drivers.states.schemas import BootstrapStates, DiscoveryStates
from pubsub_sim.errors import HostClosed
from pubsub_sim.protocol.operations import Eval
from pubsub_sim.protocol.params import DISCOVERY_REQUESTS

if TYPE_CHECKING:
    from pubsub_sim.node.discovery import PeerFinder
    from pubsub_sim.node.driver import Seat

Ask = Callable[[Eval[Any]], Awaitable[Any]]


class DiscoveryHandlers:
    """The ten states' handlers.

    Args:
        seat: clock and options.
        finder: looks for peers, dials, registers.
        ask: evaluates a function in a turn of the host.
        discover: posts a look for a topic.
        make_flow: makes the flow machine of one bootstrap.

    Attributes:
        ongoing: topics being looked for.
        flows: number of the call -> bootstrap under way.
        advertised: topic -> the task that registers it again and again.
        registering: registrations under way.
    """

    __slots__ = (
        "_ask", "_finder", "_make_flow", "_post_discover", "_seat", "advertised", "flows", "ongoing", "registering",
    )  # fmt: skip

    def __init__(
        self,
        seat: Seat,
        finder: PeerFinder,
        ask: Ask,
        discover: Callable[[str], bool],
        make_flow: Callable[[str, int, Callable[[], bool]], Machine],
    ) -> None:
        self._seat = seat
        self._finder = finder
        self._ask = ask
        self._post_discover = discover
        self._make_flow = make_flow
        self.ongoing: set[str] = set()
        self.flows: dict[int, Machine] = {}
        self.advertised: dict[str, asyncio.Task[Any]] = {}
        self.registering = 0

    def ExceptionState(self, e: Event) -> None:
        self._seat.on_failure(e.args["error"])

    # --- the poll timer ------------------------------------------------------------------------------------------

    async def PoolTimerState(self, e: Event) -> None:
        params = self._seat.params
        await self._seat.clock.sleep(params.discovery_initial_delay_s)
        while True:
            try:
                topics = await self._ask(Eval(self._seat.core.topics_lacking_peers, "discovery poll"))
            except HostClosed:
                return
            e.machine.add("RefreshingDiscoveries", topics=topics)
            if not params.discovery_poll_s:
                return
            await self._seat.clock.sleep(params.discovery_poll_s)

    def RefreshingDiscoveriesState(self, e: Event) -> None:
        e.remove("RefreshingDiscoveries")
        for topic in e.args["topics"]:
            self._post_discover(topic)

    # --- looking for peers ---------------------------------------------------------------------------------------

    def DiscoveringTopicState(self, e: Event) -> None:
        topic, request = e.args["topic"], e.args["request"]
        if topic in self.ongoing:
            e.add("TopicDiscovered", topic=topic, request=request)  # a look is under way: this request is done at once
        else:
            self.ongoing.add(topic)
            e.machine.fork(self._discover(e.machine, topic, request))

    def DiscoveringTopicExit(self, e: Event) -> bool:
        return not self.ongoing

    async def _discover(self, machine: Machine, topic: str, request: int) -> None:
        try:
            await self._finder.find(topic)
        finally:
            self.ongoing.discard(topic)
        machine.remove("DiscoveringTopic")
        machine.add("TopicDiscovered", topic=topic, request=request)

    # --- bootstraps ----------------------------------------------------------------------------------------------

    def BootstrappingTopicEnter(self, e: Event) -> bool:
        return e.args["call"] not in self.flows

    def BootstrappingTopicState(self, e: Event) -> None:
        call = e.args["call"]
        flow = self.flows[call] = self._make_flow(e.args["topic"], call, e.args["ready"])
        flow.add("Start")

    def BootstrappingTopicExit(self, e: Event) -> bool:
        return not self.flows

    def TopicBootstrappedState(self, e: Event) -> None:
        self.flows.pop(e.args["call"]).dispose()
        e.remove("BootstrappingTopic")  # vetoed while another flow runs

    # --- advertisements ------------------------------------------------------------------------------------------

    def AdvertisingTopicState(self, e: Event) -> None:
        topic = e.args["topic"]
        if topic not in self.advertised:
            self.registering += 1
            task = e.machine.fork(self._advertise(topic))
            if task is not None:
                self.advertised[topic] = task

    def AdvertisingTopicExit(self, e: Event) -> bool:
        return not self.advertised

    def StopAdvertisingTopicState(self, e: Event) -> None:
        task = self.advertised.pop(e.args["topic"], None)
        if task is not None:
            task.cancel()
        e.remove("AdvertisingTopic")  # vetoed while other topics are advertised
        e.remove("StopAdvertisingTopic")

    async def _advertise(self, topic: str) -> None:
        is_registering = True
        try:
            while True:
                interval_s = await self._finder.advertise(topic)
                is_registering = False
                self.registering -= 1
                await self._seat.clock.sleep(interval_s)
                is_registering = True
                self.registering += 1
        finally:
            self.registering -= is_registering


class DiscoveryMachine:
    """The discovery machine of one host and what is posted to it. Implements Discovery.

    Args:
        seat: what the host's driver was given.
        finder: looks for peers, dials, registers.
        ask: evaluates a function in a turn of the host.
        host: the host machine.

    Attributes:
        machine: `ps-<n>-disc`.
    """

    __slots__ = (
        "_bootstrapped", "_bootstrapping", "_calls", "_handlers", "_host", "_posted", "_requests", "_seat", "machine",
    )  # fmt: skip

    def __init__(self, seat: Seat, finder: PeerFinder, ask: Ask, host: Machine) -> None:
        self._seat = seat
        self._host = host
        self._posted: deque[tuple[str, int]] = deque()
        self._requests = itertools.count()
        self._calls = itertools.count()
        self._handlers = DiscoveryHandlers(seat, finder, ask, self._post, self._make_flow)
        self.machine = Machine(DiscoveryStates, id=f"{host.id}-disc", handlers=self._handlers, parent=host)
        self._bootstrapping = self.machine.prepare("add", "BootstrappingTopic")  # the inputs there are many of
        self._bootstrapped = self.machine.prepare("add", "TopicBootstrapped")

    def start(self) -> None:
        """See Discovery."""
        self.machine.add("Start")

    async def close(self) -> None:
        """See Discovery."""
        for flow in self._handlers.flows.values():
            flow.dispose()
        self.machine.dispose()
        await self.machine.disposed()

    @property
    def is_idle(self) -> bool:
        """See Discovery."""
        handlers = self._handlers
        return not self._posted and not handlers.ongoing and not handlers.registering and not handlers.flows

    def discover(self, topic: str) -> None:
        """See Discovery."""
        self._post(topic)

    def advertise(self, topic: str) -> None:
        """See Discovery."""
        self.machine.add("AdvertisingTopic", topic=topic)

    def stop_advertise(self, topic: str) -> None:
        """See Discovery."""
        self.machine.add("StopAdvertisingTopic", topic=topic)

    async def bootstrap(self, topic: str, ready: Callable[[], bool]) -> bool:
        """See Discovery. Each call has a flow of its own, as in the event loop: two may want different things."""
        call = next(self._calls)
        result = self._bootstrapping({"topic": topic, "call": call, "ready": ready})
        if result is Result.CANCELED:
            return False  # discovery has ended
        if result is Result.EXECUTED and call not in self._handlers.flows:
            # there were enough peers at the first look, as there nearly always are: the caller goes on two rounds of
            # the loop later, as one does that asks an event loop (a round until its turn, another one back)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return True
        try:
            await self.machine.when_args("TopicBootstrapped", topic=topic, call=call)
        except MachineDisposedError:
            return False
        except asyncio.CancelledError:
            self.bootstrapped(topic, call)  # nobody wants it any more
            raise
        return True

    def _post(self, topic: str, request: int | None = None) -> bool:
        if len(self._posted) >= DISCOVERY_REQUESTS:
            return False
        self._posted.append((topic, next(self._requests) if request is None else request))
        if len(self._posted) == 1:
            self._seat.clock.call_soon(self._turn)
        return True

    def _turn(self) -> None:
        while self._posted:
            topic, request = self._posted.popleft()
            self.machine.add("DiscoveringTopic", topic=topic, request=request, source="discover.Discover")

    # --- what a bootstrap's flow machine asks for ----------------------------------------------------------------

    def _make_flow(self, topic: str, call: int, ready: Callable[[], bool]) -> Machine:
        machine = self.machine
        flow_id = f"{machine.id}-bf-{machine.tick('BootstrappingTopic')}-{topic}"
        handlers = BootstrapHandlers(self._seat, self, topic, call, ready)
        return Machine(BootstrapStates, id=flow_id, handlers=handlers, parent=machine)

    def check(self, ready: Callable[[], bool]) -> Outcome:
        """Evaluate readiness between two transitions of the host machine."""
        return self._host.eval_soon(ready, label="bootstrapFlow.BootstrapCheckingState")

    def bootstrapped(self, topic: str, call: int) -> None:
        """Take note that a topic has enough peers for a call; nothing happens if it was given up meanwhile."""
        if call in self._handlers.flows:
            self._bootstrapped({"topic": topic, "call": call})

    def look(self, topic: str) -> Awaitable[Any] | None:
        """Post a look for a topic; gives what completes with it, or None if the request queue is full."""
        request = next(self._requests)
        done = self.machine.when_args("TopicDiscovered", topic=topic, request=request)
        if self._post(topic, request):
            return done
        done.cancel()
        return None
