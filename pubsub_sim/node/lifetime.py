"""The owner of all tasks and timers of a node.

The rules are those of `asyncio.TaskGroup`, for the lifetime of a node instead of a block:

- Every task is started or adopted here, and the owner observes its end. No task can be lost.
- The first unexpected error of a task or timer ends the owner: `on_failure` is called once, and all other tasks are
  cancelled. A task cancelled by anything else is an error too, as its work would be lost.
- `close` cancels the remaining tasks and runs all given steps, regardless of errors in earlier ones. It continues if its
  caller is cancelled, and has a time limit, after which the remaining tasks are reported by name and abandoned.
- Errors during the close are raised as one ExceptionGroup.

Time limits are on the loop's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pubsub_sim.errors import HostClosed, TaskCancelled, TasksRemain
from pubsub_sim.foreign import FOREIGN_ERRORS

if TYPE_CHECKING:
    from pubsub_sim.ports import Clock, Timer

T = TypeVar("T")

CLOSE_LIMIT_S = 10.0
"""Time limit for closing a node, in seconds, within which clean-up is awaited."""

Step = tuple[str, Callable[[], "Awaitable[None] | None"]]
"""A step of a close: its name and its function, synchronous or awaitable."""


class Lifetime:
    """An owner of tasks and timers.

    Args:
        name: name of the node, for errors.
        limit_s: time limit for closing.

    Attributes:
        on_failure: called with the first unexpected error.
    """

    def __init__(self, name: str = "host", limit_s: float = CLOSE_LIMIT_S) -> None:
        self._name = name
        self._limit_s = limit_s
        self.on_failure: Callable[[BaseException], None] = _ignore
        self._tasks: dict[asyncio.Task[Any], bool] = {}  # True for work that finishes
        self._stopped: set[asyncio.Task[Any]] = set()  # tasks cancelled by the owner
        self._timers: dict[int, Timer] = {}
        self._armed = 0
        self._is_over = False
        self._late: list[BaseException] = []  # errors after the first, or during the close
        self._closing: Shielded[None] | None = None
        self._closers: set[asyncio.Task[Any] | None] = set()  # own tasks that wait for the close

    # --- tasks and timers ----------------------------------------------------------------------------------------

    def start(self, flow: Coroutine[Any, Any, T], name: str, *, is_work: bool = True) -> asyncio.Task[T] | None:
        """Run a coroutine in a task.

        Args:
            flow: the coroutine.
            name: the task's name.
            is_work: whether it finishes by itself; `is_idle` then waits for it.

        Returns:
            The task; if the owner has ended, None, and the coroutine is closed.
        """
        if self._is_over:
            flow.close()
            return None
        task = asyncio.get_running_loop().create_task(flow, name=name)
        self._own(task, is_work=is_work)
        return task

    def adopt(self, task: asyncio.Task[Any] | None, name: str, *, is_work: bool = True) -> None:
        """Own a task started elsewhere, whose starter reports its errors, e.g. a state machine; None is ignored.

        Closing waits for its end, and reports it if it does not end.
        """
        if task is not None and not task.done():
            task.set_name(name)
            self._tasks[task] = is_work
            task.add_done_callback(self._adopted_ended)

    def stop(self, task: asyncio.Task[Any] | None) -> None:
        """Cancel a task, if it is running; its CancelledError is then expected."""
        if task is not None and task in self._tasks:
            self._stopped.add(task)
            task.cancel()

    def call_later(self, clock: Clock, delay_s: float, callback: Callable[[], object]) -> None:
        """Call a function after a delay, unless the owner has ended by then; its errors end the owner."""
        if self._is_over:
            return
        self._armed += 1
        number = self._armed

        def call() -> None:
            del self._timers[number]
            try:
                callback()
            except FOREIGN_ERRORS as error:
                self.fail(error)

        self._timers[number] = clock.call_later(delay_s, call)

    @property
    def is_idle(self) -> bool:
        """Whether no work is under way; tasks that wait for work, and timers, do not count."""
        return True not in self._tasks.values()

    # --- the end -------------------------------------------------------------------------------------------------

    def fail(self, error: BaseException) -> None:
        """End after an unexpected error; later errors are kept for `close`."""
        if self._is_over:
            self._late.append(error)
            return
        self._is_over = True
        try:
            self.on_failure(error)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Start nothing more, and cancel all tasks except the calling one, without waiting."""
        self._is_over = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        spared = asyncio.current_task()
        for task in list(self._tasks):
            if task is not spared:
                self.stop(task)

    async def close(self, steps: Sequence[Step] = ()) -> None:
        """Cancel all tasks, run all steps in order, and wait for the end of all tasks.

        If the caller is cancelled, the close still completes before the cancellation is raised. A second call waits for
        the first. A calling task of the owner is not waited for, to avoid a deadlock.

        Raises:
            ExceptionGroup: errors of steps and tasks, including TasksRemain if the limit was exceeded.
        """
        self._closers.add(asyncio.current_task())
        if self._closing is None:
            self._closing = Shielded(self._close(steps), f"close of {self._name}")
        await self._closing.end()

    async def _close(self, steps: Sequence[Step]) -> None:
        deadline_s = asyncio.get_running_loop().time() + self._limit_s
        self.cancel()
        errors, remaining = await run_steps(steps, deadline_s)
        remaining += await _wait_for([task for task in self._tasks if task not in self._closers], deadline_s)
        await asyncio.sleep(0)  # let the callbacks of the last tasks run
        if remaining:
            errors.append(TasksRemain(self._name, remaining, self._limit_s))
        raise_grouped(f"close of {self._name}", [*self._late, *errors])

    # --- internals -----------------------------------------------------------------------------------------------

    def _own(self, task: asyncio.Task[Any], *, is_work: bool) -> None:
        self._tasks[task] = is_work
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        self._adopted_ended(task)
        if error is not None and not (self._is_over and isinstance(error, HostClosed)):
            self.fail(error)

    def _adopted_ended(self, task: asyncio.Task[Any]) -> None:
        was_stopped = task in self._stopped
        self._stopped.discard(task)
        self._tasks.pop(task, None)
        if task.cancelled() and not was_stopped and not self._is_over:
            self.fail(TaskCancelled(self._name, task.get_name()))


async def run_steps(steps: Iterable[Step], deadline_s: float) -> tuple[list[BaseException], list[str]]:
    """Run all steps of a close in order, regardless of errors in earlier ones.

    Args:
        steps: the steps.
        deadline_s: deadline on the loop's clock; each step gets at least one iteration of the loop.

    Returns:
        Their errors, and the names of the steps abandoned at the deadline.
    """
    errors: list[BaseException] = []
    remaining: list[str] = []
    for name, step in steps:
        try:
            flow = step()
            if flow is not None:
                task = asyncio.get_running_loop().create_task(_await(flow), name=name)
                remaining += await _wait_for([task], deadline_s)
                if task.done():
                    task.result()
        except FOREIGN_ERRORS as error:
            errors.append(error)
    return errors, remaining


class Shielded(Generic[T]):
    """A coroutine that runs to completion even if its waiters are cancelled.

    Args:
        flow: the coroutine; its error is raised to the waiters.
        name: the name of its task.
    """

    __slots__ = ("_task",)

    def __init__(self, flow: Coroutine[Any, Any, T], name: str) -> None:
        self._task = asyncio.get_running_loop().create_task(flow, name=name)

    async def end(self) -> T:
        """Wait for its end; a cancellation of the caller is raised afterwards.

        Raises:
            whatever the coroutine raises, even if the caller was cancelled.
            CancelledError: the caller was cancelled, and the coroutine has not failed.
        """
        cancelled: asyncio.CancelledError | None = None
        while not self._task.done():
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError as error:
                cancelled = error
        result = self._task.result()
        if cancelled is not None:
            raise cancelled
        return result


def raise_grouped(message: str, errors: Sequence[BaseException]) -> None:
    """Raise errors as one group, if there are any.

    A CancelledError among them is wrapped in a TaskCancelled, since the caller was not cancelled.
    """
    if errors:
        raise BaseExceptionGroup(message, [_as_reported(message, error) for error in errors])


def _as_reported(message: str, error: BaseException) -> BaseException:
    if not isinstance(error, asyncio.CancelledError):
        return error
    carrier = TaskCancelled(message, "step")
    carrier.__cause__ = error
    return carrier


async def _await(flow: Awaitable[None]) -> None:
    await flow


async def _wait_for(tasks: Iterable[asyncio.Task[Any]], deadline_s: float) -> list[str]:
    """Wait for tasks until a deadline; return the names of those that do not end, which are cancelled and abandoned."""
    waiting = set(tasks)
    if not waiting:
        return []
    loop = asyncio.get_running_loop()
    _, waiting = await asyncio.wait(waiting, timeout=max(0.0, deadline_s - loop.time()))
    for task in waiting:
        task.cancel()
        _abandon(task)
    return sorted(task.get_name() for task in waiting)


def _abandon(task: asyncio.Task[Any]) -> None:
    """Abandon a task that does not end and has been reported: closing the loop would wait for it for ever."""
    asyncio.tasks._unregister_task(task)
    with suppress(AttributeError):
        task._log_destroy_pending = False  # type: ignore[attr-defined] # an attribute of Task missing in its stub


def _ignore(error: BaseException) -> None:
    """Ignore an error."""
