"""The public classes: `Machine`, and the arguments of its handlers and tracers, `Event` and `Transition`.

Each method delegates to the runtime (`_runtime`) or to the waits (`_asyncio`), or reads data. The three classes refer to each other, so
they share a module. `_runtime` documents what happens in a machine, and in which order.
"""

from __future__ import annotations

import itertools
import sys
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, cast

from asyncmachine._asyncio import (
    EvalFuture,
    QueuedCheck,
    computing_takes_time,
    context_at,
    context_of,
    debugging,
    finish_disposal,
    is_cancellation,
    is_true,
    spawn_at,
    spawn_free,
    start_handler,
    wait_for_args,
    wait_for_disposal,
    wait_for_query,
    wait_for_queue,
    wait_for_rest,
    wait_for_states,
    wait_for_ticks,
)
from asyncmachine._observers import Observers
from asyncmachine._runtime import (
    BUSY,
    DISPOSED,
    ENDING,
    INTERRUPTED,
    NOT_IDLE,
    OBSERVED,
    TRACED,
    HandlerCall,
    Runtime,
    TransitionRecord,
)
from asyncmachine._waiters import WHEN, WHEN_NOT
from asyncmachine.errors import AsyncMachineError, HandlerError, MachineDisposedError, SchemaError
from asyncmachine.handlers import binding_id
from asyncmachine.logs import LogLevel, args_mapper
from asyncmachine.mutation import (
    BY_CANCELLATION,
    BY_DISPOSAL,
    CALLED,
    FLAGS,
    IS_CHECK,
    IS_TOGGLE,
    KIND,
    NUMBER,
    VIEW,
    Mutation,
    Result,
    cancel,
)
from asyncmachine.plans import compile_schema
from asyncmachine.relations import ADD, KINDS, REMOVE, SET
from asyncmachine.schema import EXCEPTION, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from asyncmachine._asyncio import Future, StateContext, Task
    from asyncmachine.mutation import Origin
    from asyncmachine.schema import SchemaMeta, State

START = "Start"
STAYS_BEHIND = "stays_behind"
"""A handler object with this attribute set to true is not copied with its machine."""

Bindings = tuple[tuple[str, object | None], ...]
"""Ids and handler objects, in binding order; None is the machine itself."""
Portable = tuple[str, dict[str, dict[str, Any]]]
"""A schema that cannot be imported: its name, and its states as plain data."""

_QUEUING = NOT_IDLE | TRACED
"""`flags & _QUEUING` is BUSY if mutations are queued and no tracer needs their source, as in handlers of an unobserved machine."""

_serial = itertools.count(1)  # numbers machines without an id, deterministically
_DEFAULT_ARGS = args_mapper()


class Transition(TransitionRecord):
    """The processing of one mutation. Read-only, and readable after its end.

    Attributes:
        machine: The machine.
        before: Ticks before, in state order.
        completed: Whether it is over.
        canceled_by: The handler that refused it, or "relations" or "error"; empty if it was not refused.
    """

    __slots__ = ()

    machine: Machine


class Event(HandlerCall):
    """The argument of a handler: its name, the mutation and the machine.

    Attributes:
        name: Name of the handler, such as "FooState".
        args: The mutation's arguments; one dict shared by all handlers of the transition.
        machine: The machine.
    """

    __slots__ = ()

    machine: Machine

    @property
    def mutation(self) -> Mutation:
        """The mutation being processed."""
        return self._queued[VIEW] or Mutation(self._queued)

    @property
    def transition(self) -> Transition | None:
        """The running transition; None once it is over."""
        return self.machine.transition if self.machine._current is self._queued else None

    @property
    def is_check(self) -> bool:
        """Whether the handler is called in a dry run."""
        return bool(self._queued[FLAGS] & IS_CHECK)

    @property
    def ctx(self) -> StateContext | None:
        """The context of the handler's state at the time of this event: X's for X's handlers, Y's for a pair XY.

        None for `AnyEnter` and `AnyState`. Already expired if the state's tick has changed since.
        """
        return None if self._state < 0 else context_at(self.machine, self._state, self._tick)

    def add(self, *states: str, **args: Any) -> Result:
        """Add states, recording this transition as the source. See `Machine.add`."""
        machine = self.machine
        if machine._flags == BUSY or machine._flags & _QUEUING == BUSY:
            return machine._enqueue(ADD, states, args, (machine.id, self._queued[NUMBER], 0))
        return machine._submit(ADD, states, args, machine._source_of(self._queued))

    def remove(self, *states: str, **args: Any) -> Result:
        """Remove states, recording this transition as the source. See `Machine.remove`."""
        machine = self.machine
        if machine._flags == BUSY or machine._flags & _QUEUING == BUSY:
            return machine._enqueue(REMOVE, states, args, (machine.id, self._queued[NUMBER], 0))
        return machine._submit(REMOVE, states, args, machine._source_of(self._queued))

    def set(self, *states: str, **args: Any) -> Result:
        """Set states, recording this transition as the source. See `Machine.set`."""
        machine = self.machine
        if machine._flags == BUSY or machine._flags & _QUEUING == BUSY:
            return machine._enqueue(SET, states, args, (machine.id, self._queued[NUMBER], 0))
        return machine._submit(SET, states, args, machine._source_of(self._queued))

    def add_err(self, exc: BaseException, *states: str, **args: Any) -> Result:
        """Add an error, recording this transition as the source. See `Machine.add_err`."""
        return self.machine._add_err(exc, states, args, self.source())

    def fork(self, coro: Coroutine[Any, Any, Any]) -> Task[Any] | None:
        """Run a coroutine in the background until this activation of the handler's state ends.

        For a Multi state, whose activations are events without duration, and for `AnyState`, it is bound to the
        lifetime of the machine. If the activation is already over, the coroutine is closed and None is returned.

        Raises:
            RuntimeError: No event loop is running.
        """
        return spawn_at(self.machine, coro, self._state, self._tick)

    def source(self) -> Origin:
        """Return the source to be recorded in mutations caused by this one."""
        return self.machine._source_of(self._queued)

    start_task = start_handler
    """Start the coroutine of an async handler; called by the handler's step."""

    def __repr__(self) -> str:
        return f"Event({self.name} of {self.machine.id})"


class Machine(Runtime):
    """A set of states with clocks, relations and handlers, changed by mutations only.

    Args:
        schema: A `Schema` class, or a mapping of states as `Schema.of` takes it.
        id: Name for logs and traces; a number by default.
        handlers: An object with handler methods, bound first.
        parent: The machine this one belongs to; its tracers are notified.
        tracers: Observers, also notified of the construction.
        log_level: How much is written to the logger "asyncmachine".
        queue_limit: Maximal length of the queue; further mutations are canceled, except errors.
        slow_handler_s: Handlers that run longer are reported. They are never interrupted or rolled back: a synchronous Python function
            cannot be preempted (asyncmachine-go 0.19 times out instead). None disables the measurement, unless the machine is made on an
            event loop in debug mode: then the limit is the loop's `slow_callback_duration`. The measurement takes two clock readings
            and an observed transition, so it is opt-in.
        tags: Free text.

    A mutation of an idle machine runs at once, drains whatever it queued, and returns its result; inside a handler it
    queues. Not thread-safe: a machine belongs to the thread that made it; use `loop.call_soon_threadsafe` from another thread.
    Under `python -X dev`, and if it is made on an event loop in debug mode, mutations, evals and waits from another thread raise
    `WrongThreadError`. Otherwise the thread is not checked.

    An error that is not handled by an `ExceptionState` handler or a wait is logged at ERROR on the logger "asyncmachine", with its
    traceback. Python prints it even without a logging configuration;
    `logging.getLogger("asyncmachine").setLevel(logging.CRITICAL)` turns it off.

    Raises:
        SchemaError: A mapping contradicts itself.
        HandlerError: The handlers cannot be bound.
    """

    __slots__ = ("log_args", "parent", "tags")

    log_args: Callable[[Mapping[str, Any]], dict[str, str]]
    """Selects and truncates the arguments that may be logged or recorded; can be replaced."""
    parent: Machine | None
    tags: tuple[str, ...]

    _event_class = Event
    _transition_class = Transition

    def __init__(
        self,
        schema: type[Schema] | Mapping[str, State | Mapping[str, Any]],
        *,
        id: str | None = None,  # noqa: A002  # the name in asyncmachine-go, and in logs and traces
        handlers: object | None = None,
        parent: Machine | None = None,
        tracers: Iterable[object] = (),
        log_level: int = LogLevel.NOTHING,
        queue_limit: int = 1000,
        slow_handler_s: float | None = None,
        tags: Iterable[str] = (),
    ) -> None:
        bound = () if handlers is None else (handlers,)
        plans = compile_schema(schema).plan_cache(bound)
        super().__init__(f"m{next(_serial)}" if id is None else id, plans, bound, queue_limit)
        self.parent = parent
        self.tags = tuple(tags)
        self.log_args = _DEFAULT_ARGS
        is_debugged, limit_s = debugging()
        if slow_handler_s is None:
            slow_handler_s = limit_s
        if tracers or log_level or slow_handler_s is not None or is_debugged:
            observers = _observers(tuple(tracers), log_level, slow_handler_s)
            if is_debugged:
                observers.keep_to_thread()
            self._set_observers(observers)
            if handlers is not None:
                self._log_binding()
        if parent is not None and parent._observers.tracers:
            parent._observers.fire(parent._observers.submachine_new, parent, self)
        if self._observers.tracers:
            self._observers.fire(self._observers.machine_init, self)

    # mutations

    def add(self, *states: str, **args: Any) -> Result:
        """Activate states, together with those they imply.

        Args:
            states: Names; either all of them are activated, or none.
            args: Passed to all handlers of the transition.

        Returns:
            `EXECUTED`, or a canceled result with its `reason`, if the machine was idle; else a queued result, which has a reason if the
            mutation is refused later.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return self._submit(ADD, states, args, None)

    def remove(self, *states: str, **args: Any) -> Result:
        """Deactivate states, and those that require them. See `add` for arguments and results."""
        return self._submit(REMOVE, states, args, None)

    def set(self, *states: str, **args: Any) -> Result:
        """Make exactly these states active, together with those they imply. See `add` for arguments and results."""
        return self._submit(SET, states, args, None)

    def toggle(self, *states: str, **args: Any) -> Result:
        """Remove the states if all of them are active, else add them. See `add` for arguments and results.

        Inside a handler the choice is made at its turn (asyncmachine-go 0.19 makes it at the call).
        """
        self._numbers(states)
        if self._flags & NOT_IDLE:
            if self._flags & NOT_IDLE == BUSY:
                return self._enqueue_toggle(states, args)
            if not self._flags & ENDING:
                self._run_queue(None)
        return self._submit(self._toggled(states), states, args, None)

    def add_err(self, exc: BaseException, *states: str, **args: Any) -> Result:
        """Add `Exception` and the given error states, with the error as `args["error"]`.

        The error is logged if it is not handled by a State handler of these states or a wait for them (see `Machine`).
        For `asyncio.CancelledError` the result is canceled. A full queue does not refuse errors (asyncmachine-go 0.19
        does).

        Raises:
            TypeError: `exc` is not an exception (asyncmachine-go 0.19 ignores nil errors).
            UnknownStateError: A name is not in the schema.
        """
        return self._add_err(exc, states, args, None)

    def can_add(self, *states: str, **args: Any) -> Result:
        """Do a dry run of `add`: check relations and negotiation handlers without changing anything.

        Returns:
            `EXECUTED`, or a canceled result with its `reason`; inside a handler a queued result to be awaited for the outcome.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return self._check(ADD, states, args)

    def can_remove(self, *states: str, **args: Any) -> Result:
        """Do a dry run of `remove`. See `can_add`."""
        return self._check(REMOVE, states, args)

    def prepare(self, kind: str, *states: str) -> Callable[[dict[str, Any] | None], Result]:
        """Return a function that repeats the same mutation, for hot paths.

        Args:
            kind: "add", "remove" or "set".
            states: The states to call.

        Returns:
            A function of the arguments (a dict, passed to the handlers uncopied) that returns the result.

        Raises:
            ValueError: Unknown kind.
            UnknownStateError: A name is not in the schema.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of 'add', 'remove', 'set', got {kind!r}")
        number = KINDS.index(kind)
        self._numbers(states)

        def mutate(args: dict[str, Any] | None = None) -> Result:
            if args is None:
                args = {}
            if self._flags == BUSY or (self._flags and self._flags & NOT_IDLE == BUSY):
                return self._enqueue(number, states, args, None)
            return self._submit(number, states, args, None)

        return mutate

    # evals

    def eval_soon(self, fn: Callable[..., Any], *args: Any, label: str = "") -> EvalFuture:
        """Run `fn(*args)` as soon as no transition is running, ahead of the queue.

        Returns:
            An awaitable of the value, already done if the machine is idle. Awaiting it raises any error of `fn`. If
            the awaiting task is cancelled first, `fn` is not run.
        """
        future = EvalFuture(fn, args, label)
        flags = self._flags
        if flags and flags & (DISPOSED | OBSERVED):
            if flags & DISPOSED:
                future.fail(MachineDisposedError(self.id))
                return future
            self._observers.check_thread(self)
        if flags and flags & BUSY:
            self._push(future)
        else:
            self._run(future.run, ())
        return future

    # states

    @property
    def schema(self) -> SchemaMeta:
        """The machine's schema class."""
        return self._plans.compiled.schema

    def is_active(self, *states: str) -> bool:
        """Return whether all of these states are active. True without names; False after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        active = self._configuration.names
        for state in states:
            if state not in active:
                self._numbers(states)
                return False
        return not self._flags & DISPOSED

    is_ = is_active  # the name in asyncmachine-go

    def is_inactive(self, *states: str) -> bool:
        """Return whether none of these states is active. True without names; False after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        self._numbers(states)
        active = self._configuration.names
        return not self._flags & DISPOSED and not any(state in active for state in states)

    not_ = is_inactive  # the name in asyncmachine-go

    def any_active(self, *states: str) -> bool:
        """Return whether at least one of these states is active.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        self._numbers(states)
        active = self._configuration.names
        return any(state in active for state in states)

    any_ = any_active  # the name in asyncmachine-go

    def has(self, *states: str) -> bool:
        """Return whether all of these names are states of the schema. False after dispose."""
        index = self._plans.compiled.index
        return not self._flags & DISPOSED and all(state in index for state in states)

    def active_states(self) -> tuple[str, ...]:
        """Return the active states in the order of their handlers."""
        names = self._plans.compiled.names
        return tuple([names[state] for state in self._configuration.active])

    def switch(self, *groups: str | Iterable[str]) -> str:
        """Return the first active state, scanning the groups in order; an empty string if none is active.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        for group in groups:
            names = (group,) if isinstance(group, str) else tuple(group)
            self._numbers(names)
            for name in names:
                if name in self._configuration.names:
                    return name
        return ""

    @property
    def err(self) -> BaseException | None:
        """The last error added; not cleared when `Exception` is removed."""
        return self._err

    def is_err(self) -> bool:
        """Return whether `Exception` is active."""
        return EXCEPTION in self._configuration.names

    @property
    def is_disposed(self) -> bool:
        """Whether the machine is disposed."""
        return bool(self._flags & DISPOSED)

    # clocks

    def tick(self, state: str) -> int:
        """Return a state's tick; odd means active. 0 after dispose.

        Raises:
            UnknownStateError: The name is not in the schema.
        """
        number = self._number(state)
        return 0 if self._flags & DISPOSED else self._ticks[number]

    def time(self, *states: str) -> tuple[int, ...]:
        """Return the ticks of the given states, or of all if none are given. Empty after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        numbers = self._numbers(states)
        if self._flags & DISPOSED:
            return ()
        return tuple([self._ticks[number] for number in numbers]) if states else tuple(self._ticks)

    def clock(self, *states: str) -> dict[str, int]:
        """Return the ticks of the given states by name, or of all if none are given. Empty after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return dict(zip(states or self._plans.compiled.names, self.time(*states), strict=False))

    def is_clock(self, clock: Mapping[str, int]) -> bool:
        """Return whether all given ticks equal the current ones. False after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return not self._flags & DISPOSED and all(self.tick(state) == tick for state, tick in clock.items())

    def was_clock(self, clock: Mapping[str, int]) -> bool:
        """Return whether every current tick has reached the given one. False after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return not self._flags & DISPOSED and all(self.tick(state) >= tick for state, tick in clock.items())

    # queue

    @property
    def queue_tick(self) -> int:
        """Number of mutations taken from the queue, plus one; prepended ones do not count."""
        return self._queue_tick

    @property
    def queue_len(self) -> int:
        """Number of queued mutations."""
        return len(self._queue or ())

    def queued(self) -> tuple[Mutation, ...]:
        """Return the queued mutations, the next one first."""
        return tuple([queued[VIEW] or Mutation(queued) for queued in self._queue or ()])

    def will_be(self, *states: str) -> bool:
        """Return whether a queued add mutation calls all of these states; implied states and toggles do not count.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return self._is_queued(ADD, states)

    def will_be_removed(self, *states: str) -> bool:
        """Return whether a queued remove mutation calls all of these states.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return self._is_queued(REMOVE, states)

    @property
    def transition(self) -> Transition | None:
        """The running transition; None when the machine is idle."""
        return cast("Transition | None", self._catch_up())

    # texts

    def __str__(self) -> str:
        """Return the active states with their ticks, in state order: `(A:1 B:3)`."""
        if self._flags & DISPOSED:
            return ""
        return f"({self._clock_text(1)})"

    def string_all(self) -> str:
        """Return active, then inactive states with their ticks: `(A:1) [B:0]`. Empty after dispose."""
        if self._flags & DISPOSED:
            return ""
        return f"({self._clock_text(1)}) [{self._clock_text(0)}]"

    def inspect(self, *states: str) -> str:
        """Return a table of the given states, or of all if none are given: activity, tick, flags and relations.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        numbers = self._numbers(states) if states else range(len(self._ticks))
        if self._flags & DISPOSED:
            return ""
        names = self._plans.compiled.names
        return "".join([self._inspect_one(names[number], self._ticks[number]) for number in numbers])

    def diagram(self, format: str = "svg") -> str:  # noqa: A002  # the usual name
        """Draw the states with their relations, the active ones marked.

        Args:
            format: "svg" (a string that a notebook displays as a picture), "dot", "mermaid" or "text".

        Raises:
            ValueError: Unknown format.
            MissingExtraError: For SVG: neither the extra `diagrams` nor Graphviz is installed.
            DrawingError: The drawing program failed.
        """
        from asyncmachine.export import diagrams

        return diagrams.draw(diagrams.of_machine(self), format)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return the notebook display: the diagram and its text, or only the text if no drawing program is available."""
        from asyncmachine.export import diagrams

        return diagrams.mimebundle(diagrams.of_machine(self))

    def _inspect_one(self, name: str, tick: int) -> str:
        state = self.schema.states[name]
        rows = [("Tick", str(tick))]
        rows += [(label, "true") for label, flag in (("Auto", state.auto), ("Multi", state.multi)) if flag]
        relations = (("Add", state.add), ("Require", state.require), ("Remove", state.remove), ("After", state.after))
        rows += [(label, " ".join(others)) for label, others in relations if others]
        return f"{tick & 1} {name}\n" + "".join([f"    |{label:<8} {value}\n" for label, value in rows])

    def _clock_text(self, parity: int) -> str:
        pairs = zip(self._plans.compiled.names, self._ticks, strict=True)
        return " ".join([f"{name}:{tick}" for name, tick in pairs if tick & 1 == parity])

    def __repr__(self) -> str:
        return f"<Machine {self.id} {self}>"

    # waiting

    def when(self, *states: str) -> Future[None]:
        """Wait until all of these states are active at the same time.

        Every wait is a separate `asyncio.Future`, already done if its condition holds; cancelling it unsubscribes at once. Waits are
        notified after each committed transition, before the next one. On dispose, pending waits raise `MachineDisposedError` (in
        asyncmachine-go 0.19 they resolve), except `when_disposed`.

        Raises:
            UnknownStateError: A name is not in the schema.
            RuntimeError: No event loop is running.
        """
        return wait_for_states(self, WHEN, self._numbers(states))

    def when_not(self, *states: str) -> Future[None]:
        """Wait until all of these states are inactive at the same time.

        Raises:
            UnknownStateError: A name is not in the schema.
            RuntimeError: No event loop is running.
        """
        return wait_for_states(self, WHEN_NOT, self._numbers(states))

    def when_time(self, times: Mapping[str, int]) -> Future[None]:
        """Wait until every state's tick has reached its goal.

        Args:
            times: State name to tick.

        Raises:
            TypeError: A tick is not an integer.
            UnknownStateError: A name is not in the schema.
            RuntimeError: No event loop is running.
        """
        return wait_for_ticks(self, {self._number(state): tick for state, tick in times.items()})

    def when_ticks(self, state: str, n: int) -> Future[None]:
        """Wait until the state's tick has advanced by `n`; done immediately if `n` is not positive.

        Raises:
            UnknownStateError: The name is not in the schema.
            RuntimeError: No event loop is running.
        """
        number = self._number(state)
        return wait_for_ticks(self, {number: self._ticks[number] + n})

    def when_next_active(self, state: str) -> Future[None]:
        """Wait for the next activation of the state, excluding the current one; a Multi re-entry counts.

        Raises:
            UnknownStateError: The name is not in the schema.
            RuntimeError: No event loop is running.
        """
        number = self._number(state)
        tick = self._ticks[number]
        return wait_for_ticks(self, {number: tick + (2 if tick & 1 else 1)})

    def when_args(self, state: str, **args: Any) -> Future[dict[str, Any]]:
        """Wait for an activation of the state with arguments that include the given ones.

        Args:
            state: The state; only a new activation counts.
            args: Names and expected values; without any, each activation matches. Errors of the comparison are raised by the wait.

        Returns:
            A future of the mutation's arguments, resolved right after the state's State handlers.

        Raises:
            UnknownStateError: The name is not in the schema.
            RuntimeError: No event loop is running.
        """
        return wait_for_args(self, self._number(state), args)

    def when_query(self, fn: Callable[[dict[str, int]], object]) -> Future[None]:
        """Wait until `fn(clock)` is true; it is called immediately and after every committed transition.

        Args:
            fn: A pure function of the machine's clock. Its errors are raised by the wait and have no other effect.

        Raises:
            TypeError: `fn` returned an awaitable, which is always true.
            RuntimeError: No event loop is running.
        """
        return wait_for_query(self, lambda: is_true(fn(self.clock())))

    def when_queue(self, result: Result) -> Future[None]:
        """Wait until a queued mutation has been processed, whatever its outcome; done immediately unless queued.

        Raises:
            RuntimeError: No event loop is running.
        """
        return wait_for_queue(self, result.tick)

    def when_queue_ends(self) -> Future[None]:
        """Wait until the queue has been drained; done immediately when the machine is idle.

        Raises:
            RuntimeError: No event loop is running.
        """
        return wait_for_rest(self)

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
        return wait_for_disposal(self)

    async def disposed(self) -> None:
        """Wait until the machine is disposed and all its background tasks have ended.

        A task of the machine may call it; the calling task is not waited for.
        """
        await finish_disposal(self)

    def state_ctx(self, state: str) -> StateContext:
        """Return the context of the state's current tick, shared until the tick changes.

        It expires on activation, deactivation or re-entry, at commit and before final handlers; also when a final
        handler fails and the state is deactivated, and on dispose.

        Raises:
            UnknownStateError: The name is not in the schema.
        """
        return context_of(self, self._number(state))

    def fork(self, coro: Coroutine[Any, Any, Any], state: str | None = None) -> Task[Any] | None:
        """Run a coroutine in the background; its error becomes the Exception state, and is logged if unhandled.

        Args:
            coro: The coroutine.
            state: If given, the task is cancelled when this activation of the state ends.

        Returns:
            The task; after dispose, None, and the coroutine is closed.

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
        return spawn_free(self, coro)

    # handlers and tracers

    def bind(self, handlers: object, *, id: str | None = None) -> str:  # noqa: A002  # as in the constructor
        """Bind an object with handler methods; several objects are called in binding order.

        The methods are looked up now: a later change of the class, as by `mock.patch.object`, affects only machines made and objects
        bound after it. Properties are not evaluated.

        An awaitable returned by a final handler, as by a decorated `async def`, is started like an async handler. An awaitable returned
        by a negotiation handler is a `HandlerError` in its transition.

        Args:
            handlers: The object. Its methods are found by name: `FooEnter`, `FooExit`, `FooBar`, `FooState`, `FooEnd`,
                `AnyEnter`, `AnyState`.
            id: Name of the binding; the class name with a number by default.

        Returns:
            The id, for `unbind`.

        Raises:
            HandlerNameError: A CamelCase method ends like a handler but does not name a state.
            HandlerError: A negotiation handler is a coroutine function; a handler is a generator function or a property; the id is taken.
        """
        name = id if id is not None else binding_id(handlers, len(self._bindings))
        if name in self._bindings:
            raise HandlerError(f"a binding {name!r} exists already")
        first = not self._bindings
        self._rebind((*self._handlers, handlers), (*self._bindings, name))
        self._log_binding()
        if first and self._err is not None and self.is_err():
            self._submit_again(self._err)
        return name

    def unbind(self, id: str) -> None:  # noqa: A002  # as in the constructor
        """Unbind an object by the id of its binding.

        Raises:
            HandlerError: There is no such binding.
        """
        if id not in self._bindings:
            raise HandlerError(f"no binding {id!r}")
        at = self._bindings.index(id)
        self._rebind(self._handlers[:at] + self._handlers[at + 1 :], self._bindings[:at] + self._bindings[at + 1 :])
        self._log(LogLevel.OPS, f"[handlers] detach {id}")

    def bind_tracer(self, tracer: object) -> None:
        """Bind an observer: a `Tracer`, or any object with some of its methods. Binding it twice has no effect."""
        observers = self._own_observers()
        is_new = observers.bind(tracer)
        self._set_observers(observers)
        if is_new and hasattr(tracer, "machine_bound"):
            observers.fire((tracer.machine_bound,), self)

    def unbind_tracer(self, tracer: object) -> None:
        """Unbind an observer, if it is bound."""
        if self._is_observed:
            self._observers.unbind(tracer)
            self._set_observers(self._observers)

    @property
    def log_level(self) -> LogLevel:
        """How much is written to the logger; can be changed at any time."""
        return LogLevel(self._observers.log_level)

    @log_level.setter
    def log_level(self, level: int) -> None:
        observers = self._own_observers()
        observers.log_level = int(level)
        self._set_observers(observers)

    @property
    def slow_handler_s(self) -> float | None:
        """Time in seconds after which a handler is reported as slow; None disables this. Can be changed at any time."""
        return self._observers.slow_handler_s

    @slow_handler_s.setter
    def slow_handler_s(self, limit_s: float | None) -> None:
        observers = self._own_observers()
        observers.slow_handler_s = limit_s
        self._set_observers(observers)

    def log(self, text: str) -> None:
        """Write a line of the user, at level EXTERNAL."""
        self._log(LogLevel.EXTERNAL, "[exter] " + text.replace("\n", " "))

    def set_schema(self, schema: type[Schema] | Mapping[str, State | Mapping[str, Any]]) -> None:
        """Extend the schema at run time: ticks and active states are kept, new states start inactive.

        Existing states keep their order; waits and contexts continue. Relations may change.

        Args:
            schema: A schema with all states of the current one and at least one more.

        Raises:
            SchemaError: Called inside a handler; a state is missing, or there is no new one; the schema contradicts itself.
            HandlerNameError: A bound object does not fit the new schema.
        """
        old = self.schema
        if self._flags & BUSY:
            raise SchemaError("the schema cannot change during a transition", schema=old.__name__)
        new = compile_schema(schema).schema
        missing = [name for name in old.names if name not in new.states]
        if missing or len(new.names) <= len(old.names):
            problem = f"lacks {', '.join(missing)}" if missing else f"must have more than {len(old.names)} states"
            raise SchemaError(problem, schema=new.__name__)
        order = [*old.names, *(name for name in new.names if name not in old.states)]
        if tuple(order) != new.names:
            new = compile_schema({name: new.states[name] for name in order}).schema
        self._migrate(compile_schema(cast("type[Schema]", new)))
        self._observers.fire(self._observers.schema_change, self, old)

    # end of life

    def dispose(self) -> None:
        """End the machine's life: remove `Start` if defined, release waits, cancel tasks, call `on_dispose` functions.

        Inside a handler it takes effect when the queue has been drained. Afterwards mutations are canceled and
        queries return neutral values. `await disposed()` waits for the tasks to end. Further calls have no effect.
        """
        self._observers.check_thread(self)
        flags = self._flags
        if not flags & ENDING and (START in self._configuration.names or (flags & BUSY and self.has(START))):
            self.remove(START)
        self._dispose()

    def recycle(self, *, id: str | None = None) -> bool:  # noqa: A002  # as in the constructor
        """End this life as `dispose` does and begin another one, for machines that are made again and again on a hot path.

        Then the machine is as the constructor has left it: all ticks 0, no state active, its handlers bound, with the id given. That takes
        an eighth of what making and disposing of a machine takes (10 states, CPython 3.11). It is done only where nobody can tell
        it from a new machine: not for one that is busy or disposed, has had waits, contexts, tasks, tracers, a log, errors or functions of `on_dispose`, or whose
        parent has tracers. Then it returns False, and what is left is to dispose of the machine, of which `Start` may be removed already.

        Whoever keeps the machine or an `Event` of it would meet the new life: recycle only what nobody else holds. The
        handler object stays, with the attributes it has, and so do handlers that its class has got since.

            flow = spare if spare.recycle(id=name) else Machine(Flow, id=name, handlers=handlers)

        Args:
            id: Name of the new life; numbered if not given.

        Returns:
            Whether it has begun.
        """
        parent = self.parent
        if self._flags or (parent is not None and parent._observers.tracers):
            return False
        if START in self._configuration.names:
            self.remove(START)
        if not self._start_over():
            return False
        self.id = f"m{next(_serial)}" if id is None else id
        return True

    def on_dispose(self, fn: Callable[[], Any]) -> None:
        """Call a function when the machine is disposed; immediately if it already is."""
        if self._flags & DISPOSED:
            fn()
        else:
            self._call_at_disposal(fn)

    # state as data

    def export(self) -> dict[str, Any]:
        """Return the machine's state as plain data, for `restore`."""
        return {
            "id": self.id,
            "states": list(self._plans.compiled.names),
            "time": list(self._ticks),
            "active": list(self.active_states()),
            "queue_tick": self._queue_tick,
        }

    @classmethod
    def restore(
        cls,
        schema: type[Schema] | Mapping[str, State | Mapping[str, Any]],
        data: Mapping[str, Any],
        **options: Any,
    ) -> Machine:
        """Create a machine with an exported state; no handler runs.

        Args:
            schema: The schema.
            data: The result of `export`; only `states` and `time` are required.
            options: Further arguments of the constructor.

        Raises:
            UnknownStateError: A state in the data is not in the schema.
            ValueError: The data are inconsistent.
        """
        if "id" in data:
            options.setdefault("id", data["id"])
        machine = cls(schema, **options)
        machine._take_on(data)
        return machine

    def _take_on(self, data: Mapping[str, Any]) -> None:
        """Adopt an exported state."""
        ticks = {self._number(n): int(t) for n, t in zip(data["states"], data["time"], strict=True)}
        odd = [name for name in self.state_names if ticks.get(self._number(name), 0) & 1]
        active = list(data.get("active", odd))
        if sorted(active) != sorted(odd):
            raise ValueError(f"active states {active} contradict the ticks, by which {odd} are active")
        self._restore(ticks, self._numbers(active), int(data.get("queue_tick", 1)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the reduced form for `copy` and `pickle`.

        It holds the schema, ticks, active states, options and bound handlers, and the attributes of a subclass, in `__dict__` and
        `__slots__`; the subclass's `__init__` is not called. Everything tied to the running program is left out: waits, contexts,
        tasks, tracers, pipes, the parent, `on_dispose` functions, the last error. Attributes and handlers are restored last, since they
        may refer to the machine.

        Raises:
            MachineDisposedError: The machine is disposed.
            AsyncMachineError: A transition is running, or mutations are queued.
            SchemaError: The schema cannot be imported by its name, and has its own attributes that are not states.
        """
        if self._flags & DISPOSED:
            raise MachineDisposedError(self.id)
        if self._flags & (BUSY | INTERRUPTED):
            raise AsyncMachineError(f"machine {self.id!r} is busy: it can be copied only between mutations")
        options = {
            "log_level": int(self.log_level),
            "queue_limit": self.queue_limit,
            "slow_handler_s": self.slow_handler_s,
            "tags": self.tags,
        }
        bound = zip(self._bindings, self._handlers, strict=True)
        bindings: Bindings = tuple([
            (name, None if handlers is self else handlers)
            for name, handlers in bound
            if not getattr(handlers, STAYS_BEHIND, False)
        ])  # fmt: skip
        schema = _portable(cast("type[Schema]", self.schema))
        return (_restore_copy, (type(self), schema, self.export(), options), (bindings, _own_attributes(self)))

    def __setstate__(self, state: tuple[Bindings, dict[str, Any]]) -> None:
        bindings, attributes = state
        for name, value in attributes.items():
            object.__setattr__(self, name, value)
        for name, handlers in bindings:
            self.bind(self if handlers is None else handlers, id=name)

    # helpers

    def _add_err(
        self, exc: BaseException, states: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> Result:
        if not isinstance(exc, BaseException):
            raise TypeError(f"an error must be an exception, got {exc!r}")
        if is_cancellation(exc):
            self._numbers(states)
            return cancel(self.id, (ADD, (EXCEPTION, *states), args, source, 0, 0, None, None), BY_CANCELLATION, exc)
        return self._submit_error(exc, states, args, source)

    def _check(self, kind: int, states: tuple[str, ...], args: dict[str, Any]) -> Result:
        self._numbers(states)
        if self._flags & ENDING:
            return cancel(self.id, (kind, states, args, None, 0, IS_CHECK, None, None), BY_DISPOSAL)
        if self._flags & OBSERVED:
            self._observers.check_thread(self)
        if self._flags & BUSY:
            future = EvalFuture(self._try, (kind, states, args), "check")
            self._push(future)
            return QueuedCheck(future)
        result: Result = self._run(self._try, (kind, states, args))
        return result

    def _is_queued(self, kind: int, states: tuple[str, ...]) -> bool:
        self._numbers(states)
        wanted = set(states)
        return any(
            queued[KIND] == kind and not queued[FLAGS] & IS_TOGGLE and wanted <= set(queued[CALLED])
            for queued in self._queue or ()
        )

    def _own_observers(self) -> Observers:
        return self._observers if self._is_observed else _observers((), LogLevel.NOTHING, None)

    def _log_binding(self) -> None:
        self._log(LogLevel.OPS, f"[handlers] bind {len(self._bindings) - 1}:{self._bindings[-1]}")


def _observers(tracers: tuple[object, ...], log_level: int, slow_handler_s: float | None) -> Observers:
    return Observers(tracers, log_level, slow_handler_s, computing_takes_time)


def _restore_copy(
    kind: type[Machine], schema: type[Schema] | Portable, data: Mapping[str, Any], options: Mapping[str, Any]
) -> Machine:
    """Create a machine from the result of `Machine.__reduce__`, without its handlers and the attributes of a subclass."""
    machine = object.__new__(kind)
    Machine.__init__(
        machine, Schema.of(schema[1], name=schema[0]) if isinstance(schema, tuple) else schema, id=data["id"], **options
    )
    machine._take_on(data)
    return machine


def _own_attributes(machine: Machine) -> dict[str, Any]:
    """Return the attributes added by subclasses, and `log_args` if it was replaced."""
    found = dict(getattr(machine, "__dict__", {}))
    for kind in type(machine).__mro__:
        if kind not in Machine.__mro__:
            for name, member in vars(kind).items():
                if isinstance(member, MemberDescriptorType) and hasattr(machine, name):
                    found[name] = getattr(machine, name)
    if machine.log_args is not _DEFAULT_ARGS:
        found["log_args"] = machine.log_args
    return found


def _portable(schema: type[Schema]) -> type[Schema] | Portable:
    """Return the class if it can be imported by its name, else plain data.

    Raises:
        SchemaError: It cannot be imported, and has its own attributes that are not states.
    """
    found: Any = sys.modules.get(schema.__module__)
    for part in schema.__qualname__.split("."):
        found = getattr(found, part, None)
    is_found = found is schema
    if is_found:
        return schema
    own = {name for kind in schema.__mro__ if kind not in Schema.__mro__ for name in vars(kind)}
    lost = sorted(name for name in own - {*schema.names, *vars(Schema), "_compiled"} if not name.startswith("__"))
    if lost:
        raise SchemaError(
            f"cannot be imported by its name, so a copy would lose {', '.join(lost)}", schema=schema.__name__
        )
    return (schema.__name__, schema.to_dict())
