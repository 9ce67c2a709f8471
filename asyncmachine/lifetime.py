"""How do waits, contexts and background work live and end with a machine? The `when_` methods, `state_ctx`, `fork`, `dispose`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from asyncmachine.automaton import Plan, Step
from asyncmachine.clock import next_active_tick
from asyncmachine.errors import MachineDisposedError
from asyncmachine.gate import BUSY, DISPOSED, WATCHED, WATCHED_ALL
from asyncmachine.mutation import Event, Mutation, QueuedCall, Result
from asyncmachine.questions import Questions
from asyncmachine.schema import EXCEPTION
from asyncmachine.subscriptions import ArgsWait, QueryWait, QueueWait, StatesWait, Subscriptions, TimeWait, Wait
from asyncmachine.tracing import Tracers
from asyncmachine.waiting import (
    FutureOf,
    StateContext,
    TaskOf,
    WaitFuture,
    done_future,
    end_of,
    error_of,
    fail,
    failed_future,
    new_future,
    resolve,
    start_task,
)


class Lifetime(Questions, ABC):
    """The side of a machine that time passes on."""

    _queue: deque[Mutation | QueuedCall]
    _queue_tick: int
    _appended: int
    _running: tuple[Plan, dict[str, Any], Mutation | None] | None
    _tracers: Tracers | None

    def __init__(self) -> None:
        self._watch = 0  # a bit for each state whose ticks matter to somebody
        self._subscriptions = Subscriptions()
        self._contexts: dict[int, StateContext] = {}
        self._tasks: set[TaskOf] = set()
        self._is_disposing = False
        self._disposed_waiters: list[FutureOf] = []
        self._on_dispose: list[Callable[[], object]] = []

    @abstractmethod
    def remove(self, *states: str, **args: Any) -> Result:
        """See Machine."""

    @abstractmethod
    def add_err(self, exc: Exception, *states: str, **args: Any) -> Result:
        """See Machine."""

    def _gate_traced(self) -> bool:
        return self._tracers is not None

    def _trace(self, hook: str, *args: Any) -> None:
        if self._tracers is not None:
            self._tracers.call(hook, *args)

    # --- contexts and background work ----------------------------------------------------------------------------

    def state_ctx(self, state: str) -> StateContext:
        """The context of a state's present tick: it expires when the tick changes, by any route.

        Raises:
            RuntimeError: no event loop is running.
            MachineDisposedError: the machine was disposed.
        """
        (number,) = self._program.numbers((state,), self.id)
        if self._gate & DISPOSED:
            raise MachineDisposedError(self.id)
        ctx = self._contexts.get(number)
        if ctx is None:
            ctx = self._contexts[number] = StateContext(self, state, self._ticks[number])
            self._rewatch()
            self._trace("state_ctx_new", self, ctx)
        return ctx

    def fork(self, coro: Coroutine[Any, Any, Any], state: str | None = None) -> TaskOf:
        """A background task; an error in it becomes the machine's. `dispose` cancels it.

        Args:
            coro: what it does.
            state: also cancel it when this activation of the state ends.

        Raises:
            RuntimeError: no event loop is running.
            MachineDisposedError: the machine was disposed.
        """
        try:
            if self._gate & DISPOSED:
                raise MachineDisposedError(self.id)
            ctx = None if state is None else self.state_ctx(state)
        except BaseException:
            coro.close()
            raise
        return start_task(self, coro, self.id) if ctx is None else ctx.fork(coro)

    def _start_handler(self, step: Step, function: Any, bound: object, event: Event) -> None:
        """Start a coroutine handler, bound to the activation; those of Multi states to the machine's life."""
        relations = self._program.relations
        coro = function(bound, event)
        if step.owner < 0 or (step.phase == "state" and relations.multi[step.owner]):
            self.fork(coro)
        else:
            self.fork(coro, relations.names[step.owner])

    def _task_ended(self, task: TaskOf) -> None:
        self._tasks.discard(task)
        error = error_of(task)
        if isinstance(error, Exception) and not self._gate & DISPOSED:
            self.add_err(error)

    def _expire(self, states: Iterable[int]) -> None:
        for state in states:
            ctx = self._contexts.pop(state, None)
            if ctx is not None:
                ctx.expire()
                self._trace("state_ctx_end", self, ctx)
        self._rewatch()

    # --- waiting -------------------------------------------------------------------------------------------------

    def when(self, *states: str) -> FutureOf:
        """Wait until all states are active at the same time.

        Returns:
            A future of None; cancelling it unsubscribes. Raises MachineDisposedError if the machine ends before.

        Raises:
            UnknownStateError: a state that does not exist.
            RuntimeError: no event loop is running.
        """
        numbers = self._program.numbers(states, self.id)
        return self._subscribe(StatesWait(numbers, 1, "when"))

    def when_not(self, *states: str) -> FutureOf:
        """Wait until all states are inactive at the same time; see `when`."""
        return self._subscribe(StatesWait(self._program.numbers(states, self.id), 0, "whenNot"))

    def when_time(self, ticks: Mapping[str, int]) -> FutureOf:
        """Wait until each state has reached its tick, each for itself; see `when`."""
        self._program.numbers(tuple(ticks), self.id)
        index = self._program.relations.index
        return self._subscribe(TimeWait({index[name]: tick for name, tick in ticks.items()}, "whenTime"))

    def when_ticks(self, state: str, n: int) -> FutureOf:
        """Wait until a state has ticked `n` times from now; see `when`."""
        return self.when_time({state: self.tick(state) + n})

    def when_next_active(self, state: str) -> FutureOf:
        """Wait for the next activation of a state, not counting the present one; see `when`."""
        return self.when_time({state: next_active_tick(self.tick(state))})

    def when_args(self, state: str, **args: Any) -> FutureOf:
        """Wait for an activation of a state with these among its arguments; see `when`.

        Returns:
            A future of the arguments of that activation.
        """
        (number,) = self._program.numbers((state,), self.id)
        return self._subscribe(ArgsWait(number, args))

    def when_query(self, fn: Callable[[dict[str, int]], bool]) -> FutureOf:
        """Wait until a function of the clock is true: asked now and after every transition; see `when`."""
        if not self._gate & DISPOSED and fn(self.clock()):
            return done_future()
        return self._subscribe(QueryWait(fn))

    def when_queue(self, result: Result) -> FutureOf:
        """Wait until a queued mutation has been processed; at once for any other result."""
        if not result.queued or result.tick <= self._queue_tick:
            return done_future()
        return self._subscribe(QueueWait(result.tick))

    def when_queue_ends(self) -> FutureOf:
        """Wait until the queue is empty."""
        return self._subscribe(QueueWait(None)) if self._gate & BUSY else done_future()

    def when_err(self) -> FutureOf:
        """Wait until Exception is active; see `when`."""
        return self.when(EXCEPTION)

    def when_disposed(self) -> FutureOf:
        """Wait until the machine is disposed and its tasks have ended."""
        if self._gate & DISPOSED and not self._tasks:
            return done_future()
        future = new_future()
        self._disposed_waiters.append(future)
        return future

    def _subscribe(self, wait: Wait) -> FutureOf:
        if self._gate & DISPOSED:
            return failed_future(MachineDisposedError(self.id))
        if isinstance(wait, StatesWait | TimeWait) and wait.is_met(self._ticks):
            return done_future()
        wait.waiter = future = WaitFuture(self, wait)
        self._subscriptions.add(wait)
        self._rewatch()
        self._trace("subscription_new", self, wait.kind)
        return future

    def _unsubscribe(self, wait: Wait) -> None:
        self._subscriptions.discard(wait)
        self._rewatch()

    def _release(self, waits: list[Wait]) -> None:
        if not waits:
            return
        self._rewatch()
        args = self._running[1] if self._running is not None else None
        for wait in waits:
            resolve(wait.waiter, args if isinstance(wait, ArgsWait) else None)
            self._trace("subscription_match", self, wait.kind)

    def _rewatch(self) -> None:
        """Which states' ticks matter to somebody, and whether every transition does."""
        subscriptions = self._subscriptions
        self._watch = subscriptions.mask
        for state in self._contexts:
            self._watch |= 1 << state
        gate = self._gate & ~(WATCHED | WATCHED_ALL)
        if self._watch:
            gate |= WATCHED
        if subscriptions.watches_all:
            gate |= WATCHED_ALL
        self._gate = gate

    # --- the end -------------------------------------------------------------------------------------------------

    @property
    def is_disposed(self) -> bool:
        """Whether the machine has been disposed."""
        return bool(self._gate & DISPOSED)

    def on_dispose(self, fn: Callable[[], object]) -> None:
        """Have a function called when the machine is disposed; at once if it is."""
        if self._gate & DISPOSED:
            fn()
        else:
            self._on_dispose.append(fn)

    def dispose(self) -> None:
        """End the machine: `Start` is removed if it is defined, tasks are cancelled, waits raise MachineDisposedError.

        Inside a handler it takes effect after what is queued. A second time is harmless.
        """
        if self._is_disposing:
            return
        self._is_disposing = True
        if self.has("Start") and self.is_("Start"):
            self.remove("Start")
        if self._gate & BUSY:
            self._queue.append(QueuedCall(self._finish, (), None))
        else:
            self._finish()

    async def disposed(self) -> None:
        """Wait until the machine is disposed and its tasks have ended (all but the one that asks)."""
        if not self._gate & DISPOSED:
            await self.when_disposed()
        await end_of(list(self._tasks))

    def _finish(self) -> None:
        self._trace("machine_dispose", self)
        self._gate |= DISPOSED
        self._queue.clear()
        self._appended = 0
        self._expire(list(self._contexts))
        for wait in self._subscriptions.all():
            self._subscriptions.discard(wait)
            fail(wait.waiter, MachineDisposedError(self.id))
        self._rewatch()
        for task in list(self._tasks):
            task.cancel()
        for function in self._on_dispose:
            function()
        self._on_dispose.clear()
        if self._tasks:
            for task in self._tasks:
                task.add_done_callback(self._tell_disposed)
        else:
            self._tell_disposed(None)

    def _tell_disposed(self, _: Any) -> None:
        if not self._tasks:
            for future in self._disposed_waiters:
                resolve(future)
            self._disposed_waiters.clear()
