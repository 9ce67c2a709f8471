"""Spans and traces, and their invariants: parents cover their children, links have targets, the size is limited.

Independent of records and of export formats.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from asyncmachine.record import Record

BATCH: Final = 500
"""Number of spans written or sent at once."""
SHORTEST_NS: Final = 1
"""Length of spans without duration: Jaeger warns of a span that ends when it begins."""
INT64: Final = 2**63

Attribute = str | bool | int | float
"""Types that every format distinguishes."""
Kind = Literal["span", "point", "machine", "group", "activation", "transition", "handler", "message"]
"""The subject of a span: the program's own spans and points, machines and their activity, or the path of a message.

A "group" contains spans of a kind, such as the activations of a state, and covers their times.
"""


@dataclass(slots=True)
class Link:
    """A reference to a span that is not the parent."""

    trace_id: str
    span_id: str
    kind: str
    """The reason: "source", "auto", "began", "ended", "follows", "message" or "place"."""


@dataclass(slots=True)
class Event:
    """An event within a span."""

    name: str
    time_ns: int
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass(slots=True)
class Span:
    """A named period.

    Attributes:
        kind: Its subject.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: Of the parent; empty for the root of a trace.
        name: Its displayed name.
        start_ns: Nanoseconds of Unix time.
        end_ns: Nanoseconds of Unix time, at least `SHORTEST_NS` after the start.
        service: Its service.
        attributes: Facts, by name.
        events: In order of time.
        links: To other spans, possibly of other traces; never to the parent.
        error: Text of its exception; empty means status OK or unset.
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
    """Number of spans omitted because there were too many."""

    @property
    def root(self) -> Span:
        """The root span."""
        return self.spans[0]


@dataclass(slots=True)
class Traces:
    """The traces of a record, and facts about the run that apply to every span."""

    traces: list[Trace]
    resource: dict[str, Attribute]

    @property
    def spans(self) -> Iterator[Span]:
        """Yield all spans, trace by trace."""
        return (span for trace in self.traces for span in trace.spans)

    @property
    def count(self) -> int:
        """Number of spans."""
        return sum(len(trace.spans) for trace in self.traces)

    @property
    def cut(self) -> int:
        """Number of spans omitted."""
        return sum(trace.cut for trace in self.traces)

    def __str__(self) -> str:
        told = f"{_counted(self.count, 'span')} in {_counted(len(self.traces), 'trace')}"
        return f"{told}; {_counted(self.cut, 'span')} left out" if self.cut else told


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected part of a record.

    Attributes:
        machines: Ids of machines, each with its submachines; empty means everything, including spans and points.
        after_ns: Start on the record's clock; None is its beginning.
        until_ns: End on the record's clock, exclusive; None is its end.
    """

    machines: tuple[str, ...] = ()
    after_ns: int | None = None
    until_ns: int | None = None

    def covers(self, start_ns: int, end_ns: int) -> bool:
        """Return whether a period overlaps the selected time."""
        return (self.after_ns is None or end_ns >= self.after_ns) and (
            self.until_ns is None or start_ns < self.until_ns
        )

    def numbers(self, record: Record) -> frozenset[int] | None:
        """Return the numbers of the selected machines, including their submachines; None means all.

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
    """Ids of traces and spans: hashes, deterministic for a record."""

    __slots__ = ("_run",)

    def __init__(self, run: str) -> None:
        self._run = run

    def trace(self, kind: str, number: object = "") -> str:
        """Return the id of a trace: 32 digits."""
        return blake2b(f"{self._run}\0trace\0{kind}\0{number}".encode(), digest_size=16).hexdigest()

    def span(self, kind: str, number: object = "") -> str:
        """Return the id of a span: 16 digits."""
        return blake2b(f"{self._run}\0span\0{kind}\0{number}".encode(), digest_size=8).hexdigest()


def facts_of(record: Record) -> dict[str, object]:
    """Return the facts about the run: those of the record, and those given by the program."""
    facts = {key: value for key, value in record.run.items() if key != "attributes" and value != ""}
    return dict(record.run["attributes"]) | facts


def batches(traces: Traces) -> Iterator[tuple[str, list[Span]]]:
    """Yield all spans in lists of at most `BATCH`, each of one service."""
    in_order = sorted(traces.spans, key=lambda span: span.service)
    for service, run in groupby(in_order, lambda span: span.service):
        spans = list(run)
        for start in range(0, len(spans), BATCH):
            yield service, spans[start : start + BATCH]


def cut_trace(spans: list[Span], limit: int | None) -> Trace:
    """Return a trace of spans, the root first, reduced to the limit.

    The program's own spans have priority, then the earliest spans, each with its ancestors. Apart from the program's own spans, the
    beginning of the run is kept.
    """
    root = spans[0]
    if limit is None or len(spans) <= limit:
        return Trace(root.trace_id, spans)
    by_id = {span.span_id: span for span in spans}
    kept = {root.span_id}
    wanted = [span for span in spans if span.kind != "group"]
    wanted.sort(key=lambda span: (span.kind != "span", span.start_ns))
    in_order = iter(wanted)
    while (
        len(kept) + len(needed := _missing(next(in_order), by_id, kept)) <= limit
    ):  # ends, as all of them exceed the limit
        kept.update(needed)
    cut = len(spans) - len(kept)
    root.attributes["cut_spans"] = cut
    return Trace(root.trace_id, [span for span in spans if span.span_id in kept], cut)


def _missing(span: Span, by_id: Mapping[str, Span], kept: set[str]) -> list[str]:
    """Return the ids of a span and its ancestors that are not kept yet."""
    missing = []
    while span.span_id not in kept:
        missing.append(span.span_id)
        span = by_id[span.parent_id]
    return missing


def cover_children(spans: list[Span]) -> None:
    """Extend every span to cover its children; parents must come before their children.

    An extended span that is not a group stores its original length in `recorded_us`.
    """
    by_id = {span.span_id: span for span in spans}
    for span in reversed(spans):  # children first
        if span.parent_id:
            parent = by_id[span.parent_id]
            start_ns, end_ns = min(parent.start_ns, span.start_ns), max(parent.end_ns, span.end_ns)
            recorded_ns = parent.end_ns - parent.start_ns
            if parent.kind != "group" and end_ns - start_ns > recorded_ns + SHORTEST_NS:
                parent.attributes.setdefault("recorded_us", recorded_ns / 1000)
            parent.start_ns, parent.end_ns = start_ns, end_ns


def drop_dangling(traces: list[Trace]) -> None:
    """Drop links to missing spans, to a span's parent, and to itself."""
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
    """Return facts as attributes: numbers and texts unchanged, other values as JSON, None omitted."""
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
