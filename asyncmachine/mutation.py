"""Mutations as they are queued, and what is seen of them: `Mutation` and `Result`.

The engine passes plain tuples; a `Mutation` is made of one only when somebody looks. Knows nothing of queues, relations or
event loops.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from asyncmachine.relations import KINDS

IS_AUTO, IS_CHECK, NO_AUTO, IS_TOGGLE = 1, 2, 4, 8


class Source(NamedTuple):
    """Where a traced mutation came from: a transition, by name only, so that no history is kept alive."""

    machine_id: str
    tx_id: str
    time: int
    """Sum of the machine's ticks before that transition; 0 when nobody observed it."""


Origin = tuple[str, int, int]
"""A source before anybody looks: machine id, sequence number of the transition, sum of ticks before it."""

QueuedMutation = tuple[int, tuple[str, ...], dict[str, Any], Origin | None, int, int, "Mutation | None"]
"""One mutation inside the engine. Its fields are named below.

A plain tuple, since every mutation with a handler makes one: a NamedTuple takes six times as long to make.
"""
KIND: Final = 0
"""ADD, REMOVE, SET or AUTO."""
CALLED: Final = 1
"""The names as they were given."""
ARGS: Final = 2
SOURCE: Final = 3
"""The `Origin`, or None."""
NUMBER: Final = 4
"""The promised queue tick; negative for mutations the machine prepends."""
FLAGS: Final = 5
"""IS_AUTO, IS_CHECK, NO_AUTO, IS_TOGGLE (its kind is decided at its turn), or 0."""
VIEW: Final = 6
"""The `Mutation` that observers have seen, or None."""


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
        kind: "add", "remove" or "set". Of a toggle that waits: what it would be now.
        called: The states named in the request.
        args: The caller's arguments, shared with all handlers of the transition.
        is_auto: Made by the machine for its Auto states.
        is_check: A dry run (`can_add`, `can_remove`).
        source: The transition it was made in, if made through an event.
        queue_tick: Promised queue tick; 0 for auto mutations, checks and recovered errors.
    """

    __slots__ = ("_queued", "args", "called", "is_auto", "is_check", "kind", "queue_tick", "source")

    def __init__(self, queued: QueuedMutation) -> None:
        kind, called, args, source, tick, flags, _ = self._queued = queued
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
