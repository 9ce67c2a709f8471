"""One owner of everything that runs on a node: its tasks and its timers, from their start to their end.

The rules are those of `asyncio.TaskGroup`, for an owner that lives as long as a node and not as long as a block:

- Every task is started here or adopted here, and the owner hears of its end. No task can be lost.
- The first unexpected error of a task or a timer ends the owner: `on_failure` is told, once, and all other tasks are
  cancelled. A task that is cancelled by anybody else is an error too, as nobody would do its work any more.
- `close` cancels what is left and runs all steps that were given, each of them whatever becomes of those before. It goes
  on if its caller is cancelled, and it ends in time: what has not ended then is reported by its name and left alone.
- What went wrong in the end comes as one ExceptionGroup.

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
"""Longest close of a node; whoever cleans up within it is waited for."""

Step = tuple[str, Callable[[], "Awaitable[None] | None"]]
"""A step of a close: its name, and what does it, at once or awaited."""


class Lifetime:
    """Owns tasks and timers.

    Args:
        name: whose they are, for errors.
        limit_s: longest close.

    Attributes:
        on_failure: called with the first unexpected error; set by whoever ends the node because of it.
    """

    def __init__(self, name: str = "host", limit_s: float = CLOSE_LIMIT_S) -> None:
        self._name = name
        self._limit_s = limit_s
        self.on_failure: Callable[[BaseException], None] = _ignore
        self._tasks: dict[asyncio.Task[Any], bool] = {}  # True for work that ends by itself
        self._stopped: set[asyncio.Task[Any]] = set()  # those we have cancelled
        self._timers: dict[int, Timer] = {}
        self._armed = 0
        self._is_over = False
        self._late: list[BaseException] = []  # errors after the first, or while closing
        self._closing: Shielded[None] | None = None
        self._closers: set[asyncio.Task[Any] | None] = set()  # those of our tasks that wait for the close

    # --- what runs -----------------------------------------------------------------------------------------------

    def start(self, flow: Coroutine[Any, Any, T], name: str, *, is_work: bool = True) -> asyncio.Task[T] | None:
        """Run a coroutine in a task.

        Args:
            flow: the coroutine.
            name: the task's name.
            is_work: whether it ends by itself once its work is done; `is_idle` waits for it then.

        Returns:
            The task; None, with the coroutine closed, if the owner has ended.
        """
        if self._is_over:
            flow.close()
            return None
        task = asyncio.get_running_loop().create_task(flow, name=name)
        self._own(task, is_work=is_work)
        return task

    def adopt(self, task: asyncio.Task[Any] | None, name: str, *, is_work: bool = True) -> None:
        """Own a task that somebody else has started and tells errors of, e.g. a state machine; None is none.

        Its end is waited for, and reported if it does not come.
        """
        if task is not None and not task.done():
            task.set_name(name)
            self._tasks[task] = is_work
            task.add_done_callback(self._adopted_ended)

    def stop(self, task: asyncio.Task[Any] | None) -> None:
        """Cancel a task, if it is still there: that it ends by a CancelledError is no error then."""
        if task is not None and task in self._tasks:
            self._stopped.add(task)
            task.cancel()

    def call_later(self, clock: Clock, delay_s: float, callback: Callable[[], object]) -> None:
        """Call a function after a delay, unless the owner has ended by then; its error is one of the owner's."""
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
        """End by an unexpected error; a second one is kept for `close`."""
        if self._is_over:
            self._late.append(error)
            return
        self._is_over = True
        try:
            self.on_failure(error)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Start nothing more, and cancel what runs, without waiting for its end. The task that calls is spared."""
        self._is_over = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        spared = asyncio.current_task()
        for task in list(self._tasks):
            if task is not spared:
                self.stop(task)

    async def close(self, steps: Sequence[Step] = ()) -> None:
        """Cancel what runs, do all steps in order, and wait for the end of all tasks.

        It is not cut short by a cancellation of its caller, which is told of it afterwards. A second call waits for the
        first. A task of the owner that calls it is not waited for, as it could not end before.

        Raises:
            ExceptionGroup: errors of steps and tasks; TasksRemain among them if the limit was over.
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
        await asyncio.sleep(0)  # lets the callbacks of the last tasks run
        if remaining:
            errors.append(TasksRemain(self._name, remaining, self._limit_s))
        raise_grouped(f"close of {self._name}", [*self._late, *errors])

    # --- inside --------------------------------------------------------------------------------------------------

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
    """Do all steps of a close in order, whatever becomes of those before.

    Args:
        steps: what to do.
        deadline_s: when the last must have ended, on the loop's clock; each has a round of the loop in any case.

    Returns:
        What they raised, and the names of those that were left alone as they had not ended in time.
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
    """A coroutine that goes to its end once it has begun, whoever waits for it.

    Args:
        flow: the coroutine; its error is for those who wait.
        name: the name of its task.
    """

    __slots__ = ("_task",)

    def __init__(self, flow: Coroutine[Any, Any, T], name: str) -> None:
        self._task = asyncio.get_running_loop().create_task(flow, name=name)

    async def end(self) -> T:
        """Wait for its end, also if we are cancelled meanwhile; we are told of that afterwards.

        Raises:
            whatever the coroutine raises, even if we were cancelled.
            CancelledError: we were cancelled, and the coroutine has not failed.
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
    """Raise errors as one group; nothing if there are none.

    A CancelledError among them is carried by a TaskCancelled: whoever gets the group was not cancelled.
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
    """Wait for tasks until a moment; gives the names of those that do not end, which are cancelled and left alone."""
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
    """Let nobody wait for a task that does not end: the loop's own end would, for ever. It has been reported."""
    asyncio.tasks._unregister_task(task)
    with suppress(AttributeError):
        task._log_destroy_pending = False  # type: ignore[attr-defined] # of Task, left out by its stub


def _ignore(error: BaseException) -> None:
    """Nobody is told."""
