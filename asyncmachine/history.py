"""The in-memory history of one machine, and queries on it: what was active, when, and since which mutation.

Recording appends one tuple per transition; queries do the rest of the work. Wall time comes from the given clock; machine time is the
sum of all ticks. `Past` implements the queries for facts kept in memory or in a record.
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
"""Lower and upper limit, both inclusive; None is no limit."""


class UntrackedStateError(AsyncMachineError):
    """A history was queried for a state it does not track.

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
    """Number of the record, from 1, counting dropped ones."""
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
    """Increase of these ticks by this transition."""
    time_sum: int
    """Sum of the ticks of all states afterwards: machine time."""
    time_diff: int
    """Increase of `time_sum` by this transition."""
    record_diff: int
    """Increase of `time_sum` since the previous record; unrecorded transitions may lie in between."""

    @property
    def tracked_sum(self) -> int:
        """Sum of the ticks of the tracked states afterwards."""
        return sum(self.ticks)


@dataclass(frozen=True, kw_only=True)
class Query:
    """A conjunction of conditions on records.

    Args:
        active: States active afterwards.
        activated: States active afterwards and changed since the previous record; a Multi re-entry counts.
        inactive: States inactive afterwards.
        deactivated: States inactive afterwards and changed since the previous record.
        wall_s: Range of the wall time.
        time_sum: Range of the machine time afterwards.
        tracked_sum: Range of the sum of tracked ticks afterwards.
        time_diff: Range of the increase of machine time by the transition.
        ticks: Range of the tick afterwards, by state.

    Raises:
        ValueError: The end of a range is below its start.
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
                raise TypeError(f"{name} must be a tuple of names, got {getattr(self, name)!r}")
        ranges = {name: getattr(self, name) for name in _RANGES} | {f"ticks of {k}": v for k, v in self.ticks.items()}
        for name, (low, high) in ranges.items():
            if low is not None and high is not None and low > high:
                raise ValueError(f"{name}: the range {low} to {high} ends before it begins")

    def is_met(self, record: Record, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        """Return whether a record fulfils it.

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
        """All states in the conditions."""
        return (*self.active, *self.activated, *self.inactive, *self.deactivated, *self.ticks)


_STATES = ("active", "activated", "inactive", "deactivated")
_RANGES = tuple(f.name for f in fields(Query) if f.name not in (*_STATES, "ticks"))
EVERYTHING = Query()


class Span(NamedTuple):
    """An interval in which a state was active, on the requested axis."""

    start: float
    end: float | None
    """None if it has not ended."""
    tick: int


def has_become(before: int, after: int, parity: int) -> bool:
    """Return whether a tick has changed, to odd (active) for `parity` 1, to even for 0."""
    return after != before and after & 1 == parity


def is_within(value: float, limits: Range) -> bool:
    """Return whether a value lies in a range."""
    low, high = limits
    return (low is None or value >= low) and (high is None or value <= high)


Axis = Literal["wall", "ticks"]
"""The time axis: seconds of the history's clock, or the sum of all the machine's ticks."""


class Fact(NamedTuple):
    """The stored facts of a transition, without references to the machine or the arguments."""

    wall_s: float
    after: tuple[int, ...]
    """Ticks after the transition."""
    kind: int
    called: tuple[str, ...]
    source: Origin | None
    sequence: int
    moved: tuple[int, ...]
    """State numbers whose ticks advanced, repeated once per tick."""
    flags: int = 0
    canceled_by: str = ""

    @property
    def before(self) -> tuple[int, ...]:
        """Ticks before the transition."""
        return ticks_before(self.after, self.moved)


def ticks_before(after: Sequence[int], moved: Iterable[int]) -> tuple[int, ...]:
    """Return the ticks before those of the given states advanced by one each."""
    ticks = list(after)
    for state in moved:
        ticks[state] -= 1
    return tuple(ticks)


def moved_between(before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of the states whose ticks advanced, repeated once per tick."""
    return tuple([state for state, (old, new) in enumerate(zip(before, after, strict=False)) for _ in range(new - old)])


class Past:
    """Queries on facts stored by a subclass.

    Attributes:
        machine_id: Id of the machine.
        tracked: The states that can be queried.
    """

    machine_id: str
    tracked: tuple[str, ...]
    _places: dict[str, int]
    """Position in ticks by tracked state."""
    _known: tuple[str, ...]
    """All states of the machine."""
    _raw: Sequence[tuple[Any, ...]]
    """The fields of `Fact`, oldest first; converted to `Fact` on a query."""
    _count: int
    """Number of facts, including dropped ones."""
    _start: tuple[float, tuple[int, ...]]
    """Start of the history, and the ticks at that time."""

    # queries on a state

    def active_between(
        self, state: str, start: float | None = None, end: float | None = None, *, by: Axis = "wall"
    ) -> bool:
        """Return whether the state was active at any time from `start` to `end`, as far as recorded.

        A state that was already active at the start counts (asyncmachine-go 0.19 considers only records inside the interval).

        Args:
            state: A tracked state.
            start: Start, inclusive; None is the start of the history.
            end: End, inclusive; None is now.
            by: The axis of `start` and `end`: wall time in seconds or machine time in ticks.

        Raises:
            UnknownStateError: The name is not in the schema.
            UntrackedStateError: The state is not tracked.
        """
        return self._was(state, 1, start, end, by)

    def inactive_between(
        self, state: str, start: float | None = None, end: float | None = None, *, by: Axis = "wall"
    ) -> bool:
        """Return whether the state was inactive at any time in the interval. See `active_between`."""
        return self._was(state, 0, start, end, by)

    def activated_between(
        self, state: str, start: float | None = None, end: float | None = None, *, by: Axis = "wall"
    ) -> bool:
        """Return whether the state became active in the interval; a Multi re-entry counts. See `active_between`."""
        return self._became(state, 1, start, end, by)

    def deactivated_between(
        self, state: str, start: float | None = None, end: float | None = None, *, by: Axis = "wall"
    ) -> bool:
        """Return whether the state became inactive in the interval. See `active_between`."""
        return self._became(state, 0, start, end, by)

    def spans(self, state: str, *, by: Axis = "wall") -> list[Span]:
        """Return the spans in which the state was active, oldest first; each activation of a Multi state is a span.

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
        """Return the ticks of the tracked states at a point in time, by name.

        Raises:
            LookupError: The time is before the start of the recording.
        """
        found: tuple[int, ...] | None = None
        for begin, ticks in self._points(by):
            if begin > at:
                break
            found = ticks
        if found is None:
            raise LookupError(f"{at} is before the start of the history at {self.complete_from(by=by)}")
        return {name: _tick(found, place) for name, place in self._places.items()}

    # queries on records

    def find(self, query: Query = EVERYTHING, *, limit: int = 0) -> list[Record]:
        """Return the records that fulfil a query, newest first.

        Args:
            query: The conditions.
            limit: Maximal number of records; 0 is no limit.

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
        """Apply a function to all records, oldest first, and return its result."""
        return fn(tuple(reversed(self.find())))

    def __len__(self) -> int:
        """Return the number of records kept."""
        return len(self._raw)

    def is_tracked(self, *states: str) -> bool:
        """Return whether all of these states are tracked."""
        return all(state in self._places for state in states)

    def index(self, state: str) -> int:
        """Return the position of a state in the ticks of a record.

        Raises:
            UnknownStateError: The name is not in the schema.
            UntrackedStateError: The state is not tracked.
        """
        self._checked((state,))
        return self.tracked.index(state)

    @property
    def next_number(self) -> int:
        """The number of the next record."""
        return self._count + 1

    def complete_from(self, *, by: Axis = "wall") -> float:
        """Return the time since which every matching transition is kept."""
        return self._points(by)[0][0]

    def export(self) -> dict[str, Any]:
        """Return everything as plain data, oldest record first."""
        records = [record._asdict() | {"source": record.source and list(record.source)} for record in self.find()]
        return {"id": self.machine_id, "tracked": list(self.tracked), "records": records[::-1]}

    # implementation of the queries

    def _checked(self, states: Iterable[str]) -> tuple[int, ...]:
        for state in states:
            if state not in self._places:
                if state not in self._known:
                    raise UnknownStateError(state, self.machine_id, self._known)
                raise UntrackedStateError(state, self.tracked)
        return tuple([self._places[state] for state in states])

    def _points(self, by: Axis) -> list[tuple[float, tuple[int, ...]]]:
        """Return every known configuration and its start time, oldest first."""
        if by not in ("wall", "ticks"):
            raise ValueError(f"by must be 'wall' or 'ticks', got {by!r}")
        known = [] if self._count > len(self._raw) else [self._start]
        known += [(raw.wall_s, raw.after) for raw in itertools.starmap(Fact, self._raw)]
        return known if by == "wall" else [(sum(ticks), ticks) for _, ticks in known]

    def _was(self, state: str, parity: int, start: float | None, end: float | None, by: Axis) -> bool:
        (place,) = self._checked((state,))
        points = self._points(by)
        ends: list[float | None] = [at for at, _ in points[1:]]
        for (at, ticks), until in zip(points, [*ends, None], strict=True):
            # several transitions may share one time: a configuration that began in the interval counts, however short
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
        """Yield the records, newest first, each with all ticks of the previous one."""
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
    """Return a state's tick; 0 for states added to the schema after the record was made."""
    return ticks[place] if place < len(ticks) else 0


class History(Past, Tracer):
    """A recorder of a machine's transitions from now on, with queries on them.

    Dry runs are never recorded; refused mutations only on request, unless their failure has advanced ticks. The lists
    apply in the order of the arguments, a later one overriding an earlier one: without `called` and `changed` every
    transition is recorded, with them those that match one; transitions that match an exclusion are left out.

    Args:
        machine: The machine; only weakly referenced.
        states: States to track, which can be queried.
        called: Record mutations that call one of these; they are tracked too.
        called_exclude: Leave out mutations that call one of these.
        changed: Record transitions that change the tick of one of these; they are tracked too.
        changed_exclude: Leave out transitions that change the tick of one of these.
        rejected: Record refused mutations.
        max_records: Maximal number of records; the oldest are dropped.
        clock: Returns the wall time in seconds.

    Raises:
        UnknownStateError: A name is not in the machine's schema.
        ValueError: No state to track, or `max_records` below 1.
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
            raise ValueError(f"max_records must be at least 1, got {max_records}")
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
        self._raw: deque[tuple[Any, ...]] = deque(maxlen=max_records)  # fields of `Fact`
        self._count = 0
        self._start = (clock(), machine.time())
        self._machine = weakref.ref(machine)
        machine.bind_tracer(self)

    # recording

    def _transition_facts(self, machine: Machine, plan: Plan, queued: QueuedMutation, tx: Transition | None) -> None:
        """Store the facts; called by the machine. This is the hot path of recording."""
        kind, called, _, source, number, flags, _, _ = queued
        after = tuple(machine._ticks)
        if tx is None or not (flags or tx.canceled_by):
            moved, refused = plan.ticks, ""  # it was carried out as planned
        else:
            moved, refused = moved_between(tx.before, after), tx.canceled_by
            if flags & IS_CHECK or (refused and not self._rejected and not moved):
                return
        if self._filtered and not self._is_wanted(called, moved):
            return
        self._count += 1
        self._raw.append((self._clock(), after, kind, called, source, number, moved, flags, refused))

    def schema_change(self, machine: Machine, old: Any) -> None:
        """Add the new states; known ones keep their positions."""
        self._known = machine.state_names

    def _is_wanted(self, called: tuple[str, ...], moved: tuple[int, ...]) -> bool:
        wanted = not (self._called or self._changed) or not self._called.isdisjoint(called)
        wanted = wanted and self._called_exclude.isdisjoint(called)
        wanted = wanted or not self._changed.isdisjoint(moved)
        return wanted and self._changed_exclude.isdisjoint(moved)

    def close(self) -> None:
        """Stop recording; the records can still be queried."""
        machine = self._machine()
        if machine is not None:
            machine.unbind_tracer(self)
