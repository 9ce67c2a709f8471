"""The client of an OTLP collector, such as Jaeger's.

The `opentelemetry` packages encode the requests, but their exporters are not used: an exporter retries until its timeout, reports
failures only to its own logger, and discards a collector's message on refused spans. Parents and ids are given with every span: the
ambient context is ignored, and no global provider is changed.
"""

from __future__ import annotations

import http.client
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from asyncmachine.export.errors import ExportError, MissingExtraError
from asyncmachine.export.span_model import batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.util.types import Attributes

    from asyncmachine.export.span_model import Span, Traces

SCOPE: Final = "asyncmachine"
"""The instrumentation scope of all spans."""

PACKAGE: Final = "opentelemetry-exporter-otlp-proto-grpc"
"""The package with the dependencies of both protocols: the encoder, the messages and gRPC."""

_PORTS = {"http": 4318, "grpc": 4317}


class CollectorError(ExportError):
    """A collector cannot be reached, or a request failed.

    Attributes:
        endpoint: Its address.
        reason: The problem.
        sent: Number of spans it had accepted before.
    """

    def __init__(self, endpoint: str, reason: str, sent: int = 0) -> None:
        self.endpoint = endpoint
        self.reason = reason
        self.sent = sent
        told = f"; it had accepted {sent:,} before" if sent else ""
        super().__init__(f"cannot send spans to {endpoint}: {reason}{told}")


class SpansRefusedError(ExportError):
    """A collector refused some of the spans.

    Attributes:
        endpoint: Its address.
        refused: Number of spans it refused.
        count: Number of spans sent.
        reason: Its message; may be empty.
    """

    def __init__(self, endpoint: str, refused: int, count: int, reason: str) -> None:
        self.endpoint = endpoint
        self.refused = refused
        self.count = count
        self.reason = reason
        super().__init__(f"{endpoint} refused {refused:,} of {count:,} spans: {reason or 'it gave no reason'}")


class _FailedError(Exception):
    """A failed request; its text is the reason."""


class _Channel(Protocol):
    """A connection to a collector."""

    def export(self, request: Any) -> Any:
        """Send a request and return the response.

        Raises:
            _FailedError: There was no response, or it reports a failure.
        """

    def close(self) -> None:
        """Close the connection."""


class Collector:
    """A connected collector.

    Args:
        endpoint: Its address, for messages.
        channel: The connection.
    """

    def __init__(self, endpoint: str, channel: _Channel) -> None:
        self._endpoint = endpoint
        self._channel = channel

    def send(self, traces: Traces) -> None:
        """Send all spans, one request at a time.

        Raises:
            CollectorError: A request failed; later ones are not sent.
            SpansRefusedError: All requests were answered, and spans were refused.
        """
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.resources import Resource

        sent = refused = 0
        reason = ""
        resources: dict[str, Resource] = {}
        for service, spans in batches(traces):
            resource = resources.get(service)
            if resource is None:
                resource = resources[service] = Resource({"service.name": service, **traces.resource})
            try:
                answer = self._channel.export(encode_spans([_readable(span, resource) for span in spans]))
            except _FailedError as error:
                raise CollectorError(self._endpoint, str(error), sent) from None
            partial = answer.partial_success
            if partial.rejected_spans:
                refused += partial.rejected_spans
                reason = reason or partial.error_message
            sent += len(spans)
        if refused:
            raise SpansRefusedError(self._endpoint, refused, sent, reason)


@contextmanager
def open_collector(
    endpoint: str, protocol: Literal["http", "grpc"], headers: Mapping[str, str], timeout_s: float
) -> Iterator[Collector]:
    """Open a connection to a collector without sending anything.

    Raises:
        CollectorError: The address is invalid.
        MissingExtraError: The packages are not installed.
        ValueError: An unknown protocol.
    """
    if protocol not in _PORTS:
        raise ValueError(f"protocol must be 'http' or 'grpc', got {protocol!r}")
    is_secure, host, port, path = _parts(endpoint, _PORTS[protocol])
    channel: _Channel
    try:
        if protocol == "grpc":
            channel = _GrpcChannel(f"{host}:{port}", is_secure, headers, timeout_s)
        else:
            channel = _HttpChannel(host, port, path, is_secure, headers, timeout_s)
    except ModuleNotFoundError as error:
        raise MissingExtraError("sending spans to a collector", PACKAGE, "otlp") from error
    try:
        yield Collector(endpoint, channel)
    finally:
        channel.close()


def _parts(endpoint: str, default_port: int) -> tuple[bool, str, int, str]:
    """Return whether an address is encrypted, its host (IPv6 in brackets), its port and its path."""
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        host, port = parts.hostname, parts.port or default_port
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https"):
        raise CollectorError(endpoint, f"an address is expected, such as http://127.0.0.1:{default_port}")
    return parts.scheme == "https", f"[{host}]" if ":" in host else host, port, parts.path


class _HttpChannel:
    """OTLP over HTTP with binary bodies, without proxies."""

    def __init__(
        self, host: str, port: int, path: str, is_secure: bool, headers: Mapping[str, str], timeout_s: float
    ) -> None:
        from opentelemetry.exporter.otlp.proto.common import trace_encoder  # noqa: F401  # the encoder
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

        make = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
        self._connection = make(host.strip("[]"), port, timeout=timeout_s)
        self._path = path if path.strip("/") else "/v1/traces"
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        self._answer = trace_service_pb2.ExportTraceServiceResponse

    def export(self, request: Any) -> Any:
        from google.protobuf.message import DecodeError

        try:
            self._connection.request("POST", self._path, request.SerializeToString(), self._headers)
            response = self._connection.getresponse()
            body = response.read()
        except http.client.HTTPException as error:
            raise _FailedError(f"its response is not HTTP ({type(error).__name__})") from None
        except OSError as error:
            raise _FailedError(error.strerror or str(error)) from None
        if response.status != http.HTTPStatus.OK:
            raise _FailedError(f"it responded {response.status} {response.reason}")
        try:
            return self._answer.FromString(body)
        except DecodeError:
            raise _FailedError("its response is not OTLP") from None

    def close(self) -> None:
        self._connection.close()


class _GrpcChannel:
    """OTLP over gRPC."""

    def __init__(self, target: str, is_secure: bool, headers: Mapping[str, str], timeout_s: float) -> None:
        from opentelemetry.exporter.otlp.proto.common import trace_encoder  # noqa: F401  # the encoder

        # neither has type information
        grpc: Any = import_module("grpc")
        service: Any = import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc")
        self._channel = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials()) if is_secure else grpc.insecure_channel(target)
        )
        self._stub = service.TraceServiceStub(self._channel)
        self._headers = tuple((key.lower(), value) for key, value in headers.items())
        self._timeout_s = timeout_s
        self._error = grpc.RpcError

    def export(self, request: Any) -> Any:
        try:
            return self._stub.Export(request, timeout=self._timeout_s, metadata=self._headers)
        except self._error as error:
            raise _FailedError(f"{error.code().name}: {error.details()}") from None

    def close(self) -> None:
        self._channel.close()


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    """Return a span as an SDK span for the encoder."""
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, Status, StatusCode

    parent = _context(span.trace_id, span.parent_id) if span.parent_id else None
    return ReadableSpan(
        span.name,
        context=_context(span.trace_id, span.span_id),
        parent=parent,
        resource=resource,
        attributes=_typed(span.attributes),
        events=[Event(event.name, _typed(event.attributes), event.time_ns) for event in span.events],
        links=[Link(_context(link.trace_id, link.span_id), {"kind": link.kind}) for link in span.links],
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=InstrumentationScope(SCOPE),
    )


def _context(trace_id: str, span_id: str) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _typed(attributes: Mapping[str, Any]) -> Attributes:
    return dict(attributes)
