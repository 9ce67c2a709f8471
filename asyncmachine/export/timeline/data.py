"""The data of a timeline: a header of names and texts, and integer columns.

Repeated texts (changes, steps, arguments, log lines) are stored once and numbered. Events, transitions, machines and so on
are numbered across all tracks.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncmachine.export.timeline.columns import packed
from asyncmachine.export.timeline.events import Kind, flow_track, places_in_order, whole_track
from asyncmachine.export.timeline.lanes import Lane, flat, flow_lanes, lanes_of, open_some
from asyncmachine.mutation import tx_id

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from asyncmachine.export.timeline.events import Key, Track
    from asyncmachine.record import Record
    from asyncmachine.record.format import Change, RecordedTransition


OPEN_LANES, OPEN_LANES_EACH = 34, 23
"""Number of visible lanes for a single track, and for each of several."""
_COLUMNS = """
    event_time event_kind event_ref event_cause event_place
    tx_event tx_seq tx_machine tx_number tx_change tx_source tx_steps tx_args tx_error tx_queue tx_ns
    handler_from handler_name handler_ns log_from log_text
    point_event point_name point_attributes point_flow point_span
    bar_from bar_begin bar_end bar_info mark_from mark_event
"""


class TimelineData(NamedTuple):
    """The content of a timeline.

    `header` has `tracks`, `lanes` (parent, kind, label, machine, state, is open), `machines`, `changes`, `steps`, `args`,
    `handlers`, `texts`, `spans`, `names`, `attributes`, `flow`. `columns` are described where they are filled.
    """

    header: dict[str, Any]
    columns: dict[str, list[int]]

    def packed(self) -> str:
        """Return it encoded as text for a page."""
        return packed(self.header, self.columns)


def timeline_data(records: Sequence[Record], titles: Sequence[str]) -> TimelineData:
    """Read the content of a timeline of one or more records, each as it is at one moment."""
    with ExitStack() as stack:
        for record in records:
            stack.enter_context(record.snapshot())
        return _content([whole_track(*pair) for pair in zip(records, titles, strict=True)], "")


def flow_data(records: Sequence[Record], titles: Sequence[str], flow: str) -> TimelineData:
    """Read the points of one flow, in each record as it is at one moment."""
    with ExitStack() as stack:
        for record in records:
            stack.enter_context(record.snapshot())
        return _content([flow_track(*pair, flow) for pair in zip(records, titles, strict=True)], flow)


class _Numbered:
    """Distinct values, numbered in order of first appearance."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.shown: list[Any] = []

    def number(self, key: Hashable, shown: Any) -> int:
        """Return the number of a key; at its first appearance `shown` is stored."""
        found = self._numbers.setdefault(key, len(self.shown))
        if found == len(self.shown):
            self.shown.append(shown)
        return found


def _content(tracks: Sequence[Track], flow: str) -> TimelineData:
    builder = _Builder()
    builder.columns["event_place"] = places_in_order(tracks)
    roots: list[Lane] = []
    for track in tracks:
        lanes = builder.add(track, is_flow=bool(flow))
        if len(tracks) == 1:
            open_some(lanes, OPEN_LANES, one_machine=True)
            roots = lanes
        else:
            open_some(lanes, OPEN_LANES_EACH, one_machine=False)
            roots.append(Lane("track", track.title, below=lanes, is_open=True))
    builder.add_lanes(roots)
    return TimelineData({**builder.header(), "flow": flow}, builder.columns)


class _Builder:
    """Collector of the header and columns of several tracks."""

    def __init__(self) -> None:
        self.columns: dict[str, list[int]] = {name: [] for name in _COLUMNS.split()}
        self.columns |= {"handler_from": [0], "log_from": [0]}
        self._tracks: list[dict[str, Any]] = []
        self._machines: list[dict[str, Any]] = []
        self._lanes: list[list[Any]] = []
        self._spans: list[dict[str, Any]] = []
        names = ("changes", "steps", "args", "handlers", "texts", "names", "attributes")
        self._numbered = {name: _Numbered() for name in names}

    def header(self) -> dict[str, Any]:
        """Return the header."""
        own = {"tracks": self._tracks, "lanes": self._lanes, "machines": self._machines, "spans": self._spans}
        return own | {name: numbered.shown for name, numbered in self._numbered.items()}

    def add(self, track: Track, *, is_flow: bool) -> list[Lane]:
        """Add a track except its lanes, and return the lanes."""
        first = len(self.columns["event_time"])
        numbers = track.numbers(first)
        lanes = (
            flow_lanes(track, numbers) if is_flow else lanes_of(track, numbers, len(self._machines), len(self._spans))
        )
        record = track.record
        dropped = int(str(record.run.get("dropped") or 0))
        self._tracks.append(
            {"title": track.title, "first": first, "last": first + len(track.events) - 1, "clock": record.clock}
            | {"level": record.level, "dropped": dropped}
        )
        place = len(self._machines)
        machines = {machine.number: place + at for at, machine in enumerate(track.machines)}
        self._machines += [{"id": machine.id, "states": list(machine.state_names)} for machine in track.machines]
        self._spans += [{"name": span.name, "attributes": _texts(span.attributes)} for span in track.spans]
        self._add_events(track)
        if machines:
            self._add_transitions(track, numbers, machines)
        self._add_points(track, numbers)
        return lanes

    def _add_events(self, track: Track) -> None:
        """Fill `event_*`: time in ns, kind, number of the transition or point or -1, event that caused it or -1."""
        columns = self.columns
        columns["event_time"] += [event.time_ns for event in track.events]
        columns["event_kind"] += [int(event.kind) for event in track.events]
        columns["event_ref"] += [-1] * len(track.events)
        columns["event_cause"] += [-1] * len(track.events)

    def _add_transitions(self, track: Track, numbers: dict[Key, int], machines: dict[int, int]) -> None:
        """Fill `tx_*`, and `handler_*` and `log_*` by transition.

        `tx_source` is the number of the text for a source that is not in the record. `tx_ns` is the duration, or -1;
        `handler_ns` likewise, and -1 on a loop's own clock, as handlers are timed by the wall clock.
        """
        record, columns = track.record, self.columns
        operations, handlers = record.operations(), record.handlers()
        logs: dict[int, list[str]] = defaultdict(list)
        for line in record.logs():
            logs[line.seq].append(line.text if line.is_inside else f"before it: {line.text}")
        events = {(one.machine, one.number): numbers[Kind.TRANSITION, one.seq] for one in track.transitions}
        changes: dict[int, int] = {}
        before: dict[int, int] = {}
        for transition in track.transitions:
            change = transition.change
            if change.id not in changes:
                changes[change.id] = self._change(change)
            event = numbers[Kind.TRANSITION, transition.seq]
            columns["event_ref"][event] = len(columns["tx_event"])
            columns["tx_event"].append(event)
            columns["tx_seq"].append(transition.seq)
            columns["tx_machine"].append(machines.get(transition.machine, -1))
            columns["tx_number"].append(transition.number)
            columns["tx_change"].append(changes[change.id])
            columns["tx_source"].append(self._source(record, transition, events, before.get(transition.machine, -1)))
            before[transition.machine] = event
            self._add_operation(operations.get(transition.seq), transition)
            for call in handlers.get(transition.seq, ()):
                name = f"{call.name} of {call.binding}" if call.binding else call.name
                columns["handler_name"].append(self._numbered["handlers"].number(name, name))
                columns["handler_ns"].append(call.end_ns - call.start_ns if record.clock == "wall" else -1)
            columns["handler_from"].append(len(columns["handler_name"]))
            for text in logs.get(transition.seq, ()):
                columns["log_text"].append(self._numbered["texts"].number(text, text))
            columns["log_from"].append(len(columns["log_text"]))

    def _change(self, change: Change) -> int:
        shown: dict[str, Any] = {"label": change.label, "called": list(change.called), "moved": dict(change.moved)}
        shown |= {"auto": change.is_auto, "check": change.is_check, "accepted": change.accepted}
        shown |= {"by": change.refused_by, "reason": [[s, why, list(others)] for s, why, others in change.reason]}
        return self._numbered["changes"].number(repr(shown), shown)

    def _source(
        self, record: Record, transition: RecordedTransition, events: dict[tuple[int, int], int], before: int
    ) -> int:
        """Store the cause of a transition; return the number of its name if it is not in the record, else -1.

        The cause of an automatic mutation is the previous transition of its machine, as in `Record.why`.
        """
        event, source = events[transition.machine, transition.number], transition.source
        if source is None:
            self.columns["event_cause"][event] = before if transition.change.is_auto else -1
            return -1
        cause = events.get((source.machine, source.number), -1)
        if cause >= 0:
            self.columns["event_cause"][event] = cause
            return -1
        name = tx_id(record.machine(source.machine).id, source.number)
        return self._numbered["texts"].number(name, name)

    def _add_operation(self, operation: Any, transition: RecordedTransition) -> None:
        columns = self.columns
        columns["tx_steps"].append(-1)
        columns["tx_args"].append(-1)
        columns["tx_error"].append(-1)
        columns["tx_queue"].append(-1 if operation is None else operation.queue)
        columns["tx_ns"].append(-1 if operation is None else max(0, transition.time_ns - operation.start_ns))
        if operation is None:
            return
        if operation.steps:
            columns["tx_steps"][-1] = self._numbered["steps"].number(operation.steps, list(map(list, operation.steps)))
        if operation.args:
            args = _texts(operation.args)
            columns["tx_args"][-1] = self._numbered["args"].number(tuple(map(tuple, args)), args)
        if operation.error:
            columns["tx_error"][-1] = self._numbered["texts"].number(operation.error, operation.error)

    def _add_points(self, track: Track, numbers: dict[Key, int]) -> None:
        """Fill `point_*`: event, number of the name, of the attributes, of the flow's name or -1, of the span or -1."""
        columns = self.columns
        spans = {span.id: len(self._spans) - len(track.spans) + at for at, span in enumerate(track.spans)}
        for point in track.points:
            event = numbers[Kind.POINT, point.id]
            columns["event_ref"][event] = len(columns["point_event"])
            if point.link is not None:
                columns["event_cause"][event] = numbers.get((Kind.POINT, point.link), -1)
            columns["point_event"].append(event)
            columns["point_name"].append(self._numbered["names"].number(point.name, point.name))
            attributes = _texts(point.attributes)
            columns["point_attributes"].append(
                self._numbered["attributes"].number(tuple(map(tuple, attributes)), attributes)
            )
            columns["point_flow"].append(self._numbered["texts"].number(point.flow, point.flow) if point.flow else -1)
            columns["point_span"].append(-1 if point.span is None else spans.get(point.span, -1))

    def add_lanes(self, roots: Iterable[Lane]) -> None:
        """Fill `bar_*` and `mark_event`, and the first index of each lane: `bar_from`, `mark_from`."""
        columns = self.columns
        listed = flat(roots)
        for lane, parent in listed:
            self._lanes.append([parent, lane.kind, lane.label, lane.machine, lane.state, int(lane.is_open)])
        columns["bar_from"] = [0, *accumulate(len(lane.bars) for lane, _ in listed)]
        columns["mark_from"] = [0, *accumulate(len(lane.marks) for lane, _ in listed)]
        columns["bar_begin"] = [bar.begin for lane, _ in listed for bar in lane.bars]
        columns["bar_end"] = [bar.end for lane, _ in listed for bar in lane.bars]
        columns["bar_info"] = [bar.info for lane, _ in listed for bar in lane.bars]
        columns["mark_event"] = [mark for lane, _ in listed for mark in lane.marks]


def _texts(values: Any) -> list[list[str]]:
    """Return names and values as pairs of texts."""
    return [[str(name), value if isinstance(value, str) else str(value)] for name, value in values.items()]
