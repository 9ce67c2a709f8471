"""What time is it? The Clock port over whatever event loop is running, on wall or virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pubsub_sim.ports import Timer


class LoopClock:
    """Time as the event loop keeps it.

    Attributes:
        waits: how often somebody waited on the critical path.
        waited_ns: for how long, nominally.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.call_soon = loop.call_soon  # the port's method, without a frame of ours in between
        self.waits = 0
        self.waited_ns = 0

    def now_ns(self) -> int:
        """See Clock."""
        return int(self._loop.time() * 1e9)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """See Clock."""
        return self._loop.call_later(delay_s, callback)

    async def wait(self, delay_s: float) -> None:
        """See Clock."""
        self.waits += 1
        self.waited_ns += int(delay_s * 1e9)
        await asyncio.sleep(delay_s)

    async def sleep(self, delay_s: float) -> None:
        """See Clock."""
        await asyncio.sleep(delay_s)
