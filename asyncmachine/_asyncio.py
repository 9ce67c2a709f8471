"""Futures, state contexts and tasks of a machine: the only engine module that imports asyncio.

Waits and contexts register with the runtime's index (`_waiters`), which notifies them. This module does not run transitions.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import sys
from operator import index
from typing import TYPE_CHECKING, Any, Self

from asyncmachine._runtime import BUSY, DISPOSED, ENDING, OBSERVED, TRACED
from asyncmachine._waiters import WHEN, WHEN_ARGS, WHEN_ENDS, WHEN_QUERY, WHEN_QUEUE, WHEN_TIME, Subscription
from asyncmachine.errors import MachineDisposedError
from asyncmachine.handlers import Answer, close_coroutine, is_pending
from asyncmachine.logs import LogLevel
from asyncmachine.mutation import Mutation, Result
from asyncmachine.relations import mask_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import TracebackType

    from asyncmachine._runtime import HandlerCall, Runtime
    from asyncmachine.mutation import QueuedMutation

Future = asyncio.Future
Task = asyncio.Task
_logger = logging.getLogger("asyncmachine")


class Wait(asyncio.Future[Any]):
    """A future of a machine. Cancelling it unsubscribes at once; it is never shared between waiters.

    Once done, it holds no reference to the machine, except through the traceback of a query that raised.
    """

    __slots__ = ("_machine", "_subscription")

    _machine: Runtime | None
    _subscription: Subscription | None

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the wait and unsubscribe it."""
        if self._machine is not None and self._subscription is not None:
            self._machine._waiters.drop(self._subscription)
            self._machine._unwatch()
            self._subscription = self._machine = None
        return super().cancel(msg)

    def resolve(self, value: Any) -> None:
        """Deliver the result; called by the machine."""
        self._subscription = self._machine = None  # a finished wait must not keep the machine alive
        try:
            if not self.done():
                self.set_result(value)
        except Exception:
            report_dead(self)

    def fail(self, error: BaseException) -> None:
        """Deliver an error; called by the machine. asyncio logs it if it is never retrieved, except a `MachineDisposedError`."""
        self._subscription = self._machine = None
        if self.done():
            return
        if isinstance(error, StopIteration):  # a future refuses StopIteration
            error = RuntimeError(f"a function of a wait raised {error!r}")
        try:
            self.set_exception(error)
        except Exception:
            report_dead(self)
        if isinstance(error, MachineDisposedError):
            self.exception()


def deliver(future: asyncio.Future[Any], value: Any) -> None:
    """Set the result of a future, unless it is done. A closed loop is ignored."""
    try:
        if not future.done():
            future.set_result(value)
    except Exception:
        report_dead(future)


def report_dead(future: asyncio.Future[Any]) -> None:
    """Log that a future's callbacks cannot be scheduled, unless its loop is closed. Call it from the except block."""
    if not future.get_loop().is_closed():
        _logger.exception("cannot schedule the callbacks of %r on its loop", future)


def new_wait() -> Wait:
    """Return a pending wait of the running loop.

    Raises:
        RuntimeError: No event loop is running.
    """
    wait = Wait(loop=asyncio.get_running_loop())
    wait._machine = wait._subscription = None
    return wait


def computing_takes_time() -> bool:
    """Return whether code can be slow here: not on simulated time, where the loop's `slow_callback_duration` is infinite."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return True
    return getattr(loop, "slow_callback_duration", 0.0) != math.inf


def debugging() -> tuple[bool, float | None]:
    """Return whether debug mode is on, and the limit for slow callbacks.

    Debug mode is `python -X dev` or a running loop in debug mode. Only the latter has a limit for slow callbacks.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return sys.flags.dev_mode, None
    if not loop.get_debug():
        return sys.flags.dev_mode, None
    limit_s: float = getattr(loop, "slow_callback_duration", math.inf)
    return True, None if limit_s == math.inf else limit_s


def is_cancellation(error: BaseException) -> bool:
    """Return whether an error is asyncio's `CancelledError`."""
    return isinstance(error, asyncio.CancelledError)


class _Unseen:
    """An error that is logged on garbage collection if it was never awaited."""

    __slots__ = ("error", "seen", "what")

    def __init__(self, error: BaseException, what: str) -> None:
        self.error = error
        self.what = what
        self.seen = False

    def __del__(self) -> None:
        if not self.seen:
            _logger.error("%s failed and nobody awaited it", self.what, exc_info=self.error)


def _nothing() -> None:
    """Replace the function of an eval that has run."""


class EvalFuture(Answer):
    """The awaitable result of a queued eval.

    It needs an event loop only if it is awaited before the eval has run.
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
        """Call the function and store its result or error; do nothing if the awaiting task was cancelled."""
        if self.done or (self._waiter is not None and self._waiter.cancelled()):
            return
        try:
            self._value = self.function(*self.args)
        except Exception as error:
            self._error = _Unseen(error, f"[eval] {self.label or self.function!r}")
        except BaseException as error:
            self.fail(error)
            raise
        self.done = True
        self.function, self.args = _nothing, ()  # what is known keeps no machine alive
        if self._waiter is not None:
            deliver(self._waiter, None)

    def fail(self, error: BaseException) -> None:
        """Store an error instead of a result. It is not logged if it is never retrieved."""
        self._error = _Unseen(error, self.label)
        self._error.seen = True
        self.done = True
        self.function, self.args = _nothing, ()  # a finished eval must not keep the machine alive
        if self._waiter is not None:
            deliver(self._waiter, None)

    @property
    def value(self) -> Any:
        """The result; None before it is known, and if the eval failed."""
        return self._value

    def result(self) -> Any:
        """Return the result, or raise the error of the eval.

        Raises:
            RuntimeError: The eval has not run yet.
        """
        if not self.done:
            raise RuntimeError("the result is not known yet: await it")
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


class QueuedCheck(Result, Answer):
    """The result of `can_add` or `can_remove` inside a handler: queued; await it for the final result."""

    __slots__ = ("_answer",)

    def __init__(self, answer: EvalFuture) -> None:
        super().__init__(0)
        self._answer = answer

    def _outcome(self) -> Result | None:
        outcome: Result | None = self._answer.value
        return outcome if outcome is not None and outcome.canceled else None

    def __await__(self) -> Generator[Any, None, Result]:
        result: Result = yield from self._answer.__await__()
        return result

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("'QueuedCheck' cannot be copied: the result of a queued dry run belongs to its machine")


class StateContext:
    """The lifetime of one tick of a state: it expires when the tick changes or the machine is disposed.

    Attributes:
        state: Name of the state.
        tick: The tick it is bound to.
        expired: Whether it has expired.

    On expiry, tasks started with `fork` are cancelled. The block of `async with ctx:` is cancelled on expiry and then
    exits without an error.
    """

    __slots__ = ("_machine", "_number", "_scopes", "_waiters", "expired", "state", "tick")

    def __init__(self, machine: Runtime, number: int, tick: int) -> None:
        self._machine = machine
        self._number = number
        self.state = machine.state_names[number]
        self.tick = tick
        self.expired = False
        self._waiters: list[asyncio.Future[None]] | None = None
        self._scopes: list[_Scope] | None = None

    def fork(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Run a coroutine in the background until the context expires.

        Its error becomes the machine's Exception state. If already expired, the coroutine is closed and None is returned.

        Raises:
            RuntimeError: No event loop is running.
        """
        if self.expired:
            coro.close()
            return None
        return spawn(self._machine, coro, self._number)

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
        machine = self._machine
        self.let_go()
        for waiter in self._waiters or ():
            deliver(waiter, None)
        for scope in self._scopes or ():
            scope.end()
        machine._observers.fire(machine._observers.state_ctx_end, machine, self)
        machine._log(LogLevel.OPS, f"[ctx:match] {self.state}")

    def let_go(self) -> None:
        """Mark it expired and drop the reference to the machine."""
        self.expired = True
        del self._machine

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
        if kind is not None and issubclass(kind, GeneratorExit):  # closed with its loop: no longer a task
            return False
        task = asyncio.current_task()
        assert self._scopes is not None
        scope = next(scope for scope in reversed(self._scopes) if scope.task is task)
        self._scopes.remove(scope)
        if not scope.ended:
            return False
        late: asyncio.CancelledError | None = None
        if kind is None or not issubclass(kind, asyncio.CancelledError):
            # the cancellation may still be pending: receive it here, not at the caller's next await
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
        try:
            self.task.cancel()
        except Exception:
            report_dead(self.task)


class _ForkTask(asyncio.Task[Any]):
    """The task of a fork, which records whether it is awaited."""

    __slots__ = ("is_awaited",)

    is_awaited: bool

    def add_done_callback(self, fn: Callable[[Self], object], /, *, context: contextvars.Context | None = None) -> None:
        """Add a done callback, as `await` and all other waiters of a task do."""
        self.is_awaited = True
        super().add_done_callback(fn, context=context)


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
    return _ForkTask(coro, loop=loop) if loop.get_task_factory() is None else loop.create_task(coro)


# waiting


def subscribe(machine: Runtime, wait: Wait, subscription: Subscription) -> Wait:
    """Register a wait, or fail it if the machine is disposed."""
    if machine._flags & (DISPOSED | OBSERVED):
        if machine._flags & DISPOSED:
            wait.fail(MachineDisposedError(machine.id))
            return wait
        machine._observers.check_thread(machine)
    machine._watch().put(subscription)
    wait._machine = machine
    wait._subscription = subscription
    if machine._flags & TRACED:
        machine._observers.subscription(machine, machine._plans, "new", subscription)
    return wait


def wait_for_states(machine: Runtime, kind: int, states: tuple[int, ...]) -> Wait:
    """Wait until all of these states are active (WHEN) or inactive (WHEN_NOT)."""
    wait = new_wait()
    mask = mask_of(states)
    active = machine._configuration.mask
    if not machine._flags & DISPOSED and (active & mask == mask if kind == WHEN else not active & mask):
        wait.set_result(None)
        return wait
    return subscribe(machine, wait, Subscription(kind, wait, states, mask))


def wait_for_ticks(machine: Runtime, goals: dict[int, int]) -> Wait:
    """Wait until the tick of every state has reached its goal.

    Raises:
        TypeError: A goal is not an integer.
    """
    wait = new_wait()
    ticks = machine._ticks
    left = {state: tick for state, goal in goals.items() if ticks[state] < (tick := index(goal))}
    if not left and not machine._flags & DISPOSED:
        wait.set_result(None)
        return wait
    return subscribe(machine, wait, Subscription(WHEN_TIME, wait, tuple(left), goals=left))


def wait_for_args(machine: Runtime, state: int, args: dict[str, Any]) -> Wait:
    """Wait until the state is entered with these arguments; the dict is kept."""
    wait = new_wait()
    return subscribe(machine, wait, Subscription(WHEN_ARGS, wait, (state,), 1 << state, args))


def wait_for_query(machine: Runtime, test: Callable[[], bool]) -> Wait:
    """Wait until the function returns true; it is first called immediately."""
    wait = new_wait()
    if not machine._flags & DISPOSED and test():
        wait.set_result(None)
        return wait
    subscription = Subscription(WHEN_QUERY, wait)
    subscription.test = test
    return subscribe(machine, wait, subscription)


def is_true(answer: object) -> bool:
    """Return the truth value of a query's result.

    Raises:
        TypeError: It is an awaitable or a generator, which is always true.
    """
    if is_pending(answer):
        close_coroutine(answer)
        raise TypeError(f"a query must return its result directly, got {type(answer).__name__!r}")
    return bool(answer)


def wait_for_queue(machine: Runtime, tick: int) -> Wait:
    """Wait until the mutation of this queue tick has been processed."""
    wait = new_wait()
    if tick < machine._queue_tick or (tick == machine._queue_tick and not machine._flags & BUSY):
        wait.set_result(None)
        return wait
    subscription = Subscription(WHEN_QUEUE, wait)
    subscription.tick = tick
    return subscribe(machine, wait, subscription)


def wait_for_rest(machine: Runtime) -> Wait:
    """Wait until the queue has been drained."""
    wait = new_wait()
    if not machine._flags & (BUSY | DISPOSED):
        wait.set_result(None)
        return wait
    return subscribe(machine, wait, Subscription(WHEN_ENDS, wait))


def wait_for_disposal(machine: Runtime) -> Wait:
    """Wait until the machine is disposed and its tasks have ended."""
    wait = new_wait()
    machine._waiters.forget_dead()
    if machine._flags & DISPOSED and not machine._waiters.tasks:
        wait.set_result(None)
    else:
        machine._wait_for_disposal(wait)
    return wait


async def finish_disposal(machine: Runtime) -> None:
    """Wait until the machine is disposed and its tasks, except the calling one, have ended."""
    if not machine._flags & DISPOSED:
        wait = new_wait()

        def resolve() -> None:
            wait.resolve(None)

        machine._call_at_disposal(resolve)
        try:
            await wait
        finally:  # also if this wait is cancelled
            machine._forget_at_disposal(resolve)
    current = asyncio.current_task()
    while True:
        machine._waiters.forget_dead()
        pending: list[Any] = [task for task in machine._waiters.tasks if task is not current]
        if not pending:
            return
        await asyncio.wait(pending)
        await asyncio.sleep(0)  # let their done callbacks run


# contexts


def context_of(machine: Runtime, state: int) -> StateContext:
    """Return the context of a state's current tick, shared until the tick changes."""
    ctx = machine._waiters.contexts.get(state)
    if ctx is None:
        ctx = StateContext(machine, state, machine._ticks[state])
        if machine._flags & DISPOSED:
            ctx.let_go()
            return ctx
        machine._watch().contexts[state] = ctx
        machine._observers.fire(machine._observers.state_ctx_new, machine, ctx)
        machine._log(LogLevel.OPS, f"[ctx:new] {ctx.state}")
    assert isinstance(ctx, StateContext)
    return ctx


def context_at(machine: Runtime, state: int, tick: int) -> StateContext:
    """Return the context of a tick of a state, expired if it has passed."""
    if machine._ticks[state] == tick:
        return context_of(machine, state)
    ctx = StateContext(machine, state, tick)
    ctx.let_go()
    return ctx


# tasks


def spawn(machine: Runtime, coro: Coroutine[Any, Any, Any], state: int, what: str = "") -> asyncio.Task[Any]:
    """Start a task bound to the state's current tick, or to the lifetime of the machine if `state` is -1.

    Args:
        machine: The machine.
        coro: The coroutine.
        state: The state.
        what: Name of the task in logged errors; by default derived from its coroutine.
    """
    tick = machine._ticks[state] if state >= 0 else 0
    task = new_task(coro)

    def end(task: asyncio.Task[Any]) -> None:
        machine._forget_task(task, machine._waiters.tasks.get(task, -1))
        error = None if task.cancelled() else task.exception()
        if error is not None:
            is_taken = isinstance(task, _ForkTask) and task.is_awaited
            task_failed(machine, error, what or _describe(machine, coro, state), is_taken=is_taken)

    task.add_done_callback(end)
    # an eager task has already run its first step, which may have changed the tick
    if machine._flags & DISPOSED or (state >= 0 and machine._ticks[state] != tick):
        machine._keep_task(task, -1)
        task.cancel()
    else:
        machine._keep_task(task, state)
        if state >= 0:
            machine._bind_task(task, state)
    tell_fork(machine, task, state)
    if isinstance(task, _ForkTask):
        task.is_awaited = False  # neither the machine nor a tracer handles its error
    return task


def spawn_at(machine: Runtime, coro: Coroutine[Any, Any, Any], state: int, tick: int) -> asyncio.Task[Any] | None:
    """Start a task bound to a tick of a state; if the tick has passed, close the coroutine and return None."""
    if state < 0 or machine._plans.relations.multi_mask >> state & 1:
        return spawn_free(machine, coro)
    if machine._ticks[state] != tick or machine._flags & DISPOSED:
        coro.close()
        return None
    return spawn(machine, coro, state)


def spawn_free(machine: Runtime, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
    """Start a task bound to the lifetime of the machine; if it is disposed, close the coroutine and return None."""
    if machine._flags & DISPOSED:
        coro.close()
        return None
    return spawn(machine, coro, -1)


def task_failed(machine: Runtime, error: BaseException, what: str, *, is_taken: bool = False) -> None:
    """Turn the error of a task into the Exception state, and log it if it is not handled.

    Only an `Exception` becomes a state. asyncio lets `KeyboardInterrupt` and `SystemExit` out of the loop; other errors are logged.
    Waiting for the disposal of a machine waits for its tasks, but does not handle their errors.
    """
    is_taken = is_taken and not machine._flags & ENDING
    if isinstance(error, Exception):
        machine._submit_error(error, (), {}, None, "" if is_taken else f"{what} failed")
    elif not is_taken and not isinstance(error, KeyboardInterrupt | SystemExit):
        _logger.error("[error] %s: %s failed", machine.id, what, exc_info=error)


def _describe(machine: Runtime, coro: Coroutine[Any, Any, Any], state: int) -> str:
    name = getattr(coro, "__qualname__", type(coro).__name__)
    return f"task {name}" + (f" of state {machine.state_names[state]}" if state >= 0 else "")


def _describe_handler(name: str, queued: QueuedMutation) -> str:
    return f"async {name} of {Mutation(queued)}"


def tell_fork(machine: Runtime, task: asyncio.Task[Any], state: int) -> None:
    """Notify tracers of a new task."""
    observers = machine._observers
    if observers.task_fork:
        observers.fire(observers.task_fork, machine, task, machine.state_names[state] if state >= 0 else None)


class _HandlerTask(asyncio.Task[None]):
    """The task of an async handler.

    If cancelled before its first step, it closes the handler's coroutine itself. If cancelled later, the machine keeps
    it until it has ended.
    """

    __slots__ = ("machine", "start", "state")

    start: list[Any]  # the handler's coroutine and this task; cleared at the first step
    machine: Runtime | None  # None once it is done: a finished task must not keep the machine alive
    state: int

    def cancel(self, msg: Any = None) -> bool:
        """Request cancellation."""
        start, machine = self.start, self.machine
        if machine is None:
            pass
        elif start:
            start[0].close()
            start.clear()
            self.machine = None
            machine._forget_task(self, self.state)
        else:
            machine._keep_task(self, -1)
        return super().cancel(msg)


async def _run(start: list[Any], machine: Runtime, state: int, queued: QueuedMutation) -> None:
    coro, own = start
    start.clear()  # started: cancellation reaches it from now on
    try:
        await coro
    except Exception as error:
        task_failed(machine, error, _describe_handler(own.get_name(), queued))
    finally:
        machine._forget_task(own, state)
        own.machine = None
        del own  # avoids a reference cycle: the task holds the cancellation, whose traceback holds this frame


def start_handler(event: HandlerCall, coro: Coroutine[Any, Any, Any], state: int, name: str) -> None:
    """Start the coroutine of an async handler; its error becomes the Exception state.

    One function without a done callback: this is the hot path of async handlers.

    Args:
        event: The event of the handler.
        coro: The coroutine.
        state: The state to whose current tick it is bound, -1 for the lifetime of the machine.
        name: Name of the handler, and of the task.

    Raises:
        RuntimeError: No event loop is running; the coroutine is closed.
    """
    machine: Runtime = event.machine
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        coro.close()
        raise
    if loop.get_task_factory() is not None:  # a task factory must not be bypassed
        spawn(machine, coro, state, _describe_handler(name, event._queued))
        return
    start: list[Any] = [coro]
    task = _HandlerTask(_run(start, machine, state, event._queued), loop=loop, name=name)
    task.start = start
    task.machine = machine
    task.state = state
    start.append(task)
    if state < 0:
        machine._keep_task(task, -1)
    else:
        machine._bind_task(task, state)
    if machine._observers.task_fork:
        tell_fork(machine, task, state)
