"""The history of one machine, kept in memory, and the questions about it: what was active, when, and since which mutation.

While the machine runs one tuple per transition is appended, nothing else; the questions do the work when they are asked. Wall time comes
from the clock given, machine time is the sum of all ticks. `Past` answers from facts wherever those are kept: here, or in a record.
Knows nothing of files or event loops.
"""

from __future__ import annotations

import itertools
import time
import weakref
from collections import deque
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from asyncmachine.errors import AsyncMachineError, UnknownStateError, close_matches
from asyncmachine.mutation import IS_AUTO, IS_CHECK, Source, tx_id
from asyncmachine.relations import KINDS
from asyncmachine.tracing import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from asyncmachine.machine import Machine, Transition
    from asyncmachine.mutation import Origin, QueuedMutation
    from asyncmachine.plans import Plan

__all__ = ["Axis", "Fact", "History", "Past", "Query", "Record", "Span", "UntrackedStateError"]

T = TypeVar("T")

Range = tuple[float | None, float | None]
"""From and to, both included; None is no limit."""


class UntrackedStateError(AsyncMachineError):
    """A history was asked about a state it does not track.

    Attributes:
        name: The state.
        tracked: The states it tracks.
    """

    def __init__(self, name: str, tracked: tuple[str, ...]) -> None:
        self.name = name
        self.tracked = tracked
        matches = close_matches(name, tracked)
        hint = f"; did you mean {' or '.join(map(repr, matches))}?" if matches else ""
        super().__init__(f"state {name!r} is not tracked by this history{hint}")


class Record(NamedTuple):
    """One recorded transition. Tuples of ticks are in the order of `History.tracked`."""

    number: int
    """Counts all records from 1, dropped ones included."""
    tx_id: str
    kind: str
    called: tuple[str, ...]
    is_auto: bool
    accepted: bool
    canceled_by: str
    source: Source | None
    wall_s: float
    ticks: tuple[int, ...]
    """Ticks of the tracked states afterwards."""
    ticks_diff: tuple[int, ...]
    """How much this transition has added to them."""
    time_sum: int
    """Sum of the ticks of all states afterwards: machine time."""
    time_diff: int
    """How much this transition has added to it."""
    record_diff: int
    """The same since the previous record, which more than one transition may lie between."""

    @property
    def tracked_sum(self) -> int:
        """Sum of the ticks of the tracked states afterwards."""
        return sum(self.ticks)


@dataclass(frozen=True, kw_only=True)
class Query:
    """What records have to fulfil, all of it.

    Args:
        active: States active afterwards.
        activated: States active afterwards and changed since the previous record; a Multi re-entry counts.
        inactive: States inactive afterwards.
        deactivated: States inactive afterwards and changed since the previous record.
        wall_s: Range of the wall time.
        time_sum: Range of the machine time afterwards.
        tracked_sum: Range of the sum of tracked ticks afterwards.
        time_diff: Range of what the transition has added to machine time.
        ticks: Range of the tick afterwards, by state.

    Raises:
        ValueError: A range ends before it begins.
    """

    active: tuple[str, ...] = ()
    activated: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    deactivated: tuple[str, ...] = ()
    wall_s: Range = (None, None)
    time_sum: Range = (None, None)
    tracked_sum: Range = (None, None)
    time_diff: Range = (None, None)
    ticks: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _STATES:
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} has to be a tuple of names, not {getattr(self, name)!r}")
        ranges = {name: getattr(self, name) for name in _RANGES} | {f"ticks of {k}": v for k, v in self.ticks.items()}
        for name, (low, high) in ranges.items():
            if low is not None and high is not None and low > high:
                raise ValueError(f"{name}: the range {low} to {high} ends before it begins")

    def is_met(self, record: Record, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        """Tell whether a record fulfils it.

        Args:
            record: The record.
            before: Ticks of the tracked states after the previous record.
            after: The same after this one.
        """
        return (
            all(after[state] & 1 for state in self.active)
            and not any(after[state] & 1 for state in self.inactive)
            and all(has_become(before[state], after[state], 1) for state in self.activated)
            and all(has_become(before[state], after[state], 0) for state in self.deactivated)
            and all(is_within(getattr(record, name), getattr(self, name)) for name in _RANGES)
            and all(is_within(after[state], limits) for state, limits in self.ticks.items())
        )

    @property
    def states(self) -> tuple[str, ...]:
        """All states it is about."""
        return (*self.active, *self.activated, *self.inactive, *self.deactivated, *self.ticks)


_STATES = ("active", "activated", "inactive", "deactivated")
_RANGES = tuple(f.name for f in fields(Query) if f.name not in (*_STATES, "ticks"))
EVERYTHING = Query()


class Span(NamedTuple):
    """A stretch in which a state was active, on the axis asked for."""

    start: float
    end: float | None
    """None if it has not ended."""
    tick: int


def has_become(before: int, after: int, parity: int) -> bool:
    """Tell whether a tick has changed, to odd (active) for `parity` 1, to even for 0."""
    return after != before and after & 1 == parity


def is_within(value: float, limits: Range) -> bool:
    """Tell whether a value lies in a range."""
    low, high = limits
    return (low is None or value >= low) and (high is None or value <= high)


Axis = Literal["wall", "ticks"]
"""How a moment is given: seconds of the history's clock, or the sum of all the machine's ticks."""


class Fact(NamedTuple):
    """What is kept of a transition: facts, and neither the machine nor the arguments."""

    wall_s: float
    after: tuple[int, ...]
    """Ticks after the transition."""
    kind: int
    called: tuple[str, ...]
    source: Origin | None
    sequence: int
    moved: tuple[int, ...]
    """State numbers whose ticks grew, one by one."""
    flags: int = 0
    canceled_by: str = ""

    @property
    def before(self) -> tuple[int, ...]:
        """Ticks before the transition."""
        return ticks_before(self.after, self.moved)


def ticks_before(after: Sequence[int], moved: Iterable[int]) -> tuple[int, ...]:
    """Return what ticks were, before those of some states grew one by one."""
    ticks = list(after)
    for state in moved:
        ticks[state] -= 1
    return tuple(ticks)


def moved_between(before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of the states whose ticks grew, each as often as it did."""
    return tuple([state for state, (old, new) in enumerate(zip(before, after, strict=False)) for _ in range(new - old)])


class Past:
    """The questions, over facts that a subclass keeps.

    Attributes:
        machine_id: Whose past it is.
        tracked: The states that can be asked about.
    """

    machine_id: str
    tracked: tuple[str, ...]
    _places: dict[str, int]
    """Tracked state -> its place in ticks."""
    _known: tuple[str, ...]
    """All states of the machine."""
    _raw: Sequence[tuple[Any, ...]]
    """The fields of `Fact`, the oldest first; made into one when somebody asks."""
    _count: int
    """How many facts there were, dropped ones included."""
    _start: tuple[float, tuple[int, ...]]
    """When the history begins, and the ticks then."""

    # questions about a state

    def active_between(
        self, state: str, start: float | None = None, end: float | None = None, *, by: Axis = "wall"
    ) -> bool:
        """Tell whether the state was active at any moment from `start` to `end`, as far as recorded.

        What was active already when the interval began counts (asyncmachine-go 0.19 looks at records inside it only).

        Args:
            state: A tracked state.
            start: Begin, included; None is the begin of the history.
            end: End, included; None is now.
            by: Whether they are wall time in seconds or machine time in ticks.

        Raises:
            UnknownStateError: The name is not in the schema.
            UntrackedStateError: The state is not tracked.
        """
        return self._was(state, 1, start, end, by)

    def inactive_between(
        self, state: str, start: float | None = None, end: float | None = None, *, by: Axis = "wall"
    ) -> bool:
        """Tell whether the state was inactive at any moment of the interval. See `active_between`."""
        return self._was(state, 0, start, end, by)

    def activated_between(
        self, state: str, start: float | None = None, end: float | None = None, *, by: Axis = "wall"
    ) -> bool:
        """Tell whether the state became active in the interval; a Multi re-entry counts. See `active_between`."""
        return self._became(state, 1, start, end, by)

    def deactivated_between(
        self, state: str, start: float | None = None, end: float | None = None, *, by: Axis = "wall"
    ) -> bool:
        """Tell whether the state became inactive in the interval. See `active_between`."""
        return self._became(state, 0, start, end, by)

    def spans(self, state: str, *, by: Axis = "wall") -> list[Span]:
        """Return when the state was active, the oldest first; each activation of a Multi state is a span.

        Raises:
            UnknownStateError: The name is not in the schema.
            UntrackedStateError: The state is not tracked.
        """
        (place,) = self._checked((state,))
        spans: list[Span] = []
        last = 0
        for at, ticks in self._points(by):
            tick = _tick(ticks, place)
            if tick != last:
                if last & 1:
                    spans[-1] = spans[-1]._replace(end=at)
                if tick & 1:
                    spans.append(Span(at, None, tick))
                last = tick
        return spans

    def clock_at(self, at: float, *, by: Axis = "wall") -> dict[str, int]:
        """Return the ticks of the tracked states at a moment, by name.

        Raises:
            LookupError: The moment lies before what is recorded.
        """
        found: tuple[int, ...] | None = None
        for begin, ticks in self._points(by):
            if begin > at:
                break
            found = ticks
        if found is None:
            raise LookupError(f"nothing is known of {at}: the history begins at {self.complete_from(by=by)}")
        return {name: _tick(found, place) for name, place in self._places.items()}

    # questions about records

    def find(self, query: Query = EVERYTHING, *, limit: int = 0) -> list[Record]:
        """Return the records that fulfil a query, the newest first.

        Args:
            query: The conditions.
            limit: How many at most; 0 is no limit.

        Raises:
            UnknownStateError: A name is not in the schema.
            UntrackedStateError: A state is not tracked.
        """
        self._checked(query.states)
        found: list[Record] = []
        for record, previous in self._newest_first():
            before = {name: _tick(previous, place) for name, place in self._places.items()}
            if query.is_met(record, before, dict(zip(self.tracked, record.ticks, strict=True))):
                found.append(record)
                if len(found) == limit:
                    break
        return found

    def match(self, fn: Callable[[tuple[Record, ...]], T]) -> T:
        """Return what a function makes of all records, the oldest first."""
        return fn(tuple(reversed(self.find())))

    def __len__(self) -> int:
        """Return how many records are kept."""
        return len(self._raw)

    def is_tracked(self, *states: str) -> bool:
        """Tell whether questions can be asked about all of these states."""
        return all(state in self._places for state in states)

    def index(self, state: str) -> int:
        """Return the place of a state in the ticks of a record.

        Raises:
            UnknownStateError: The name is not in the schema.
            UntrackedStateError: The state is not tracked.
        """
        self._checked((state,))
        return self.tracked.index(state)

    @property
    def next_number(self) -> int:
        """The number the next record will have."""
        return self._count + 1

    def complete_from(self, *, by: Axis = "wall") -> float:
        """Return the moment since which every matching transition is kept."""
        return self._points(by)[0][0]

    def export(self) -> dict[str, Any]:
        """Return everything as plain data, the oldest record first."""
        records = [record._asdict() | {"source": record.source and list(record.source)} for record in self.find()]
        return {"id": self.machine_id, "tracked": list(self.tracked), "records": records[::-1]}

    # how they are answered

    def _checked(self, states: Iterable[str]) -> tuple[int, ...]:
        for state in states:
            if state not in self._places:
                if state not in self._known:
                    raise UnknownStateError(state, self.machine_id, self._known)
                raise UntrackedStateError(state, self.tracked)
        return tuple([self._places[state] for state in states])

    def _points(self, by: Axis) -> list[tuple[float, tuple[int, ...]]]:
        """Return every known configuration and since when it held, the oldest first."""
        if by not in ("wall", "ticks"):
            raise ValueError(f"by has to be 'wall' or 'ticks', not {by!r}")
        known = [] if self._count > len(self._raw) else [self._start]
        known += [(raw.wall_s, raw.after) for raw in itertools.starmap(Fact, self._raw)]
        return known if by == "wall" else [(sum(ticks), ticks) for _, ticks in known]

    def _was(self, state: str, parity: int, start: float | None, end: float | None, by: Axis) -> bool:
        (place,) = self._checked((state,))
        points = self._points(by)
        ends: list[float | None] = [at for at, _ in points[1:]]
        for (at, ticks), until in zip(points, [*ends, None], strict=True):
            # several transitions may share one moment: what began in the interval counts, however short
            reaches_in = start is None or at >= start or until is None or until > start
            if _tick(ticks, place) & 1 == parity and reaches_in and (end is None or at <= end):
                return True
        return False

    def _became(self, state: str, parity: int, start: float | None, end: float | None, by: Axis) -> bool:
        (place,) = self._checked((state,))
        points = self._points(by)
        if self._count > len(self._raw):
            points.insert(0, (points[0][0], Fact(*self._raw[0]).before))
        for (_, before), (at, after) in itertools.pairwise(points):
            if has_become(_tick(before, place), _tick(after, place), parity) and is_within(at, (start, end)):
                return True
        return False

    def _newest_first(self) -> Iterator[tuple[Record, tuple[int, ...]]]:
        """Make the records, the newest first, each with all ticks of the one before it."""
        kept = [Fact(*raw) for raw in self._raw]
        oldest = self._count - len(kept) + 1
        for position in range(len(kept) - 1, -1, -1):
            raw = kept[position]
            is_first = oldest + position == 1
            previous = kept[position - 1].after if position else self._start[1] if is_first else raw.before
            yield self._record(raw, oldest + position, previous), previous

    def _record(self, raw: Fact, number: int, previous: tuple[int, ...]) -> Record:
        before, after, source = raw.before, raw.after, raw.source
        places = self._places.values()
        total = sum(after)
        return Record(
            number=number,
            tx_id=tx_id(self.machine_id, raw.sequence),
            kind=KINDS[raw.kind],
            called=tuple(dict.fromkeys(raw.called)),
            is_auto=bool(raw.flags & IS_AUTO),
            accepted=not raw.canceled_by,
            canceled_by=raw.canceled_by,
            source=None if source is None else Source(source[0], tx_id(source[0], source[1]), source[2]),
            wall_s=raw.wall_s,
            ticks=tuple([_tick(after, place) for place in places]),
            ticks_diff=tuple([_tick(after, place) - _tick(before, place) for place in places]),
            time_sum=total,
            time_diff=total - sum(before),
            record_diff=total - sum(previous),
        )


def _tick(ticks: tuple[int, ...], place: int) -> int:
    """Return a state's tick; records made before the schema has grown know nothing of the new states."""
    return ticks[place] if place < len(ticks) else 0


class History(Past, Tracer):
    """Records the transitions of a machine from now on, and answers questions about them.

    Dry runs are never recorded; refused mutations only on request, unless their failure has moved ticks. The lists
    decide in the order of the arguments, a later one overriding an earlier one: without `called` and `changed` every
    transition is recorded, with them those that match one; then what the exclusions match is left out.

    Args:
        machine: The machine; it is not kept alive.
        states: States to track: those questions can be asked about.
        called: Record mutations that call one of these; they are tracked too.
        called_exclude: Leave out mutations that call one of these.
        changed: Record transitions that change the tick of one of these; they are tracked too.
        changed_exclude: Leave out transitions that change the tick of one of these.
        rejected: Record refused mutations.
        max_records: The oldest records are dropped beyond this number.
        clock: Gives the wall time in seconds.

    Raises:
        UnknownStateError: A name is not in the machine's schema.
        ValueError: There is no state to track, or no record to keep.
    """

    def __init__(
        self,
        machine: Machine,
        states: Iterable[str] = (),
        *,
        called: Iterable[str] = (),
        called_exclude: Iterable[str] = (),
        changed: Iterable[str] = (),
        changed_exclude: Iterable[str] = (),
        rejected: bool = False,
        max_records: int = 1000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        lists = [tuple(names) for names in (called, called_exclude, changed, changed_exclude)]
        self.machine_id = machine.id
        self.tracked = tuple(dict.fromkeys((*states, *lists[0], *lists[2])))
        if not self.tracked:
            raise ValueError("no states to track: name them, or give a list of called or changed states")
        if max_records < 1:
            raise ValueError(f"max_records has to be at least 1, not {max_records}")
        self._places = dict(zip(self.tracked, machine._numbers(self.tracked), strict=True))
        self._known = machine.state_names
        self._called, self._called_exclude = frozenset(lists[0]), frozenset(lists[1])
        self._changed, self._changed_exclude = (
            frozenset(machine._numbers(lists[2])),
            frozenset(machine._numbers(lists[3])),
        )
        machine._numbers(lists[1])
        self._filtered = any(lists)
        self._rejected = rejected
        self._clock = clock
        self._raw: deque[tuple[Any, ...]] = deque(maxlen=max_records)  # of `Fact`, made when somebody asks
        self._count = 0
        self._start = (clock(), machine.time())
        self._machine = weakref.ref(machine)
        machine.bind_tracer(self)

    # recording

    def _transition_facts(self, machine: Machine, plan: Plan, queued: QueuedMutation, tx: Transition | None) -> None:
        """Keep the facts; called by the machine. Short, as this is what recording costs."""
        kind, called, _, source, number, flags, _, _ = queued
        after = tuple(machine._ticks)
        if tx is None or not (flags or tx.canceled_by):
            moved, refused = plan.ticks, ""  # what it did is what was planned
        else:
            moved, refused = moved_between(tx.before, after), tx.canceled_by
            if flags & IS_CHECK or (refused and not self._rejected and not moved):
                return
        if self._filtered and not self._is_wanted(called, moved):
            return
        self._count += 1
        self._raw.append((self._clock(), after, kind, called, source, number, moved, flags, refused))

    def schema_change(self, machine: Machine, old: Any) -> None:
        """Learn the new states; known ones keep their places."""
        self._known = machine.state_names

    def _is_wanted(self, called: tuple[str, ...], moved: tuple[int, ...]) -> bool:
        wanted = not (self._called or self._changed) or not self._called.isdisjoint(called)
        wanted = wanted and self._called_exclude.isdisjoint(called)
        wanted = wanted or not self._changed.isdisjoint(moved)
        return wanted and self._changed_exclude.isdisjoint(moved)

    def close(self) -> None:
        """Stop recording; what is recorded can still be asked for."""
        machine = self._machine()
        if machine is not None:
            machine.unbind_tracer(self)
