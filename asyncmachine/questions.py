"""What can be asked of a machine without changing anything?

The reading side: active states, ticks, clocks, texts and the queue. `Questions` also declares the machine's data,
so that the layers above it agree on them. It knows nothing of how transitions run, nor of event loops.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from asyncmachine.errors import UnknownStateError
from asyncmachine.mutation import IS_CHECK, Entry, Mutation, Origin, Result
from asyncmachine.relations import ADD, REMOVE
from asyncmachine.schema import EXCEPTION
from asyncmachine.transition import DISPOSED, TRACED, Transition, begin

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from asyncmachine.automaton import Automaton, Node, Plan
    from asyncmachine.schema import SchemaMeta
    from asyncmachine.subscriptions import Subscription, Subscriptions
    from asyncmachine.tracing import Hooks
    from asyncmachine.waiting import Outcome, StateContext, Task


class Questions(ABC):
    """The data of a machine and everything that reads it."""

    __slots__ = (
        "__weakref__", "_automaton", "_bound", "_closed_waits", "_committed", "_entry", "_err", "_front", "_gate", "_hooks", "_log_level", "_next",
        "_node", "_on_dispose", "_plan", "_prepended", "_queue", "_queue_tick", "_slots", "_subs", "_tasks", "_ticks", "_tx",
        "id", "log_args", "parent", "queue_limit", "slow_handler_s", "tags",
    )  # fmt: skip

    id: str
    parent: Questions | None
    tags: tuple[str, ...]
    queue_limit: int
    slow_handler_s: float
    log_args: Callable[[Mapping[str, Any]], dict[str, str]]
    _automaton: Automaton
    _bound: tuple[str, ...]
    _closed_waits: list[Any]
    _committed: Entry | None
    _entry: Entry | None
    _err: BaseException | None
    _front: deque[Outcome] | None
    _gate: int
    _hooks: Hooks
    _log_level: int
    _next: Entry | None
    _node: Node
    _on_dispose: list[Callable[[], Any]]
    _plan: Plan | None
    _prepended: int
    _queue: list[Entry] | deque[Entry]
    _queue_tick: int
    _slots: tuple[object, ...]
    _subs: Subscriptions | None
    _tasks: dict[Task[Any], int] | None
    _ticks: list[int]
    _tx: Transition | None

    # what the upper layers provide

    @abstractmethod
    def _unsubscribe(self, subscription: Subscription) -> None:
        """See Machine."""

    @abstractmethod
    def _spawn(self, coro: Coroutine[Any, Any, Any], state: int) -> Task[Any]:
        """See Machine."""

    @abstractmethod
    def _put_in_span(self, task: Task[Any], state: int) -> None:
        """See Machine."""

    @abstractmethod
    def _forget_task(self, task: Task[Any], state: int) -> None:
        """See Machine."""

    @abstractmethod
    def _task_failed(self, error: Exception) -> None:
        """See Machine."""

    @abstractmethod
    def _context_ended(self, ctx: StateContext) -> None:
        """See Machine."""

    @abstractmethod
    def _add_err(
        self, exc: BaseException, states: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> Result:
        """See Machine."""

    # states

    @property
    def schema(self) -> SchemaMeta:
        """The machine's schema class."""
        return self._automaton.compiled.schema

    @property
    def state_names(self) -> tuple[str, ...]:
        """All state names, in definition order."""
        return self._automaton.compiled.names

    def is_(self, *states: str) -> bool:
        """Tell whether all of these states are active. True for none; False after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        active = self._node.names
        for state in states:
            if state not in active:
                self._numbers(states)
                return False
        return not self._gate & DISPOSED

    def not_(self, *states: str) -> bool:
        """Tell whether none of these states is active. True for none; False after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        self._numbers(states)
        active = self._node.names
        return not self._gate & DISPOSED and not any(state in active for state in states)

    def any_(self, *states: str) -> bool:
        """Tell whether at least one of these states is active.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        self._numbers(states)
        active = self._node.names
        return any(state in active for state in states)

    def has(self, *states: str) -> bool:
        """Tell whether all of these names are states of the schema. False after dispose."""
        index = self._automaton.compiled.index
        return not self._gate & DISPOSED and all(state in index for state in states)

    def active_states(self) -> tuple[str, ...]:
        """Return the active states in target order, the order of their handlers."""
        names = self._automaton.compiled.names
        return tuple([names[state] for state in self._node.active])

    def switch(self, *groups: str | Iterable[str]) -> str:
        """Return the first active state, scanning the groups in order; an empty string if none is active.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        for group in groups:
            names = (group,) if isinstance(group, str) else tuple(group)
            self._numbers(names)
            for name in names:
                if name in self._node.names:
                    return name
        return ""

    @property
    def err(self) -> BaseException | None:
        """The last error ever added; not cleared when `Exception` is removed."""
        return self._err

    def is_err(self) -> bool:
        """Tell whether `Exception` is active."""
        return EXCEPTION in self._node.names

    @property
    def is_disposed(self) -> bool:
        """The machine is at the end of its life."""
        return bool(self._gate & DISPOSED)

    # clocks

    def tick(self, state: str) -> int:
        """Return a state's tick: odd is active. 0 after dispose.

        Raises:
            UnknownStateError: The name is not in the schema.
        """
        number = self._number(state)
        return 0 if self._gate & DISPOSED else self._ticks[number]

    def time(self, *states: str) -> tuple[int, ...]:
        """Return the ticks of these states, of all without names. Empty after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        numbers = self._numbers(states)
        if self._gate & DISPOSED:
            return ()
        return tuple([self._ticks[number] for number in numbers]) if states else tuple(self._ticks)

    def clock(self, *states: str) -> dict[str, int]:
        """Return the ticks of these states by name, of all without names. Empty after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return dict(zip(states or self._automaton.compiled.names, self.time(*states), strict=False))

    def is_clock(self, clock: Mapping[str, int]) -> bool:
        """Tell whether all given ticks equal the current ones. False after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return not self._gate & DISPOSED and all(self.tick(state) == tick for state, tick in clock.items())

    def was_clock(self, clock: Mapping[str, int]) -> bool:
        """Tell whether every current tick has reached the given one. False after dispose.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return not self._gate & DISPOSED and all(self.tick(state) >= tick for state, tick in clock.items())

    # queue

    @property
    def queue_tick(self) -> int:
        """How many mutations have been taken from the queue, plus one; prepended ones do not count."""
        return self._queue_tick

    @property
    def queue_len(self) -> int:
        """How many mutations wait in the queue."""
        return len(self._queue)

    def queued(self) -> tuple[Mutation, ...]:
        """Return the waiting mutations, the next one first."""
        return tuple([entry[6] or Mutation(entry) for entry in self._queue])

    def will_be(self, *states: str) -> bool:
        """Tell whether a queued add mutation calls all of these states; implied states do not count.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return self._is_queued(ADD, states)

    def will_be_removed(self, *states: str) -> bool:
        """Tell whether a queued remove mutation calls all of these states.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        return self._is_queued(REMOVE, states)

    @property
    def transition(self) -> Transition | None:
        """The running transition, None when the machine is idle."""
        entry, plan = self._entry, self._plan
        if entry is None or plan is None:
            return None
        if self._tx is None:
            self._tx = self._catch_up(plan, entry)
        return self._tx

    def _catch_up(self, plan: Plan, entry: Entry) -> Transition:
        """Make the transition object for a handler that asks for it while nobody observes."""
        before = list(self._ticks)
        if self._committed is entry:
            for state in plan.ticks:
                before[state] -= 1
        refused = "" if plan.accepted else "relations"
        return begin(self, plan, entry, tuple(before), refused)  # type: ignore[arg-type]  # a machine is the only subclass

    # texts

    def __str__(self) -> str:
        """Return the active states with their ticks, in state order: `(A:1 B:3)`."""
        if self._gate & DISPOSED:
            return ""
        return f"({self._clock_text(1)})"

    def string_all(self) -> str:
        """Return active, then inactive states with their ticks: `(A:1) [B:0]`. Empty after dispose."""
        if self._gate & DISPOSED:
            return ""
        return f"({self._clock_text(1)}) [{self._clock_text(0)}]"

    def inspect(self, *states: str) -> str:
        """Return a table of the given states, of all without names: activity, tick, flags and relations.

        Raises:
            UnknownStateError: A name is not in the schema.
        """
        numbers = self._numbers(states) if states else range(len(self._ticks))
        if self._gate & DISPOSED:
            return ""
        names = self._automaton.compiled.names
        return "".join([self._inspect_one(names[number], self._ticks[number]) for number in numbers])

    def diagram(self, format: str = "svg") -> str:  # noqa: A002  # the word everybody looks for
        """Draw the states with their relations, the active ones marked.

        Args:
            format: "svg" (a string that a notebook shows as the picture), "dot", "mermaid" or "text".

        Raises:
            ValueError: There is no such format.
            MissingExtraError: For SVG: neither the extra `diagrams` nor Graphviz is installed.
            DrawingError: The program that draws fails.
        """
        from asyncmachine.export import diagrams

        return diagrams.draw(diagrams.of_machine(self), format)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the diagram and its text, or the text alone where nothing draws."""
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
        pairs = zip(self._automaton.compiled.names, self._ticks, strict=True)
        return " ".join([f"{name}:{tick}" for name, tick in pairs if tick & 1 == parity])

    def __repr__(self) -> str:
        return f"<Machine {self.id} {self}>"

    # names

    def _number(self, state: str) -> int:
        index = self._automaton.compiled.index
        try:
            return index[state]
        except (KeyError, TypeError):
            raise UnknownStateError(state, self.id, index) from None

    def _numbers(self, states: Iterable[str]) -> tuple[int, ...]:
        index = self._automaton.compiled.index
        try:
            return tuple([index[state] for state in states])
        except (KeyError, TypeError):
            return tuple([self._number(state) for state in states])

    def _is_queued(self, kind: int, states: tuple[str, ...]) -> bool:
        self._numbers(states)
        return any(
            entry[0] == kind and not entry[5] & IS_CHECK and set(states) <= set(entry[1]) for entry in self._queue
        )

    def _source_of(self, entry: Entry) -> Origin:
        tx = self._tx if self._gate & TRACED and self._entry is entry else None
        return (self.id, entry[4], sum(tx.before) if tx is not None else 0)
