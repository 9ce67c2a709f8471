"""The Clock port over an asyncio event loop, on wall or virtual time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from pubsub_sim.net.virtual import Pause, VirtualLoop, to_ns
from pubsub_sim.ports import Timer


class LoopClock:
    """Wall time, as the event loop keeps it.

    Attributes:
        kind: "wall" or "virtual", to be told with every figure taken by this clock.
        waits: how often somebody waited on the critical path.
        waited_ns: for how long, nominally.
    """

    kind = "wall"

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.call_soon: Callable[[Callable[[], object]], object] = (
            loop.call_soon
        )  # directly: no call of ours in between
        self.now_ns: Callable[[], int] = time.monotonic_ns
        self._posted: list[
            tuple[int, int, Callable[[Any], object], Any]
        ] = []  # due, order of posting, function, argument
        self._made = 0
        self.waits = 0
        self.waited_ns = 0

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Arm a timer of the event loop."""
        return self._loop.call_later(delay_s, callback)

    def call_at_ns(self, due_ns: int, callback: Callable[[], object]) -> Timer:
        """Run `callback` when `now_ns` is `due_ns`; in the background, like `call_later`."""
        return self._loop.call_later((due_ns - self.now_ns()) / 1e9, callback)

    def post_after(self, delay_ns: int, not_before_ns: int, function: Callable[[Any], object], argument: Any) -> int:
        """Call a function after a delay, and not before a time; in the background, and for good: it cannot be cancelled.

        What is due at one time is called in the order it was posted, although timers of the loop are rounded.

        Returns:
            What `now_ns` is then.
        """
        due_ns = max(self.now_ns() + delay_ns, not_before_ns)
        self._made += 1
        heappush(self._posted, (due_ns, self._made, function, argument))
        self.call_at_ns(due_ns, self._call_posted)
        return due_ns

    def _call_posted(self) -> None:
        """Call what is due first, whichever timer it was."""
        _, _, function, argument = heappop(self._posted)
        function(argument)

    def is_last_call(self) -> bool:
        """Whether it is known that nothing else is ready or due at this instant; never on wall time."""
        return False

    async def wait(self, delay_s: float) -> None:
        """Count the wait and its nominal length, then sleep."""
        self.waits += 1
        self.waited_ns += round(delay_s * 1e9)
        await self.sleep(delay_s)

    async def sleep(self, delay_s: float) -> None:
        """Sleep by `asyncio.sleep`."""
        await asyncio.sleep(delay_s)


class VirtualClock(LoopClock):
    """Virtual time, exact to the nanosecond; its timers count as background work (see `virtual`)."""

    kind = "virtual"

    _loop: VirtualLoop

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(loop)
        self.now_ns = loop.now_ns
        self.call_soon = loop.post
        self.is_last_call = loop.is_last_call  # type: ignore[method-assign] # likewise
        self.post_after = loop.post_after  # type: ignore[method-assign] # likewise

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Arm a background timer of the virtual loop; the delay is rounded to whole ns."""
        return self._loop.call_at_ns(self.now_ns() + to_ns("delay_s", delay_s), callback)

    def call_at_ns(self, due_ns: int, callback: Callable[[], object]) -> Timer:
        """Run `callback` when `now_ns` is exactly `due_ns`; in the background, like `call_later`."""
        return self._loop.call_at_ns(due_ns, callback)

    async def sleep(self, delay_s: float) -> None:
        """Pause on the virtual clock; a delay of at most 0 takes one round of the loop."""
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        pause = Pause(loop=self._loop)
        timer = self.call_later(delay_s, pause.end)
        try:
            await pause
        finally:
            timer.cancel()


def clock_of(loop: asyncio.AbstractEventLoop) -> LoopClock:
    """The clock that goes with a loop."""
    return VirtualClock(loop) if isinstance(loop, VirtualLoop) else LoopClock(loop)
