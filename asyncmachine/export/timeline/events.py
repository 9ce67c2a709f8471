"""The events of a record in order: the time of each event, its position on the order axis, and its cause.

An event is a transition, a point, or the start or end of a machine or span. On a virtual clock many events share one time.
The order axis therefore gives each time a width: one step per event, in the track with the most events at that time. Tracks with
a common clock share this axis.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncmachine.record import Record
    from asyncmachine.record.format import Point, RecordedMachine, RecordedSpan, RecordedTransition

STEP = 1000
"""Units of the order axis per step."""


class Kind(IntEnum):
    """The kind of an event. Events at one time are sorted in this order, unless the wall clock distinguishes them."""

    SPAN_BEGIN = 0
    MACHINE_BEGIN = 1
    TRANSITION = 2
    POINT = 3
    MACHINE_END = 4
    SPAN_END = 5
    END = 6


Key = tuple[Kind, int]
"""Kind and number: for a transition its sequence number, else the id."""


class Event(NamedTuple):
    """One event. `time_ns` is on the record's clock; `wall_ns` only decides the order."""

    time_ns: int
    wall_ns: int
    kind: Kind
    id: int


class Track(NamedTuple):
    """The content of one record, its events in order; the last one is the end of the record."""

    record: Record
    title: str
    events: list[Event]
    machines: tuple[RecordedMachine, ...]
    transitions: list[RecordedTransition]
    spans: list[RecordedSpan]
    points: list[Point]

    def numbers(self, first: int) -> dict[Key, int]:
        """Return the numbers of all events, from `first` on."""
        return {(event.kind, event.id): first + rank for rank, event in enumerate(self.events)}


def whole_track(record: Record, title: str) -> Track:
    """Read all events of a record."""
    transitions, spans, points = list(record.transitions()), record.spans(), record.points()
    events = _in_order(record, record.machines, transitions, spans, points)
    return Track(record, title, events, record.machines, transitions, spans, points)


def flow_track(record: Record, title: str, flow: str) -> Track:
    """Read the points of one flow and the spans around them."""
    points = [point for point in record.points() if point.flow == flow]
    by_id = {span.id: span for span in record.spans()}
    kept: set[int] = set()
    for point in points:
        at = point.span
        while at is not None and at not in kept:
            kept.add(at)
            at = by_id[at].parent
    spans = [span for span in by_id.values() if span.id in kept]
    events = [event for event in _in_order(record, (), (), (), points) if event.kind is Kind.POINT]
    last = events[-1].time_ns if events else 0
    return Track(record, title, [*events, Event(last, last, Kind.END, 0)], (), [], spans, points)


def _in_order(
    record: Record,
    machines: Sequence[RecordedMachine],
    transitions: Sequence[RecordedTransition],
    spans: Sequence[RecordedSpan],
    points: Sequence[Point],
) -> list[Event]:
    """Sort by the record's clock, then by the wall clock, which also moves while a virtual clock stands."""
    by_wall = record.by_wall_clock() if record.clock == "loop" else record
    walls = {
        (event.kind, event.id): event.time_ns for event in _plain(by_wall.machines, by_wall.spans(), by_wall.points())
    }
    found = [Event(e.time_ns, walls[e.kind, e.id], e.kind, e.id) for e in _plain(machines, spans, points)]
    found += [Event(t.time_ns, t.wall_ns, Kind.TRANSITION, t.seq) for t in transitions]
    found.sort()
    end = max([record.end_ns, *(event.time_ns for event in found[-1:])])
    return [*found, Event(end, end, Kind.END, 0)]


def _plain(
    machines: Sequence[RecordedMachine], spans: Sequence[RecordedSpan], points: Sequence[Point]
) -> Iterator[Event]:
    """Yield all events except transitions, on the reader's clock."""
    for machine in machines:
        yield Event(machine.start_ns, 0, Kind.MACHINE_BEGIN, machine.number)
        if machine.end_ns is not None:
            yield Event(machine.end_ns, 0, Kind.MACHINE_END, machine.number)
    for span in spans:
        yield Event(span.start_ns, 0, Kind.SPAN_BEGIN, span.id)
        if span.end_ns is not None:
            yield Event(span.end_ns, 0, Kind.SPAN_END, span.id)
    for point in points:
        yield Event(point.time_ns, 0, Kind.POINT, point.id)


def places_in_order(tracks: Sequence[Track]) -> list[int]:
    """Return the positions of all events of all tracks on the order axis, in thousandths of a step."""
    counts: list[dict[int, int]] = []
    for track in tracks:
        own: dict[int, int] = {}
        for event in track.events:
            own[event.time_ns] = own.get(event.time_ns, 0) + 1
        counts.append(own)
    begins: dict[int, int] = {}
    widths: dict[int, int] = {}
    at = 0
    for time_ns in sorted(set().union(*counts)):
        begins[time_ns] = at
        widths[time_ns] = max(own.get(time_ns, 0) for own in counts)
        at += widths[time_ns] + 1
    places = []
    for track, own in zip(tracks, counts, strict=True):
        instant, rank = -1, 0
        for event in track.events:
            rank = rank + 1 if event.time_ns == instant else 0
            instant = event.time_ns
            within = (2 * rank + 1) * widths[instant] * STEP // (2 * own[instant])
            places.append(begins[instant] * STEP + within)
    return places
