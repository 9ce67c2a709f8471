"""Discovery of the state-machine version: `DiscoveryStates`, and a flow for each bootstrap."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asyncmachine import Event, Machine, MachineDisposedError, Outcome
from pubsub_sim.drivers.states.bootstrap_machine import BootstrapFlows
from pubsub_sim.drivers.states.schemas import DiscoveryStates
from pubsub_sim.node.discovery import Advertisement, Ask, Fail, PeerFinder, polls
from pubsub_sim.node.inbox import TURN_ERRORS
from pubsub_sim.protocol.params import DISCOVERY_REQUESTS

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext


class DiscoveryHandlers:
    """The ten states' handlers.

    Args:
        context: clock, options and the owner of the tasks.
        finder: looks for peers, dials, registers.
        ask: evaluates a function in a turn of the host.
        fail: ends the host; told of an error in any handler or task.
        discover: posts a look for a topic.
        flows: the bootstraps under way.

    Attributes:
        ongoing: topics being looked for.
        flows: the bootstraps under way.
        advertised: topic -> what registers it again and again.
    """

    __slots__ = (
        "_ask", "_context", "_fail", "_finder", "_post_discover", "advertised", "flows", "ongoing",
    )  # fmt: skip

    def __init__(
        self,
        context: HostContext,
        finder: PeerFinder,
        ask: Ask,
        fail: Fail,
        discover: Callable[[str], bool],
        flows: BootstrapFlows,
    ) -> None:
        self._context, self._finder, self._ask, self._fail = context, finder, ask, fail
        self._post_discover = discover
        self.ongoing: set[str] = set()
        self.flows = flows
        self.advertised: dict[str, Advertisement] = {}

    def ExceptionState(self, e: Event) -> None:
        self._fail(e.args["error"])

    # --- the poll timer ------------------------------------------------------------------------------------------

    async def PoolTimerState(self, e: Event) -> None:
        self._context.lifetime.adopt(asyncio.current_task(), "discovery poll", is_work=False)
        async for topics in polls(self._ask, self._context):
            e.machine.add("RefreshingDiscoveries", topics=topics)

    def RefreshingDiscoveriesState(self, e: Event) -> None:
        e.remove("RefreshingDiscoveries")
        for topic in e.args["topics"]:
            self._post_discover(topic)

    # --- discovery requests --------------------------------------------------------------------------------------

    def DiscoveringTopicState(self, e: Event) -> None:
        topic, request = e.args["topic"], e.args["request"]
        if topic in self.ongoing:
            e.add("TopicDiscovered", topic=topic, request=request)  # a request is under way: this one is done at once
        else:
            self.ongoing.add(topic)
            task = e.machine.fork(self._discover(e.machine, topic, request))
            self._context.lifetime.adopt(task, f"discover {topic}")

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
        return e.args["call"] not in self.flows.running

    def BootstrappingTopicState(self, e: Event) -> None:
        self.flows.begin(e.args["topic"], e.args["call"], e.args["ready"])

    def BootstrappingTopicExit(self, e: Event) -> bool:
        return not self.flows.running

    def TopicBootstrappedState(self, e: Event) -> None:
        self.flows.end(e.args["call"])
        e.remove("BootstrappingTopic")  # vetoed while another flow runs

    # --- advertisements ------------------------------------------------------------------------------------------

    def AdvertisingTopicState(self, e: Event) -> None:
        topic = e.args["topic"]
        if topic not in self.advertised:
            self.advertised[topic] = one = self._finder.advertisement(topic)
            one.task = e.machine.fork(one.run())
            self._context.lifetime.adopt(one.task, f"advertise {topic}", is_work=False)

    def AdvertisingTopicExit(self, e: Event) -> bool:
        return not self.advertised

    def StopAdvertisingTopicState(self, e: Event) -> None:
        one = self.advertised.pop(e.args["topic"], None)
        if one is not None:
            one.cancel()
        e.remove("AdvertisingTopic")  # vetoed while other topics are advertised
        e.remove("StopAdvertisingTopic")


class DiscoveryMachine:
    """The discovery machine of one host and its inputs. Implements Discovery.

    Args:
        context: the context of the host's driver.
        finder: looks for peers, dials, registers.
        ask: evaluates a function in a turn of the host.
        fail: ends the host after an error in any handler or task.
        host: the host machine.

    Attributes:
        machine: `ps-<n>-disc`.
    """

    __slots__ = (
        "_bootstrapped", "_bootstrapping", "_calls", "_context", "_errors", "_flows", "_handlers", "_host", "_posted", "_requests",
        "_waiting", "fail", "machine",
    )  # fmt: skip

    def __init__(self, context: HostContext, finder: PeerFinder, ask: Ask, fail: Fail, host: Machine) -> None:
        self._context, self._host, self.fail = context, host, fail
        self._waiting: set[int] = set()  # bootstraps with a waiter
        self._errors: dict[int, BaseException] = {}  # error of the readiness function, by call
        self._posted: deque[tuple[str, int]] = deque()
        self._requests = itertools.count()
        self._calls = itertools.count()
        self._flows = BootstrapFlows(context, self)
        self._handlers = DiscoveryHandlers(context, finder, ask, fail, self._post, self._flows)
        self.machine = Machine(DiscoveryStates, id=f"{host.id}-disc", handlers=self._handlers, parent=host)
        self._bootstrapping = self.machine.prepare("add", "BootstrappingTopic")  # the most frequent input
        self._bootstrapped = self.machine.prepare("add", "TopicBootstrapped")

    def start(self) -> None:
        self.machine.add("Start")

    async def close(self) -> None:
        self.dispose()
        await self.machine.disposed()

    def dispose(self) -> None:
        """End this machine and its flows; whoever waits for a bootstrap is told that there will be none."""
        self._flows.dispose()
        self.machine.dispose()

    @property
    def is_idle(self) -> bool:
        handlers = self._handlers
        if self._posted or self._waiting or handlers.ongoing or self._flows.running:
            return False
        return not any(one.is_registering for one in handlers.advertised.values())

    def discover(self, topic: str) -> None:
        self._post(topic)

    def advertise(self, topic: str) -> None:
        self.machine.add("AdvertisingTopic", topic=topic)

    def stop_advertise(self, topic: str) -> None:
        self.machine.add("StopAdvertisingTopic", topic=topic)

    async def bootstrap(self, topic: str, ready: Callable[[], bool]) -> bool:
        """Wait in a separate flow for each call, as in the event loop: two calls may have different conditions.

        The flow starts in a turn, like every external input: handlers mutate inline, callers post.
        """
        call = next(self._calls)
        self._waiting.add(call)
        done = self.machine.when_args("TopicBootstrapped", topic=topic, call=call)
        self._context.clock.call_soon(lambda: self._begin(topic, call, ready))
        try:
            await done
        except MachineDisposedError:
            return False
        except asyncio.CancelledError:
            self.end_bootstrap(topic, call)  # the caller has gone
            raise
        finally:
            self._waiting.discard(call)
            error = self._errors.pop(call, None)
        if error is not None:
            raise error
        return True

    def _begin(self, topic: str, call: int, ready: Callable[[], bool]) -> None:
        try:
            if call in self._waiting:
                self._bootstrapping({"topic": topic, "call": call, "ready": ready})
        except TURN_ERRORS as error:
            self.fail(error)

    def _post(self, topic: str, request: int | None = None) -> bool:
        if len(self._posted) >= DISCOVERY_REQUESTS:
            return False
        self._posted.append((topic, next(self._requests) if request is None else request))
        if len(self._posted) == 1:
            self._context.clock.call_soon(self._turn)
        return True

    def _turn(self) -> None:
        try:
            while self._posted:
                topic, request = self._posted.popleft()
                self.machine.add("DiscoveringTopic", topic=topic, request=request, source="discover.Discover")
        except TURN_ERRORS as error:
            self.fail(error)

    # --- calls of a bootstrap's flow machine ---------------------------------------------------------------------

    def check(self, ready: Callable[[], bool]) -> Outcome:
        """Evaluate readiness between two transitions of the host machine; the outcome holds any error it raises."""
        return self._host.eval_soon(_answer_or_error, ready, label="bootstrapFlow.BootstrapCheckingState")

    def end_bootstrap(self, topic: str, call: int, error: BaseException | None = None) -> None:
        """Record the end of a wait, unless it was cancelled meanwhile.

        Args:
            topic: the topic.
            call: number of the wait.
            error: the error of its readiness function, for the waiter; None if the topic has enough peers.
        """
        if call in self._flows.running:
            if error is not None:
                self._errors[call] = error
            self._bootstrapped({"topic": topic, "call": call})

    def look(self, topic: str) -> Awaitable[Any] | None:
        """Post a discovery request; return an awaitable of its completion, or None if the request queue is full."""
        request = next(self._requests)
        done = self.machine.when_args("TopicDiscovered", topic=topic, request=request)
        if self._post(topic, request):
            return done
        done.cancel()
        return None


def _answer_or_error(ready: Callable[[], bool]) -> bool | BaseException:
    try:
        return ready()
    except TURN_ERRORS as error:
        return error
