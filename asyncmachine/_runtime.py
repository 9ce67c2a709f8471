"""The runtime of one machine: ticks, configuration, flags, queue, and the course of a transition.

Theory of operation
===================

A machine is at rest or busy. At rest, `submit` carries out a mutation and everything that follows from it before it returns. Mutations
submitted to a busy machine, by its own handlers or by tracers, are queued. There are no threads and no locks: a machine belongs to one
thread, and only code that runs inside a transition can find it busy. In debug mode (`python -X dev`, or a loop in debug mode) a machine
is OBSERVED from the beginning, and its observers check the thread of each mutation.

Flags
-----

`_flags` is one integer. Zero means at rest, unobserved and without waiters: then a mutation without handlers is arithmetic only.

    BUSY         a transition, eval, dry run or drain is under way
    DISPOSING    `dispose` was called inside a handler; it takes effect when the queue has been drained
    INTERRUPTED  an interruption, or a long chain of pipes, has left work in the queue; the next call on the machine drains it
    DISPOSED     final; the machine accepts no more work
    OBSERVED     every step of a transition is announced: to tracers with hooks for steps, to the log, to the timer for slow handlers
    RECORDED     tracers are bound that are notified only of ends: of transitions, of the queue, of contexts
    WAITED       a commit may concern a waiter: waits, contexts, tasks bound to a state

The first four say where the machine is in its life (`PHASES`), the others who looks on (`AUDIENCES`) and whether somebody waits. All
combinations of these three are legal, but that nobody waits for a disposed machine. `LEGAL` has all 33, and a test goes through them. They
are plain integers: one `&` on an `IntFlag` takes as long as a whole mutation without handlers (CPython 3.11). On hot paths an `&` comes
after a test whether the flags are zero or just BUSY, as they nearly always are: CPython specialises comparisons of small integers and no `&`.

    from                 by                                        to
    rest                 submit, eval, eval_soon, check            BUSY
    BUSY                 the queue is empty                        rest
    BUSY                 dispose in a handler                      BUSY|DISPOSING
    BUSY                 interrupted, work is left                 INTERRUPTED
    BUSY                 interrupted, no work is left              rest
    rest                 the end of a long chain of pipes          INTERRUPTED
    INTERRUPTED          any of submit, eval, eval_soon, check     BUSY
    BUSY|DISPOSING       the queue is empty                        DISPOSING, while tracers are notified; then DISPOSED
    BUSY|DISPOSING       interrupted                               DISPOSED
    rest, INTERRUPTED    dispose                                   DISPOSED

A queued mutation is evaluated against the states at its turn, not those at the call: whether a removed state is active, what a toggle
does, whether Exception may pass a full queue. The only shortcut: a mutation that repeats the last one in the queue is skipped if schema
and handlers guarantee that it has no effect (`PlanCache.is_idempotent`).

Order of service
----------------

`_drain` takes one item at a time, always the first available in this order:

    1. `_prepended`: the machine's own mutation. There is at most one: the auto mutation that follows from a transition, or
       the Exception mutation that follows from a failed handler, never both.
    2. `_urgent`: evals and dry runs, first in, first out.
    3. `_queue`: mutations of handlers, tracers and tasks, first in, first out. Only these advance the queue tick.

An auto mutation without handlers is merged into its cause's plan (`Plan.fast_ticks`), or committed with it, unless observers or waiters
could tell the difference.

Chains
------

A pipe mutates its target during the source's transition, or right after it, and so does the target's pipe. `Chain` tracks such nested
mutations, so that a chain may have any length: calls of up to `CHAIN_LIMIT` machines are nested. A target beyond that queues the mutation
(INTERRUPTED, as after an interruption: the next call on it drains it), and the first machine of the chain drains it before it continues.

A transition
------------

`_course` implements the transition for all kinds of mutations, observed or not:

    1. relations accept or cancel it (`Plan.accepted`)
    2. negotiation handlers are called; the first refusal or error cancels it. Auto mutations drop refused Auto states instead
    3. a dry run ends here
    4. the commit: ticks advance, the configuration changes. Contexts and tasks of the states concerned end
    5. final handlers run, and awaitables they return are started; waits for arguments are notified after the handlers of their state
    6. other waits are notified
    7. the auto mutation, if one is due, is prepended

A negotiation handler answers synchronously; returning an awaitable is an error. A negotiation handler that raises cancels the mutation. If
a final handler raises, the entered states whose State handler has not completed are deactivated again: one more tick each. Either error
makes Exception the next mutation, ahead of the queue.

A refusal creates one object, the canceled result: names and, for relations, the plan, from which the reason is derived on request.
A queued mutation carries the result its caller was given, and a refusal is stored there.

`_observe` wraps the course in hooks, for observed and recorded machines alike. `_commit_waited` and `_commit_recorded` are its short forms
for plans without handlers on waited and recorded machines: through the course, a recorded pair of them takes 1.4 times as long.

Tracers are notified of the end of a transition with the transition object (`transition_end`), or with the facts: machine, plan, mutation,
and the transition where there is one (`FactsTracer` in `_observers`). Recorders and histories use the facts, from which the ticks before
follow: the machine's current ticks less those of the plan. If all tracers use facts, `_commit_recorded` creates no transition.

Unhandled errors
----------------

The errors of handlers, tasks and `add_err` become the Exception state. An error counts as handled by

    - a State handler of Exception, or of a state entered with it: it receives the error. The handler of a pipe counts if it forwards the
      error to Exception of a machine that still exists; then that machine must handle it. Flat pipes forward no errors. If the pipe is
      unbound before it has forwarded the error, that is logged
    - a wait fulfilled by entering Exception, or a state entered with it. A query (`when_query`) does not count
    - a wait for the queue tick of the mutation that failed, since its result carries the error
    - a task that awaits the task of a fork, unless the loop has its own task factory: then this cannot be detected

Enter handlers only accept or refuse, and `AnyState` and tracers see every transition: they handle no errors. An unhandled error is logged
once, at ERROR on the logger "asyncmachine", with its traceback, the handler and the mutation. The first final step of every plan that adds
Exception (`TELL_ERROR`) checks this. An Exception mutation that is refused, or submitted to a disposed machine, is logged at the refusal,
as are errors of Exception transitions, which do not become a state. Errors of evals are raised to their caller.

Interruptions
-------------

Errors of handlers are not interruptions. An interruption is a `BaseException` that handlers must not swallow: `CancelledError`,
`KeyboardInterrupt`, `SystemExit` and the like. It propagates out of the machine, and

    - ticks and configuration are those of a transition that was committed, or never begun. States whose State handler has not completed
      are deactivated, as after an error, and waits are notified
    - the interrupted mutation counts as processed: its queue tick is reached
    - what was queued stays queued, in order (INTERRUPTED)
    - a requested disposal takes place, with all its steps, even if the interruption comes from a tracer or an `on_dispose` function
    - all pending notifications are delivered: waits and contexts first, then tracers of them. An interruption from a tracer between the
      commit and the final handlers deactivates nothing.

Waits
-----

A wait never changes a transition. An error raised by a query of `when_query`, or by `==` on an argument of `when_args`, is delivered to
that wait; a wait or a task on a closed loop is dropped. Other waits are unaffected.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from asyncmachine._observers import Observers
from asyncmachine._waiters import WHEN_ENDS, Subscription, Waiters
from asyncmachine.errors import (
    AsyncMachineError,
    HandlerError,
    MachineDisposedError,
    NestedEvalError,
    UnknownStateError,
)
from asyncmachine.handlers import close_coroutine, coroutine_of, is_awaitable, is_pending
from asyncmachine.logs import LogLevel
from asyncmachine.mutation import (
    ARGS,
    BY_DISPOSAL,
    BY_ERROR,
    BY_QUEUE,
    BY_RELATIONS,
    CALLED,
    EXECUTED,
    FLAGS,
    IS_AUTO,
    IS_CHECK,
    IS_TOGGLE,
    KIND,
    NO_AUTO,
    NUMBER,
    RESULT,
    SOURCE,
    VIEW,
    Mutation,
    Result,
    cancel,
    tx_id,
)
from asyncmachine.plans import TELL_ARGS
from asyncmachine.relations import ADD, AUTO, REMOVE, SET
from asyncmachine.schema import EXCEPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncmachine.handlers import Step
    from asyncmachine.mutation import Origin, QueuedMutation
    from asyncmachine.plans import CompiledSchema, Configuration, Plan, PlanCache

BUSY: Final = 1
DISPOSED: Final = 2
OBSERVED: Final = 4
WAITED: Final = 8
INTERRUPTED: Final = 16
DISPOSING: Final = 32
RECORDED: Final = 64

NOT_IDLE: Final = BUSY | DISPOSED | DISPOSING | INTERRUPTED
ENDING: Final = DISPOSED | DISPOSING
TRACED: Final = OBSERVED | RECORDED
_RECORDING: Final = RECORDED | BUSY
_WAITING: Final = WAITED | BUSY
_UNREADY: Final = NOT_IDLE | OBSERVED
"""`flags & _UNREADY` is zero where an eval can begin at once."""

CHAIN_LIMIT: Final = 16
"""Maximal number of nested machines in a chain of pipes."""

PHASES: Final = (0, BUSY, BUSY | DISPOSING, DISPOSING, INTERRUPTED, DISPOSED)
AUDIENCES: Final = (0, OBSERVED, RECORDED)
LEGAL: Final = frozenset(
    phase | audience | waited
    for phase in PHASES
    for audience in AUDIENCES
    for waited in ((0,) if phase == DISPOSED else (0, WAITED))
)
"""All legal combinations of flags."""

_NO_OBSERVERS: Final = Observers()
"""Shared by all machines without observers."""
_NOBODY: Final = Waiters()
"""Shared by all machines that never had a waiter; never changed."""
_logger = logging.getLogger("asyncmachine")
_new = object.__new__
TAKES_ERRORS: Final = "takes_errors"
"""A State handler with this attribute set to false does not handle errors: a pipe that does not forward them."""


class Job(Protocol):
    """A queued eval or dry run."""

    def run(self) -> None:
        """Run it."""

    def fail(self, error: BaseException) -> None:
        """Called instead of `run` if it will never run."""


class Chain:
    """Nested mutations of several machines, as caused by pipes.

    Attributes:
        depth: Number of mutations under way.
        waiting: Machines with queued work that is done after the first mutation of the chain.
    """

    __slots__ = ("depth", "waiting")

    def __init__(self) -> None:
        self.depth = 0
        self.waiting: deque[Runtime] = deque()


class HandlerCall:
    """The argument of a handler; `machine.Event` is its public subclass.

    It has no constructor, whose frame would make a pair of mutations with two handlers 19 % slower.
    """

    __slots__ = ("_queued", "_state", "_tick", "args", "machine", "name")

    name: str
    args: dict[str, Any]
    machine: Any
    _queued: QueuedMutation
    _state: int
    _tick: int

    @abstractmethod
    def start_task(self, coro: Any, state: int, name: str) -> None:
        """Start the coroutine of an async handler; implemented by `machine.Event`."""


class TransitionRecord:
    """The processing of one mutation, created by `Runtime._begin`; `machine.Transition` is its public subclass."""

    __slots__ = ("_after", "_plan", "_queued", "before", "canceled_by", "completed", "machine")

    machine: Any
    before: tuple[int, ...]
    canceled_by: str
    completed: bool
    _plan: Plan
    _queued: QueuedMutation
    _after: tuple[int, ...] | None

    @property
    def accepted(self) -> bool:
        """Whether it has not been refused so far."""
        return not self.canceled_by

    @property
    def id(self) -> str:
        """Machine id and sequence number; deterministic."""
        return tx_id(self.machine.id, self._queued[NUMBER])

    @property
    def mutation(self) -> Mutation:
        """The mutation."""
        mutation = self._queued[VIEW]
        if mutation is None:
            mutation = Mutation(self._queued)
            self._queued = (*self._queued[:VIEW], mutation, self._queued[RESULT])
        return mutation

    @property
    def after(self) -> tuple[int, ...]:
        """Ticks after it, in state order; a prediction while handlers may still refuse."""
        if self._after is not None:
            return self._after
        ticks = list(self.before)
        if not self.canceled_by:
            for state in self._plan.ticks:
                ticks[state] += 1
        after = tuple(ticks)
        if self.completed:
            self._after = after
        return after

    @property
    def target(self) -> tuple[str, ...]:
        """The states to be active afterwards, in order."""
        return self._names(self._plan.target.active)

    @property
    def enters(self) -> tuple[str, ...]:
        """The entered states, in order; a Multi state called again is entered again."""
        return self._names(self._plan.enters)

    @property
    def exits(self) -> tuple[str, ...]:
        """The exited states, in order."""
        return self._names(self._plan.exits)

    def _names(self, states: tuple[int, ...]) -> tuple[str, ...]:
        names = self.machine.state_names
        return tuple([names[state] for state in states])

    def replan(self, plan: Plan) -> None:
        """Set the plan that is really committed after handlers have refused a part."""
        self._plan = plan

    def complete(self, ticks: list[int]) -> None:
        """Complete it with the machine's current ticks."""
        if self.canceled_by or self._queued[FLAGS] & IS_CHECK:  # else the prediction was right
            self._after = tuple(ticks)
        self.completed = True

    def __str__(self) -> str:
        return f"tx#{self.id}\n{self.mutation}"

    def __repr__(self) -> str:
        return f"Transition({self.id} {self.mutation})"


class _VetoError(Exception):
    """A handler of an auto mutation refused or failed; internal to this module."""

    def __init__(self, handler: str, error: Exception | None = None) -> None:
        self.handler = handler
        self.error = error


class Runtime:
    """The implementation of a machine. `machine.Machine` is its only subclass and adds the public interface.

    It is a base class and not a separate object: handlers are given the machine, so two objects would form a reference cycle, and every
    dropped machine would wait for the garbage collector.
    """

    __slots__ = (
        "__weakref__", "_bindings", "_chain", "_committed", "_configuration", "_current", "_err", "_failure", "_flags", "_handlers", "_new_event", "_observers", "_on_dispose",
        "_plan", "_plans", "_prepended", "_prepends", "_queue", "_queue_tick", "_ticks", "_tx", "_urgent", "_waiters", "id", "queue_limit",
    )  # fmt: skip

    id: str
    queue_limit: int
    _bindings: tuple[str, ...]
    """Ids of the bound objects."""
    _chain: Chain | None
    """The chain of pipes to which the current mutation belongs."""
    _committed: QueuedMutation | None
    """The mutation being processed, once its ticks have advanced."""
    _configuration: Configuration
    _current: QueuedMutation | None
    """The mutation being processed."""
    _err: BaseException | None
    _failure: tuple[BaseException, str] | None
    """The last error of a handler or task, with a text for its origin; the text is empty if the error is already handled."""
    _flags: int
    _handlers: tuple[object, ...]
    """The bound objects."""
    _observers: Observers
    _on_dispose: tuple[Callable[[], Any], ...]
    _plan: Plan | None
    """The plan of the mutation being processed, or of the last one."""
    _plans: PlanCache
    _prepended: QueuedMutation | None
    _prepends: int
    """Number of mutations prepended so far."""
    _queue: deque[QueuedMutation] | None
    """Created on first use: an empty deque takes 0.6 KiB."""
    _queue_tick: int
    _ticks: list[int]
    _tx: TransitionRecord | None
    _urgent: deque[Job] | None
    _waiters: Waiters

    _event_class: ClassVar[type[HandlerCall]]
    _new_event: type[HandlerCall]
    """The same: CPython 3.11 finds an attribute of the instance faster than one of its class."""
    _transition_class: ClassVar[type[TransitionRecord]]

    def __init__(self, id: str, plans: PlanCache, handlers: tuple[object, ...], queue_limit: int) -> None:  # noqa: A002
        self._handlers = handlers
        self._new_event = self._event_class
        self._bindings = plans.ids
        self._plans = plans
        self._configuration = plans.empty
        self._ticks = [0] * len(plans.compiled.names)
        self.id = id
        self.queue_limit = queue_limit
        self._flags = self._prepends = 0
        self._queue_tick = 1
        self._current = self._committed = self._plan = self._tx = None
        self._prepended = self._queue = self._urgent = self._err = self._failure = self._chain = None
        self._on_dispose = ()
        self._observers = _NO_OBSERVERS
        self._waiters = _NOBODY

    # submitting

    def _submit(self, kind: int, called: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> Result:
        """Carry out a mutation and its consequences if the machine is at rest; else queue it.

        Args:
            kind: ADD, REMOVE or SET.
            called: Names of states.
            args: Arguments for handlers.
            source: The transition it was made in, if known.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        flags = self._flags
        if flags and flags & NOT_IDLE:
            if flags & NOT_IDLE == BUSY:
                return self._enqueue(kind, called, args, source)
            return self._submit_later(kind, called, args, source)
        plan = self._configuration.tables[kind].get(called)
        if plan is None:
            plan = self._plan_for(kind, called)
        if plan.fast_ticks is not None:
            if not flags:
                ticks = self._ticks
                for state in plan.fast_ticks:
                    ticks[state] += 1
                self._configuration = plan.fast_target
                self._queue_tick += 1
                return EXECUTED
            if plan.target is plan.fast_target:
                if flags == RECORDED:
                    number = self._queue_tick = self._queue_tick + 1
                    return self._commit_recorded(plan, (kind, called, args, source, number, 0, None, None))
                if flags == WAITED and self._commit_waited(plan):
                    return EXECUTED
        self._flags = flags | BUSY if flags else BUSY
        number = self._queue_tick = self._queue_tick + 1
        queued: QueuedMutation = (kind, called, args, source, number, 0, None, None)
        try:
            result = (
                self._observe(plan, self._announce(queued)) if flags and flags & TRACED else self._course(plan, queued)
            )
            if self._tx is not None:  # a handler has asked for it
                self._end_transition()
            if self._flags != BUSY and self._flags & WAITED and self._waiters.queue:
                self._match_queue()
            if self._queue or self._prepended is not None or self._urgent:
                self._drain(None)
        except BaseException:
            self._abandon()
            raise
        self._current = self._committed = None
        flags = self._flags
        if flags == BUSY:
            self._flags = 0
        elif flags == _WAITING and not self._waiters.ends:
            self._flags = WAITED
        else:
            self._rest()
        return result

    def _submit_later(self, kind: int, called: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> Result:
        """Cancel a mutation of a machine that is ending; after an interruption, queue it and drain the queue."""
        if self._flags & ENDING:
            self._numbers(called)
            return self._turn_away((kind, called, args, source, 0, 0, None, None), BY_DISPOSAL)
        result = self._enqueue(kind, called, args, source)
        if not result.queued:  # refused or a duplicate: the queue is drained nevertheless
            self._run_queue(None)
            return result
        assert self._queue is not None
        return self._run_queue(self._queue[-1])

    def _submit_across(
        self, cause: Runtime, kind: int, called: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> None:
        """Submit a mutation made during another machine's; see `Chains` above."""
        chain = cause._chain
        if chain is None:
            chain = Chain()
        elif chain.depth >= CHAIN_LIMIT and not self._flags & (BUSY | ENDING):
            self._put_off(kind, called, args, source)
            chain.waiting.append(self)
            return
        outer, self._chain = self._chain, chain
        chain.depth += 1
        try:
            self._submit(kind, called, args, source)
            while chain.depth == 1 and chain.waiting:
                chain.waiting.popleft()._follow(chain)
        finally:
            self._chain = outer
            chain.depth -= 1

    def _put_off(self, kind: int, called: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> None:
        """Queue a mutation of a machine at rest because its chain is too long."""
        queue = self._queue
        if queue is None:
            queue = self._queue = deque()
        number = self._queue_tick + len(queue) + 1
        queue.append(self._announce((kind, called, args, source, number, 0, None, None)))
        self._flags |= INTERRUPTED

    def _follow(self, chain: Chain) -> None:
        """Drain the machines whose mutations were deferred, unless that was done already."""
        if self._flags & NOT_IDLE == INTERRUPTED:
            outer, self._chain = self._chain, chain
            try:
                self._run_queue(None)
            finally:
                self._chain = outer

    def _submit_error(
        self,
        error: BaseException,
        called: tuple[str, ...],
        args: dict[str, Any],
        source: Origin | None,
        where: str | None = None,
    ) -> Result:
        """Add Exception and the given error states. A full queue does not refuse errors.

        Args:
            error: The error.
            called: Names of error states.
            args: Additional arguments for handlers.
            source: The transition it was made in, if known.
            where: Origin of the error, as text, if it was not added by a user; empty if it is already handled.
        """
        self._numbers(called)
        args["error"] = error
        called = tuple(dict.fromkeys((EXCEPTION, *called)))
        if where is not None:
            self._failure = (error, where)
        if self._flags & ENDING:
            return self._turn_away((ADD, called, args, source, 0, 0, None, None), BY_DISPOSAL)
        self._err = error
        self._log(LogLevel.CHANGES, f"[error:add] {' '.join(called)} ({error})")
        queue = self._queue
        if self._flags & BUSY and queue and len(queue) >= self.queue_limit:
            result = Result(self._queue_tick + len(queue) + 1)
            queue.append(self._announce((ADD, called, args, source, result.tick, 0, None, result)))
            return result
        return self._submit(ADD, called, args, source)

    def _submit_again(self, error: BaseException) -> None:
        """Add an error again for handlers bound since; if it was unhandled, it has been logged already."""
        self._submit_error(error, (), {}, None, "")

    def _commit_waited(self, plan: Plan) -> bool:
        """Carry out a plan without handlers on a waited machine; return False if the full course is needed."""
        waiters = self._waiters
        if waiters.queries or waiters.args_mask & plan.enter_mask:
            return False
        ticks = self._ticks
        touched = plan.ticks
        for state in touched:
            ticks[state] += 1
        self._configuration = plan.target
        self._queue_tick += 1
        self._tell_waiters(touched)
        return True

    def _commit_recorded(self, plan: Plan, queued: QueuedMutation) -> Result:
        """Carry out a plan without handlers on a recorded machine."""
        ticks = self._ticks
        observers = self._observers
        facts = observers.facts
        if not facts:
            tx = (
                self._transition_class()
            )  # inline: a call of `_begin` takes a tenth of the time of an in-memory recorder
            tx.machine = self
            tx.before = tuple(ticks)
            tx.canceled_by = ""
            tx.completed = True
            tx._plan = plan
            tx._queued = queued
            tx._after = None
        for state in plan.ticks:
            ticks[state] += 1
        self._configuration = plan.target
        self._flags = _RECORDING
        try:
            if facts:
                for keep in facts:
                    try:
                        keep(self, plan, queued, None)
                    except Exception:
                        self._blame(keep)
            else:
                for end in observers.transition_end:
                    try:
                        end(tx)
                    except Exception:
                        self._blame(end)
        except BaseException:
            self._abandon()
            raise
        if self._queue or self._urgent:
            self._finish()
        elif self._flags != _RECORDING or observers.queue_end:
            self._rest()
        else:
            self._flags = RECORDED
        return EXECUTED

    def _blame(self, hook: Callable[..., None]) -> None:
        """Count an error of a tracer, which may detach it. Call it from the except block."""
        self._observers.blame(hook)
        self._set_audience()

    def _plan_for(self, kind: int, called: tuple[str, ...]) -> Plan:
        """Return the plan of a mutation, making it on first use."""
        configuration = self._configuration
        plan = configuration.tables[kind].get(called)
        if plan is None:
            self._numbers(called)  # raises for unknown names, with suggestions
            plan = self._plans.plan(configuration, kind, called)
        return plan

    # the queue

    def _enqueue(self, kind: int, called: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> Result:
        """Append a mutation to the queue, unless it is refused or a duplicate."""
        if called not in self._configuration.tables[kind]:  # else the names were used before and are valid
            self._numbers(called)
        queue = self._queue
        if queue:
            waiting = len(queue)
        else:
            waiting = 0
            if queue is None:
                queue = self._queue = deque()
        if waiting >= self.queue_limit and not self._passes_limit(kind, called):
            return self._turn_away((kind, called, args, source, 0, 0, None, None), BY_QUEUE, self.queue_limit)
        if waiting and not args and self._is_duplicate(queue[-1], kind, called):
            if self._flags & OBSERVED:
                self._observers.log_duplicate(self, (kind, called, args, source, 0, 0, None, None))
            return EXECUTED
        result: Result = _new(Result)  # skips the constructor's frame: every mutation of a handler creates one
        result.tick = number = self._queue_tick + waiting + 1
        queued: QueuedMutation = (kind, called, args, source, number, 0, None, result)
        queue.append(self._announce(queued) if self._flags != BUSY and self._flags & OBSERVED else queued)
        return result

    def _enqueue_toggle(self, called: tuple[str, ...], args: dict[str, Any]) -> Result:
        """Append a toggle, which becomes an add or a remove at its turn."""
        queue = self._queue
        if queue is None:
            queue = self._queue = deque()
        if len(queue) >= self.queue_limit and EXCEPTION not in called:
            return self._turn_away(
                (self._toggled(called), called, args, None, 0, 0, None, None), BY_QUEUE, self.queue_limit
            )
        result = Result(self._queue_tick + len(queue) + 1)
        kind = self._toggled(called)
        queue.append(self._announce((kind, called, args, None, result.tick, IS_TOGGLE, None, result)))
        return result

    def _toggled(self, called: tuple[str, ...]) -> int:
        """Return what toggling these states means now: REMOVE if all are active, else ADD."""
        active = self._configuration.names
        return REMOVE if all(state in active for state in called) else ADD

    def _decided(self, toggle: QueuedMutation) -> QueuedMutation:
        """Return the add or remove that a queued toggle becomes at its turn."""
        was, called, args, source, number, _, view, result = toggle
        kind = self._toggled(called)
        return (kind, called, args, source, number, 0, view if kind == was else None, result)

    def _passes_limit(self, kind: int, called: tuple[str, ...]) -> bool:
        """Return whether a mutation ignores the queue limit: adding or removing Exception, whether active or not."""
        return EXCEPTION in called and kind != SET

    def _is_duplicate(self, last: QueuedMutation, kind: int, called: tuple[str, ...]) -> bool:
        """Return whether a mutation without arguments repeats the last queued one and has no effect.

        asyncmachine-go 0.19 drops a duplicate regardless of its position, relations and handlers.
        """
        return (
            last[KIND] == kind
            and last[CALLED] == called
            and not last[ARGS]
            and not last[FLAGS]
            and self._plans.is_idempotent(kind, called)
        )

    def _prepend(
        self, kind: int, called: tuple[str, ...], args: dict[str, Any], source: Origin | None, flags: int
    ) -> None:
        """Prepend the machine's own mutation to the queue."""
        self._prepends += 1
        self._prepended = self._announce((kind, called, args, source, -self._prepends, flags, None, None))

    def _prepend_auto(self, auto: Plan) -> None:
        if not self._flags & DISPOSING:
            names = self._plans.compiled.names
            self._prepend(AUTO, tuple([names[state] for state in auto.called]), {}, None, IS_AUTO)

    def _announce(self, queued: QueuedMutation) -> QueuedMutation:
        return self._observers.queued(self, queued) if self._flags & OBSERVED else queued

    def _push(self, job: Job) -> None:
        """Queue an eval or a dry run."""
        if self._urgent is None:
            self._urgent = deque()
        self._urgent.append(job)

    def _run_queue(self, mine: QueuedMutation | None) -> Result:
        """Drain what an interruption has left, and return the result of `mine`."""
        self._flags = (self._flags | BUSY) & ~INTERRUPTED
        try:
            result = self._drain(mine)
        except BaseException:
            self._abandon()
            raise
        self._rest()
        return result

    def _drain(self, mine: QueuedMutation | None) -> Result:
        """Process everything queued, in the order of service above, and return the result of `mine`."""
        result = EXECUTED
        while True:
            if self._prepended is not None:
                queued, self._prepended = self._prepended, None
            elif self._urgent:
                self._current = self._committed = None
                self._urgent.popleft().run()
                continue
            elif self._queue:
                queued = self._queue.popleft()
                self._queue_tick += 1
            else:
                return result
            flags = self._flags
            special = queued[FLAGS]
            plan = None if special else self._configuration.tables[queued[KIND]].get(queued[CALLED])
            if plan is None:
                if special & IS_TOGGLE:
                    queued = self._decided(queued)
                plan = self._plan_of(queued)
            elif plan.fast_ticks is not None and flags == BUSY:
                ticks = self._ticks
                for state in plan.fast_ticks:
                    ticks[state] += 1
                self._configuration = plan.fast_target
                continue  # executed, as the result is until another one is known
            outcome = self._observe(plan, queued) if flags != BUSY and flags & TRACED else self._course(plan, queued)
            if self._tx is not None:
                self._end_transition()
            if mine is not None and queued is mine:
                result = outcome
            if self._flags != BUSY and self._flags & WAITED and self._waiters.queue:
                self._match_queue()

    def _plan_of(self, queued: QueuedMutation) -> Plan:
        if queued[KIND] == AUTO:
            index = self._plans.compiled.index
            return self._plans.auto_plan(self._configuration, tuple([index[state] for state in queued[CALLED]]))
        return self._plan_for(queued[KIND], queued[CALLED])

    def _finish(self) -> None:
        """Drain the queue after an eval or a dry run, and come to rest."""
        try:
            self._drain(None)
        except BaseException:
            self._abandon()
            raise
        if self._flags == BUSY:
            self._current = self._committed = None
            self._flags = 0
        else:
            self._rest()

    def _rest(self) -> None:
        """Release the machine, as the queue is empty, and notify the waits for that."""
        self._current = self._committed = None
        self._flags &= ~BUSY
        try:
            if self._flags & TRACED:
                observers = self._observers
                if observers.queue_end:
                    observers.fire(observers.queue_end, self)
                if not observers.tracers:  # the last one may just have been detached for its errors
                    self._set_audience()
        finally:  # whatever a tracer raises
            try:
                if self._flags & WAITED and self._waiters.ends:
                    self._match_ends()
            finally:
                if self._flags & NOT_IDLE == DISPOSING:
                    self._close()

    def _abandon(self) -> None:
        """Restore a consistent state after an interruption; see `Interruptions` above."""
        self._end_transition()
        self._current = self._committed = None
        self._flags &= ~BUSY
        try:
            if self._flags & WAITED and self._waiters.queue:
                self._match_queue()
        finally:
            if self._flags & DISPOSING:
                self._close()
            elif self._queue or self._urgent or self._prepended is not None:
                self._flags |= INTERRUPTED

    # evals and dry runs

    def eval(self, fn: Callable[..., Any], *args: Any, label: str = "") -> Any:
        """Run `fn(*args)` between transitions and return its value; mutations it makes follow it.

        Args:
            fn: A plain function. Its errors are raised to the caller.
            args: Its arguments.
            label: Name for logs and errors.

        Raises:
            NestedEvalError: Called inside a handler or eval of the same machine; use `eval_soon` there.
            MachineDisposedError: The machine is disposed.
        """
        if self._flags:
            if self._flags & _UNREADY:
                self._make_ready(label)
            self._flags |= BUSY
        else:
            self._flags = BUSY
        # what follows is `_run`, without its frame
        try:
            value = fn(*args)
        except BaseException:
            self._finish()
            raise
        if self._queue or self._urgent or self._prepended is not None or self._flags != BUSY:
            self._finish()
        else:
            self._flags = 0
        return value

    def _make_ready(self, label: str) -> None:
        """Do what comes before an eval of a machine that is observed, or is not at rest."""
        flags = self._flags
        if flags & NOT_IDLE:
            if flags & BUSY:
                self._observers.check_thread(self)
                raise NestedEvalError(self.id, label)
            if flags & ENDING:
                raise MachineDisposedError(self.id)
            self._observers.check_thread(self)
            self._run_queue(None)
        if flags & OBSERVED:
            self._observers.check_thread(self)
            self._log(LogLevel.OPS, f"[eval] {label}")

    def _run(self, job: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Call a function while the machine is busy, then drain what it has queued. The machine is not busy or disposed."""
        self._flags = (self._flags | BUSY) & ~INTERRUPTED if self._flags else BUSY
        try:
            value = job(*args)
        except BaseException:
            self._finish()
            raise
        if self._queue or self._urgent or self._prepended is not None or self._flags != BUSY:
            self._finish()
        else:
            self._flags = 0
        return value

    def _try(self, kind: int, called: tuple[str, ...], args: dict[str, Any]) -> Result:
        """Carry out a dry run of a mutation."""
        self._prepends += 1
        queued = self._announce((kind, called, args, None, -self._prepends, IS_CHECK, None, None))
        plan = self._plan_for(kind, called)
        result = self._observe(plan, queued) if self._flags & TRACED else self._course(plan, queued)
        self._end_transition()
        self._current = None
        return result

    # a transition

    def _observe(self, plan: Plan, queued: QueuedMutation) -> Result:
        """Carry out a mutation and notify observers."""
        observers = self._observers
        accepted = plan.is_check_accepted if queued[FLAGS] & IS_CHECK else plan.accepted
        tx = self._tx = self._begin(plan, queued, tuple(self._ticks), is_accepted=accepted)
        self._current = queued
        self._plan = plan
        if self._flags & OBSERVED:
            observers.log_start(self, self._plans, self._configuration, plan, queued)
            if observers.transition_init:
                observers.fire(observers.transition_init, tx)
            if observers.transition_start:
                observers.fire(observers.transition_start, tx)
        try:
            return self._course(plan, queued)
        except BaseException:
            tx.canceled_by = "error"
            raise
        finally:
            tx.complete(self._ticks)
            observers.fire(observers.transition_end, tx)
            self._tx = None

    def _course(self, plan: Plan, queued: QueuedMutation) -> Result:
        """Negotiate, commit and finalise; see `A transition` above.

        This is the hot path, hence its length: each optional part is skipped by one test.
        """
        self._current = queued
        self._plan = plan
        special = queued[FLAGS]
        if not plan.accepted and not (special & IS_CHECK and plan.is_check_accepted):
            return self._refuse(plan, queued, BY_RELATIONS)
        args = queued[ARGS]
        ticks = self._ticks
        handlers = self._handlers
        new_event = self._new_event
        observed = self._flags != BUSY and self._flags & OBSERVED
        if plan.negotiation:
            try:
                if special and special & IS_AUTO:
                    plan = self._negotiate_auto(plan, queued)
                else:
                    for name, function, slot, state in plan.negotiation:
                        event = new_event()
                        event.name = name
                        event.args = args
                        event.machine = self
                        event._queued = queued
                        event._state = state
                        event._tick = ticks[state]
                        answer = self._announced(function, slot, event) if observed else function(handlers[slot], event)
                        if answer is not None and answer is not True and self._is_refusal(answer, name, slot):
                            return self._refuse(plan, queued, name)
            except _VetoError as veto:
                if veto.error is not None:
                    return self._recover(plan, queued, veto.handler, veto.error)
                return self._refuse(plan, queued, veto.handler)
            except Exception as error:
                return self._recover(plan, queued, name, error)
            except BaseException as error:
                cancel(self.id, queued, BY_ERROR, ("", error))
                raise
        elif special and special & IS_AUTO:
            plan = plan.commit
        if special:
            if special & IS_CHECK:
                return EXECUTED
            self._plan = plan
            if self._tx is not None:
                self._tx.replan(plan)
        touched = plan.ticks
        for state in touched:
            ticks[state] += 1
        self._configuration = plan.target
        steps: Iterable[Step] = plan.finals
        if self._flags != BUSY:  # somebody looks on or waits
            if observed:
                self._observers.log_commit(self, self._plans, plan, queued)
            if self._flags & WAITED:
                waiters = self._waiters
                if waiters.contexts or waiters.spans:
                    waiters.expire(touched)
                if waiters.args_mask & plan.enter_mask:
                    steps = self._plans.finals_with_args(plan)
            if observed and self._observers.transition_finals:
                self._observers.fire(self._observers.transition_finals, self._tx)
        if steps:
            self._committed = queued
            try:
                for name, function, slot, state in steps:
                    if slot < 0:
                        self._tell(slot, plan, queued, state)
                        continue
                    event = new_event()
                    event.name = name
                    event.args = args
                    event.machine = self
                    event._queued = queued
                    event._state = state
                    event._tick = ticks[state]
                    left = self._announced(function, slot, event) if observed else function(handlers[slot], event)
                    if left is not None:
                        self._take_up(left, event, slot)
            except BaseException as error:
                if steps is not plan.finals:
                    self._match_args_of_failed(name, state, args)
                return self._fail(plan, queued, name, state, error)
        if self._flags != BUSY and self._flags & WAITED and (self._waiters.by_state or self._waiters.queries):
            self._match(touched)
        auto = plan.auto
        if auto is not None and not special and (auto.accepted or observed):
            if auto.is_bare and not self._flags & (WAITED | TRACED | DISPOSING):
                for state in auto.commit.ticks:
                    ticks[state] += 1
                self._configuration = auto.commit.target
            else:
                if observed:
                    self._observers.log_auto(self, self._plans, self._configuration, auto)
                self._prepend_auto(auto)
        return EXECUTED

    def _begin(
        self, plan: Plan, queued: QueuedMutation, before: tuple[int, ...], *, is_accepted: bool
    ) -> TransitionRecord:
        """Create the transition object, with the ticks before it."""
        tx = self._transition_class()
        tx.machine = self
        tx.before = before
        tx.canceled_by = "" if is_accepted else "relations"
        tx.completed = False
        tx._plan = plan
        tx._queued = queued
        tx._after = None
        return tx

    def _catch_up(self) -> TransitionRecord | None:
        """Return the running transition, created now if it is unobserved; None at rest."""
        queued, plan = self._current, self._plan
        if self._tx is None and queued is not None and plan is not None:
            before = list(self._ticks)
            if self._committed is queued:
                for state in plan.ticks:
                    before[state] -= 1
            self._tx = self._begin(plan, queued, tuple(before), is_accepted=plan.accepted)
        return self._tx

    def _end_transition(self) -> None:
        if self._tx is not None:
            self._tx.complete(self._ticks)
            self._tx = None

    def _refuse(self, plan: Plan, queued: QueuedMutation, by: str) -> Result:
        """Cancel a planned mutation that relations or a handler have refused."""
        basis = (self._plans, self._configuration, plan) if by == BY_RELATIONS else None
        if self._tx is not None and (plan.accepted or basis is None):  # else it was set from the start
            self._tx.canceled_by = by
            self._observers.log_veto(self, self._plans, plan, by)
        result = cancel(self.id, queued, by, basis)
        if plan.calls_exception:
            self._tell_refused(queued, result)
        return result

    def _turn_away(self, queued: QueuedMutation, by: str, detail: Any = None) -> Result:
        """Cancel a mutation without a plan."""
        result = cancel(self.id, queued, by, detail)
        if EXCEPTION in queued[CALLED]:
            self._tell_refused(queued, result)
        return result

    def _announced(self, function: Callable[[Any, Any], Any], slot: int, event: HandlerCall) -> Any:
        """Call a handler that is observed."""
        binding, owner = self._bindings[slot], self._handlers[slot]
        return self._observers.call_handler(self._tx, binding, slot, function, owner, event)

    def _ask(self, steps: Iterable[Step], queued: QueuedMutation) -> str:
        """Call negotiation handlers in turn; return the name of the first that refuses, or an empty string."""
        for name, function, slot, state in steps:
            event = self._new_event()
            event.name = name
            event.args = queued[ARGS]
            event.machine = self
            event._queued = queued
            event._state = state
            event._tick = self._ticks[state]
            observed = self._flags & OBSERVED
            try:
                answer = self._announced(function, slot, event) if observed else function(self._handlers[slot], event)
                refused = answer is not None and answer is not True and self._is_refusal(answer, name, slot)
            except Exception as error:
                raise _VetoError(name, error) from None
            if refused:
                return name
        return ""

    def _is_refusal(self, answer: Any, name: str, slot: int) -> bool:
        """Return whether a negotiation handler has refused, by returning anything but None or True.

        Raises:
            HandlerError: It returned an awaitable or a generator, which is always true.
        """
        if is_pending(answer):
            raise self._wrong_answer("a negotiation handler has to answer at once", answer, name, slot)
        return not answer

    def _take_up(self, left: Any, event: HandlerCall, slot: int) -> None:
        """Process the return value of a final handler: an awaitable is started as an async handler is, other values are ignored.

        Raises:
            HandlerError: It is a generator, which would never run.
            RuntimeError: No event loop is running; a coroutine is closed.
        """
        if not is_pending(left):
            return
        if not is_awaitable(left):
            raise self._wrong_answer(
                "a handler cannot be a generator function, which never runs", left, event.name, slot
            )
        state = event._state
        is_span = state >= 0 and not self._plans.relations.multi_mask >> state & 1
        event.start_task(coroutine_of(left), state if is_span else -1, event.name)

    def _wrong_answer(self, problem: str, answer: Any, name: str, slot: int) -> HandlerError:
        close_coroutine(answer)
        kind = type(answer).__name__
        return HandlerError(
            f"{problem}, and not with {kind!r}", handler=name, owner=type(self._handlers[slot]).__name__
        )

    def _demand(self, steps: Iterable[Step], queued: QueuedMutation) -> None:
        refused = self._ask(steps, queued)
        if refused:
            raise _VetoError(refused)

    def _negotiate_auto(self, plan: Plan, queued: QueuedMutation) -> Plan:
        """Negotiate an auto mutation, dropping only the refused Auto states; return the plan to commit.

        asyncmachine-go 0.19 crashes when an Auto state's Exit refuses; here the state stays active, and the called Auto
        states that would end it are dropped.
        """
        plans = self._plans
        table = plans.table
        configuration = self._configuration
        is_auto = plans.relations.auto_mask
        target = list(plan.target.active)
        staying = 0
        for state in plan.exits:
            refused = self._ask(table.exit[state], queued)
            if refused:
                enders = [c for c in plan.called if not plans.auto_plan(configuration, (c,)).target.mask >> state & 1]
                if not is_auto >> state & 1 or not enders:
                    raise _VetoError(refused)
                staying |= 1 << state
                target = [s for s in target if s not in enders]
        for state in plan.enters:
            refused = self._ask(table.enter[state], queued) if state in target else ""
            if refused:
                if not is_auto >> state & 1:
                    raise _VetoError(refused)
                target.remove(state)
        if not target and not staying:
            raise _VetoError("relations")
        self._demand(plans.selfs(configuration, AUTO, tuple(target)), queued)
        pairs = table.pairs
        asked = [(y, pairs[x, y]) for x in configuration.active for y in target if (x, y) in pairs] if pairs else []
        for state, steps in asked:
            refused = self._ask(steps, queued)
            if refused:
                if not is_auto >> state & 1:
                    raise _VetoError(refused)
                target = [s for s in target if s != state]
        if not target and not staying:
            raise _VetoError("relations")
        self._demand(table.any_enter, queued)
        called = tuple([s for s in plan.called if s in target])
        commit = plans.auto_plan(configuration, called).commit if called != plan.called else plan
        if staying & ~commit.target.mask:
            raise _VetoError("relations")
        return commit

    # errors

    def _recover(
        self, plan: Plan, queued: QueuedMutation, handler: str, error: Exception, *, began: bool = False
    ) -> Result:
        """Turn a handler's error into the next mutation, Exception, ahead of the queue.

        An error in an Exception transition makes no second Exception; it is logged. An auto transition that failed is
        not retried by the Exception transition it causes (asyncmachine-go 0.19 loops there).

        Args:
            plan: The plan that failed.
            queued: Its mutation.
            handler: Name of the handler that failed.
            error: The error it raised.
            began: Whether the handler for the error of an Exception transition has already received that error.
        """
        result = cancel(self.id, queued, BY_ERROR, (handler, error))
        if self._tx is not None:
            self._tx.canceled_by = "error"
        self._observers.log_recovery(self, self._plans, plan)
        if plan.calls_exception:
            if not began and queued[ARGS].get("error") is not error:
                self._tell_refused(queued, result)
            _logger.error("[error] %s: %s failed in an Exception transition", self.id, handler, exc_info=error)
            return result
        self._err = error
        awaited = self._waiters.await_tick(queued[NUMBER])
        self._failure = (error, "" if awaited else f"{handler} failed in {Mutation(queued)}")
        flags = NO_AUTO if queued[FLAGS] & IS_AUTO else 0
        self._prepend(ADD, (EXCEPTION,), {"error": error}, self._source_of(queued), flags)
        return result

    def _fail(self, plan: Plan, queued: QueuedMutation, name: str, state: int, error: BaseException) -> Result:
        """Deactivate what a failing final handler left unfinished, notify the waits, and recover.

        Every entered state whose State handler has not completed is deactivated once; a failing AnyState deactivates
        nothing. asyncmachine-go 0.19 deactivates nothing after a failing End, deactivates twice, and notifies no waits.
        """
        taken = self._take_back(plan, name, state)
        if self._flags & WAITED:
            self._match(plan.ticks + taken)
        if not isinstance(error, Exception):
            cancel(self.id, queued, BY_ERROR, (name, error))
            if self._tx is not None:
                self._tx.canceled_by = "error"
            raise error
        # End handlers run first: the handlers for the error of an Exception transition have not begun yet
        is_early = plan.calls_exception and state >= 0 and name.endswith("End")
        return self._recover(plan, queued, name, error, began=not (is_early and self._is_taken(plan, queued)))

    def _tell(self, slot: int, plan: Plan, queued: QueuedMutation, state: int) -> None:
        """Carry out a final step that is not a handler."""
        if slot == TELL_ARGS:
            self._match_args(state, queued[ARGS])
        elif not self._is_taken(plan, queued):
            self._log_error(queued, "the error is not handled")

    def _is_taken(self, plan: Plan, queued: QueuedMutation) -> bool:
        """Return whether the error of an Exception transition is handled; see `Unhandled errors` above."""
        if self._has_taker(plan.enters):
            return True
        waiters = self._waiters
        if waiters.await_tick(queued[NUMBER]):
            return True
        return waiters.expect(plan.enters, self._configuration.mask, self._ticks)

    def _has_taker(self, states: Iterable[int]) -> bool:
        """Return whether a State handler of these states handles errors."""
        owners = self._handlers
        for state in states:
            for name, _, slot, _ in self._plans.table.state[state]:
                if getattr(getattr(owners[slot], name, None), TAKES_ERRORS, True):
                    return True
        return False

    def _log_dropped(self, error: object, source: Origin) -> None:
        """Log an error whose pipe was unbound before it could forward it, unless another handler of Exception has received it."""
        if not self._has_taker((self._plans.compiled.exception,)):
            where = f"[add] {EXCEPTION} in {tx_id(source[0], source[1])}"
            self._log_untaken(error, where, "the pipe that should have forwarded the error was unbound")

    def _tell_refused(self, queued: QueuedMutation, result: Result) -> None:
        """Log the error of a refused Exception mutation, which can no longer be handled."""
        if not queued[FLAGS] & IS_CHECK:
            refused_by = result.refused_by
            assert refused_by is not None
            self._log_error(queued, f"the Exception state was {refused_by.cause}")

    def _log_error(self, queued: QueuedMutation, why: str) -> None:
        """Log the error of an Exception mutation with its traceback; only an add carries a new error."""
        if queued[KIND] == ADD:
            source = queued[SOURCE]
            origin = "" if source is None else f" from {tx_id(source[0], source[1])}"
            self._log_untaken(queued[ARGS].get("error"), f"{Mutation(queued)}{origin}", why)

    def _log_untaken(self, error: object, where: str, why: str) -> None:
        """Log an error with its traceback, unless it is already handled.

        Args:
            error: The error; ignored unless it is an exception.
            where: Origin of the error, as text, used unless the machine has a more precise one.
            why: Why it is unhandled.
        """
        if not isinstance(error, BaseException):
            return
        if self._failure is not None and self._failure[0] is error:
            where = self._failure[1]
        if where:
            _logger.error("[error] %s: %s; %s", self.id, where, why, exc_info=error)

    def _take_back(self, plan: Plan, name: str, state: int) -> tuple[int, ...]:
        if state < 0:
            return ()
        compiled = self._plans.compiled
        enters = plan.enters
        unfinished = enters if name == compiled.names[state] + "End" else enters[enters.index(state) :]
        if plan.calls_exception:
            unfinished = tuple([s for s in unfinished if s != compiled.exception])
        for taken in unfinished:
            self._ticks[taken] += 1
        if unfinished:
            active = tuple([s for s in self._configuration.active if s not in unfinished])
            self._configuration = self._plans.configuration(active)
            self._waiters.expire(unfinished)
        return unfinished

    # waits

    def _watch(self) -> Waiters:
        """Return the index of waits, to be added to."""
        self._flags |= WAITED
        return self._waiters if self._waiters is not _NOBODY else self._own_waiters()

    def _own_waiters(self) -> Waiters:
        if self._waiters is _NOBODY:
            self._waiters = Waiters()
        return self._waiters

    def _keep_task(self, task: Any, state: int) -> None:
        """Register a task that disposal waits for."""
        self._own_waiters().tasks[task] = state

    def _bind_task(self, task: Any, state: int) -> None:
        """Bind a task to the current tick of a state."""
        self._flags |= WAITED
        spans = (self._waiters if self._waiters is not _NOBODY else self._own_waiters()).spans
        if state in spans:
            spans[state].append(task)
        else:
            spans[state] = [task]

    def _forget_task(self, task: Any, state: int) -> None:
        """Take note that a task has ended. On the hot path of async handlers, hence in one piece."""
        waiters = self._waiters
        spans = waiters.spans
        if state in spans and task in spans[state]:
            if len(spans[state]) > 1:
                spans[state].remove(task)
            else:
                del spans[state]
                if not spans and waiters.is_empty:
                    self._flags &= ~WAITED
        if waiters.tasks:
            waiters.tasks.pop(task, None)
        if self._flags & DISPOSED:
            self._release()

    def _wait_for_disposal(self, waiter: Any) -> None:
        self._own_waiters().disposal.append(waiter)

    def _unwatch(self) -> None:
        """Update the flags after a wait has left the index."""
        if self._waiters.is_empty:
            self._flags &= ~WAITED

    def _tell_waiters(self, touched: tuple[int, ...]) -> None:
        """Notify the waiters concerned by a commit without handlers."""
        waiters = self._waiters
        contexts, spans, by_state = waiters.contexts, waiters.spans, waiters.by_state
        for state in touched:
            if state in contexts or state in spans:
                waiters.expire(touched)
            if state in by_state:
                self._match(touched)
        if waiters.queue:
            self._match_queue()
        if not by_state and waiters.is_empty:
            self._flags &= ~WAITED

    def _match(self, touched: Iterable[int]) -> None:
        """Notify the waits fulfilled by a committed transition."""
        waiters = self._waiters
        met = waiters.match(touched, self._configuration.mask, self._ticks)
        if met:
            self._deliver(met, None)
        if waiters.is_empty:
            self._flags &= ~WAITED

    def _match_args(self, state: int, args: dict[str, Any]) -> None:
        if self._waiters.args_mask >> state & 1:
            self._deliver(self._waiters.match_args(state, args), args)
            self._unwatch()

    def _match_args_of_failed(self, name: str, state: int, args: dict[str, Any]) -> None:
        """Notify the waits for the arguments of an entered state whose State handler has failed."""
        if state >= 0 and name != self._plans.compiled.names[state] + "End":
            self._match_args(state, args)

    def _match_queue(self) -> None:
        self._deliver(self._waiters.match_queue(self._queue_tick), None)

    def _match_ends(self) -> None:
        self._deliver(self._waiters.take_ends(), None)
        self._unwatch()

    def _deliver(self, met: Iterable[Subscription], value: Any) -> None:
        """Notify waits, then tracers: whatever a tracer raises, every wait is notified."""
        for subscription in met:
            subscription.waiter.resolve(value)
        if self._flags & TRACED:
            for subscription in met:
                self._observers.subscription(self, self._plans, "match", subscription)

    # the end

    def _dispose(self) -> None:
        """Close the machine, or schedule that for when the queue has been drained."""
        if self._flags & ENDING:
            return
        if self._flags & BUSY:
            self._flags |= DISPOSING
            return
        if self._flags & INTERRUPTED:
            self._run_queue(None)
        self._close()

    def _close(self) -> None:
        """Release everything. Each step is taken, whatever the previous one raises."""
        self._flags = self._flags & TRACED | DISPOSED
        if self._is_alone():
            self._configuration = self._plans.compiled.bare.empty
            self._drop_handlers()
            return
        leaving: BaseException | None = None
        for step in (self._tell_disposal, self._expire_all, self._fail_waits, self._drop_handlers):
            try:
                step()
            except BaseException as error:
                leaving = error
        self._waiters.cancel_tasks()
        functions, self._on_dispose = self._on_dispose, ()
        for function in functions:
            try:
                function()
            except Exception:
                _logger.exception("[dispose] %s: on_dispose function failed", self.id)
            except BaseException as error:
                leaving = error
        self._release()
        if leaving is not None:
            raise leaving

    def _is_alone(self) -> bool:
        """Return whether closing has nothing to do and nothing to notify."""
        is_heard = self._observers is not _NO_OBSERVERS or self._waiters is not _NOBODY or self._on_dispose
        return not (is_heard or self._queue or self._urgent or self._prepended)

    def _start_over(self) -> bool:
        """Be as a machine that was just made, with the same handlers; False, with nothing done, if somebody could tell that it is not."""
        if self._flags or self._err is not None or not self._is_alone():
            return False
        plans = self._plans
        self._configuration = plans.empty
        self._ticks = [0] * len(plans.compiled.names)
        self._prepends = 0
        self._queue_tick = 1
        self._plan = self._failure = None
        return True

    def _tell_disposal(self) -> None:
        self._observers.fire(self._observers.machine_dispose, self)

    def _expire_all(self) -> None:
        self._configuration = self._plans.compiled.bare.empty
        self._waiters.expire({*self._waiters.contexts, *self._waiters.spans})

    def _fail_waits(self) -> None:
        for subscription in self._waiters.take_all():
            if subscription.kind == WHEN_ENDS:
                subscription.waiter.resolve(None)
            else:
                subscription.waiter.fail(MachineDisposedError(self.id))
        for job in self._urgent or ():
            job.fail(MachineDisposedError(self.id))
        for queued in (self._prepended, *(self._queue or ())):
            if queued is not None:
                self._turn_away(queued, BY_DISPOSAL)

    def _drop_handlers(self) -> None:
        self._queue = self._urgent = self._prepended = None
        self._plans = self._plans.compiled.bare
        self._handlers = self._bindings = ()

    def _release(self) -> None:
        """Notify the waits for disposal, once the last task has ended."""
        waiters = self._waiters
        if not waiters.tasks and waiters.disposal:
            told = waiters.disposal[:]
            waiters.disposal.clear()
            for waiter in told:
                waiter.resolve(None)

    def _call_at_disposal(self, function: Callable[[], Any]) -> None:
        self._on_dispose = (*self._on_dispose, function)

    def _forget_at_disposal(self, function: Callable[[], Any]) -> None:
        self._on_dispose = tuple([kept for kept in self._on_dispose if kept != function])

    # binding and restoring

    def _rebind(self, handlers: tuple[object, ...], bindings: tuple[str, ...]) -> None:
        self._observers.check_thread(self)
        if self._flags & BUSY:
            raise AsyncMachineError("handlers cannot be bound or unbound inside a handler")
        plans = self._plans.compiled.plan_cache(handlers)
        self._handlers, self._bindings = handlers, bindings
        self._configuration = plans.configuration(self._configuration.active)
        self._plans = plans

    def _migrate(self, compiled: CompiledSchema) -> None:
        """Change to a schema that begins with the states of the present one."""
        plans = compiled.plan_cache(self._handlers)
        self._ticks += [0] * (len(compiled.names) - len(self._ticks))
        self._configuration = plans.configuration(self._configuration.active)
        self._plans = plans

    def _restore(self, ticks: Mapping[int, int], active: tuple[int, ...], queue_tick: int) -> None:
        for state, tick in ticks.items():
            self._ticks[state] = tick
        self._configuration = self._plans.configuration(active)
        self._queue_tick = queue_tick

    def _set_observers(self, observers: Observers) -> None:
        self._observers = observers
        self._set_audience()

    def _set_audience(self) -> None:
        """Set the flags OBSERVED and RECORDED."""
        flags = self._flags & ~TRACED
        if self._observers.wants_steps:
            flags |= OBSERVED
        elif self._observers.tracers:
            flags |= RECORDED
        self._flags = flags

    @property
    def _is_observed(self) -> bool:
        """Whether the machine has ever had observers of its own."""
        return self._observers is not _NO_OBSERVERS

    def _log(self, level: int, text: str) -> None:
        self._observers.write(self, level, text)

    # names

    @property
    def state_names(self) -> tuple[str, ...]:
        """All state names, in definition order."""
        return self._plans.compiled.names

    def _number(self, state: str) -> int:
        index = self._plans.compiled.index
        try:
            return index[state]
        except (KeyError, TypeError):
            raise UnknownStateError(state, self.id, index) from None

    def _numbers(self, states: Iterable[str]) -> tuple[int, ...]:
        index = self._plans.compiled.index
        try:
            return tuple([index[state] for state in states])
        except (KeyError, TypeError):
            return tuple([self._number(state) for state in states])

    def _source_of(self, queued: QueuedMutation) -> Origin:
        tx = self._tx if self._flags & TRACED and self._current is queued else None
        return (self.id, queued[NUMBER], sum(tx.before) if tx is not None else 0)
