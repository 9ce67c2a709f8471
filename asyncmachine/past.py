"""Questions about the past of one machine: what was active, when, and since which mutation.

`Past` answers them from facts about transitions, wherever those are kept: in memory (`history`) or in a record.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from asyncmachine.errors import UnknownStateError
from asyncmachine.mutation import IS_AUTO, Source, tx_id
from asyncmachine.queries import EVERYTHING, Query, Record, Span, UntrackedStateError, has_become, is_within
from asyncmachine.relations import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from asyncmachine.mutation import Origin

T = TypeVar("T")
Axis = Literal["wall", "ticks"]
"""How a moment is given: seconds of the history's clock, or the sum of all the machine's ticks."""


class Fact(NamedTuple):
    """What is kept of a transition: facts, and neither the machine nor the arguments."""

    wall_s: float
    before: tuple[int, ...]
    kind: int
    called: tuple[str, ...]
    source: Origin | None
    sequence: int
    moved: tuple[int, ...] | None
    """State numbers whose ticks grew, one by one; None if only `after` tells."""
    after: tuple[int, ...] | None = None
    flags: int = 0
    canceled_by: str = ""

    def ticks(self) -> tuple[int, ...]:
        """Ticks after the transition."""
        if self.moved is None:
            assert self.after is not None
            return self.after
        ticks = list(self.before)
        for state in self.moved:
            ticks[state] += 1
        return tuple(ticks)


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
        known += [(raw.wall_s, raw.ticks()) for raw in itertools.starmap(Fact, self._raw)]
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
            points.insert(0, (points[0][0], self._raw[0][1]))
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
            previous = kept[position - 1].ticks() if position else self._start[1] if is_first else raw.before
            yield self._record(raw, oldest + position, previous), previous

    def _record(self, raw: Fact, number: int, previous: tuple[int, ...]) -> Record:
        before, after, source = raw.before, raw.ticks(), raw.source
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
