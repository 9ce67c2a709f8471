"""How does a program wait for a machine, and how does work end with its state? Futures, contexts and tasks.

The one module of the engine that knows asyncio.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import CancelledError, Task, get_running_loop
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from asyncmachine.lifetime import Lifetime
    from asyncmachine.subscriptions import Wait

_log = logging.getLogger("asyncmachine")

TaskOf = Task[Any]
"""A background task, for modules that do not know asyncio."""

FutureOf = asyncio.Future[Any]
"""A future, likewise."""


class WaitFuture(asyncio.Future[Any]):
    """The future of one wait; cancelling it unsubscribes at once."""

    def __init__(self, machine: Lifetime, wait: Wait) -> None:
        super().__init__(loop=get_running_loop())
        self._machine: Lifetime | None = machine
        self._wait: Wait | None = wait

    def cancel(self, msg: Any | None = None) -> bool:
        """Stop waiting; nothing stays behind in the machine."""
        if self._machine is not None and self._wait is not None and not self.done():
            self._machine._unsubscribe(self._wait)
        self._machine = self._wait = None
        return super().cancel(msg)


def done_future(result: Any = None) -> asyncio.Future[Any]:
    """A future that has its result already."""
    future: asyncio.Future[Any] = get_running_loop().create_future()
    future.set_result(result)
    return future


def failed_future(error: BaseException) -> asyncio.Future[Any]:
    """A future that has failed already; it does not complain if nobody asks."""
    future: asyncio.Future[Any] = get_running_loop().create_future()
    future.set_exception(error)
    future.exception()
    return future


def new_future() -> asyncio.Future[Any]:
    """A plain future of the running loop."""
    return get_running_loop().create_future()


def resolve(future: Any, result: Any = None) -> None:
    """Give a result, unless nobody waits any more."""
    if not future.done():
        future.set_result(result)


def fail(future: Any, error: BaseException) -> None:
    """Say why there is no result; who does not ask is not bothered."""
    if not future.done():
        future.set_exception(error)
        future.exception()


def start_task(machine: Lifetime, coro: Coroutine[Any, Any, Any], name: str) -> Task[Any]:
    """Start a guarded task of a machine: an error in it becomes the machine's; `dispose` cancels it."""
    try:
        loop = get_running_loop()
    except RuntimeError:
        coro.close()
        raise
    task = loop.create_task(coro, name=name)
    machine._tasks.add(task)
    task.add_done_callback(machine._task_ended)
    if machine._gate_traced():
        machine._trace("task_fork", machine, task)
    return task


def error_of(task: Task[Any]) -> BaseException | None:
    """What a finished task failed with; None if it did not, or was cancelled."""
    return None if task.cancelled() else task.exception()


async def end_of(tasks: list[Task[Any]]) -> None:
    """Wait for cancelled tasks to end; the task that asks is left out."""
    others = [task for task in tasks if task is not asyncio.current_task()]
    while others:
        await asyncio.wait(others)
        others = [task for task in others if not task.done()]


class StateContext:
    """One activation (or pause) of a state: from a tick to the next.

    Attributes:
        state: the state's name.
        tick: its tick when the context was made.
        expired: whether the tick has changed since.

    `async with ctx:` runs a block that is cancelled when the context expires, and then ends quietly.
    """

    __slots__ = ("_futures", "_machine", "_scopes", "_tasks", "expired", "state", "tick")

    def __init__(self, machine: Lifetime, state: str, tick: int) -> None:
        get_running_loop()  # a context without a loop could not end anything
        self.state = state
        self.tick = tick
        self.expired = False
        self._machine = machine
        self._tasks: set[Task[Any]] = set()
        self._futures: list[asyncio.Future[Any]] = []
        self._scopes: list[_Scope] = []

    def fork(self, coro: Coroutine[Any, Any, Any]) -> Task[Any]:
        """A background task that is cancelled when the context expires; at once if it has."""
        task = start_task(self._machine, coro, f"{self._machine.id}.{self.state}")
        if self.expired:
            task.cancel()
        else:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    async def wait_expired(self) -> None:
        """Wait until the context expires."""
        if not self.expired:
            future = new_future()
            self._futures.append(future)
            try:
                await future
            finally:
                if future in self._futures:
                    self._futures.remove(future)

    def expire(self) -> None:
        """The tick has changed; called by the machine."""
        self.expired = True
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        for future in self._futures:
            resolve(future)
        for scope in self._scopes:
            scope.cancel()

    async def __aenter__(self) -> Self:
        scope = _Scope(asyncio.current_task())
        self._scopes.append(scope)
        if self.expired:
            scope.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool:
        task = asyncio.current_task()
        scope = next(scope for scope in reversed(self._scopes) if scope.task is task)
        self._scopes.remove(scope)
        return scope.leave(error)

    def __repr__(self) -> str:
        return f"<StateContext {self.state}:{self.tick}{' expired' if self.expired else ''}>"


class _Scope:
    """One `async with ctx:` block under way."""

    __slots__ = ("_before", "_is_cancelled", "task")

    def __init__(self, task: Task[Any] | None) -> None:
        if task is None:
            raise RuntimeError("a state context is entered inside a task")
        self.task = task
        self._before = task.cancelling()
        self._is_cancelled = False

    def cancel(self) -> None:
        if not self._is_cancelled:
            self._is_cancelled = True
            self.task.cancel()

    def leave(self, error: BaseException | None) -> bool:
        """Whether the error is our own cancellation, which ends here."""
        if not self._is_cancelled:
            return False
        return self.task.uncancel() <= self._before and isinstance(error, CancelledError)
