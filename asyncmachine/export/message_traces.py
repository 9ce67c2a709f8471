"""A trace for each flow of points, such as the path of a message: every point is a span, every hop a link.

The service of a span is its host, so that a viewer distinguishes hosts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncmachine.export.run_trace import started_ns
from asyncmachine.export.span_model import SHORTEST_NS, Link, Span, attributes_of, cut_trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncmachine.export.span_model import Ids, Selection, Trace
    from asyncmachine.record import Record
    from asyncmachine.record.format import Point, RecordedSpan

ROOT = "message"
"""Name of the root of every such trace; its attribute `flow` distinguishes them."""
HOST_ID = "host_id"
"""Attribute of the span of a host."""


def message_traces(record: Record, ids: Ids, selection: Selection, service: str, max_spans: int | None) -> list[Trace]:
    """Return the traces of all flows with a point in the selected time, in order of their first points."""
    flows: dict[str, list[Point]] = {}
    by_id: dict[int, Point] = {}
    for point in record.points():
        if selection.covers(point.time_ns, point.time_ns):
            by_id[point.id] = point
            if point.flow:
                flows.setdefault(point.flow, []).append(point)
    hosts = hosts_of(record)
    start_ns = started_ns(record)
    return [
        cut_trace(_spans_of(flow, points, by_id, hosts, ids, start_ns, service), max_spans)
        for flow, points in flows.items()
    ]


def hosts_of(record: Record) -> Mapping[int, RecordedSpan]:
    """Return the host of each span of a record, by number of the span; spans without a host are omitted."""
    spans = {span.id: span for span in record.spans()}
    hosts: dict[int, RecordedSpan] = {}
    for number in spans:
        passed: list[int] = []
        at: int | None = number
        while at is not None and at in spans and at not in hosts and HOST_ID not in spans[at].attributes:
            passed.append(at)
            at = spans[at].parent
        if at is not None and at in spans:
            host = hosts.get(at) or spans[at]
            hosts.update(dict.fromkeys((*passed, at), host))
    return hosts


def _spans_of(
    flow: str,
    points: list[Point],
    by_id: Mapping[int, Point],
    hosts: Mapping[int, RecordedSpan],
    ids: Ids,
    start_ns: int,
    service: str,
) -> list[Span]:
    """Return the spans of one flow, the root first."""
    trace_id = ids.trace("flow", flow)
    times = [start_ns + point.time_ns for point in points]
    root = Span("message", trace_id, ids.span("flow", flow), "", ROOT, min(times), max(times) + SHORTEST_NS, service)
    root.attributes.update(flow=flow, points=len(points))
    spans = [root]
    for point, time_ns in zip(points, times, strict=True):
        host = None if point.span is None else hosts.get(point.span)
        shown = service if host is None else f"{service} {host.name}"
        span = Span(
            "point",
            trace_id,
            ids.span("flow point", point.id),
            root.span_id,
            point.name,
            time_ns,
            time_ns + SHORTEST_NS,
            shown,
        )
        span.attributes.update(attributes_of(point.attributes))
        if host is not None:
            span.attributes.update(attributes_of({"host": host.name, HOST_ID: host.attributes[HOST_ID]}))
        followed = None if point.link is None else by_id.get(point.link)
        if followed is not None:
            span.links.append(_hop(followed, ids))
        span.links.append(Link(ids.trace("run"), ids.span("point", point.id), "place"))
        spans.append(span)
    root.attributes["hosts"] = len({span.service for span in spans[1:]})
    return spans


def _hop(followed: Point, ids: Ids) -> Link:
    """Return a link to the span of a point, in its own flow's trace or in that of the run."""
    if followed.flow:
        return Link(ids.trace("flow", followed.flow), ids.span("flow point", followed.id), "follows")
    return Link(ids.trace("run"), ids.span("point", followed.id), "follows")
