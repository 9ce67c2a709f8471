"""How does a coroutine wait for a machine, and how does background work end with its state?

Futures, state contexts and tasks: the only engine module that touches asyncio. It knows a machine by its
subscriptions and ticks, nothing of how transitions come about.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, Self

from asyncmachine.mutation import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import TracebackType

    from asyncmachine.questions import Questions
    from asyncmachine.subscriptions import Subscription

Future = asyncio.Future
Task = asyncio.Task
_logger = logging.getLogger("asyncmachine")


class Wait(asyncio.Future[Any]):
    """A future of a machine. Cancelling it unsubscribes at once; it is never shared between waiters."""

    __slots__ = ("_machine", "_subscription")

    _machine: Questions | None
    _subscription: Subscription | None

    def cancel(self, msg: Any = None) -> bool:
        """Stop waiting."""
        if self._machine is not None and self._subscription is not None:
            self._machine._unsubscribe(self._subscription)
            self._subscription = self._machine = None
        return super().cancel(msg)

    def resolve(self, value: Any) -> None:
        """Deliver the result; called by the machine."""
        self._subscription = None
        if not self.done():
            self.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Deliver an error; called by the machine. An error nobody looks at is not reported."""
        self._subscription = self._machine = None
        if not self.done():
            self.set_exception(error)
            self.exception()


def new_wait() -> Wait:
    """Return a pending wait of the running loop.

    Raises:
        RuntimeError: No event loop is running.
    """
    wait = Wait(loop=asyncio.get_running_loop())
    wait._machine = wait._subscription = None
    return wait


def computing_takes_time() -> bool:
    """Tell whether code can be slow here: not on simulated time, where the loop calls no callback slow (asyncio's own setting)."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return True
    return getattr(loop, "slow_callback_duration", 0.0) != math.inf


def is_cancellation(error: BaseException) -> bool:
    """Tell whether an error is asyncio's way of cancelling a task."""
    return isinstance(error, asyncio.CancelledError)


class _Unseen:
    """Holds an error until somebody awaits it, and logs it if nobody ever does."""

    __slots__ = ("error", "seen", "what")

    def __init__(self, error: BaseException, what: str) -> None:
        self.error = error
        self.what = what
        self.seen = False

    def __del__(self) -> None:
        if not self.seen:
            _logger.error("%s failed and nobody awaited it", self.what, exc_info=self.error)


class Outcome:
    """An awaitable answer of the machine, filled in when its turn comes.

    It needs an event loop only if it is awaited before it is known.
    """

    __slots__ = ("_error", "_value", "_waiter", "args", "done", "function", "label")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], label: str) -> None:
        self.function = function
        self.args = args
        self.label = label
        self.done = False
        self._value: Any = None
        self._error: _Unseen | None = None
        self._waiter: asyncio.Future[None] | None = None

    def run(self) -> None:
        """Call the function and keep what comes of it; does nothing if the awaiting task was cancelled."""
        if self.done or (self._waiter is not None and self._waiter.cancelled()):
            return
        try:
            self._value = self.function(*self.args)
        except Exception as error:
            self._error = _Unseen(error, f"[eval] {self.label or self.function!r}")
        except BaseException as error:
            self.fail(error)
            raise
        self._finish()

    def fail(self, error: BaseException) -> None:
        """Deliver an error instead of an answer, without a report if nobody looks."""
        self._error = _Unseen(error, self.label)
        self._error.seen = True
        self._finish()

    def _finish(self) -> None:
        self.done = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def result(self) -> Any:
        """Return the answer, or raise its error.

        Raises:
            RuntimeError: It is not known yet.
        """
        if not self.done:
            raise RuntimeError("the answer is not known yet: await it")
        if self._error is not None:
            self._error.seen = True
            raise self._error.error
        return self._value

    def __await__(self) -> Generator[Any, None, Any]:
        if not self.done:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            yield from self._waiter
        return self.result()


class QueuedCheck(Result):
    """The result of `can_add` or `can_remove` inside a handler: queued, and awaitable for the real outcome."""

    __slots__ = ("_outcome",)

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(0)
        self._outcome = outcome

    def __await__(self) -> Generator[Any, None, Result]:
        result: Result = yield from self._outcome.__await__()
        return result

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class StateContext:
    """The span of one tick of a state: it expires when the tick changes, or when the machine is disposed.

    Attributes:
        state: Name of the state.
        tick: The tick it is bound to.
        expired: The span is over.

    Work started with `fork` is cancelled then. `async with ctx:` runs a block for as long as the span lasts and ends
    quietly when it is over: an expired context is not an error.
    """

    __slots__ = ("_machine", "_number", "_scopes", "_waiters", "expired", "state", "tick")

    def __init__(self, machine: Questions, number: int, tick: int) -> None:
        self._machine = machine
        self._number = number
        self.state = machine.state_names[number]
        self.tick = tick
        self.expired = False
        self._waiters: list[asyncio.Future[None]] | None = None
        self._scopes: list[_Scope] | None = None

    def fork(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Run a coroutine in the background until the context expires.

        Its error becomes the machine's Exception state. Returns None, and closes the coroutine, if already expired.

        Raises:
            RuntimeError: No event loop is running.
        """
        if self.expired:
            coro.close()
            return None
        return self._machine._spawn(coro, self._number)

    async def wait_expired(self) -> None:
        """Wait until the context has expired."""
        if self.expired:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters
        if waiters is None:
            waiters = self._waiters = []
        waiters.append(waiter)
        try:
            await waiter
        finally:
            waiters.remove(waiter)

    def expire(self) -> None:
        """End the context; called by the machine when the state's tick changes."""
        if self.expired:
            return
        self.expired = True
        for waiter in self._waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        for scope in self._scopes or ():
            scope.end()
        self._machine._context_ended(self)
        del self._machine  # whoever keeps an expired context does not keep the machine

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        scope = _Scope(task)
        if self._scopes is None:
            self._scopes = []
        self._scopes.append(scope)
        if self.expired:
            scope.end()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        task = asyncio.current_task()
        assert self._scopes is not None
        scope = next(scope for scope in reversed(self._scopes) if scope.task is task)
        self._scopes.remove(scope)
        if not scope.ended:
            return False
        late: asyncio.CancelledError | None = None
        if kind is None or not issubclass(kind, asyncio.CancelledError):
            # the cancellation may not be delivered yet: take delivery here, not at the caller's next await
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as caught:
                late = caught
        ours = scope.task.uncancel() <= scope.cancelling
        if late is not None and kind is None and not ours:
            raise late
        return ours and kind is not None and issubclass(kind, asyncio.CancelledError)

    def __repr__(self) -> str:
        return f"StateContext({self.state}:{self.tick}{' expired' if self.expired else ''})"


class _Scope:
    """One `async with` block of a task."""

    __slots__ = ("cancelling", "ended", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.cancelling = task.cancelling()
        self.ended = False

    def end(self) -> None:
        self.ended = True
        self.task.cancel()


def new_task(coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a coroutine on the running loop.

    Raises:
        RuntimeError: No event loop is running; the coroutine is closed.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        coro.close()
        raise
    return loop.create_task(coro)


class _HandlerTask(asyncio.Task[None]):
    """The task of an async handler.

    Cancelled before its first step, it closes the handler's coroutine itself; cancelled later, it makes the machine
    keep it until it has ended.
    """

    __slots__ = ("machine", "start", "state")

    start: list[Any]  # the handler's coroutine and this task; empty as soon as it has begun
    machine: Questions
    state: int

    def cancel(self, msg: Any = None) -> bool:
        """Request cancellation."""
        start = self.start
        if start:
            start[0].close()
            start.clear()
            self.machine._forget_task(self, self.state)
        elif not self.done():
            if self.machine._tasks is None:
                self.machine._tasks = {}
            self.machine._tasks[self] = -1
        return super().cancel(msg)


async def _run(start: list[Any], machine: Questions, state: int) -> None:
    coro, own = start
    start.clear()  # it has begun, so that cancelling reaches it
    try:
        await coro
    except Exception as error:
        machine._task_failed(error)
    finally:
        machine._forget_task(own, state)
        del own  # a cancellation's traceback holds this frame, and the task holds the cancellation


def start_handler(coro: Coroutine[Any, Any, Any], machine: Questions, state: int, name: str) -> None:
    """Start the coroutine of an async handler; its error becomes the Exception state.

    All in one function and without a callback: this is the hot path of async handlers.

    Args:
        coro: The coroutine.
        machine: Its machine.
        state: The state to whose current tick it is bound, -1 for the machine's life.
        name: Name of the handler, and of the task.

    Raises:
        RuntimeError: No event loop is running; the coroutine is closed.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        coro.close()
        raise
    if loop.get_task_factory() is not None:  # it must not be bypassed
        machine._spawn(coro, state)
        return
    start: list[Any] = [coro]
    task = _HandlerTask(_run(start, machine, state), loop=loop, name=name)
    task.start = start
    task.machine = machine
    task.state = state
    start.append(task)
    if state < 0:
        if machine._tasks is None:
            machine._tasks = {}
        machine._tasks[task] = -1
    else:
        machine._put_in_span(task, state)
    if machine._hooks.task_fork:
        machine._hooks.fire(machine._hooks.task_fork, machine, task, machine.state_names[state] if state >= 0 else None)


async def finish_tasks(machine: Questions) -> None:
    """Wait until every background task of a disposed machine has ended, the calling one excepted."""
    current = asyncio.current_task()
    while True:
        pending = [task for task in machine._tasks or () if task is not current]
        if not pending:
            return
        await asyncio.wait(pending)
        await asyncio.sleep(0)  # let their callbacks take note
