"""Which waits and background tasks does a machine offer?

The `when_*` family, state contexts and forks. It registers subscriptions and delivers them; futures come from
`waiting`, matching from `subscriptions`. It knows nothing of how transitions run.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from asyncmachine.clock import next_active
from asyncmachine.errors import MachineDisposedError
from asyncmachine.mutation import CANCELED
from asyncmachine.questions import Questions
from asyncmachine.relations import mask_of
from asyncmachine.schema import EXCEPTION
from asyncmachine.subscriptions import (
    WHEN,
    WHEN_ARGS,
    WHEN_ENDS,
    WHEN_NOT,
    WHEN_QUERY,
    WHEN_QUEUE,
    WHEN_TIME,
    Subscription,
    Subscriptions,
)
from asyncmachine.transition import BUSY, DISPOSED, WAITED
from asyncmachine.waiting import StateContext, Wait, finish_tasks, new_task, new_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from asyncmachine.mutation import Result
    from asyncmachine.waiting import Future, Task

_logger = logging.getLogger("asyncmachine")
_NAMES = ("when", "whenNot", "whenTime", "whenQueue", "whenQuery", "whenArgs", "whenQueueEnds")


class Waits(Questions):
    """Waiting for a machine, and work bound to its states.

    Every wait returns an `asyncio.Future`; cancelling it unsubscribes at once. A wait that is already true is already
    done. Waits are matched after each committed transition, before the next one. On dispose pending ones raise
    `MachineDisposedError` (in asyncmachine-go 0.19 they resolve), except `when_disposed`.
    """

    __slots__ = ()

    def when(self, *states: str) -> Future[None]:
        """Wait until all of these states are active at the same moment.

        Raises:
            UnknownStateError: A name is not in the schema.
            RuntimeError: No event loop is running.
        """
        numbers = self._numbers(states)
        return self._wait_states(WHEN, numbers)

    def when_not(self, *states: str) -> Future[None]:
        """Wait until all of these states are inactive at the same moment.

        Raises:
            UnknownStateError: A name is not in the schema.
            RuntimeError: No event loop is running.
        """
        return self._wait_states(WHEN_NOT, self._numbers(states))

    def when_time(self, times: Mapping[str, int]) -> Future[None]:
        """Wait until every state's tick has reached its number; each one stays reached.

        Args:
            times: State name to tick.

        Raises:
            UnknownStateError: A name is not in the schema.
            RuntimeError: No event loop is running.
        """
        goals = {self._number(state): tick for state, tick in times.items()}
        return self._wait_goals(goals)

    def when_ticks(self, state: str, n: int) -> Future[None]:
        """Wait until the state's tick has grown by `n`; at once if `n` is not positive.

        Raises:
            UnknownStateError: The name is not in the schema.
            RuntimeError: No event loop is running.
        """
        number = self._number(state)
        return self._wait_goals({number: self._ticks[number] + n})

    def when_next_active(self, state: str) -> Future[None]:
        """Wait for the next activation of the state, not counting the current one; a Multi re-entry counts.

        Raises:
            UnknownStateError: The name is not in the schema.
            RuntimeError: No event loop is running.
        """
        number = self._number(state)
        return self._wait_goals({number: next_active(self._ticks[number])})

    def when_args(self, state: str, **args: Any) -> Future[dict[str, Any]]:
        """Wait for an activation of the state with arguments that include the given ones.

        Args:
            state: The state; it has to be entered, being active already does not count.
            args: Names and equal values; without any, each activation matches.

        Returns:
            A future of the mutation's arguments, resolved right after the state's State handlers.

        Raises:
            UnknownStateError: The name is not in the schema.
            RuntimeError: No event loop is running.
        """
        number = self._number(state)
        wait = new_wait()
        subscription = Subscription(WHEN_ARGS, wait, (number,), 1 << number)
        subscription.goals = args
        return self._subscribe(wait, subscription)

    def when_query(self, fn: Callable[[dict[str, int]], object]) -> Future[None]:
        """Wait until `fn(clock)` is true; asked at once and after every committed transition.

        Args:
            fn: A pure function of the machine's clock. If it raises, so does the wait.

        Raises:
            RuntimeError: No event loop is running.
        """
        wait = new_wait()
        if not self._gate & DISPOSED and fn(self.clock()):
            wait.set_result(None)
            return wait
        subscription = Subscription(WHEN_QUERY, wait)
        subscription.test = lambda: bool(fn(self.clock()))
        return self._subscribe(wait, subscription)

    def when_queue(self, result: Result) -> Future[None]:
        """Wait until a queued mutation has been processed, whatever its outcome; at once unless queued.

        Raises:
            RuntimeError: No event loop is running.
        """
        wait = new_wait()
        subscription = Subscription(WHEN_QUEUE, wait)
        subscription.tick = result.tick
        if result.tick < self._queue_tick or (result.tick == self._queue_tick and not self._gate & BUSY):
            wait.set_result(None)
            return wait
        return self._subscribe(wait, subscription)

    def when_queue_ends(self) -> Future[None]:
        """Wait until the queue has been drained; at once when the machine is idle.

        Raises:
            RuntimeError: No event loop is running.
        """
        wait = new_wait()
        if not self._gate & (BUSY | DISPOSED):
            wait.set_result(None)
            return wait
        return self._subscribe(wait, Subscription(WHEN_ENDS, wait))

    def when_err(self) -> Future[None]:
        """Wait until `Exception` is active.

        Raises:
            RuntimeError: No event loop is running.
        """
        return self.when(EXCEPTION)

    def when_disposed(self) -> Future[None]:
        """Wait until the machine is disposed and its tasks have ended.

        Raises:
            RuntimeError: No event loop is running.
        """
        wait = new_wait()
        if self._gate & DISPOSED and not self._tasks:
            wait.set_result(None)
        else:
            self._closed_waits = [*self._closed_waits, wait]
        return wait

    async def disposed(self) -> None:
        """Wait until the machine is disposed and all its background tasks have ended.

        A task of the machine itself may call it; it does not wait for itself.
        """
        if not self._gate & DISPOSED:
            wait = new_wait()
            self._on_dispose = [*self._on_dispose, lambda: wait.resolve(None)]
            await wait
        await finish_tasks(self)

    def state_ctx(self, state: str) -> StateContext:
        """Return the context of the state's current tick, shared until the tick changes.

        It expires on activation, deactivation or re-entry, at commit and before final handlers; also when final
        handlers fail and the state is taken back, and on dispose.

        Raises:
            UnknownStateError: The name is not in the schema.
        """
        return self._context(self._number(state))

    def fork(self, coro: Coroutine[Any, Any, Any], state: str | None = None) -> Task[Any] | None:
        """Run a coroutine in the background; its error becomes the Exception state.

        Args:
            coro: The coroutine.
            state: If given, the task is cancelled when this activation of the state ends.

        Returns:
            The task; None, with the coroutine closed, after dispose.

        Raises:
            UnknownStateError: The name is not in the schema.
            RuntimeError: No event loop is running.
        """
        if state is not None:
            try:
                ctx = self.state_ctx(state)
            except KeyError:
                coro.close()
                raise
            return ctx.fork(coro)
        return self._fork_free(coro)

    # for events and handlers

    def _fork_free(self, coro: Coroutine[Any, Any, Any]) -> Task[Any] | None:
        if self._gate & DISPOSED:
            coro.close()
            return None
        return self._spawn(coro, -1)

    def _fork_at(self, coro: Coroutine[Any, Any, Any], state: int, tick: int) -> Task[Any] | None:
        if state < 0 or self._automaton.relations.multi_mask >> state & 1:
            return self._fork_free(coro)
        if self._ticks[state] != tick or self._gate & DISPOSED:
            coro.close()
            return None
        return self._spawn(coro, state)

    def _spawn(self, coro: Coroutine[Any, Any, Any], state: int) -> Task[Any]:
        """Start a task bound to the state's current tick, or to the machine's life if `state` is -1."""
        tick = self._ticks[state] if state >= 0 else 0
        task = new_task(coro)
        task.add_done_callback(self._task_ended)
        if self._tasks is None:
            self._tasks = {}
        # an eager task has run its first step by now, and may have ended the span itself
        if self._gate & DISPOSED or (state >= 0 and self._ticks[state] != tick):
            self._tasks[task] = -1
            task.cancel()
        else:
            self._tasks[task] = state
            if state >= 0:
                self._put_in_span(task, state)
        if self._hooks.task_fork:
            self._hooks.fire(self._hooks.task_fork, self, task, self.state_names[state] if state >= 0 else None)
        return task

    def _put_in_span(self, task: Task[Any], state: int) -> None:
        """Bind a task to the current tick of a state."""
        subs = self._subs
        if subs is None:
            subs = self._subs = Subscriptions()
        if state in subs.spans:
            subs.spans[state].append(task)
        else:
            subs.spans[state] = [task]
            self._gate |= WAITED

    def _task_ended(self, task: Task[Any]) -> None:
        self._forget_task(task, self._tasks[task] if self._tasks else -1)
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, Exception):
                self._task_failed(error)

    def _task_failed(self, error: Exception) -> None:
        if self._add_err(error, (), {}, None) is CANCELED:
            _logger.error("[error] %s: error in a background task", self.id, exc_info=error)

    def _forget_task(self, task: Task[Any], state: int) -> None:
        """Take note that a task has ended."""
        if self._tasks:
            self._tasks.pop(task, None)
        subs = self._subs
        if state >= 0 and subs is not None and state in subs.spans:
            spans = subs.spans
            span = spans[state]
            if task in span:
                span.remove(task)
                if not span:
                    del spans[state]
                    if not spans and not subs.by_state and subs.is_empty:
                        self._gate &= ~WAITED
        if self._gate & DISPOSED:
            self._release_closed()

    def _release_closed(self) -> None:
        """Tell who waits for the end of a disposed machine, once its last task has ended."""
        if not self._tasks:
            waits, self._closed_waits = self._closed_waits, []
            for wait in waits:
                wait.resolve(None)

    def _context(self, state: int) -> StateContext:
        subs = self._subs
        if subs is None:
            subs = self._subs = Subscriptions()
        ctx = subs.contexts.get(state)
        if ctx is None:
            ctx = StateContext(self, state, self._ticks[state])
            if self._gate & DISPOSED:
                ctx.expired = True
                return ctx
            subs.contexts[state] = ctx
            self._gate |= WAITED
            if self._hooks.state_ctx_new:
                self._hooks.fire(self._hooks.state_ctx_new, self, ctx)
            if self._log_level >= 3:
                self._log(3, f"[ctx:new] {ctx.state}")
        assert isinstance(ctx, StateContext)
        return ctx

    def _context_at(self, state: int, tick: int) -> StateContext:
        if self._ticks[state] == tick:
            return self._context(state)
        ctx = StateContext(self, state, tick)
        ctx.expired = True
        return ctx

    def _context_ended(self, ctx: StateContext) -> None:
        if self._hooks.state_ctx_end:
            self._hooks.fire(self._hooks.state_ctx_end, self, ctx)
        if self._log_level >= 3:
            self._log(3, f"[ctx:match] {ctx.state}")

    # subscribing and matching

    def _wait_states(self, kind: int, states: tuple[int, ...]) -> Future[None]:
        wait = new_wait()
        mask = mask_of(states)
        active = self._node.mask
        if not self._gate & DISPOSED and (active & mask == mask if kind == WHEN else not active & mask):
            wait.set_result(None)
            return wait
        return self._subscribe(wait, Subscription(kind, wait, states, mask))

    def _wait_goals(self, goals: dict[int, int]) -> Future[None]:
        wait = new_wait()
        ticks = self._ticks
        left = {state: tick for state, tick in goals.items() if ticks[state] < tick}
        if not left and not self._gate & DISPOSED:
            wait.set_result(None)
            return wait
        subscription = Subscription(WHEN_TIME, wait, tuple(left))
        subscription.goals = left
        return self._subscribe(wait, subscription)

    def _subscribe(self, wait: Wait, subscription: Subscription) -> Wait:
        if self._gate & DISPOSED:
            wait.fail(MachineDisposedError(self.id))
            return wait
        if self._subs is None:
            self._subs = Subscriptions()
        self._subs.put(subscription)
        self._gate |= WAITED
        wait._machine = self
        wait._subscription = subscription
        if self._hooks.subscription_new or self._log_level >= 3:
            self._tell_subscription("new", subscription)
        return wait

    def _unsubscribe(self, subscription: Subscription) -> None:
        assert self._subs is not None
        self._subs.drop(subscription)
        if self._subs.is_empty:
            self._gate &= ~WAITED

    def _match(self, touched: Iterable[int]) -> None:
        """Tell the waits a committed transition satisfies."""
        subs = self._subs
        assert subs is not None
        for subscription in subs.match(touched, self._node.mask, self._ticks):
            self._deliver(subscription, None)
        if subs.is_empty:
            self._gate &= ~WAITED

    def _match_args(self, state: int, args: dict[str, Any]) -> None:
        subs = self._subs
        if subs is not None and subs.args_mask >> state & 1:
            for subscription in subs.match_args(state, args):
                self._deliver(subscription, args)

    def _match_queue(self) -> None:
        assert self._subs is not None
        for subscription in self._subs.match_queue(self._queue_tick):
            self._deliver(subscription, None)

    def _match_ends(self) -> None:
        assert self._subs is not None
        for subscription in self._subs.take_ends():
            self._deliver(subscription, None)
        if self._subs.is_empty:
            self._gate &= ~WAITED

    def _deliver(self, subscription: Subscription, value: Any) -> None:
        subscription.waiter.resolve(value)
        if self._hooks.subscription_match or self._log_level >= 3:
            self._tell_subscription("match", subscription)

    def _tell_subscription(self, what: str, subscription: Subscription) -> None:
        names = self._automaton.compiled.names
        detail = " ".join([names[state] for state in subscription.states])
        if subscription.kind == WHEN_ARGS:
            detail += f" ({' '.join(sorted(subscription.goals))})"
        elif subscription.kind == WHEN_QUEUE:
            detail = str(subscription.tick)
        text = f"[{_NAMES[subscription.kind]}:{what}] {detail}".rstrip()
        hooks = self._hooks
        self._hooks.fire(hooks.subscription_new if what == "new" else hooks.subscription_match, self, text)
        if self._log_level >= 3:
            self._log(3, text)

    @abstractmethod
    def _log(self, level: int, text: str) -> None:
        """See Machine."""
