"""What can be done with a machine?

The public facade: making, mutating, evaluating, binding, ending. The queue is in `queueing`, waits are in `waits`,
questions in `questions`. It knows nothing of event loops.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any, cast

from asyncmachine.automaton import compiled
from asyncmachine.copying import bind_again, reduced
from asyncmachine.ending import close
from asyncmachine.errors import AsyncMachineError, HandlerError, MachineDisposedError, NestedEvalError, SchemaError
from asyncmachine.handlers import binding_id
from asyncmachine.logs import LogLevel, args_mapper
from asyncmachine.mutation import EXECUTED, Result
from asyncmachine.observation import NO_HOOKS
from asyncmachine.queueing import HELD, SHORT, Queueing, new
from asyncmachine.relations import ADD, KINDS, REMOVE, SET
from asyncmachine.tracing import Hooks, Tracer
from asyncmachine.transition import BUSY, BUSY_AND_WAITED, CLOSING, DISPOSED, LEFTOVERS, RECORDED, WAITED
from asyncmachine.waiting import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncmachine.copying import Bindings
    from asyncmachine.schema import Schema, State

_logger = logging.getLogger("asyncmachine")
_serial = itertools.count(1)  # numbers machines without an id, so that equal programs name them equally
_DEFAULT_ARGS = args_mapper()
_EMPTY: list[Any] = []  # never changed: registering replaces the list
START = "Start"


class Machine(Queueing):
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
            a synchronous Python function cannot be preempted (asyncmachine-go 0.19 times out instead). None is slow on
            an event loop with an infinite `slow_callback_duration`, as one on simulated time has.
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
        self._slots = () if handlers is None else (handlers,)
        automaton = compiled(schema).automaton(self._slots)
        self._bound = automaton.ids
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
        self._entry = self._committed = self._plan = self._tx = self._next = self._front = None
        self._subs = self._tasks = self._err = None
        self._queue = []
        self._on_dispose = self._closed_waits = _EMPTY
        self._hooks = NO_HOOKS
        self._log_level = int(log_level)
        if tracers or log_level:
            self._hooks = Hooks(tuple(tracers))
            self._set_observed()
            if handlers is not None and log_level:
                self._log_binding()
        if parent is not None and parent._hooks.submachine_new:
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
        elif self._gate == RECORDED:
            plan = self._node.adds.get(states)
            if plan is not None and plan.quick is not None and plan.target is plan.quick_target:
                return self._quick_recorded(plan, ADD, states, args, None)
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
        elif self._gate == RECORDED:
            plan = self._node.removes.get(states)
            if plan is not None and plan.quick is not None and plan.target is plan.quick_target:
                return self._quick_recorded(plan, REMOVE, states, args, None)
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
        elif self._gate == RECORDED:
            plan = self._node.sets.get(states)
            if plan is not None and plan.quick is not None and plan.target is plan.quick_target:
                return self._quick_recorded(plan, SET, states, args, None)
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
            gate = self._gate
            if not gate or gate == WAITED:
                plan = self._node.tables[number].get(states)
                if plan is not None and plan.quick is None:
                    return self._idle(plan, number, states, args, None)
            elif gate | WAITED == BUSY_AND_WAITED and args:  # nothing with arguments is a duplicate
                queue = self._queue
                if queue or number != REMOVE:
                    waiting = len(queue)
                    if waiting < self.queue_limit:
                        if waiting == SHORT:
                            queue = self._lengthen()
                        result: Result = new(Result)
                        result.tick = tick = self._queue_tick + waiting + 1
                        queue.append((number, states, args, None, tick, 0, None))
                        return result
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
        if gate & HELD:
            if gate & BUSY:
                raise NestedEvalError(self.id, label)
            if gate & (DISPOSED | CLOSING):
                raise MachineDisposedError(self.id)
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
                if self._queue or self._front or self._gate != BUSY:
                    self._finish()
                else:
                    self._gate = 0
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
        name = id if id is not None else binding_id(handlers, len(self._bound))
        if name in self._bound:
            raise HandlerError(f"a binding {name!r} exists already")
        first = not self._bound
        self._rebind((*self._slots, handlers), (*self._bound, name))
        if self._log_level:
            self._log_binding()
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

    def set_schema(self, schema: type[Schema] | Mapping[str, State | Mapping[str, Any]]) -> None:
        """Grow the schema at run time: ticks and active states are kept, new states start inactive.

        States known before keep their places in the order; waits and contexts go on. Relations may change.

        Args:
            schema: A schema with all states of the current one and at least one more.

        Raises:
            SchemaError: Inside a handler; a state is missing, or there is no new one; the schema contradicts itself.
            HandlerNameError: A bound object does not fit the new schema.
        """
        old = self.schema
        if self._gate & BUSY:
            raise SchemaError("the schema cannot change during a transition", schema=old.__name__)
        new = compiled(schema).schema
        missing = [name for name in old.names if name not in new.states]
        if missing or len(new.names) <= len(old.names):
            problem = f"lacks {', '.join(missing)}" if missing else f"has to have more than {len(old.names)} states"
            raise SchemaError(problem, schema=new.__name__)
        order = [*old.names, *(name for name in new.names if name not in old.states)]
        if tuple(order) != new.names:
            new = compiled({name: new.states[name] for name in order}).schema
        automaton = compiled(cast("type[Schema]", new)).automaton(self._slots)
        self._ticks += [0] * (len(order) - len(self._ticks))
        self._node = automaton.node(self._node.active)
        self._automaton = automaton
        if self._hooks.schema_change:
            self._hooks.fire(self._hooks.schema_change, self, old)

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
            close(self)

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

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __setstate__(self, bindings: Bindings) -> None:
        bind_again(self, bindings)

    def _log_binding(self) -> None:
        self._log(LogLevel.OPS, f"[handlers] bind {len(self._bound) - 1}:{self._bound[-1]}")

    def _rebind(self, slots: tuple[object, ...], bound: tuple[str, ...]) -> None:
        if self._gate & BUSY:
            raise AsyncMachineError("handlers cannot be bound or unbound inside a handler")
        automaton = self._automaton.compiled.automaton(slots)
        self._slots, self._bound = slots, bound
        self._node = automaton.node(self._node.active)
        self._automaton = automaton
