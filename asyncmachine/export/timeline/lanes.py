"""The lanes of a timeline: a tree of spans, machines and states with their bars and marks.

Below a span are its points, a lane for each name, then its child spans, then its machines. Below a machine are its states that
were ever active, then its submachines; many submachines share one lane that expands into theirs. The lane of a machine has a bar
for its lifetime and a mark for each transition.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from asyncmachine.export.timeline.events import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asyncmachine.export.timeline.events import Key, Track
    from asyncmachine.record.format import Point, RecordedSpan
    from asyncmachine.record.reading import Activation

LaneKind = Literal["track", "span", "points", "machine", "machines", "state"]
MANY = 12
"""More submachines than this are grouped in an expandable lane."""


class Bar(NamedTuple):
    """An interval of a lane, from event to event, and its recorded span or state clock."""

    begin: int
    end: int
    info: int = -1


@dataclass(eq=False)
class Lane:
    """One lane.

    Attributes:
        kind: The kind of its subject.
        label: Its name.
        machine: Number of its machine among those of all tracks, or -1.
        state: Number of its state in its machine, or -1.
        bars: Disjoint intervals, in order.
        marks: Events, in order.
        below: The lanes it expands into.
        is_open: Whether it is initially expanded.
    """

    kind: LaneKind
    label: str
    machine: int = -1
    state: int = -1
    bars: list[Bar] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    below: list[Lane] = field(default_factory=list)
    is_open: bool = False


def flat(lanes: Iterable[Lane]) -> list[tuple[Lane, int]]:
    """Return a tree of lanes as a list from the top, each with the index of its parent, or -1."""
    found: list[tuple[Lane, int]] = []
    left = [(lane, -1) for lane in reversed(list(lanes))]
    while left:
        lane, parent = left.pop()
        left += [(child, len(found)) for child in reversed(lane.below)]
        found.append((lane, parent))
    return found


def lanes_of(track: Track, numbers: Mapping[Key, int], first_machine: int, first_span: int) -> list[Lane]:
    """Build the lanes of a track.

    Args:
        track: The record's content.
        numbers: Its events' numbers.
        first_machine: Number of its first machine among those of all tracks.
        first_span: Number of its first span among those of all tracks.
    """
    by_span: dict[int | None, list[Lane]] = {}
    by_machine: dict[int, list[Lane]] = {}
    machines = _machine_lanes(track, numbers, first_machine)
    known = {span.id for span in track.spans}
    for place, machine in enumerate(track.machines):
        if machine.parent in machines:
            by_machine.setdefault(machine.parent, []).append(machines[machine.number])
        else:
            by_span.setdefault(machine.span if machine.span in known else None, []).append(machines[machine.number])
        machines[machine.number].machine = first_machine + place
    for number, children in by_machine.items():
        machines[number].below += [_together(children)] if len(children) > MANY else children
    marks: dict[int | None, list[Point]] = {}
    for point in track.points:
        marks.setdefault(point.span if point.span in known else None, []).append(point)
    return _span_lanes(track, numbers, by_span, marks, first_span)


def _machine_lanes(track: Track, numbers: Mapping[Key, int], first: int) -> dict[int, Lane]:
    end = numbers[Kind.END, 0]
    lanes: dict[int, Lane] = {}
    for place, machine in enumerate(track.machines):
        life = Bar(numbers[Kind.MACHINE_BEGIN, machine.number], numbers.get((Kind.MACHINE_END, machine.number), end))
        lanes[machine.number] = Lane("machine", machine.id, first + place, bars=[life])
    for transition in track.transitions:
        lanes[transition.machine].marks.append(numbers[Kind.TRANSITION, transition.seq])
    states: dict[tuple[int, str], list[Bar]] = {}
    for activation in track.record.activations():
        states.setdefault((activation.machine, activation.state), []).append(_activation_bar(activation, numbers))
    for machine in track.machines:
        lane = lanes[machine.number]
        lane.marks.sort()
        for number, name in enumerate(machine.state_names):
            if bars := states.get((machine.number, name)):
                lane.below.append(Lane("state", name, lane.machine, number, sorted(bars)))
    return lanes


def _activation_bar(activation: Activation, numbers: Mapping[Key, int]) -> Bar:
    begin = numbers.get((Kind.TRANSITION, activation.seq or 0), numbers[Kind.MACHINE_BEGIN, activation.machine])
    end = numbers.get((Kind.TRANSITION, activation.end_seq or 0), -1)
    if end < 0:
        last = numbers[Kind.END, 0]
        end = last if activation.end_ns is None else numbers.get((Kind.MACHINE_END, activation.machine), last)
    return Bar(begin, end, activation.tick)


def _together(lanes: list[Lane]) -> Lane:
    """Group many machines in one lane with all their marks."""
    marks = list(heapq.merge(*(lane.marks for lane in lanes)))
    return Lane("machines", f"{len(lanes)} machines", marks=marks, below=lanes)


def _span_lanes(
    track: Track,
    numbers: Mapping[Key, int],
    machines: Mapping[int | None, list[Lane]],
    points: Mapping[int | None, list[Point]],
    first: int,
) -> list[Lane]:
    """Return the lanes of spans with their content: siblings of one name share a lane, or several if they overlap."""
    children: dict[int | None, list[tuple[int, RecordedSpan]]] = {}
    known = {span.id for span in track.spans}
    for place, span in enumerate(track.spans):
        children.setdefault(span.parent if span.parent in known else None, []).append((first + place, span))
    end = numbers[Kind.END, 0]

    def under(parents: list[int | None]) -> tuple[list[int], list[Lane]]:
        found = [point for parent in parents for point in points.get(parent, ())]
        below = _point_lanes(found, numbers)
        groups: dict[str, list[tuple[int, RecordedSpan]]] = {}
        for parent in parents:
            for place, span in children.get(parent, ()):
                groups.setdefault(span.name, []).append((place, span))
        for name, spans in groups.items():
            bars = [
                Bar(numbers.get((Kind.SPAN_BEGIN, s.id), 0), numbers.get((Kind.SPAN_END, s.id), end), place)
                for place, s in spans
            ]
            marks, inner = under([span.id for _, span in spans])
            rows = _packed_bars(sorted(bars))
            below += [Lane("span", name, bars=rows[0], marks=marks, below=inner)]
            below += [Lane("span", "", bars=row) for row in rows[1:]]
        below += [lane for parent in parents for lane in machines.get(parent, ())]
        return sorted(numbers[Kind.POINT, point.id] for point in found), below

    return under([None])[1]


def _point_lanes(points: list[Point], numbers: Mapping[Key, int]) -> list[Lane]:
    names: dict[str, list[int]] = {}
    for point in points:
        names.setdefault(point.name, []).append(numbers[Kind.POINT, point.id])
    return [Lane("points", name, marks=sorted(marks)) for name, marks in names.items()]


def _packed_bars(bars: list[Bar]) -> list[list[Bar]]:
    """Distribute bars over the fewest rows without overlap."""
    rows: list[list[Bar]] = []
    free: list[tuple[int, int]] = []  # end of the last bar, row
    for bar in bars:
        if free and free[0][0] <= bar.begin:
            row = heapq.heappop(free)[1]
            rows[row].append(bar)
        else:
            row = len(rows)
            rows.append([bar])
        heapq.heappush(free, (bar.end, row))
    return rows


def flow_lanes(track: Track, numbers: Mapping[Key, int]) -> list[Lane]:
    """Return the lanes of one flow, one for each place: the topmost spans in which its points differ."""
    by_id = {span.id: span for span in track.spans}
    paths: dict[int, tuple[int, ...]] = {}
    for point in track.points:
        path: list[int] = []
        at = point.span
        while at in by_id:
            path.insert(0, at)
            at = by_id[at].parent
        paths[point.id] = tuple(path)
    depth = 0
    while len({path[: depth + 1] for path in paths.values()}) == 1 and all(
        len(path) > depth + 1 for path in paths.values()
    ):
        depth += 1
    lanes: dict[tuple[int, ...], Lane] = {}
    for point in track.points:
        place = paths[point.id][: depth + 1]
        label = by_id[place[-1]].name if place else "elsewhere"
        lanes.setdefault(place, Lane("span", label)).marks.append(numbers[Kind.POINT, point.id])
    for lane in lanes.values():
        lane.marks.sort()
    return [lanes[place] for place in sorted(lanes)]


def open_some(lanes: list[Lane], most: int, *, one_machine: bool) -> None:
    """Expand lanes from the top, level by level, up to a number of visible lanes; machines first on each level.

    Args:
        lanes: The top lanes.
        most: Maximal number of visible lanes.
        one_machine: Expand one machine regardless of the limit.
    """
    amount = len(lanes)
    level = lanes
    while level:
        below: list[Lane] = []
        for lane in sorted(level, key=lambda lane: lane.kind != "machine"):
            is_first = one_machine and lane.kind == "machine"
            if lane.below and lane.kind != "machines" and (is_first or amount + len(lane.below) <= most):
                lane.is_open = True
                one_machine &= lane.kind != "machine"
                amount += len(lane.below)
                below += lane.below
        level = below
