"""What was asked, what came of it, and what does a handler see of it?

`Mutation`, `Result` and `Event` are views for users; the engine itself passes plain tuples (`Entry`) and makes these
only when somebody looks. Knows nothing of queues, relations or loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from asyncmachine.relations import KINDS

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from asyncmachine.machine import Machine
    from asyncmachine.transition import Transition
    from asyncmachine.waiting import StateContext, Task

IS_AUTO, IS_CHECK, NO_AUTO = 1, 2, 4


class Source(NamedTuple):
    """Where a traced mutation came from: a transition, by name only, so that no history is kept alive."""

    machine_id: str
    tx_id: str
    time: int
    """Sum of the machine's ticks before that transition; 0 when nobody observed it."""


Origin = tuple[str, int, int]
"""A source before anybody looks: machine id, sequence number of the transition, sum of ticks before it."""

Entry = tuple[int, tuple[str, ...], dict[str, Any], "Origin | None", int, int, "Mutation | None"]
"""One mutation inside the engine: kind, called, args, origin, sequence number, flags, the object for observers.

The sequence number is the promised queue tick, negative for mutations the machine prepends.
"""


def tx_id(machine_id: str, number: int) -> str:
    """Return a transition's id: queued mutations count by queue tick, prepended ones on their own."""
    return f"{machine_id}-{number}" if number > 0 else f"{machine_id}-p{-number}"


class Result:
    """The outcome of a mutation: `Result.EXECUTED`, `Result.CANCELED`, or queued with a queue tick.

    Compare with `is` or `==`. A result has no truth value, so that nobody mistakes "queued" for success.

    Attributes:
        tick: The promised queue tick, usable with `when_queue`; 0 unless queued.
    """

    __slots__ = ("tick",)

    EXECUTED: Final[Result]  # type: ignore[misc]  # assigned right after the class body, once
    CANCELED: Final[Result]  # type: ignore[misc]  # assigned right after the class body, once

    def __init__(self, tick: int) -> None:
        self.tick = tick

    @property
    def executed(self) -> bool:
        """The mutation was carried out."""
        return self is Result.EXECUTED

    @property
    def canceled(self) -> bool:
        """The mutation was refused by relations, a handler, an error or the machine's condition."""
        return self is Result.CANCELED

    @property
    def queued(self) -> bool:
        """The mutation waits in the queue."""
        return self is not Result.EXECUTED and self is not Result.CANCELED

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        return self is other or (self.queued and other.queued and self.tick == other.tick)

    def __hash__(self) -> int:
        return hash((self.executed, self.canceled, self.tick))

    def __reduce__(self) -> str | tuple[Any, ...]:
        # the two constants stay the only ones of their kind
        if self is Result.EXECUTED or self is Result.CANCELED:
            return "EXECUTED" if self is Result.EXECUTED else "CANCELED"
        return (Result, (self.tick,))

    def __bool__(self) -> bool:
        raise TypeError("a Result has no truth value: compare it, or ask .executed, .canceled or .queued")

    def __repr__(self) -> str:
        return f"Result({self})"

    def __str__(self) -> str:
        if self.queued:
            return f"queued:{self.tick}" if self.tick else "queued"
        return "executed" if self.executed else "canceled"


EXECUTED: Final = Result(0)
CANCELED: Final = Result(0)
Result.EXECUTED = EXECUTED  # type: ignore[misc]  # the two constants are instances of their own class
Result.CANCELED = CANCELED  # type: ignore[misc]  # the two constants are instances of their own class


class Mutation:
    """A request to change states. Read-only.

    Attributes:
        kind: "add", "remove" or "set".
        called: The states named in the request.
        args: The caller's arguments, shared with all handlers of the transition.
        is_auto: Made by the machine for its Auto states.
        is_check: A dry run (`can_add`, `can_remove`).
        source: The transition it was made in, if made through an event.
        queue_tick: Promised queue tick; 0 for auto mutations, checks and recovered errors.
    """

    __slots__ = ("_entry", "args", "called", "is_auto", "is_check", "kind", "queue_tick", "source")

    def __init__(self, entry: Entry) -> None:
        kind, called, args, source, tick, flags, _ = self._entry = entry
        self.kind = KINDS[kind]
        self.called = tuple(dict.fromkeys(called))
        self.args = args
        self.is_auto = bool(flags & IS_AUTO)
        self.is_check = bool(flags & IS_CHECK)
        self.source = None if source is None else Source(source[0], tx_id(source[0], source[1]), source[2])
        self.queue_tick = 0 if flags & (IS_AUTO | IS_CHECK | NO_AUTO) or tick <= 0 else tick

    def __str__(self) -> str:
        return f"[{self.kind}] {' '.join(self.called)}"

    def __repr__(self) -> str:
        return f"Mutation({self})"


class Event:
    """What a handler is given: which handler, which mutation, which machine.

    Attributes:
        name: Name of the handler, such as "FooState".
        args: The mutation's arguments; one dict shared by all handlers of the transition.
        machine: The machine.
    """

    __slots__ = ("_entry", "_state", "_tick", "args", "machine", "name")

    # no constructor: its frame would cost more than all the rest (see `transition.perform`)
    name: str
    args: dict[str, Any]
    machine: Machine
    _entry: Entry
    _state: int
    _tick: int

    @property
    def mutation(self) -> Mutation:
        """The mutation being processed."""
        entry = self._entry
        return entry[6] or Mutation(entry)

    @property
    def transition(self) -> Transition | None:
        """The running transition; None once it is over."""
        return self.machine.transition if self.machine._entry is self._entry else None

    @property
    def is_check(self) -> bool:
        """The handler runs for a dry run."""
        return bool(self._entry[5] & IS_CHECK)

    @property
    def ctx(self) -> StateContext | None:
        """The context of the handler's state as of this event: X's for X's handlers, Y's for a pair XY.

        None for `AnyEnter` and `AnyState`. Expired already if the state's tick has changed since.
        """
        return None if self._state < 0 else self.machine._context_at(self._state, self._tick)

    def add(self, *states: str, **args: Any) -> Result:
        """Add states, recording this transition as the source. See `Machine.add`."""
        machine, entry = self.machine, self._entry
        if machine._gate in (1, 9):  # busy, waited for or not, and nobody observes
            return machine._enqueue(0, states, args, (machine.id, entry[4], 0))
        return machine._submit(0, states, args, machine._source_of(entry))

    def remove(self, *states: str, **args: Any) -> Result:
        """Remove states, recording this transition as the source. See `Machine.remove`."""
        machine, entry = self.machine, self._entry
        if machine._gate in (1, 9):  # busy, waited for or not, and nobody observes
            return machine._enqueue(1, states, args, (machine.id, entry[4], 0))
        return machine._submit(1, states, args, machine._source_of(entry))

    def set(self, *states: str, **args: Any) -> Result:
        """Set states, recording this transition as the source. See `Machine.set`."""
        machine, entry = self.machine, self._entry
        if machine._gate in (1, 9):  # busy, waited for or not, and nobody observes
            return machine._enqueue(2, states, args, (machine.id, entry[4], 0))
        return machine._submit(2, states, args, machine._source_of(entry))

    def add_err(self, exc: BaseException, *states: str, **args: Any) -> Result:
        """Add an error, recording this transition as the source. See `Machine.add_err`."""
        return self.machine._add_err(exc, states, args, self._source())

    def fork(self, coro: Coroutine[Any, Any, Any]) -> Task[Any] | None:
        """Run a coroutine in the background for as long as this activation of the handler's state lasts.

        For a Multi state, whose activations are events and not spans, and for `AnyState`, it is bound to the
        machine's life. Returns None, and closes the coroutine, when the activation is already over.

        Raises:
            RuntimeError: No event loop is running.
        """
        return self.machine._fork_at(coro, self._state, self._tick)

    def _source(self) -> Origin:
        return self.machine._source_of(self._entry)

    def __repr__(self) -> str:
        return f"Event({self.name} of {self.machine.id})"
