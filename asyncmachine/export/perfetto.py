"""Chrome trace JSON, for Perfetto: a process per host, a track per state, transitions as instants, arrows for causes.

The form of the file follows Perfetto's import. Thread 0 is treated as an idle processor and dropped, and a thread with the number of
its process is shown as its main thread: so all numbers are distinct and start at 1. Events that begin at the same time on one track
are nested: so they are shifted by a nanosecond each. An arrow belongs to the latest event of its track, and its start must come
first: so a cause that is only known to have ended after its effect has no arrow.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from asyncmachine.export.errors import ExportError
from asyncmachine.export.files import write_whole
from asyncmachine.export.message_traces import HOST_ID
from asyncmachine.export.run_trace import started_ns
from asyncmachine.export.span_model import SHORTEST_NS
from asyncmachine.export.spans import build_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from asyncmachine.export.span_model import Span
    from asyncmachine.record import Record

MAX_BYTES: Final = 200_000_000
"""Size of a file that Perfetto opens in about ten seconds."""

ARROWS: Final = {"source": "cause", "follows": "message"}
"""Drawn links, with the names of their arrows."""


class TraceTooLargeError(ExportError):
    """A trace would be too large for a viewer.

    Attributes:
        path: The file, which was not written.
        limit: Maximal size in bytes.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.limit = limit
        size = f"{limit / 1e6:,.0f} MB" if limit >= 1_000_000 else f"{limit:,} bytes"
        super().__init__(f"{path} would be larger than {size}: select machines or a time range")


class Drawn(NamedTuple):
    """The numbers of written items."""

    events: int
    processes: int
    tracks: int
    size: int
    """Bytes."""

    def __str__(self) -> str:
        return f"{self.events:,} events on {self.tracks:,} tracks of {self.processes:,} processes"


def write_perfetto(
    record: Record,
    path: Path | str,
    *,
    machines: Iterable[str] = (),
    after_ns: int | None = None,
    until_ns: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> Drawn:
    """Write a record as a Chrome trace.

    Args:
        record: The record.
        path: The file.
        machines: Ids of the machines to include, with their submachines; by default everything.
        after_ns: Include only events from this time on, on the record's clock.
        until_ns: Include only events before this time, on the record's clock.
        max_bytes: Maximal size of the file.

    Raises:
        UnknownMachineError: One of `machines` is not in the record.
        TraceTooLargeError: It would be larger than `max_bytes`.
        UnwritableFileError: The file cannot be written.
    """
    path = Path(path)
    with record.snapshot():
        traces = build_spans(
            record, machines=machines, after_ns=after_ns, until_ns=until_ns, max_spans=None, messages=False
        )
        drawing = _Drawing(started_ns(record), {machine.id: machine.state_names for machine in record.machines})
    drawing.draw(list(traces.spans))
    size = write_whole(path, _limited(drawing.chunks(traces.resource), path, max_bytes))
    return Drawn(drawing.events, len(drawing.processes), len(drawing.tracks), size)


def _limited(chunks: Iterable[bytes], path: Path, limit: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TraceTooLargeError(path, limit)
        yield chunk


class _Process(NamedTuple):
    place: int
    """Its position among the processes."""
    name: str


class _Track(NamedTuple):
    process: _Process
    place: tuple[int, int, int]
    """Its position among the tracks of its process: group, then by kind, then by state."""
    key: tuple[str, str]
    """Id of a span, and the part of it that is shown."""
    name: str


class _Home(NamedTuple):
    """The position of a span in the drawing: its ancestors."""

    process: _Process
    machine: Span | None


class _Drawing:
    """The assignment of spans to tracks, and the order of events.

    Args:
        start_ns: Unix time of the record's time zero.
        states: States by machine id, in order.
    """

    def __init__(self, start_ns: int, states: Mapping[str, Sequence[str]]) -> None:
        self._start_ns = start_ns
        self._states = states
        self.processes: dict[str, _Process] = {}
        """By id of the span that names the process."""
        self.tracks: dict[tuple[str, str], _Track] = {}
        """By their keys."""
        self._order: dict[str, int] = {}
        """Position of machines by id of their span, in order of appearance."""
        self._by_id: dict[str, Span] = {}
        self._homes: dict[str, _Home] = {}
        self._placed: dict[str, tuple[_Track, int]] = {}
        self._events: list[tuple[int, int, _Process, _Track | None, dict[str, Any]]] = []
        """Time, position among all, process, track, and the remaining fields."""

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self._events)

    def draw(self, spans: Sequence[Span]) -> None:
        """Assign spans to tracks; parents must come before their children."""
        bars: dict[_Track, list[Span]] = {}
        instants: list[tuple[Span, _Track]] = []
        own: dict[_Process, list[Span]] = {}
        for span in spans:
            self._by_id[span.span_id] = span
            home = self._homes[span.span_id] = self._home(span)
            if span.kind == "span":
                own.setdefault(home.process, []).append(span)
            elif span.kind in ("transition", "point"):
                instants.append((span, self._track_of(span, home)))
            elif span.kind not in ("group", "machine"):
                bars.setdefault(self._track_of(span, home), []).append(span)
        for process, belonging in own.items():
            self._draw_nested(process, belonging)
        for track, belonging in bars.items():
            self._draw_bars(track, belonging)
        self._draw_instants(instants)
        self._draw_arrows(spans)
        self._draw_queues(spans)

    # positions

    def _home(self, span: Span) -> _Home:
        above = self._homes.get(span.parent_id)
        if above is None or HOST_ID in span.attributes:
            return _Home(self._process(span, span.name), None)
        if span.kind != "machine":
            return above
        self._order[span.span_id] = len(self._order)
        is_on_host = any(HOST_ID in one.attributes for one in self._above(span))
        if is_on_host or above.machine is not None:
            return _Home(above.process, span)
        return _Home(self._process(span, str(span.attributes["id"])), span)

    def _above(self, span: Span) -> Iterator[Span]:
        while span.parent_id:
            span = self._by_id[span.parent_id]
            yield span

    def _process(self, span: Span, name: str) -> _Process:
        return self.processes.setdefault(span.span_id, _Process(len(self.processes), name))

    def _track_of(self, span: Span, home: _Home) -> _Track:
        above = self._by_id[span.parent_id]
        if home.machine is None:  # a point: on the track of its span or group
            name = above.name if above.kind == "group" else f"{above.name} points"
            return self._track(home.process, above, "points", name, (0, 1, 0))
        machine, name = home.machine, str(home.machine.attributes["id"])
        order = self._order[machine.span_id] + 1
        if span.kind == "activation":
            names = self._states.get(name, ())
            position = names.index(span.name) if span.name in names else len(names)
            return self._track(home.process, above, "state", f"{name}: {span.name}", (order, 2, position))
        return self._track(
            home.process, machine, span.kind, f"{name} {span.kind}s", (order, int(span.kind == "handler"), 0)
        )

    def _track(self, process: _Process, span: Span, kind: str, name: str, place: tuple[int, int, int]) -> _Track:
        key = (span.span_id, kind)
        return self.tracks.setdefault(key, _Track(process, place, key, name))

    # drawing

    def _draw_nested(self, process: _Process, spans: list[Span]) -> None:
        """Draw the program's own spans on as few tracks as possible, nested or in sequence."""
        lanes: list[tuple[_Track, list[int]]] = []
        for span in sorted(spans, key=lambda span: (span.start_ns, -span.end_ns)):
            lane = next((lane for lane in lanes if _has_room(lane[1], span)), None)
            if lane is None:
                name = f"spans {len(lanes) + 1}" if lanes else "spans"
                lane = (self._track(process, span, "spans", name, (0, 0, len(lanes))), [])
                lanes.append(lane)
            lane[1].append(span.end_ns)
            self._draw(lane[0], span, span.start_ns, span.end_ns)

    def _draw_bars(self, track: _Track, spans: list[Span]) -> None:
        """Draw consecutive spans on one track, shifted by a nanosecond if they start at the same time."""
        free_ns = 0
        for span in sorted(spans, key=lambda span: span.start_ns):
            start_ns = max(span.start_ns, free_ns)
            free_ns = max(span.end_ns, start_ns + SHORTEST_NS)
            self._draw(track, span, start_ns, free_ns)

    def _draw_instants(self, instants: list[tuple[Span, _Track]]) -> None:
        """Draw instants; at equal times, each a nanosecond after the last of its track and after its cause."""
        free: dict[_Track, int] = {}
        for span, track in sorted(instants, key=lambda one: one[0].start_ns):
            causes = [link.span_id for link in span.links if link.kind in ARROWS and link.span_id in self._placed]
            after = [self._placed[cause][1] + SHORTEST_NS for cause in causes]
            start_ns = max(span.start_ns, free.get(track, 0), *after)
            free[track] = start_ns + SHORTEST_NS
            self._draw(track, span, start_ns, None)

    def _draw(self, track: _Track, span: Span, start_ns: int, end_ns: int | None) -> None:
        """Draw a span as a bar, or as an instant if it has no end."""
        self._placed[span.span_id] = (track, start_ns)
        facts = {key: value for key, value in span.attributes.items() if key != "mach_id"}
        event: dict[str, Any] = {"ph": "X", "name": span.name, "cat": _category(span), "args": facts}
        if end_ns is None:
            event |= {"ph": "i", "s": "t"}
            if span.end_ns - span.start_ns > SHORTEST_NS:
                facts["duration_us"] = (span.end_ns - span.start_ns) / 1000
        else:
            event["dur"] = (end_ns - start_ns) / 1000
        self._add(track.process, track, start_ns, event)

    def _draw_arrows(self, spans: Sequence[Span]) -> None:
        """Draw an arrow from every cause to its effect, and from every point to its successor."""
        numbers = itertools.count(1)
        for span in spans:
            for link in span.links:
                cause = self._placed.get(link.span_id)
                effect = self._placed.get(span.span_id)
                if cause is None or effect is None or link.kind not in ARROWS or cause[1] > effect[1]:
                    continue
                name = ARROWS[link.kind]
                number = next(numbers)
                for (track, at_ns), phase in ((cause, {"ph": "s"}), (effect, {"ph": "f", "bp": "e"})):
                    event = {"name": name, "cat": name, "id": number, **phase}
                    self._add(track.process, track, at_ns, event)

    def _draw_queues(self, spans: Sequence[Span]) -> None:
        """Draw the queue length at the start of each transition, for machines whose queue was ever used."""
        last: dict[str, object] = {}
        has_waited = {
            machine.span_id
            for span in spans
            if span.attributes.get("queue") and (machine := self._homes[span.span_id].machine) is not None
        }
        for span in sorted(spans, key=lambda span: span.start_ns):
            machine = self._homes[span.span_id].machine
            waiting = span.attributes.get("queue")
            if span.kind != "transition" or machine is None or machine.span_id not in has_waited:
                continue
            if last.get(machine.span_id) != waiting:
                last[machine.span_id] = waiting
                event = {"ph": "C", "name": f"{machine.attributes['id']} queue", "args": {"waiting": waiting}}
                self._add(self._homes[span.span_id].process, None, span.start_ns, event)

    def _add(self, process: _Process, track: _Track | None, at_ns: int, event: dict[str, Any]) -> None:
        self._events.append((at_ns - self._start_ns, len(self._events), process, track, event))

    # the file

    def chunks(self, resource: Mapping[str, object]) -> Iterator[bytes]:
        """Yield the text of the file: names first, then events by time.

        Tracks are numbered in display order, as Perfetto sorts them by number.
        """
        processes = {process: number for number, process in enumerate(self.processes.values(), 1)}
        in_order = sorted(self.tracks.values(), key=lambda track: track[:2])
        tracks = {track: number for number, track in enumerate(in_order, len(processes) + 1)}
        yield b'{"displayTimeUnit": "ns", "otherData": ' + _encoded(resource) + b', "traceEvents": ['
        between = b"\n"
        for event in itertools.chain(_names(processes, tracks), self._numbered(processes, tracks)):
            yield between + _encoded(event)
            between = b",\n"
        yield b"\n]}\n"

    def _numbered(self, processes: Mapping[_Process, int], tracks: Mapping[_Track, int]) -> Iterator[dict[str, Any]]:
        self._events.sort(key=lambda event: event[:2])
        for at_ns, _, process, track, event in self._events:
            place = {"pid": processes[process]} if track is None else {"pid": processes[process], "tid": tracks[track]}
            yield {**place, "ts": at_ns / 1000, **event}


def _names(processes: Mapping[_Process, int], tracks: Mapping[_Track, int]) -> Iterator[dict[str, Any]]:
    for process, number in processes.items():
        yield from _name("process", {"pid": number}, process.name, number)
    for track, number in tracks.items():
        yield from _name("thread", {"pid": processes[track.process], "tid": number}, track.name, number)


def _name(what: str, numbers: dict[str, int], name: str, place: int) -> Iterator[dict[str, Any]]:
    yield {"ph": "M", "name": f"{what}_name", **numbers, "args": {"name": name}}
    yield {"ph": "M", "name": f"{what}_sort_index", **numbers, "args": {"sort_index": place}}


def _has_room(ends: list[int], span: Span) -> bool:
    """Return whether a span fits inside or after the open bars with these ends; remove the bars that are over."""
    while ends and ends[-1] <= span.start_ns:
        ends.pop()
    return not ends or span.end_ns <= ends[-1]


def _category(span: Span) -> str:
    if span.kind != "transition":
        return span.kind
    return "error" if span.error else "transition" if span.attributes["accepted"] else "refused"


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
