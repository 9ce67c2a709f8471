"""Queued mutations, and their public views: `Mutation`, `Result` and `RefusedBy`.

The engine passes plain tuples. A `Mutation`, and the reason of a refusal, are created from them on request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from asyncmachine.relations import KINDS, tell_blocked

if TYPE_CHECKING:
    from asyncmachine.relations import Blocked

IS_AUTO, IS_CHECK, NO_AUTO, IS_TOGGLE = 1, 2, 4, 8


class Source(NamedTuple):
    """The transition in which a traced mutation was made, by name, so that no other object is kept alive."""

    machine_id: str
    tx_id: str
    time: int
    """Sum of the machine's ticks before that transition; 0 if it was unobserved."""


Origin = tuple[str, int, int]
"""Internal form of a source: machine id, sequence number of the transition, sum of ticks before it."""

QueuedMutation = tuple[
    int, tuple[str, ...], dict[str, Any], Origin | None, int, int, "Mutation | None", "Result | None"
]
"""One mutation inside the engine, with the fields below.

A plain tuple, since every mutation with a handler creates one: creating a NamedTuple takes six times as long.
"""
KIND: Final = 0
"""ADD, REMOVE, SET or AUTO."""
CALLED: Final = 1
"""The called names, as given."""
ARGS: Final = 2
SOURCE: Final = 3
"""The `Origin`, or None."""
NUMBER: Final = 4
"""The promised queue tick; negative for mutations the machine prepends."""
FLAGS: Final = 5
"""IS_AUTO, IS_CHECK, NO_AUTO, IS_TOGGLE (its kind is decided at its turn), or 0."""
VIEW: Final = 6
"""The `Mutation` that observers have seen, or None."""
RESULT: Final = 7
"""The queued `Result` returned to the caller, in which a refusal is stored; None if it was never queued."""

BY_RELATIONS: Final = "relations"
BY_ERROR: Final = "error"
BY_QUEUE: Final = "queue"
BY_DISPOSAL: Final = "disposed"
BY_CANCELLATION: Final = "cancellation"


def tx_id(machine_id: str, number: int) -> str:
    """Return a transition's id: queued mutations are numbered by queue tick, prepended ones separately."""
    return f"{machine_id}-{number}" if number > 0 else f"{machine_id}-p{-number}"


class RefusedBy(NamedTuple):
    """The cause of a refusal. `str(refused_by)` is `Result.reason`."""

    by: str
    """Name of the handler that refused, as in `Transition.canceled_by`; else "relations", "error", "queue" (it was full), "disposed",
    or "cancellation" (a `CancelledError` is not an error of a machine)."""
    machine_id: str
    kind: str
    """"add", "remove" or "set"."""
    called: tuple[str, ...]
    handler: str = ""
    """The handler that refused or failed, if one did."""
    relations: tuple[Blocked, ...] = ()
    """For relations: state, "requires" or "removed by", and the other states."""
    error: BaseException | None = None
    """The error raised by the handler. Its traceback keeps objects alive; a copy of a result omits it."""
    limit: int = 0
    """For a full queue: its limit."""

    def __str__(self) -> str:
        return f"{self.kind} {' '.join(self.called)} of {self.machine_id!r} was {self.cause}"

    @property
    def cause(self) -> str:
        """The reason without the mutation, as the end of a sentence."""
        if self.by == BY_RELATIONS:
            blocked = tell_blocked(self.relations)
            return f"refused by relations: {blocked}" if blocked else "refused by relations"
        if self.by == BY_ERROR:
            error = "an error" if self.error is None else repr(self.error)
            return f"canceled by {error} in {self.handler}" if self.handler else f"canceled by {error}"
        if self.by == BY_QUEUE:
            return f"refused by the full queue (limit {self.limit})"
        if self.by == BY_DISPOSAL:
            return "refused: the machine is disposed"
        if self.by == BY_CANCELLATION:
            return f"refused: {self.error!r} is not an error of a machine"
        return f"refused by {self.handler}"


class Result:
    """The outcome of a mutation: executed, canceled, or queued with a queue tick.

    Compare it with `==`, or use its properties. `Result.EXECUTED` is a singleton. Canceled results equal `Result.CANCELED` but are distinct
    objects with their own reasons. A result has no truth value, so that "queued" is not mistaken for success.

    Attributes:
        tick: The promised queue tick, usable with `when_queue`; 0 unless queued.
    """

    __slots__ = ("_refusal", "tick")

    EXECUTED: Final[Result]  # type: ignore[misc]  # assigned right after the class body, once
    CANCELED: Final[Result]  # type: ignore[misc]  # assigned right after the class body, once

    _refusal: Result
    """The canceled result of a queued mutation, once it has been refused."""

    def __init__(self, tick: int) -> None:
        self.tick = tick

    @property
    def executed(self) -> bool:
        """Whether the mutation was carried out."""
        return self is Result.EXECUTED

    @property
    def canceled(self) -> bool:
        """Whether the mutation was refused by relations, a handler, an error, a full queue or disposal."""
        return False

    @property
    def queued(self) -> bool:
        """Whether the mutation was queued; stays true after it is processed."""
        return self is not Result.EXECUTED and not self.canceled

    @property
    def refused_by(self) -> RefusedBy | None:
        """The cause of the refusal; None if not refused. For a queued result, known once the mutation is processed."""
        refusal = self._outcome()
        return None if refusal is None else refusal.refused_by

    @property
    def reason(self) -> str:
        """The reason of the refusal, as one sentence composed on request; empty if not refused."""
        refusal = self._outcome()
        return "" if refusal is None else refusal.reason

    def _outcome(self) -> Result | None:
        """Return the canceled result of a queued mutation that was refused."""
        return getattr(self, "_refusal", None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        return (
            self is other
            or (self.canceled and other.canceled)
            or (self.queued and other.queued and self.tick == other.tick)
        )

    def __hash__(self) -> int:
        return hash((self.executed, self.canceled, self.tick))

    def __copy__(self) -> Self:
        return self  # changed by the engine only

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        if self is Result.EXECUTED or self is Result.CANCELED:
            return "EXECUTED" if self is Result.EXECUTED else "CANCELED"  # the two constants remain singletons
        refused_by = self.refused_by
        if refused_by is None:
            return (Result, (self.tick,))
        return (_restore_result, (self.tick, tuple(refused_by._replace(error=None)), self.reason))

    def __bool__(self) -> bool:
        raise TypeError("a Result has no truth value: compare it, or use .executed, .canceled or .queued")

    def __repr__(self) -> str:
        return f"Result({self})"

    def __str__(self) -> str:
        if self.queued:
            return f"queued:{self.tick}" if self.tick else "queued"
        return "executed" if self.executed else "canceled"


Refused = tuple[str, int, tuple[str, ...], str, Any]
"""Internal form of a refusal: machine id, kind, called names, cause, and a detail.

The detail is, for relations, their `PlanCache`, `Configuration` and `Plan`, which all machines of a schema share, so that a refusal does
not keep a machine alive; for an error, the handler's name and the error; for a full queue, its limit; for a cancellation, the error.
"""


class Canceled(Result):
    """The result of a refused mutation."""

    __slots__ = ("_refused",)

    _refused: Refused | None
    """None for `Result.CANCELED` itself."""

    @property
    def canceled(self) -> bool:
        """Always true."""
        return True

    @property
    def reason(self) -> str:
        """The reason of the refusal, composed on request."""
        refused_by = self.refused_by
        return "" if refused_by is None else str(refused_by)

    @property
    def refused_by(self) -> RefusedBy | None:
        """The cause of the refusal, composed on request. None for `Result.CANCELED` itself."""
        if self._refused is None:
            return None
        machine_id, kind, called, by, detail = self._refused
        told = RefusedBy(by, machine_id, KINDS[kind], tuple(dict.fromkeys(called)))
        if by == BY_RELATIONS:
            plans, configuration, plan = detail
            return told._replace(relations=plans.blocked(configuration, plan))
        if by == BY_ERROR:
            return told._replace(handler=detail[0], error=detail[1])
        if by == BY_QUEUE:
            return told._replace(limit=detail)
        if by == BY_CANCELLATION:
            return told._replace(error=detail)
        return told if by == BY_DISPOSAL else told._replace(handler=by)


class _Told(Canceled):
    """An unpickled canceled result: its cause and its reason as text."""

    __slots__ = ("_reason", "_refused_by")

    _reason: str
    _refused_by: RefusedBy

    @property
    def refused_by(self) -> RefusedBy:
        """The cause of the refusal, without the error."""
        return self._refused_by

    @property
    def reason(self) -> str:
        """The reason of the refusal."""
        return self._reason


_new = object.__new__


def cancel(machine_id: str, queued: QueuedMutation, by: str, detail: Any = None) -> Canceled:
    """Return the result of a refused mutation, and store it in the queued result of its caller, if any; see `Refused`."""
    result: Canceled = _new(Canceled)
    result.tick = 0
    result._refused = (machine_id, queued[KIND], queued[CALLED], by, detail)
    waiting = queued[RESULT]
    if waiting is not None:
        waiting._refusal = result
    return result


def _restore_result(tick: int, refused_by: tuple[Any, ...], reason: str) -> Result:
    """Create a result from the return value of `Result.__reduce__`."""
    told: _Told = _new(_Told)
    told.tick = 0
    told._refused = None
    told._refused_by = RefusedBy(*refused_by)
    told._reason = reason
    if not tick:
        return told
    result = Result(tick)
    result._refusal = told
    return result


EXECUTED: Final = Result(0)
CANCELED: Final = Canceled(0)
CANCELED._refused = None
Result.EXECUTED = EXECUTED  # type: ignore[misc]  # the two constants are instances of their own class
Result.CANCELED = CANCELED  # type: ignore[misc]  # the two constants are instances of their own class


class Mutation:
    """A request to change states. Read-only.

    Attributes:
        kind: "add", "remove" or "set". For a queued toggle: what it would be now.
        called: The states named in the request.
        args: The caller's arguments, shared with all handlers of the transition.
        is_auto: Made by the machine for its Auto states.
        is_check: A dry run (`can_add`, `can_remove`).
        source: The transition it was made in, if made through an event.
        queue_tick: Promised queue tick; 0 for auto mutations, checks and recovered errors.
    """

    __slots__ = ("_queued", "args", "called", "is_auto", "is_check", "kind", "queue_tick", "source")

    def __init__(self, queued: QueuedMutation) -> None:
        kind, called, args, source, tick, flags, _, _ = self._queued = queued
        self.kind = KINDS[kind]
        self.called = called if len(called) < 2 else tuple(dict.fromkeys(called))
        self.args = args
        self.is_auto = bool(flags & IS_AUTO)
        self.is_check = bool(flags & IS_CHECK)
        self.source = None if source is None else Source(source[0], tx_id(source[0], source[1]), source[2])
        self.queue_tick = 0 if flags & (IS_AUTO | IS_CHECK | NO_AUTO) or tick <= 0 else tick

    def __str__(self) -> str:
        return f"[{self.kind}] {' '.join(self.called)}"

    def __repr__(self) -> str:
        return f"Mutation({self})"
