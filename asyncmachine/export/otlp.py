"""Export of spans as OTLP, to a file of JSON lines or to a collector.

The file needs the standard library only: ids are hexadecimal, nanoseconds are decimal strings. Each line is a complete request, so
that a reader can process one line at a time. Sending needs the `opentelemetry` packages; see `collector`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack

from asyncmachine.export.collector import SCOPE, open_collector
from asyncmachine.export.files import write_whole
from asyncmachine.export.span_model import batches
from asyncmachine.export.spans import build_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from asyncmachine.export.span_model import Attribute, Span, Traces
    from asyncmachine.export.spans import SpanKeywords
    from asyncmachine.record import Record

_INTERNAL: Final = 1
_ERROR: Final = 2


def write_otlp(
    record: Record,
    path: Path | str,
    **options: Unpack[SpanKeywords],
) -> Traces:
    """Write a record as OTLP JSON lines; see `spans.SpanOptions` for the options.

    Returns:
        What was written; as text, how many spans and how many were left out.

    Raises:
        UnknownMachineError: One of the machines is not in the record.
        UnwritableFileError: The file cannot be written.
    """
    traces = build_spans(record, **options)
    write_whole(path, otlp_lines(traces))
    return traces


def send_otlp(
    record: Record,
    endpoint: str,
    protocol: Literal["http", "grpc"] = "http",
    *,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
    **options: Unpack[SpanKeywords],
) -> Traces:
    """Send a record to a collector; see `spans.SpanOptions` for the options.

    Args:
        record: The record.
        endpoint: Such as "http://127.0.0.1:4318" (HTTP) or "http://127.0.0.1:4317" (gRPC); "https" encrypts.
        protocol: "http" or "grpc".
        headers: Headers of every request, such as credentials.
        timeout_s: Timeout of a request in seconds. There are no retries.
        options: The fields of `spans.SpanOptions`.

    Returns:
        The sent traces, all of which were accepted.

    Raises:
        CollectorError: The connection was refused, or the collector failed.
        SpansRefusedError: The collector refused some of the spans.
        MissingExtraError: The packages are not installed.
        UnknownMachineError: One of the machines is not in the record.
        ValueError: An unknown protocol.
    """
    with open_collector(endpoint, protocol, headers or {}, timeout_s) as collector:
        traces = build_spans(record, **options)
        collector.send(traces)
    return traces


def otlp_lines(traces: Traces) -> Iterator[bytes]:
    """Yield the lines of the file."""
    for service, spans in batches(traces):
        resource = {"attributes": _attributes({"service.name": service, **traces.resource})}
        scope = {"scope": {"name": SCOPE}, "spans": [_span(span) for span in spans]}
        line = json.dumps(
            {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]},
            ensure_ascii=False, separators=(",", ":"),
        )  # fmt: skip
        yield line.encode(errors="backslashreplace") + b"\n"


def _span(span: Span) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
    }
    if span.parent_id:
        told["parentSpanId"] = span.parent_id
    if span.events:
        told["events"] = [
            {"timeUnixNano": str(event.time_ns), "name": event.name, "attributes": _attributes(event.attributes)}
            for event in span.events
        ]
    if span.links:
        told["links"] = [
            {"traceId": link.trace_id, "spanId": link.span_id, "attributes": _attributes({"kind": link.kind})}
            for link in span.links
        ]
    if span.error:
        told["status"] = {"code": _ERROR, "message": span.error}
    return told


def _attributes(attributes: Mapping[str, Attribute]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Attribute) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}
