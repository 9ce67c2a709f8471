"""The spans of a record, from which the Jaeger and OTLP exports are written.

`build_spans` converts a record into traces: one of the run, and one for each message with points. A trace is a tree in which every
parent covers its children; links and parents refer only to existing spans. Ids are hashes of the run's id and the subject of a span,
so that the same record gives the same ids.
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
"""Default maximal number of spans of a trace, which Jaeger's page handles well."""


@dataclass(frozen=True, kw_only=True)
class SpanOptions:
    """Options of `build_spans`.

    Attributes:
        machines: Ids of the machines to include, with their submachines; by default everything.
        after_ns: Include only events from this time on, on the record's clock.
        until_ns: Include only events before this time, on the record's clock.
        max_spans: Maximal number of spans of a trace; None is no limit. The root's `cut_spans` is the number of omitted spans.
        messages: Whether flows become traces; never with `machines`, as machines have no points.
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
            raise ValueError(f"max_spans must be at least 1, got {self.max_spans}")


class SpanKeywords(TypedDict, total=False):
    """The fields of `SpanOptions`, as keywords for functions that write or send spans."""

    machines: Iterable[str]
    after_ns: int | None
    until_ns: int | None
    max_spans: int | None
    messages: bool
    service: str | None


def build_spans(record: Record, **options: Unpack[SpanKeywords]) -> Traces:
    """Convert a record into traces.

    The trace of the run is the tree `psmon > host:<n> > mach:<id> > states | transitions | submachines`, as far as the record has
    these; a run without a single top span gets the root `run`. Points with a flow make a trace of their own besides. Too large a
    trace keeps what was told in spans by the program itself, then what began first. A record that is still written is read as it is
    at one moment.

    Args:
        record: The record.
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
