"""Discovery of the classic version: a loop over a request queue, a poll timer and a task per advertisement."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from pubsub_sim.drivers.baseline.bootstrap_loop import bootstrap_loop
from pubsub_sim.errors import HostClosed
from pubsub_sim.node.discovery import Advertisement, Ask, PeerFinder, polls
from pubsub_sim.protocol.operations import Eval
from pubsub_sim.protocol.params import DISCOVERY_REQUESTS

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext

Done = asyncio.Future[None]


class DiscoveryLoop:
    """The discovery pipeline of one host. Implements Discovery.

    Args:
        context: clock, options and the owner of the tasks.
        finder: looks for peers, dials, registers.
        ask: evaluates a function in a turn of the host.
    """

    def __init__(self, context: HostContext, finder: PeerFinder, ask: Ask) -> None:
        self._context = context
        self._lifetime = context.lifetime
        self._finder = finder
        self._ask = ask
        self._requests: deque[tuple[str, Done | None]] = deque()
        self._ongoing: dict[str, Done | None] = {}
        self._advertised: dict[str, Advertisement] = {}
        self._bootstraps = 0
        self._waiter: Done | None = None
        self._is_over = False
        self._loops: list[asyncio.Task[None] | None] = []

    def start(self) -> None:
        self._loops = [
            self._lifetime.start(self._run(), "discovery loop", is_work=False),
            self._lifetime.start(self._poll(), "discovery poll", is_work=False),
        ]

    async def close(self) -> None:
        self.end()

    def end(self) -> None:
        """Stop all loops and release those that wait for a discovery request."""
        self._is_over = True
        for task in self._loops:
            self._lifetime.stop(task)
        for one in self._advertised.values():
            one.cancel()
        for done in [*(done for _, done in self._requests), *self._ongoing.values()]:
            _finish(done)
        self._requests.clear()
        self._ongoing.clear()
        self._advertised.clear()

    @property
    def is_idle(self) -> bool:
        if self._requests or self._ongoing or self._bootstraps:
            return False
        return not any(one.is_registering for one in self._advertised.values())

    def discover(self, topic: str) -> None:
        self._request(topic, None)

    def advertise(self, topic: str) -> None:
        if topic not in self._advertised and not self._is_over:
            self._advertised[topic] = one = self._finder.advertisement(topic)
            one.task = self._lifetime.start(one.run(), f"advertise {topic}", is_work=False)

    def stop_advertise(self, topic: str) -> None:
        one = self._advertised.pop(topic, None)
        if one is not None:
            one.cancel()

    async def bootstrap(self, topic: str, ready: Callable[[], bool]) -> bool:
        self._bootstraps += 1
        try:
            check = Eval(ready, "bootstrap")
            return await bootstrap_loop(lambda: self._ask(check), lambda: self._look(topic), self._context)
        except HostClosed:
            return False
        finally:
            self._bootstraps -= 1

    async def _look(self, topic: str) -> None:
        done: Done = asyncio.get_running_loop().create_future()
        if self._request(topic, done):
            await done

    def _request(self, topic: str, done: Done | None) -> bool:
        if self._is_over or len(self._requests) >= DISCOVERY_REQUESTS:
            return False
        self._requests.append((topic, done))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return True

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._requests:
                self._waiter = loop.create_future()
                await self._waiter
            topic, done = self._requests.popleft()
            if topic in self._ongoing:
                _finish(done)
            else:
                self._ongoing[topic] = done
                self._lifetime.start(self._discover(topic), f"discover {topic}")

    async def _discover(self, topic: str) -> None:
        await self._finder.find(topic)
        _finish(self._ongoing.pop(topic, None))

    async def _poll(self) -> None:
        async for topics in polls(self._ask, self._context):
            for topic in topics:
                self._request(topic, None)


def _finish(done: Done | None) -> None:
    if done is not None and not done.done():
        done.set_result(None)
