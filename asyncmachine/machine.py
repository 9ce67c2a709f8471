"""How do mutations reach the states, one at a time and in order?

The public facade and the queue: who runs at once, who waits, and what follows when the queue is empty. Transitions
themselves are in `transition` and `observed`, waits in `waits`, questions in `questions`.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from asyncmachine.automaton import AUTO, SET, compiled
from asyncmachine.errors import AsyncMachineError, HandlerError, MachineDisposedError, NestedEvalError
from asyncmachine.logs import LogLevel, args_mapper, args_suffix, line
from asyncmachine.mutation import CANCELED, EXECUTED, IS_AUTO, IS_CHECK, Mutation, Result
from asyncmachine.observed import perform_fully
from asyncmachine.relations import ADD, KINDS, REMOVE
from asyncmachine.schema import EXCEPTION
from asyncmachine.subscriptions import WHEN_ENDS
from asyncmachine.tracing import Hooks, Tracer
from asyncmachine.transition import BUSY, CLOSING, DISPOSED, LEFTOVERS, OBSERVED, WAITED, perform
from asyncmachine.waiting import Outcome, QueuedCheck, is_cancellation
from asyncmachine.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncmachine.automaton import Plan
    from asyncmachine.mutation import Entry, Event, Origin
    from asyncmachine.schema import Schema, State

_logger = logging.getLogger("asyncmachine")
_serial = itertools.count(1)  # numbers machines without an id, so that equal programs name them equally
_DEFAULT_ARGS = args_mapper()
_NO_HOOKS = Hooks()
START = "Start"


class Machine(Waits):
    """A set of states with clocks, relations and handlers, changed by mutations only.

    Args:
        schema: A `Schema` class, or a mapping of states as `Schema.of` takes it.
        id: Name for logs and traces; numbered if not given.
        handlers: An object with handler methods, bound first.
        parent: The machine this one belongs to; its tracers are told.
        tracers: Observers, told of the construction too.
        log_level: How much is written to the logger "asyncmachine".
        queue_limit: Mutations that may wait; further ones are canceled. Errors always pass.
        slow_handler_s: Handlers that run longer are reported. They are never interrupted and nothing is taken back:
            a synchronous Python function cannot be preempted (asyncmachine-go 0.19 times out instead).
        tags: Free text.

    A mutation of an idle machine runs at once, drains whatever it queued, and returns its result; inside a handler it
    queues. Not thread-safe.

    Raises:
        SchemaError: A mapping contradicts itself.
        HandlerError: The handlers cannot be bound.
    """

    __slots__ = ()

    def __init__(
        self,
        schema: type[Schema] | Mapping[str, State | Mapping[str, Any]],
        *,
        id: str | None = None,  # noqa: A002  # the reference's word, and what logs and traces call it
        handlers: object | None = None,
        parent: Machine | None = None,
        tracers: Iterable[Tracer] = (),
        log_level: int = LogLevel.NOTHING,
        queue_limit: int = 1000,
        slow_handler_s: float = 0.1,
        tags: Iterable[str] = (),
    ) -> None:
        automaton = compiled(schema).bare
        self.id = f"m{next(_serial)}" if id is None else id
        self.parent = parent
        self.tags = tuple(tags)
        self.queue_limit = queue_limit
        self.slow_handler_s = slow_handler_s
        self.log_args = _DEFAULT_ARGS
        self._automaton = automaton
        self._node = automaton.empty
        self._ticks = [0] * len(automaton.compiled.names)
        self._gate = 0
        self._queue_tick = 1
        self._prepended = 0
        self._bound = ()
        self._slots = ()
        self._entry = self._committed = self._plan = self._tx = self._next = None
        self._queue = self._front = None
        self._subs = None
        self._tasks = None
        self._err = None
        self._on_dispose = self._closed_waits = _EMPTY
        self._hooks = _NO_HOOKS
        self._log_level = int(log_level)
        if tracers or log_level:
            self._hooks = Hooks(tuple(tracers))
            self._set_observed()
        if handlers is not None:
            self.bind(handlers)
        if parent is not None:
            parent._hooks.fire(parent._hooks.submachine_new, parent, self)
        if self._hooks.machine_init:
            self._hooks.fire(self._hooks.machine_init, self)

    # mutations

    def add(self, *states: str, **args: Any) -> Result:
        """Activate states, together with what they imply.

        Args:
            states: Names; all of them are activated, or none.
            args: Handed to all handlers of the transition.

        Returns:
            `EXECUTED` or `CANCELED` if the machine was idle, else a queued result.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        if not self._gate:
            plan = self._node.adds.get(states)
            if plan is not None:
                quick = plan.quick
                if quick is not None:
                    ticks = self._ticks
                    for state in quick:
                        ticks[state] += 1
                    self._node = plan.quick_target
                    self._queue_tick += 1
                    return EXECUTED
                return self._idle(plan, ADD, states, args, None)
        return self._submit(ADD, states, args, None)

    def remove(self, *states: str, **args: Any) -> Result:
        """Deactivate states, and those that require them. See `add` for arguments and results."""
        if not self._gate:
            plan = self._node.removes.get(states)
            if plan is not None:
                quick = plan.quick
                if quick is not None:
                    ticks = self._ticks
                    for state in quick:
                        ticks[state] += 1
                    self._node = plan.quick_target
                    self._queue_tick += 1
                    return EXECUTED
                return self._idle(plan, REMOVE, states, args, None)
        return self._submit(REMOVE, states, args, None)

    def set(self, *states: str, **args: Any) -> Result:
        """Make exactly these states active, with what they imply. See `add` for arguments and results."""
        if not self._gate:
            plan = self._node.sets.get(states)
            if plan is not None:
                quick = plan.quick
                if quick is not None:
                    ticks = self._ticks
                    for state in quick:
                        ticks[state] += 1
                    self._node = plan.quick_target
                    self._queue_tick += 1
                    return EXECUTED
                return self._idle(plan, SET, states, args, None)
        return self._submit(SET, states, args, None)

    def toggle(self, *states: str, **args: Any) -> Result:
        """Remove the states if all of them are active now, else add them. See `add` for arguments and results."""
        self._numbers(states)
        active = self._node.names
        if all(state in active for state in states):
            return self.remove(*states, **args)
        return self.add(*states, **args)

    def add_err(self, exc: BaseException, *states: str, **args: Any) -> Result:
        """Add `Exception`, and the error states given, with the error as `args["error"]`.

        `asyncio.CancelledError` is never an error of the machine: the result is canceled. A full queue does not
        refuse errors (asyncmachine-go 0.19 does).

        Raises:
            TypeError: `exc` is not an exception (asyncmachine-go 0.19 ignores nil errors).
            UnknownStateError: A name is not in the schema.
        """
        return self._add_err(exc, states, args, None)

    def can_add(self, *states: str, **args: Any) -> Result:
        """Try an add: relations and negotiation handlers, nothing is changed.

        Returns:
            `EXECUTED` or `CANCELED`; inside a handler a queued result that can be awaited for the outcome.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return self._check(ADD, states, args)

    def can_remove(self, *states: str, **args: Any) -> Result:
        """Try a remove. See `can_add`."""
        return self._check(REMOVE, states, args)

    def prepare(self, kind: str, *states: str) -> Callable[[dict[str, Any] | None], Result]:
        """Return a function that makes the same mutation again and again, for hot paths.

        Args:
            kind: "add", "remove" or "set".
            states: The states to call.

        Returns:
            A function of the arguments (a dict, handed to the handlers as it is) that returns the result.

        Raises:
            ValueError: The kind is none of these.
            UnknownStateError: A name is not in the schema.
        """
        if kind not in KINDS:
            raise ValueError(f"kind has to be one of 'add', 'remove', 'set', not {kind!r}")
        number = KINDS.index(kind)
        self._numbers(states)

        def mutate(args: dict[str, Any] | None = None) -> Result:
            if args is None:
                args = {}
            if not self._gate:
                plan = self._node.tables[number].get(states)
                if plan is not None and plan.quick is None:
                    return self._idle(plan, number, states, args, None)
            return self._submit(number, states, args, None)

        return mutate

    # eval

    def eval(self, fn: Callable[..., Any], *args: Any, label: str = "") -> Any:
        """Run `fn(*args)` between transitions and return its value; mutations it makes follow it.

        Args:
            fn: A plain function. What it raises reaches the caller.
            args: Its arguments.
            label: Name for logs and errors.

        Raises:
            NestedEvalError: Called inside a handler or eval of the same machine; use `eval_soon` there.
            MachineDisposedError: The machine is disposed.
        """
        gate = self._gate
        if gate & (BUSY | DISPOSED | CLOSING):
            if gate & BUSY:
                raise NestedEvalError(self.id, label)
            raise MachineDisposedError(self.id)
        if gate & LEFTOVERS:
            self._run_queue(None)
        if self._log_level:
            self._log(LogLevel.OPS, f"[eval] {label}")
        self._gate |= BUSY
        try:
            value = fn(*args)
        except BaseException:
            self._finish()
            raise
        if self._queue or self._front or self._gate != BUSY:
            self._finish()
        else:
            self._gate = 0
        return value

    def eval_soon(self, fn: Callable[..., Any], *args: Any, label: str = "") -> Outcome:
        """Run `fn(*args)` as soon as no transition is running, before everything queued.

        Returns:
            An awaitable of the value, already known if the machine is idle. What `fn` raises reaches whoever awaits
            it. If the awaiting task is cancelled first, `fn` is not run.
        """
        outcome = Outcome(fn, args, label)
        gate = self._gate
        if gate & DISPOSED:
            outcome.fail(MachineDisposedError(self.id))
        elif gate & BUSY:
            self._push(outcome)
        else:
            self._gate |= BUSY
            try:
                outcome.run()
            finally:
                self._finish()
        return outcome

    # handlers and tracers

    def bind(self, handlers: object, *, id: str | None = None) -> str:  # noqa: A002  # as in the constructor
        """Bind an object with handler methods; several are called in binding order.

        Args:
            handlers: The object. Its methods are found by name: `FooEnter`, `FooExit`, `FooBar`, `FooState`, `FooEnd`,
                `AnyEnter`, `AnyState`.
            id: Name of the binding, the class name with a number if not given.

        Returns:
            The id, for `unbind`.

        Raises:
            HandlerNameError: A CamelCase method ends like a handler and names no state.
            HandlerError: A negotiation handler is a coroutine function, or the id is taken.
        """
        name = id if id is not None else f"{type(handlers).__name__}-{len(self._bound)}"
        if name in self._bound:
            raise HandlerError(f"a binding {name!r} exists already")
        first = not self._bound
        self._rebind((*self._slots, handlers), (*self._bound, name))
        if self._log_level:
            self._log(LogLevel.OPS, f"[handlers] bind {len(self._bound) - 1}:{name}")
        if first and self._err is not None and self.is_err():
            self._add_err(self._err, (), {}, None)
        return name

    def unbind(self, id: str) -> None:  # noqa: A002  # as in the constructor
        """Unbind an object by the id of its binding.

        Raises:
            HandlerError: There is no such binding.
        """
        if id not in self._bound:
            raise HandlerError(f"no binding {id!r}")
        at = self._bound.index(id)
        self._rebind(self._slots[:at] + self._slots[at + 1 :], self._bound[:at] + self._bound[at + 1 :])
        if self._log_level:
            self._log(LogLevel.OPS, f"[handlers] detach {id}")

    def bind_tracer(self, tracer: Tracer) -> None:
        """Bind an observer; see `Tracer`. Binding it twice changes nothing."""
        if self._hooks is _NO_HOOKS:
            self._hooks = Hooks()
        self._hooks.bind(tracer)
        self._set_observed()

    def unbind_tracer(self, tracer: Tracer) -> None:
        """Unbind an observer; nothing happens if it is not bound."""
        if self._hooks is not _NO_HOOKS:
            self._hooks.unbind(tracer)
            self._set_observed()

    @property
    def log_level(self) -> LogLevel:
        """How much is written to the logger; can be changed at any time."""
        return LogLevel(self._log_level)

    @log_level.setter
    def log_level(self, level: int) -> None:
        self._log_level = int(level)
        if self._hooks is _NO_HOOKS:
            self._hooks = Hooks()
        self._set_observed()

    def log(self, text: str) -> None:
        """Write a line of the user's own, at level EXTERNAL."""
        self._log(LogLevel.EXTERNAL, "[exter] " + text.replace("\n", " "))

    # end of life

    def dispose(self) -> None:
        """End the machine's life: remove `Start` if defined, release waits, cancel tasks, call `on_dispose` functions.

        Inside a handler it takes effect when the queue has been drained. Afterwards mutations are canceled and
        questions neutral. `await disposed()` waits for the tasks to end. Calling it again does nothing.
        """
        if self._gate & (DISPOSED | CLOSING):
            return
        if START in self._node.names:
            self.remove(START)
        if self._gate & (DISPOSED | CLOSING):
            return
        if self._gate & BUSY:
            self._gate |= CLOSING
        else:
            if self._gate & LEFTOVERS:
                self._run_queue(None)
            self._close()

    def on_dispose(self, fn: Callable[[], Any]) -> None:
        """Call a function when the machine is disposed; at once if it is already."""
        if self._gate & DISPOSED:
            fn()
        else:
            self._on_dispose = [*self._on_dispose, fn]

    # state as data

    def export(self) -> dict[str, Any]:
        """Return the machine's state as plain data, for `restore`."""
        return {
            "id": self.id,
            "states": list(self._automaton.compiled.names),
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
        """Make a machine in an exported state; no handler runs.

        Args:
            schema: The schema.
            data: What `export` returned; only `states` and `time` are needed.
            options: Further arguments of the constructor.

        Raises:
            UnknownStateError: A state in the data is not in the schema.
            ValueError: The data contradict themselves.
        """
        if "id" in data:
            options.setdefault("id", data["id"])
        machine = cls(schema, **options)
        times = dict(zip(data["states"], data["time"], strict=True))
        ticks = machine._ticks
        for name, tick in times.items():
            ticks[machine._number(name)] = int(tick)
        odd = [name for name in machine.state_names if ticks[machine._number(name)] & 1]
        active = list(data.get("active", odd))
        if sorted(active) != sorted(odd):
            raise ValueError(f"active states {active} do not agree with the ticks, which say {odd}")
        machine._node = machine._automaton.node(machine._numbers(active))
        machine._queue_tick = int(data.get("queue_tick", 1))
        return machine

    # the queue

    def _submit(self, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> Result:
        """Run a mutation if the machine is idle, else queue it."""
        gate = self._gate
        if gate & (DISPOSED | CLOSING):
            self._numbers(states)
            return CANCELED
        if gate & BUSY:
            return self._enqueue(kind, states, args, source)
        if gate & LEFTOVERS:
            result = self._enqueue(kind, states, args, source)
            if result.queued:
                assert self._queue is not None
                return self._run_queue(self._queue[-1])
            return result
        plan = self._plan_for(kind, states)
        if gate & OBSERVED:
            return self._idle_observed(plan, kind, states, args, source)
        if plan.quick is not None:
            if not gate:
                for state in plan.quick:
                    self._ticks[state] += 1
                self._node = plan.quick_target
                self._queue_tick += 1
                return EXECUTED
            if self._quick_waited(plan):
                return EXECUTED
        return self._idle(plan, kind, states, args, source)

    def _quick_waited(self, plan: Plan) -> bool:
        """Carry out a plan that is only arithmetic while somebody waits; False if more has to be done."""
        subs = self._subs
        assert subs is not None
        if subs.queries or subs.args_mask & plan.enter_mask or plan.target is not plan.quick_target:
            return False
        ticks = self._ticks
        touched = plan.ticks
        for state in touched:
            ticks[state] += 1
        self._node = plan.target
        self._queue_tick += 1
        contexts, spans, by_state = subs.contexts, subs.spans, subs.by_state
        for state in touched:
            if state in contexts or state in spans:
                subs.expire(touched)
            if state in by_state:
                self._match(touched)
        if subs.queue:
            self._match_queue()
        if not by_state and subs.is_empty:
            self._gate &= ~WAITED
        return True

    def _plan_for(self, kind: int, states: tuple[str, ...]) -> Plan:
        node = self._node
        plan = node.tables[kind].get(states)
        if plan is None:
            try:
                plan = self._automaton.plan(node, kind, states)
            except (KeyError, TypeError):
                self._numbers(states)
                raise
        return plan

    def _idle(
        self, plan: Plan, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> Result:
        """Run one mutation of an idle, unobserved machine, and what it queues."""
        started = perf_counter()
        self._gate |= BUSY
        tick = self._queue_tick = self._queue_tick + 1
        try:
            result = perform(self, plan, (kind, states, args, source, tick, 0, None))
            if self._tx is not None:
                self._end_tx()
            if self._gate & WAITED and self._subs is not None and self._subs.queue:
                self._match_queue()
            if self._next is not None or self._queue or self._front:
                self._drain(None)
        except BaseException:
            self._end_tx()
            self._abandon()
            raise
        self._entry = None
        if self._gate == BUSY:
            self._gate = 0
        else:
            self._rest()
        if plan.quick is None and perf_counter() - started > self.slow_handler_s:
            self._report_slow_drain(kind, states, perf_counter() - started)
        return result

    def _idle_observed(
        self, plan: Plan, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> Result:
        """Do the same as `_idle` on an observed machine."""
        self._gate |= BUSY
        tick = self._queue_tick = self._queue_tick + 1
        try:
            entry = self._announce(kind, states, args, source, tick, 0)
            result = perform_fully(self, plan, entry)
            self._tx = None
            if self._gate & WAITED and self._subs is not None and self._subs.queue:
                self._match_queue()
            if self._next is not None or self._queue or self._front:
                self._drain(None)
        except BaseException:
            self._end_tx()
            self._abandon()
            raise
        self._rest()
        return result

    def _enqueue(self, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> Result:
        """Append a mutation to the queue, unless it is refused or already there."""
        queue = self._queue
        if queue is None:
            queue = self._queue = deque()
        index = self._automaton.compiled.index
        for state in states:
            if state not in index:
                self._number(state)
        if queue:
            if len(queue) >= self.queue_limit and not self._passes_limit(kind, states):
                return CANCELED
            if not args and self._is_duplicate(kind, states):
                if self._log_level:
                    self._log(
                        LogLevel.OPS, f"[queue:skipped] Duplicate detected for [{KINDS[kind]}] {' '.join(states)}"
                    )
                return EXECUTED
        elif kind == REMOVE and self._entry is not None and not self._front:
            active = self._node.names
            for state in states:
                if state in active:
                    break
            else:
                return EXECUTED
        elif self.queue_limit <= 0 and not self._passes_limit(kind, states):
            return CANCELED
        tick = self._queue_tick + len(queue) + 1
        if self._gate & OBSERVED:
            queue.append(self._announce(kind, states, args, source, tick, 0))
        else:
            queue.append((kind, states, args, source, tick, 0, None))
        return Result(tick)

    def _passes_limit(self, kind: int, states: tuple[str, ...]) -> bool:
        """Errors pass a full queue: adding Exception while inactive, removing it while active."""
        return EXCEPTION in states and kind != SET and self.is_err() is (kind == REMOVE)

    def _is_duplicate(self, kind: int, states: tuple[str, ...]) -> bool:
        """Tell whether the queue holds the same mutation, with nothing behind it that touches its states.

        asyncmachine-go 0.19 drops a duplicate wherever the first one is, even behind a counter-mutation.
        """
        schema_states = self._automaton.compiled.schema.states
        if any(schema_states[state].multi for state in states):
            return False
        called = set(states)
        assert self._queue is not None
        for entry in reversed(self._queue):
            if entry[0] == kind and not entry[2] and set(entry[1]) == called:
                return True
            if kind == SET or entry[0] == SET or not called.isdisjoint(entry[1]):
                return False
        return False

    def _add_err(
        self, exc: BaseException, states: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> Result:
        if not isinstance(exc, BaseException):
            raise TypeError(f"an error has to be an exception, not {exc!r}")
        self._numbers(states)
        if is_cancellation(exc) or self._gate & (DISPOSED | CLOSING):
            return CANCELED
        self._err = exc
        args["error"] = exc
        called = tuple(dict.fromkeys((EXCEPTION, *states)))
        if self._log_level:
            self._log(LogLevel.CHANGES, f"[error:add] {' '.join(called)} ({exc})")
        if self._gate & BUSY and self._queue and len(self._queue) >= self.queue_limit:
            tick = self._queue_tick + len(self._queue) + 1
            self._queue.append(self._announce(ADD, called, args, source, tick, 0))
            return Result(tick)
        return self._submit(ADD, called, args, source)

    def _check(self, kind: int, states: tuple[str, ...], args: dict[str, Any]) -> Result:
        self._numbers(states)
        gate = self._gate
        if gate & (DISPOSED | CLOSING):
            return CANCELED
        outcome = Outcome(self._run_check, (kind, states, args), "check")
        if gate & BUSY:
            self._push(outcome)
            return QueuedCheck(outcome)
        self._gate |= BUSY
        try:
            outcome.run()
        finally:
            self._finish()
        result = outcome.result()
        assert isinstance(result, Result)
        return result

    def _run_check(self, kind: int, states: tuple[str, ...], args: dict[str, Any]) -> Result:
        entry = self._announce(kind, states, args, None, self._prepend_tick(), IS_CHECK)
        return self._perform(entry)

    def _prepend(
        self, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None, flags: int
    ) -> None:
        """Make a mutation of the machine's own the next one."""
        self._next = self._announce(kind, states, args, source, self._prepend_tick(), flags)

    def _prepend_tick(self) -> int:
        self._prepended += 1
        return -self._prepended

    def _announce(
        self, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None, tick: int, flags: int
    ) -> Entry:
        """Make an entry, telling observers that it was queued."""
        mutation = None
        if self._gate & OBSERVED:
            hooks = self._hooks
            if self._log_level >= LogLevel.OPS:
                verb = "prepend" if tick < 0 else "queue"
                called = " ".join(dict.fromkeys(states))
                self._log(LogLevel.OPS, f"[{verb}:{KINDS[kind]}] {called}{self._args_text(args)}")
            if hooks.mutation_queued:
                mutation = Mutation((kind, states, args, source, tick, flags, None))
                hooks.fire(hooks.mutation_queued, self, mutation)
        return (kind, states, args, source, tick, flags, mutation)

    def _push(self, outcome: Outcome) -> None:
        if self._front is None:
            self._front = deque()
        self._front.append(outcome)

    def _run_queue(self, mine: Entry | None) -> Result:
        """Drain the queue of an idle machine and return the result of one of its mutations."""
        self._gate = (self._gate | BUSY) & ~LEFTOVERS
        try:
            result = self._drain(mine)
        except BaseException:
            self._end_tx()
            self._abandon()
            raise
        self._rest()
        return result

    def _drain(self, mine: Entry | None) -> Result:
        """Process everything that waits: first the machine's own mutation, then evals and checks, then the queue."""
        result = EXECUTED
        while True:
            entry = self._next
            if entry is not None:
                self._next = None
            elif self._front:
                self._entry = None
                self._front.popleft().run()
                continue
            elif self._queue:
                entry = self._queue.popleft()
                self._queue_tick += 1
            else:
                return result
            gate = self._gate
            plan = None
            if not gate & OBSERVED and not entry[5]:
                plan = self._node.tables[entry[0]].get(entry[1])
            if plan is None:
                outcome = self._perform(entry)
            elif gate == BUSY and plan.quick is not None:
                ticks = self._ticks
                for state in plan.quick:
                    ticks[state] += 1
                self._node = plan.quick_target
                outcome = EXECUTED
            else:
                outcome = perform(self, plan, entry)
                if self._tx is not None:
                    self._end_tx()
            if entry is mine:
                result = outcome
            if self._gate & WAITED and self._subs is not None and self._subs.queue:
                self._match_queue()

    def _perform(self, entry: Entry) -> Result:
        kind, states, _, _, _, flags, _ = entry
        if kind == AUTO:
            index = self._automaton.compiled.index
            plan = self._automaton.auto_plan(self._node, tuple([index[state] for state in states]))
        else:
            plan = self._plan_for(kind, states)
        if flags & (IS_AUTO | IS_CHECK) or self._gate & OBSERVED:
            result = perform_fully(self, plan, entry)
        else:
            result = perform(self, plan, entry)
        if self._tx is not None:
            self._end_tx()
        return result

    def _end_tx(self) -> None:
        if self._tx is not None:
            self._tx._complete()
            self._tx = None

    def _finish(self) -> None:
        """Drain what an eval or a check has left, and come to rest."""
        try:
            if self._queue or self._front or self._next is not None:
                self._drain(None)
        except BaseException:
            self._end_tx()
            self._abandon()
            raise
        self._gate &= ~LEFTOVERS
        self._rest()

    def _abandon(self) -> None:
        """Leave the queue as it is, after an interruption; the next mutation goes on with it."""
        self._entry = None
        self._gate &= ~BUSY
        if self._queue or self._front or self._next is not None:
            self._gate |= LEFTOVERS

    def _rest(self) -> None:
        """The queue is empty: release the machine and tell who waits for that."""
        self._entry = None
        self._gate &= ~BUSY
        if self._gate & OBSERVED:
            if self._hooks.queue_end:
                self._hooks.fire(self._hooks.queue_end, self)
            if not self._hooks.tracers:  # the last one may have been detached for its errors
                self._set_observed()
        if self._gate & WAITED and self._subs is not None and self._subs.ends:
            self._match_ends()
        if self._gate & CLOSING and not self._gate & BUSY:
            self._close()

    def _close(self) -> None:
        """Dispose of an idle machine."""
        self._gate = (self._gate | DISPOSED) & ~CLOSING
        hooks = self._hooks
        hooks.fire(hooks.machine_dispose, self)
        subs = self._subs
        self._node = self._automaton.compiled.bare.empty
        if subs is not None:
            subs.expire({*subs.contexts, *subs.spans})
            for subscription in subs.take_all():
                if subscription.kind == WHEN_ENDS:
                    subscription.waiter.resolve(None)
                else:
                    subscription.waiter.fail(MachineDisposedError(self.id))
        closed_waits, self._closed_waits = self._closed_waits, _EMPTY
        for task in tuple(self._tasks or ()):
            task.cancel()
        self._automaton = self._automaton.compiled.bare
        self._slots = self._bound = ()
        functions, self._on_dispose = self._on_dispose, []
        for function in functions:
            try:
                function()
            except Exception:
                _logger.exception("[dispose] %s: on_dispose function failed", self.id)
        self._closed_waits = [*closed_waits, *self._closed_waits]
        self._release_closed()

    # observation

    def _set_observed(self) -> None:
        if self._hooks.tracers or self._log_level:
            self._gate |= OBSERVED
        else:
            self._gate &= ~OBSERVED

    def _announced(self, name: str, function: Callable[[Any, Event], Any], slot: int, event: Event) -> Any:
        """Call a handler, telling observers, and report it if it is slow."""
        hooks, tx, binding = self._hooks, self._tx, self._bound[slot]
        if self._log_level >= LogLevel.OPS:
            self._log(LogLevel.OPS, f"[handler:{slot}] {name}")
        if hooks.handler_start:
            hooks.fire(hooks.handler_start, tx, binding, name)
        started = perf_counter()
        try:
            return function(self._slots[slot], event)
        finally:
            seconds = perf_counter() - started
            if hooks.handler_end:
                hooks.fire(hooks.handler_end, tx, binding, name)
            if seconds > self.slow_handler_s:
                _logger.warning("[handler:slow] %s: %s took %.3f s", self.id, name, seconds)
                hooks.fire(hooks.handler_slow, tx, name, seconds)

    def _report_slow_drain(self, kind: int, states: tuple[str, ...], seconds: float) -> None:
        what = f"[{KINDS[kind]}] {' '.join(states)}"
        _logger.warning("[handler:slow] %s: handlers of %s and what followed took %.3f s", self.id, what, seconds)

    def _note_recovery(self, plan: Plan) -> None:
        if self._log_level >= LogLevel.OPS:
            self._log(LogLevel.OPS, "[recover] handling panic...")
            names = self._automaton.compiled.names
            targets = " ".join([names[state] for state in plan.target.active])
            self._log(LogLevel.OPS, f"[cancel] ({targets}) by recover")

    def _args_text(self, args: Mapping[str, Any]) -> str:
        return args_suffix(self.log_args(args)) if args else ""

    def _log(self, level: int, text: str) -> None:
        if level <= self._log_level:
            written = line(self.id, text)
            _logger.log(logging.INFO if level <= LogLevel.CHANGES else logging.DEBUG, "%s", written)
            self._hooks.fire(self._hooks.log, self, level, written)

    def _rebind(self, slots: tuple[object, ...], bound: tuple[str, ...]) -> None:
        if self._gate & BUSY:
            raise AsyncMachineError("handlers cannot be bound or unbound inside a handler")
        automaton = self._automaton.compiled.automaton(slots)
        self._slots, self._bound = slots, bound
        self._node = automaton.node(self._node.active)
        self._automaton = automaton


_EMPTY: list[Any] = []  # never changed: registering replaces the list
