"""Spans of a record: what Jaeger and OTLP are written from.

`build_spans` turns a record into traces: one of the run, and one for each message that left points of its own. A trace is a tree
in which every parent covers its children; links and parents lead only to spans that are there. Ids are hashes of the run's id and
of what a span is about, so that the same record gives the same ids. Knows the record's rows, and no format of another program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from asyncmachine.export.message_traces import message_traces
from asyncmachine.export.run_trace import RunTree
from asyncmachine.export.span_model import (
    Event,
    Ids,
    Link,
    Selection,
    Span,
    Trace,
    Traces,
    attributes_of,
    drop_dangling,
    facts_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncmachine.record import Record

__all__ = ["MAX_SPANS", "Event", "Link", "Span", "SpanKeywords", "SpanOptions", "Trace", "Traces", "build_spans"]

MAX_SPANS: Final = 5_000
"""Spans of a trace unless asked otherwise; Jaeger's page is comfortable with as many."""


@dataclass(frozen=True, kw_only=True)
class SpanOptions:
    """Which spans are made of a record, and how many.

    Attributes:
        machines: Ids of the machines wanted, with their submachines; by default everything.
        after_ns: Only what happened from this time on the record's clock on.
        until_ns: Only what happened before this time on the record's clock.
        max_spans: Spans a trace may have; None means any number. The root tells in `cut_spans` how many were left out.
        messages: Whether flows make traces; never with `machines`, as no machine has points.
        service: Name of the service; by default the run's attribute `service`, or "asyncmachine".

    Raises:
        ValueError: `max_spans` is below 1.
    """

    machines: Iterable[str] = ()
    after_ns: int | None = None
    until_ns: int | None = None
    max_spans: int | None = MAX_SPANS
    messages: bool = True
    service: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "machines", tuple(self.machines))
        if self.max_spans is not None and self.max_spans < 1:
            raise ValueError(f"max_spans must be at least 1, not {self.max_spans}")


class SpanKeywords(TypedDict, total=False):
    """The fields of `SpanOptions`, as keywords of the functions that write or send spans."""

    machines: Iterable[str]
    after_ns: int | None
    until_ns: int | None
    max_spans: int | None
    messages: bool
    service: str | None


def build_spans(record: Record, **options: Unpack[SpanKeywords]) -> Traces:
    """Turn a record into traces.

    The trace of the run is the tree `psmon > host:<n> > mach:<id> > states | transitions | submachines`, as far as the record has
    these; a run without a single top span gets the root `run`. Points with a flow make a trace of their own besides. Too large a
    trace keeps what was told in spans by the program itself, then what began first. A record that is still written is read as it is
    at one moment.

    Args:
        record: What is turned.
        options: The fields of `SpanOptions`.

    Raises:
        UnknownMachineError: One of the machines is not in the record.
        ValueError: `max_spans` is below 1.
    """
    wanted = SpanOptions(**options)
    selection = Selection(tuple(wanted.machines), wanted.after_ns, wanted.until_ns)
    with record.snapshot():
        return _traces_of(record, wanted, selection)


def _traces_of(record: Record, wanted: SpanOptions, selection: Selection) -> Traces:
    facts = facts_of(record)
    resource = attributes_of({f"run.{key}": value for key, value in facts.items()})
    name = wanted.service or str(facts.get("service") or "asyncmachine")
    ids = Ids(str(record.run["id"]))
    tree = RunTree(record, ids, selection, name)
    traces = [tree.trace(wanted.max_spans)]
    if wanted.messages and not selection.machines:
        traces += message_traces(record, ids, selection, name, wanted.max_spans)
    drop_dangling(traces)
    return Traces(traces, resource)
