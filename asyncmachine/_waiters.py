"""The index of a machine's waits, contexts and tasks by what can satisfy or end them.

Pure matching over ticks and masks, independent of futures and machines. The only user code it runs are the functions given to
`when_query`, and `==` on the arguments given to `when_args`.

Nothing here affects a transition: errors of user code are delivered to their wait, and a task whose loop is closed is dropped.
"""

from __future__ import annotations

import logging
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WHEN, WHEN_NOT, WHEN_TIME, WHEN_QUEUE, WHEN_QUERY, WHEN_ARGS, WHEN_ENDS = range(7)  # in order of notification
_KIND = attrgetter("kind")
_LEAVING = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""Errors that propagate out of the machine instead of being delivered to a wait. `asyncio.CancelledError` is delivered: it cannot
be a cancellation of the caller, which does not await here."""
_logger = logging.getLogger("asyncmachine")


class Waiter(Protocol):
    """The receiver of a wait's outcome."""

    def resolve(self, value: Any) -> None:
        """Receive the result."""

    def fail(self, error: BaseException) -> None:
        """Receive an error."""


class Context(Protocol):
    """An object that expires when a state's tick changes."""

    def expire(self) -> None:
        """Expire."""


class Task(Protocol):
    """A task that is cancelled when a state's tick changes."""

    def cancel(self) -> bool:
        """Cancel it."""

    def get_loop(self) -> Loop:
        """Return the loop it runs on."""


class Loop(Protocol):
    """The event loop of a task."""

    def is_closed(self) -> bool:
        """Return whether it is closed."""


_NO_GOALS: Final[dict[Any, Any]] = {}
"""Shared by all waits that have no goals; never changed."""


class Subscription:
    """One wait.

    Attributes:
        kind: One of the WHEN constants.
        states: State numbers it concerns.
        mask: The same as a bit mask.
        goals: For WHEN_TIME, the ticks still to be reached; for WHEN_ARGS, the arguments to match.
        test: For WHEN_QUERY, the function.
        tick: For WHEN_QUEUE, the queue tick.
        waiter: The receiver of the outcome.
    """

    __slots__ = ("goals", "kind", "mask", "states", "test", "tick", "waiter")

    def __init__(
        self,
        kind: int,
        waiter: Waiter,
        states: tuple[int, ...] = (),
        mask: int = 0,
        goals: dict[Any, Any] = _NO_GOALS,
    ) -> None:
        self.kind = kind
        self.waiter = waiter
        self.states = states
        self.mask = mask
        self.goals = goals
        self.test: Callable[[], bool] | None = None
        self.tick = 0

    def is_met(self, mask: int, ticks: Sequence[int]) -> bool:
        """Return whether the active states and ticks fulfil it."""
        kind = self.kind
        if kind == WHEN:
            return mask & self.mask == self.mask
        if kind == WHEN_NOT:
            return not mask & self.mask
        goals = self.goals
        for state in [state for state, tick in goals.items() if ticks[state] >= tick]:
            del goals[state]
        return not goals


Group = dict[Subscription, None]


class Waiters:
    """All waits, contexts and tasks of one machine.

    Attributes:
        by_state: Waits for states and ticks, by state number.
        args: Waits for arguments, by state number.
        args_mask: States with a wait for arguments.
        contexts: The current context per state number.
        spans: Tasks bound to the current tick, per state number.
        tasks: Tasks that disposal waits for, with their state number; -1 is none.
        disposal: Waits for the end of the machine and of its tasks.
    """

    __slots__ = ("args", "args_mask", "by_state", "contexts", "disposal", "ends", "queries", "queue", "spans", "tasks")

    def __init__(self) -> None:
        self.by_state: dict[int, Group] = {}
        self.args: dict[int, Group] = {}
        self.args_mask = 0
        self.queries: Group = {}
        self.queue: Group = {}
        self.ends: Group = {}
        self.contexts: dict[int, Context] = {}
        self.spans: dict[int, list[Task]] = {}
        self.tasks: dict[Task, int] = {}
        self.disposal: list[Waiter] = []

    @property
    def is_empty(self) -> bool:
        """Whether no transition can concern a waiter."""
        return not (
            self.by_state or self.contexts or self.spans or self.args or self.queue or self.queries or self.ends
        )

    def put(self, subscription: Subscription) -> None:
        """Register a wait."""
        if subscription.kind == WHEN_ARGS:
            (state,) = subscription.states
            self.args_mask |= subscription.mask
            group = self.args.get(state)
            if group is None:
                self.args[state] = {subscription: None}
            else:
                group[subscription] = None
            return
        index = self.by_state
        for state in subscription.states:
            if state in index:
                index[state][subscription] = None
            else:
                index[state] = {subscription: None}
        if not subscription.states:
            self._stateless(subscription)[subscription] = None

    def drop(self, subscription: Subscription) -> None:
        """Remove a wait, if it is registered."""
        if subscription.kind == WHEN_ARGS:
            (state,) = subscription.states
            group = self.args.get(state)
            if group is not None:
                group.pop(subscription, None)
                if not group:
                    del self.args[state]
                    self.args_mask &= ~subscription.mask
            return
        index = self.by_state
        for state in subscription.states:
            group = index.get(state)
            if group is not None:
                group.pop(subscription, None)
                if not group:
                    del index[state]
        if not subscription.states:
            self._stateless(subscription).pop(subscription, None)

    def expire(self, touched: Iterable[int]) -> None:
        """End the contexts and tasks of states whose tick has changed."""
        contexts, spans = self.contexts, self.spans
        leaving: BaseException | None = None
        for state in touched:
            if state in spans:
                for task in spans.pop(state):
                    try:
                        task.cancel()
                    except Exception:
                        self.forget_if_dead(task)
            if state in contexts:
                try:
                    contexts.pop(state).expire()
                except BaseException as error:  # raised by a tracer of contexts
                    leaving = error
        if leaving is not None:
            raise leaving

    def forget_if_dead(self, task: Task) -> None:
        """Drop a task that cannot be cancelled because its loop is closed; log any other error. Call it from the except block."""
        if task.get_loop().is_closed():
            self.tasks.pop(task, None)
        else:
            _logger.exception("%r cannot be cancelled", task)

    def forget_dead(self) -> None:
        """Drop tasks whose loop is closed: they never end."""
        for task in [task for task in self.tasks if task.get_loop().is_closed()]:
            del self.tasks[task]

    def cancel_tasks(self) -> None:
        """Cancel all tasks that disposal waits for."""
        for task in tuple(self.tasks):
            try:
                task.cancel()
            except Exception:
                self.forget_if_dead(task)
        self.forget_dead()

    def match(self, touched: Iterable[int], mask: int, ticks: Sequence[int]) -> list[Subscription]:
        """Remove and return the waits fulfilled by a committed transition, in order of notification."""
        met: Group = {}
        by_state = self.by_state
        if by_state:
            for state in touched:
                group = by_state.get(state)
                if group is not None:
                    for subscription in group:
                        if subscription.is_met(mask, ticks):
                            met[subscription] = None
        if self.queries:
            for subscription in tuple(self.queries):
                assert subscription.test is not None
                if self._holds(subscription, subscription.test):
                    met[subscription] = None
        if not met:
            return []
        for subscription in met:
            self.drop(subscription)
        return list(met) if len(met) == 1 else sorted(met, key=_KIND)

    def expect(self, states: Iterable[int], mask: int, ticks: Sequence[int]) -> bool:
        """Return whether a wait exists for one of these states, which have just been entered."""
        for state in states:
            if state in self.args:
                return True
            for subscription in self.by_state.get(state, ()):
                if subscription.kind != WHEN_NOT and subscription.is_met(mask, ticks):
                    return True
        return False

    def await_tick(self, queue_tick: int) -> bool:
        """Return whether a wait exists for the mutation of this queue tick."""
        return any(subscription.tick == queue_tick for subscription in self.queue)

    def match_args(self, state: int, args: dict[str, Any]) -> list[Subscription]:
        """Remove and return the waits for `state` being entered with these arguments."""
        met = []
        have = args.items()
        for subscription in tuple(self.args.get(state, ())):
            try:
                if subscription.goals.items() <= have:
                    met.append(subscription)
            except _LEAVING:
                raise
            except BaseException as error:
                self._fail(subscription, error)
        for subscription in met:
            self.drop(subscription)
        return met

    def match_queue(self, queue_tick: int) -> list[Subscription]:
        """Remove and return the waits for a queue tick that has been reached."""
        met = [subscription for subscription in self.queue if subscription.tick <= queue_tick]
        for subscription in met:
            del self.queue[subscription]
        return met

    def take_ends(self) -> list[Subscription]:
        """Remove and return the waits for the end of the queue."""
        met = list(self.ends)
        self.ends.clear()
        return met

    def take_all(self) -> list[Subscription]:
        """Remove and return every wait."""
        everything: Group = {}
        for groups in (*self.by_state.values(), *self.args.values(), self.queue, self.queries, self.ends):
            everything |= groups
        self.by_state, self.args, self.queue, self.queries, self.ends = {}, {}, {}, {}, {}
        self.args_mask = 0
        return list(everything)

    def _stateless(self, subscription: Subscription) -> Group:
        """Return the waits of the same kind, for a kind without states."""
        return {WHEN_QUEUE: self.queue, WHEN_QUERY: self.queries, WHEN_ENDS: self.ends}[subscription.kind]

    def _holds(self, subscription: Subscription, test: Callable[[], bool]) -> bool:
        """Run a test that contains user code; fail the wait with any error it raises."""
        try:
            return bool(test())
        except _LEAVING:
            raise
        except BaseException as error:
            self._fail(subscription, error)
            return False

    def _fail(self, subscription: Subscription, error: BaseException) -> None:
        self.drop(subscription)
        subscription.waiter.fail(error)
