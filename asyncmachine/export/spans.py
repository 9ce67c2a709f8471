"""Spans of a record: what Jaeger and OTLP are written from.

`build_spans` turns a record into traces: one of the run, and one for each message that left points of its own. A trace is a tree
in which every parent covers its children; links and parents lead only to spans that are there. Ids are hashes of the run's id and
of what a span is about, so that the same record gives the same ids. Knows the record's rows, and no format of another program.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from asyncmachine.record import Record

MAX_SPANS: Final = 5_000
"""Spans of a trace unless asked otherwise; Jaeger's page is comfortable with as many."""
SHORTEST_NS: Final = 1
"""Length of what took no time: Jaeger warns of a span that ends when it began."""
INT64: Final = 2**63

Attribute = str | bool | int | float
"""What every format can tell apart."""
Kind = Literal["span", "point", "machine", "group", "activation", "transition", "handler", "message"]
"""What a span is about: the program's own spans and points, machines and what they did, or the way of a message.

A "group" holds spans of a kind, such as the activations of a state, and lasts as long as they do.
"""


@dataclass(slots=True)
class Link:
    """A span another one refers to without being its child."""

    trace_id: str
    span_id: str
    kind: str
    """Why: "source", "auto", "began", "ended", "follows", "message" or "place"."""


@dataclass(slots=True)
class Event:
    """Something that happened within a span."""

    name: str
    time_ns: int
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass(slots=True)
class Span:
    """Something that took time.

    Attributes:
        kind: What it is about.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: Of the parent; empty for the root of a trace.
        name: What it shows as.
        start_ns: Nanoseconds of Unix time.
        end_ns: Nanoseconds of Unix time, at least `SHORTEST_NS` after the start.
        service: The service it is shown under.
        attributes: Facts, by name.
        events: In order of time.
        links: To other spans, perhaps of other traces; never to the parent.
        error: Text of the exception it is about; empty means status OK or unset.
    """

    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    service: str
    attributes: dict[str, Attribute] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    error: str = ""


@dataclass(slots=True)
class Trace:
    """A tree of spans, the root first."""

    trace_id: str
    spans: list[Span]
    cut: int = 0
    """Spans left out because there were too many."""

    @property
    def root(self) -> Span:
        """The span all others are under."""
        return self.spans[0]


@dataclass(slots=True)
class Traces:
    """The traces of a record, and facts about the run that hold for every span."""

    traces: list[Trace]
    resource: dict[str, Attribute]

    @property
    def spans(self) -> Iterator[Span]:
        """All spans, trace by trace."""
        return (span for trace in self.traces for span in trace.spans)

    @property
    def count(self) -> int:
        """Number of spans."""
        return sum(len(trace.spans) for trace in self.traces)

    @property
    def cut(self) -> int:
        """Number of spans left out."""
        return sum(trace.cut for trace in self.traces)

    def __str__(self) -> str:
        told = f"{_counted(self.count, 'span')} in {_counted(len(self.traces), 'trace')}"
        return f"{told}; {_counted(self.cut, 'span')} left out" if self.cut else told


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a record that is asked for.

    Attributes:
        machines: Ids of machines, each with its submachines; empty means all, and what is no machine's.
        after_ns: Time on the record's clock from which on; None means from its start.
        until_ns: Time on the record's clock before which; None means to its end.
    """

    machines: tuple[str, ...] = ()
    after_ns: int | None = None
    until_ns: int | None = None

    def covers(self, start_ns: int, end_ns: int) -> bool:
        """Whether something that lasted so long shares a moment with the time asked for."""
        return (self.after_ns is None or end_ns >= self.after_ns) and (
            self.until_ns is None or start_ns < self.until_ns
        )

    def numbers(self, record: Record) -> frozenset[int] | None:
        """Return the numbers of the machines asked for, those below them included; None means all.

        Raises:
            UnknownMachineError: An id is not in the record.
        """
        if not self.machines:
            return None
        wanted = {record.machine(name).number for name in self.machines}
        for machine in sorted(record.machines, key=lambda machine: machine.number):
            if machine.parent in wanted:
                wanted.add(machine.number)
        return frozenset(wanted)


class Ids:
    """Ids of traces and spans: hashes, so that one record always gives the same."""

    __slots__ = ("_run",)

    def __init__(self, run: str) -> None:
        self._run = run

    def trace(self, kind: str, number: object = "") -> str:
        """Return the id of a trace: 32 digits."""
        return blake2b(f"{self._run}\0trace\0{kind}\0{number}".encode(), digest_size=16).hexdigest()

    def span(self, kind: str, number: object = "") -> str:
        """Return the id of a span: 16 digits."""
        return blake2b(f"{self._run}\0span\0{kind}\0{number}".encode(), digest_size=8).hexdigest()


def build_spans(
    record: Record,
    *,
    machines: Iterable[str] = (),
    after_ns: int | None = None,
    until_ns: int | None = None,
    max_spans: int | None = MAX_SPANS,
    messages: bool = True,
    service: str | None = None,
) -> Traces:
    """Turn a record into traces.

    The trace of the run is the tree `psmon > host:<n> > mach:<id> > states | transitions | submachines`, as far as the record has
    these; a run without a single top span gets the root `run`. Points with a flow make a trace of their own besides. Too large a
    trace keeps what was told in spans by the program itself, then what began first.

    Args:
        record: What is turned.
        machines: Ids of the machines wanted, with their submachines; by default everything.
        after_ns: Only what happened from this time on the record's clock on.
        until_ns: Only what happened before this time on the record's clock.
        max_spans: Spans a trace may have; None means any number. The root tells in `cut_spans` how many were left out.
        messages: Whether flows make traces; never with `machines`, as no machine has points.
        service: Name of the service; by default the run's attribute `service`, or "asyncmachine".

    Raises:
        UnknownMachineError: One of `machines` is not in the record.
        ValueError: `max_spans` is below 1.
    """
    from asyncmachine.export.message_traces import message_traces
    from asyncmachine.export.run_trace import RunTree

    if max_spans is not None and max_spans < 1:
        raise ValueError(f"max_spans must be at least 1, not {max_spans}")
    selection = Selection(tuple(machines), after_ns, until_ns)
    facts = facts_of(record)
    resource = attributes_of({f"run.{key}": value for key, value in facts.items()})
    name = service or str(facts.get("service") or "asyncmachine")
    ids = Ids(str(record.run["id"]))
    tree = RunTree(record, ids, selection, name)
    traces = [tree.trace(max_spans)]
    if messages and not selection.machines:
        traces += message_traces(record, ids, selection, name, max_spans)
    drop_dangling(traces)
    return Traces(traces, resource)


def facts_of(record: Record) -> dict[str, object]:
    """Return what is known of the run: facts about the record, and those the program gave."""
    facts = {key: value for key, value in record.run.items() if key != "attributes" and value != ""}
    return dict(record.run["attributes"]) | facts


def cut_trace(spans: list[Span], limit: int | None) -> Trace:
    """Make a trace of spans, the root first; leave out some if there are more than the limit.

    The program's own spans are kept first, then what began first, each with all that is above it. So apart from the program's own
    spans what is kept is the beginning of the run.
    """
    root = spans[0]
    if limit is None or len(spans) <= limit:
        return Trace(root.trace_id, spans)
    by_id = {span.span_id: span for span in spans}
    kept = {root.span_id}
    wanted = [span for span in spans if span.kind != "group"]
    wanted.sort(key=lambda span: (span.kind != "span", span.start_ns))
    in_order = iter(wanted)
    while len(kept) + len(needed := _missing(next(in_order), by_id, kept)) <= limit:  # all of them are too many
        kept.update(needed)
    cut = len(spans) - len(kept)
    root.attributes["cut_spans"] = cut
    return Trace(root.trace_id, [span for span in spans if span.span_id in kept], cut)


def _missing(span: Span, by_id: Mapping[str, Span], kept: set[str]) -> list[str]:
    """Return the ids of a span and those above it that are not kept yet."""
    missing = []
    while span.span_id not in kept:
        missing.append(span.span_id)
        span = by_id[span.parent_id]
    return missing


def cover_children(spans: list[Span]) -> None:
    """Widen every span over what is under it; each has to come after the one it is under.

    What is no group and was widened tells in `recorded_us` how long it was.
    """
    by_id = {span.span_id: span for span in spans}
    for span in reversed(spans):  # so those under it have been widened, and have widened it
        if span.parent_id:
            parent = by_id[span.parent_id]
            start_ns, end_ns = min(parent.start_ns, span.start_ns), max(parent.end_ns, span.end_ns)
            recorded_ns = parent.end_ns - parent.start_ns
            if parent.kind != "group" and end_ns - start_ns > recorded_ns + SHORTEST_NS:
                parent.attributes.setdefault("recorded_us", recorded_ns / 1000)
            parent.start_ns, parent.end_ns = start_ns, end_ns


def drop_dangling(traces: list[Trace]) -> None:
    """Drop links to spans that are in no trace, to a span's own parent, and to itself."""
    known = {(span.trace_id, span.span_id) for trace in traces for span in trace.spans}
    for trace in traces:
        for span in trace.spans:
            near = (span.parent_id, span.span_id)
            span.links = [
                link
                for link in span.links
                if (link.trace_id, link.span_id) in known
                and not (link.trace_id == span.trace_id and link.span_id in near)
            ]


def attributes_of(facts: Mapping[str, object]) -> dict[str, Attribute]:
    """Return facts as attributes: numbers and texts as they are, anything else as JSON, None left out."""
    return {key: _attribute(value) for key, value in facts.items() if value is not None}


def _attribute(value: object) -> Attribute:
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return value if -INT64 <= value < INT64 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
