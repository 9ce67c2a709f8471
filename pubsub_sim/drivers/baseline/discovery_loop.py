"""How does the classic version look for peers? A loop over a request queue, a poll timer and a task per advertisement."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pubsub_sim.drivers.baseline.bootstrap_loop import bootstrap_loop
from pubsub_sim.errors import HostClosed
from pubsub_sim.protocol.operations import Eval
from pubsub_sim.protocol.params import DISCOVERY_REQUESTS

if TYPE_CHECKING:
    from pubsub_sim.node.discovery import PeerFinder
    from pubsub_sim.node.driver import Seat

Done = asyncio.Future[None]


class DiscoveryLoop:
    """The discovery pipeline of one host. Implements Discovery."""

    def __init__(self, seat: Seat, finder: PeerFinder, ask: Callable[[Eval[Any]], Awaitable[Any]]) -> None:
        self._seat = seat
        self._finder = finder
        self._ask = ask
        self._requests: deque[tuple[str, Done | None]] = deque()
        self._ongoing: set[str] = set()
        self._advertised: dict[str, asyncio.Task[None]] = {}
        self._registering = 0  # advertisements whose next registration is under way
        self._bootstraps = 0
        self._waiter: Done | None = None
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """See Discovery."""
        self._spawn(self._run(), "discovery loop")
        self._spawn(self._poll(), "discovery poll")

    async def close(self) -> None:
        """See Discovery."""
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, done in self._requests:
            _finish(done)
        self._requests.clear()

    @property
    def is_idle(self) -> bool:
        """See Discovery."""
        return not self._requests and not self._ongoing and not self._registering and not self._bootstraps

    def discover(self, topic: str) -> None:
        """See Discovery."""
        self._request(topic, None)

    def advertise(self, topic: str) -> None:
        """See Discovery."""
        if topic not in self._advertised:
            self._registering += 1
            self._advertised[topic] = self._spawn(self._advertise(topic), f"advertise {topic}")

    def stop_advertise(self, topic: str) -> None:
        """See Discovery."""
        task = self._advertised.pop(topic, None)
        if task is not None:
            task.cancel()

    async def bootstrap(self, topic: str, ready: Callable[[], bool]) -> bool:
        """See Discovery."""
        self._bootstraps += 1
        try:
            check = Eval(ready, "bootstrap")
            return await bootstrap_loop(lambda: self._ask(check), lambda: self._look(topic), self._seat)
        except HostClosed:
            return False
        finally:
            self._bootstraps -= 1

    async def _look(self, topic: str) -> None:
        done: Done = asyncio.get_running_loop().create_future()
        if self._request(topic, done):
            await done

    def _request(self, topic: str, done: Done | None) -> bool:
        if self._is_closed or len(self._requests) >= DISCOVERY_REQUESTS:
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
                self._ongoing.add(topic)
                self._spawn(self._discover(topic, done), f"discover {topic}")

    async def _discover(self, topic: str, done: Done | None) -> None:
        try:
            await self._finder.find(topic)
        finally:
            self._ongoing.discard(topic)
            _finish(done)

    async def _poll(self) -> None:
        params = self._seat.params
        await self._seat.clock.sleep(params.discovery_initial_delay_s)
        while True:
            for topic in await self._ask(Eval(self._seat.core.topics_lacking_peers, "discovery poll")):
                self._request(topic, None)
            if not params.discovery_poll_s:
                return
            await self._seat.clock.sleep(params.discovery_poll_s)

    async def _advertise(self, topic: str) -> None:
        is_registering = True
        try:
            while True:
                interval_s = await self._finder.advertise(topic)
                is_registering = False
                self._registering -= 1
                await self._seat.clock.sleep(interval_s)
                is_registering = True
                self._registering += 1
        finally:
            self._registering -= is_registering

    def _spawn(self, flow: Any, name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(flow, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and not isinstance(task.exception(), HostClosed):
            self._seat.on_failure(task.exception() or RuntimeError("unreachable"))


def _finish(done: Done | None) -> None:
    if done is not None and not done.done():
        done.set_result(None)
