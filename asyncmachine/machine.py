"""What is a machine to its user? The facade: mutations and their queue, questions, waits, and the end of life.

A mutation is an ordinary call. If the machine is idle it runs at once, with everything it queues, and the result is
returned; inside a handler it is queued. One integer, `_gate`, says whether anything stands in the way of the short path:
while it is zero, a mutation without handlers is a dict look-up and a few additions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from asyncmachine.automaton import Automaton, Plan, Program
from asyncmachine.errors import MachineDisposedError, NestedEvalError
from asyncmachine.gate import BUSY, DISPOSED, LEFTOVERS, TRACED, WATCHED, WATCHED_ALL
from asyncmachine.lifetime import Lifetime
from asyncmachine.logs import LogLevel, LogTracer
from asyncmachine.mutation import ADD, REMOVE, SET, Mutation, QueuedCall, Result, Source
from asyncmachine.schema import EXCEPTION, Schema, schema_of
from asyncmachine.tracing import Tracer, Tracers
from asyncmachine.transition import Transition, run, run_auto
from asyncmachine.waiting import FutureOf, fail, failed_future, new_future, resolve

EXECUTED = Result.EXECUTED
CANCELED = Result.CANCELED


class Machine(Lifetime):
    """A set of states, the relations between them, and handlers that react to them.

    Args:
        schema: a Schema subclass, a mapping of names to States, or plain data.
        id: a name for logs and traces; by default the schema's name and a number.
        handlers: an object with handler methods, or several in order.
        parent: the machine this one belongs to; its tracers are told.
        tracers: who watches.
        log_level: how much is logged.
        queue_limit: mutations that may wait; more are cancelled.
        slow_handler_s: handlers that take longer are reported; they are never interrupted, and the transition stands.
        tags: free text.

    Attributes:
        id, tags, parent: as given.
        number: how many machines of this schema were made before.
        state_names: all states, in definition order.

    Raises:
        SchemaError: an unusable schema.
        HandlerNameError, HandlerError: an unusable handler.

    A machine belongs to one thread and, for waiting and background work, to one event loop.
    """

    def __init__(
        self,
        schema: type[Schema] | Mapping[str, Any],
        *,
        id: str | None = None,  # noqa: A002 - the name users know
        handlers: object | Sequence[object] | None = None,
        parent: Machine | None = None,
        tracers: Sequence[Tracer] = (),
        log_level: LogLevel = LogLevel.NOTHING,
        queue_limit: int = 1000,
        slow_handler_s: float = 0.1,
        tags: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._automaton = automaton = Automaton.of(schema_of(schema))
        self.number = automaton.machines
        automaton.machines += 1
        self.id = id or f"{automaton.name}-{self.number}"
        self.parent = parent
        self.tags = tuple(tags)
        self.state_names = automaton.relations.names
        self._gate = 0
        self._objects: list[object] = []
        self._binding_ids: list[str] = []
        self._program: Program = automaton.program(())
        self._node = self._program.node(())
        self._ticks = [0] * len(self.state_names)
        self._queue: deque[Mutation | QueuedCall] = deque()
        self._queue_limit = queue_limit
        self._queue_tick = 1
        self._appended = 0  # mutations on the queue that were promised a tick
        self._sequence = 0
        self._running: tuple[Plan, dict[str, Any], Mutation | None] | None = None
        self._tx: Transition | None = None
        self._err: BaseException | None = None
        self._slow_s = slow_handler_s
        self._is_timed = False
        self._tracers: Tracers | None = None
        if log_level > LogLevel.NOTHING:
            tracers = (*tracers, LogTracer(log_level))
        for tracer in tracers:
            self.bind_tracer(tracer)
        if handlers is not None:
            for number, one in enumerate(handlers if isinstance(handlers, list | tuple) else (handlers,)):
                self.bind(one, id=str(number))
        if parent is not None and parent._tracers is not None:
            parent._tracers.call("submachine_new", parent, self)
        self._trace("machine_init", self)

    # --- mutations -----------------------------------------------------------------------------------------------
    # `add`, `remove` and `set` begin with the same lines, written out: a call more would double the cost of all three.

    def add(self, *states: str, **args: Any) -> Result:
        """Activate states.

        Args:
            states: their names.
            args: what handlers find in `event.args`.

        Returns:
            EXECUTED, CANCELED (nothing changed), or a queued result inside a handler.

        Raises:
            UnknownStateError: a state that does not exist.
        """
        gate = self._gate
        if gate <= WATCHED:
            plan = self._node.adds.get(states)
            if plan is not None:
                if plan.is_plain and not (gate and plan.mask & self._watch):
                    ticks = self._ticks
                    for state, increment in plan.bumps:
                        ticks[state] += increment
                    self._node = plan.next
                    self._queue_tick += 1
                    return plan.result
                return self._begin(plan, args)
        return self._submit(ADD, states, args)

    def remove(self, *states: str, **args: Any) -> Result:
        """Deactivate states; like `add` otherwise."""
        gate = self._gate
        if gate <= WATCHED:
            plan = self._node.removes.get(states)
            if plan is not None:
                if plan.is_plain and not (gate and plan.mask & self._watch):
                    ticks = self._ticks
                    for state, increment in plan.bumps:
                        ticks[state] += increment
                    self._node = plan.next
                    self._queue_tick += 1
                    return plan.result
                return self._begin(plan, args)
        return self._submit(REMOVE, states, args)

    def set(self, *states: str, **args: Any) -> Result:
        """Activate these states and deactivate all others; like `add` otherwise."""
        gate = self._gate
        if gate <= WATCHED:
            plan = self._node.sets.get(states)
            if plan is not None:
                if plan.is_plain and not (gate and plan.mask & self._watch):
                    ticks = self._ticks
                    for state, increment in plan.bumps:
                        ticks[state] += increment
                    self._node = plan.next
                    self._queue_tick += 1
                    return plan.result
                return self._begin(plan, args)
        return self._submit(SET, states, args)

    def toggle(self, *states: str, **args: Any) -> Result:
        """Remove the states if all are active, add them otherwise."""
        return self.remove(*states, **args) if self.is_(*states) else self.add(*states, **args)

    def prepare(self, kind: str, *states: str) -> Callable[[dict[str, Any]], Result]:
        """A mutation for hot paths: checked once, then called with a dict of arguments.

        Args:
            kind: "add", "remove" or "set".
            states: as for these.

        Raises:
            UnknownStateError: a state that does not exist.
            ValueError: another kind.
        """
        if kind not in (ADD, REMOVE, SET):
            raise ValueError(f"kind: expected 'add', 'remove' or 'set', got {kind!r}")
        self._program.numbers(states, self.id)

        def prepared(args: dict[str, Any]) -> Result:
            if self._gate <= WATCHED:
                plan = self._node.plans(kind).get(states)
                if plan is not None:
                    return self._begin(plan, args)
            return self._submit(kind, states, args)

        return prepared

    def can_add(self, *states: str, **args: Any) -> Result | Awaitable[Result]:
        """Whether `add` would be carried out: relations and negotiation handlers are asked, nothing changes.

        Returns:
            EXECUTED or CANCELED; inside a handler, an awaitable of it.
        """
        return self._check(ADD, states, args)

    def can_remove(self, *states: str, **args: Any) -> Result | Awaitable[Result]:
        """Whether `remove` would be carried out; see `can_add`."""
        return self._check(REMOVE, states, args)

    def add_err(self, exc: Exception, *states: str, **args: Any) -> Result:
        """Report an error: activates Exception, and the error states given.

        Args:
            exc: found by handlers as `args["error"]`, and in `err`.
            states: further states that stand for it.
            args: further arguments.

        Raises:
            TypeError: not an Exception. Cancellation is not an error and passes through.
        """
        if not isinstance(exc, Exception):
            raise TypeError(f"exc: expected an Exception, got {exc!r}")
        called = (EXCEPTION, *(state for state in states if state != EXCEPTION))
        self._program.numbers(called, self.id)
        if self._gate & DISPOSED:
            return CANCELED
        self._err = exc
        args["error"] = exc
        if self._gate & BUSY:
            return self._enqueue(Mutation(ADD, called, args))
        return self._perform(Mutation(ADD, called, args))

    def _from_event(self, kind: str, states: tuple[str, ...], args: dict[str, Any]) -> Result:
        """A mutation made through a handler's event."""
        source = None
        if self._tracers is not None and self._running is not None:
            transition = self.transition
            assert transition is not None
            source = Source(self.id, transition.id, sum(transition.before))
        return self._submit(kind, states, args, source)

    def _begin(self, plan: Plan, args: dict[str, Any]) -> Result:
        """Run a mutation on an idle machine nobody traces, and then what it queued."""
        self._gate |= BUSY
        self._queue_tick += 1
        try:
            result = run(self, plan, args, None)
            if self._subscriptions.watches_all:
                self._release(self._subscriptions.match_queue(self._queue_tick, is_end=False))
            if self._queue:
                self._drain()
        finally:
            self._rest()
        return result

    def _submit(self, kind: str, states: tuple[str, ...], args: dict[str, Any], source: Source | None = None) -> Result:
        """The long way: the first time, busy, watched, traced or disposed."""
        gate = self._gate
        if gate & DISPOSED:
            return CANCELED
        if gate & BUSY:
            self._program.numbers(states, self.id)
            return self._enqueue(Mutation(kind, states, args, source=source))
        if gate & ~(WATCHED | WATCHED_ALL):
            self._program.numbers(states, self.id)
            return self._perform(Mutation(kind, states, args, source=source))
        return self._begin(self._program.plan(self._node, kind, states, self.id), args)

    def _perform(self, mutation: Mutation) -> Result:
        """Run a mutation on an idle machine, after what an interrupt left and before what it queues itself."""
        self._gate |= BUSY
        try:
            if self._queue:
                self._drain()
            mutation.queue_tick = self._queue_tick + 1
            self._appended += 1
            if self._tracers is not None:
                self._tracers.call("mutation_queued", self, mutation)
            result = self._process(mutation)
            self._drain()
        finally:
            self._rest()
        return result

    def _check(self, kind: str, states: tuple[str, ...], args: dict[str, Any]) -> Result | Awaitable[Result]:
        self._program.numbers(states, self.id)
        if self._gate & DISPOSED:
            return CANCELED
        mutation = Mutation(kind, states, args, is_check=True, makes_auto=False)
        if self._gate & BUSY:
            future: FutureOf = new_future()
            mutation.on_done = lambda result: resolve(future, result)
            self._prepend(mutation)
            return future
        self._gate |= BUSY
        try:
            if self._tracers is not None:
                self._tracers.call("mutation_queued", self, mutation)
            result = self._process(mutation)
            self._drain()
        finally:
            self._rest()
        return result

    # --- the queue -----------------------------------------------------------------------------------------------

    def _enqueue(self, mutation: Mutation) -> Result:
        """Put a mutation at the end of the queue; the machine is busy."""
        queue = self._queue
        if not queue:
            if mutation.kind == REMOVE and self._running is not None and not self.any_(*mutation.called):
                return EXECUTED  # nothing to remove, and nothing before it that could change that
        elif not mutation.args and self._is_duplicate(mutation):
            return EXECUTED
        if len(queue) >= self._queue_limit and not self._passes_full_queue(mutation):
            return CANCELED
        self._appended += 1
        mutation.queue_tick = tick = self._queue_tick + self._appended
        queue.append(mutation)
        if self._tracers is not None:
            self._tracers.call("mutation_queued", self, mutation)
        return Result(queued=True, tick=tick)

    def _passes_full_queue(self, mutation: Mutation) -> bool:
        """Errors are heard even then: adding Exception, or removing it while it is active."""
        return EXCEPTION in mutation.called and (mutation.kind == ADD or self.is_(EXCEPTION))

    def _is_duplicate(self, mutation: Mutation) -> bool:
        """Whether the same is queued already, and nothing after it touches its states."""
        multi, index = self._program.relations.multi, self._program.relations.index
        if any(multi[index[name]] for name in mutation.called):
            return False
        called = frozenset(mutation.called)
        for queued in reversed(self._queue):
            if isinstance(queued, QueuedCall) or queued.is_check:
                continue
            if queued.kind == mutation.kind and not queued.args and frozenset(queued.called) == called:
                return True
            if mutation.kind == SET or queued.kind == SET or not called.isdisjoint(queued.called):
                return False
        return False

    def _prepend(self, mutation: Mutation) -> None:
        """Put a mutation first in the queue."""
        self._queue.appendleft(mutation)
        if self._tracers is not None:
            self._tracers.call("mutation_queued", self, mutation)

    def _drain(self) -> None:
        """Run everything on the queue; the machine is busy."""
        queue = self._queue
        while queue:
            item = queue.popleft()
            if isinstance(item, QueuedCall):
                self._run_call(item)
            else:
                self._process(item)

    def _process(self, mutation: Mutation) -> Result:
        if mutation.queue_tick:
            self._queue_tick += 1
            self._appended -= 1
        if mutation.is_auto:
            result = run_auto(self, mutation)
        else:
            plan = self._program.plan(self._node, mutation.kind, mutation.called, self.id)
            result = run(self, plan, mutation.args, mutation)
        if mutation.on_done is not None:
            mutation.on_done(result)
        if self._subscriptions.watches_all:
            self._release(self._subscriptions.match_queue(self._queue_tick, is_end=False))
        return result

    def _run_call(self, call: QueuedCall) -> None:
        try:
            value = call.function(*call.args)
        except Exception as error:
            fail(call.future, error)
        else:
            if call.future is not None:
                resolve(call.future, value)

    def _rest(self) -> None:
        """The drain has ended, one way or the other."""
        self._running = self._tx = None
        self._gate &= ~(BUSY | LEFTOVERS)
        if self._queue:
            self._gate |= LEFTOVERS
        else:
            if self._tracers is not None:
                self._tracers.call("queue_end", self)
            if self._subscriptions.watches_all:
                self._release(self._subscriptions.match_queue(self._queue_tick, is_end=True))

    def eval(self, fn: Callable[..., Any], *args: Any, label: str = "") -> Any:
        """Run a function between transitions; mutations it makes run after it.

        Args:
            fn: called with `args`.
            args: positional.
            label: what for.

        Returns:
            What the function returns; what it raises is raised here.

        Raises:
            NestedEvalError: inside a handler or an eval of this machine.
            MachineDisposedError: the machine was disposed.
        """
        gate = self._gate
        if gate & (BUSY | DISPOSED):
            if gate & DISPOSED:
                raise MachineDisposedError(self.id)
            raise NestedEvalError(label, self.id)
        self._gate = gate | BUSY
        try:
            return fn(*args)
        finally:
            try:
                if self._queue:
                    self._drain()
            finally:
                if self._queue or self._tracers is not None or self._subscriptions.watches_all:
                    self._rest()
                else:
                    self._gate &= ~BUSY

    def eval_soon(self, fn: Callable[..., Any], *args: Any, label: str = "") -> Awaitable[Any]:
        """Run a function right after the present transition, before what is queued; at once on an idle machine.

        Returns:
            An awaitable of its value.
        """
        if self._gate & DISPOSED:
            return failed_future(MachineDisposedError(self.id))
        future = new_future()
        if self._gate & BUSY:
            self._queue.appendleft(QueuedCall(fn, args, future))
        else:
            try:
                resolve(future, self.eval(fn, *args, label=label))
            except Exception as error:
                future.set_exception(error)
        return future

    @property
    def queue_tick(self) -> int:
        """How many mutations have been taken off the queue, plus one."""
        return self._queue_tick

    @property
    def queue_len(self) -> int:
        """How many items wait."""
        return len(self._queue)

    def queued(self) -> tuple[Mutation, ...]:
        """Mutations that wait, first to last."""
        return tuple(item for item in self._queue if isinstance(item, Mutation))

    def will_be(self, *states: str) -> bool:
        """Whether an add (or set) of all these states waits."""
        self._program.numbers(states, self.id)
        return any(q.kind != REMOVE and not q.is_check and set(states) <= set(q.called) for q in self.queued())

    def will_be_removed(self, *states: str) -> bool:
        """Whether a remove of all these states waits."""
        self._program.numbers(states, self.id)
        return any(q.kind == REMOVE and not q.is_check and set(states) <= set(q.called) for q in self.queued())

    @property
    def transition(self) -> Transition | None:
        """The transition that runs now."""
        if self._tx is None and self._running is not None:
            plan, args, mutation = self._running
            if mutation is None:
                mutation = Mutation(plan.kind, plan.called, args)
                mutation.queue_tick = self._queue_tick
            before = tuple(self._ticks)
            if self._node is plan.next and plan.is_accepted and plan.bumps:
                ticks = list(before)  # first asked for after the commit
                for state, increment in plan.bumps:
                    ticks[state] -= increment
                before = tuple(ticks)
            self._tx = Transition(self, plan, mutation, before)
        return self._tx

    # --- handlers and tracers ------------------------------------------------------------------------------------

    def bind(self, handlers: object, *, id: str | None = None) -> str:  # noqa: A002 - the name users know
        """Add an object with handlers, called after those bound before.

        Returns:
            The binding's id, for `unbind`.

        Raises:
            HandlerNameError: a method is named like a handler of a state that does not exist.
            HandlerError: a negotiation handler is a coroutine function.
            ValueError: the id is taken.
            RuntimeError: inside a transition.
        """
        binding = id or f"anon-{len(self._binding_ids)}"
        if binding in self._binding_ids:
            raise ValueError(f"id: expected one that is not bound yet, got {binding!r}")
        self._rebind([*self._objects, handlers], [*self._binding_ids, binding])
        return binding

    def unbind(self, id: str) -> None:  # noqa: A002 - the name users know
        """Remove an object with handlers; raises ValueError for an id that is not bound."""
        if id not in self._binding_ids:
            raise ValueError(f"id: expected one of {', '.join(self._binding_ids)}, got {id!r}")
        at = self._binding_ids.index(id)
        self._rebind(
            [one for number, one in enumerate(self._objects) if number != at],
            [one for number, one in enumerate(self._binding_ids) if number != at],
        )

    def _rebind(self, objects: list[object], ids: list[str]) -> None:
        if self._running is not None:
            raise RuntimeError(f"handlers of {self.id} cannot change inside a transition")
        program = self._automaton.program(tuple(type(one) for one in objects))
        self._program, self._objects, self._binding_ids = program, objects, ids
        self._node = program.node(self._node.active)

    def bind_tracer(self, tracer: Tracer) -> None:
        """Have a tracer watch from now on."""
        if self._tracers is None:
            self._tracers = Tracers(())
        self._tracers.bound.append(tracer)
        self._gate |= TRACED

    def unbind_tracer(self, tracer: Tracer) -> None:
        """Stop a tracer; raises ValueError if it does not watch."""
        if self._tracers is None or tracer not in self._tracers.bound:
            raise ValueError(f"tracer: expected one that is bound, got {tracer!r}")
        self._tracers.bound.remove(tracer)
        if not self._tracers.bound:
            self._tracers = None
            self._gate &= ~TRACED

    # --- saving and restoring ------------------------------------------------------------------------------------

    def export(self) -> dict[str, Any]:
        """The machine's state as plain data: id, states, time, active states in order, queue tick."""
        return {
            "id": self.id,
            "states": list(self.state_names),
            "time": list(self._ticks),
            "active": list(self._program.names(self._node.active)),
            "queue_tick": self._queue_tick,
        }

    @classmethod
    def restore(cls, schema: type[Schema] | Mapping[str, Any], data: Mapping[str, Any], **options: Any) -> Machine:
        """A machine with the ticks that `export` gave; no handler runs.

        Args:
            schema: its schema.
            data: `states` and `time`; `active` keeps the order, `id` the name.
            options: as for Machine.

        Raises:
            UnknownStateError: the data name a state the schema does not have.
            ValueError: states and times, or active states and ticks, do not fit.
        """
        options.setdefault("id", data.get("id"))
        machine = cls(schema, **options)
        names, ticks = tuple(data["states"]), tuple(data["time"])
        if len(names) != len(ticks):
            raise ValueError(f"time: expected {len(names)} ticks, one for each state, got {len(ticks)}")
        for number, tick in zip(machine._program.numbers(names, machine.id), ticks, strict=True):
            machine._ticks[number] = tick
        odd = [name for name, tick in zip(names, ticks, strict=True) if tick & 1]
        active = tuple(data.get("active", odd))
        if sorted(active) != sorted(odd):
            raise ValueError(f"active: expected the states with odd ticks, {' '.join(odd)}, got {' '.join(active)}")
        machine._node = machine._program.node(machine._program.numbers(active, machine.id))
        return machine
