"""Jaeger's JSON format, which its page accepts as an upload.

Times are whole microseconds. Start and end are rounded in the same direction, so that a child stays within its parent. Links are
FOLLOWS_FROM references, after the CHILD_OF reference to the parent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Unpack

from asyncmachine.export.files import write_whole
from asyncmachine.export.spans import build_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from asyncmachine.export.span_model import Attribute, Span, Trace, Traces
    from asyncmachine.export.spans import SpanKeywords
    from asyncmachine.record import Record


def write_jaeger(
    record: Record,
    path: Path | str,
    **options: Unpack[SpanKeywords],
) -> Traces:
    """Write a record as Jaeger JSON; see `spans.SpanOptions` for the options.

    Returns:
        The written traces; as text, the number of spans written and omitted.

    Raises:
        UnknownMachineError: One of the machines is not in the record.
        UnwritableFileError: The file cannot be written.
    """
    traces = build_spans(record, **options)
    write_whole(path, jaeger_chunks(traces))
    return traces


def jaeger_chunks(traces: Traces) -> Iterator[bytes]:
    """Yield the text of the file, one span at a time."""
    yield b'{"data": ['
    for number, trace in enumerate(traces.traces):
        yield b",\n" if number else b"\n"
        yield from _trace_chunks(trace, traces.resource)
    yield f'\n], "total": {len(traces.traces)}, "limit": 0, "offset": 0, "errors": null}}\n'.encode()


def _trace_chunks(trace: Trace, resource: Mapping[str, Attribute]) -> Iterator[bytes]:
    services = list(dict.fromkeys(span.service for span in trace.spans))
    processes = {service: f"p{number}" for number, service in enumerate(services, 1)}
    yield f'{{"traceID": "{trace.trace_id}", "spans": ['.encode()
    for number, span in enumerate(trace.spans):
        yield (",\n" if number else "\n").encode() + _encoded(_span(span, processes[span.service]))
    told = {key: {"serviceName": service, "tags": _tags(resource)} for service, key in processes.items()}
    cut = f"{trace.cut:,} spans were omitted because there were too many"
    yield b'\n], "processes": ' + _encoded(told) + b', "warnings": ' + _encoded([cut] if trace.cut else None) + b"}"


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def _span(span: Span, process: str) -> dict[str, Any]:
    start_us = span.start_ns // 1000
    return {
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "operationName": span.name,
        "references": _references(span),
        "startTime": start_us,
        "duration": span.end_ns // 1000 - start_us,
        "tags": _tags(_with_status(span)),
        "logs": [
            {"timestamp": event.time_ns // 1000, "fields": _tags({"event": event.name, **event.attributes})}
            for event in span.events
        ],
        "processID": process,
        "warnings": None,
    }


def _references(span: Span) -> list[dict[str, str]]:
    parents = [("CHILD_OF", span.trace_id, span.parent_id)] if span.parent_id else []
    links = [("FOLLOWS_FROM", link.trace_id, link.span_id) for link in span.links]
    return [{"refType": kind, "traceID": trace, "spanID": number} for kind, trace, number in parents + links]


def _with_status(span: Span) -> dict[str, Attribute]:
    """Return a span's attributes with Jaeger's error tags; the text becomes the description."""
    if not span.error:
        return span.attributes
    status: dict[str, Attribute] = {"otel.status_code": "ERROR", "otel.status_description": span.error}
    return {**span.attributes, "error": True, **status}


def _tags(attributes: Mapping[str, Attribute]) -> list[dict[str, object]]:
    return [{"key": key, "type": _kind(value), "value": value} for key, value in attributes.items()]


def _kind(value: Attribute) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    return "float64" if isinstance(value, float) else "string"
