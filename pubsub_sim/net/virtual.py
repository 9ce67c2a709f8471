"""How does a program run in no time? An asyncio event loop whose clock jumps to the next timer.

Everything asyncio does stays: the FIFO ready queue, C tasks and futures. Only the poll is replaced: where a loop would
wait, this one moves its clock. There is no outside world, so sockets, threads and signals are refused, and a loop with
nothing left to wait for raises `Deadlock` instead of sleeping for ever.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, Unpack

from pubsub_sim.errors import Deadlock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _JumpingSelector:
    """Stands where the loop expects a selector: `select(timeout)` does not wait, it advances the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[tuple[Any, int]]:
        if timeout is None:
            raise Deadlock(_waiting_tasks(self._loop))
        if timeout > 0:
            self._loop.jump()
        return []

    def close(self) -> None:
        """Nothing to close."""


class _Timer(asyncio.TimerHandle):
    """A timer that keeps first-come order among those due at the same instant (the heap alone does not)."""

    __slots__ = ("_order",)

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
        order: int,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self._order = order

    def __lt__(self, other: Any) -> bool:
        return (self.when(), self._order) < (other.when(), other._order)


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop on virtual time, starting at 0 s."""

    # attributes of BaseEventLoop that its stub leaves out
    _scheduled: list[_Timer]
    _selector: _JumpingSelector

    def __init__(self) -> None:
        super().__init__()
        self._selector = _JumpingSelector(self)
        self._now_s = 0.0
        self._timers = 0

    @property
    def _clock_resolution(self) -> float:
        """The stock loop runs what is due less than this from now: here nothing but what is due now."""
        return math.ulp(self._now_s)

    @_clock_resolution.setter
    def _clock_resolution(self, value: float) -> None:
        """The stock loop sets it to the wall clock's, which has no meaning here."""

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now_s

    def jump(self) -> None:
        """Move the clock to the next timer."""
        self._now_s = max(self._now_s, self._scheduled[0].when())

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Like the stock loop's, with first-come order among equal times."""
        self._check_closed()  # type: ignore[attr-defined] # of BaseEventLoop, left out by its stub
        self._timers += 1
        timer = _Timer(when, callback, args, self, context, self._timers)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined] # of TimerHandle: lets a cancelled timer be counted
        return timer

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        raise RuntimeError("a virtual loop has no outside world: no threads, executors or signals")

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Refused: a thread's time is not virtual."""
        raise RuntimeError("a virtual loop runs no executor: a thread's time is not virtual")

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's signature
        """There is none."""


def _waiting_tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    return sorted(f"{task.get_name()} ({_where(task)})" for task in asyncio.all_tasks(loop))


def _where(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack(limit=1)
    if not stack:
        return "not started"
    frame = stack[-1]
    return f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
