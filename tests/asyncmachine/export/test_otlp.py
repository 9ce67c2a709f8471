"""OTLP: JSON lines by the protocol's own definition, and a collector that gets every span."""

from __future__ import annotations

import base64
import http.server
import json
import logging
import socket
import sys
import threading
from concurrent import futures
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service_pb2

from asyncmachine.export import span_model
from asyncmachine.export.collector import CollectorError, SpansRefusedError
from asyncmachine.export.errors import MissingExtraError
from asyncmachine.export.otlp import send_otlp, write_otlp
from asyncmachine.export.spans import build_spans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asyncmachine.export.span_model import Attribute, Traces
    from asyncmachine.record import Record

Protocol = Literal["http", "grpc"]
PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")
grpc: Any = import_module("grpc")  # it is not typed
service_grpc: Any = import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc")


class Receiver:
    """What a collector was sent, and what it answers."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.refuse = 0
        self.status = 200
        self.body: bytes | None = None
        self.endpoint = ""

    def take(self, request: Any, headers: dict[str, str]) -> Any:
        self.requests.append(request)
        self.headers.append(headers)
        partial = service_pb2.ExportTracePartialSuccess(
            rejected_spans=self.refuse, error_message="too old" if self.refuse else ""
        )
        return service_pb2.ExportTraceServiceResponse(partial_success=partial)


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    """A collector that speaks OTLP over HTTP, in a thread."""
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = service_pb2.ExportTraceServiceRequest.FromString(
                self.rfile.read(int(self.headers["Content-Length"]))
            )
            answer = receiver.take(request, {key.lower(): value for key, value in self.headers.items()})
            answer = answer.SerializeToString() if receiver.body is None else receiver.body
            self.send_response(receiver.status if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        receiver.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def grpc_receiver() -> Iterator[Receiver]:
    """A collector that speaks OTLP over gRPC, in a thread."""
    receiver = Receiver()

    class Service(service_grpc.TraceServiceServicer):  # type: ignore[misc]  # not typed
        def Export(self, request: Any, context: Any) -> Any:
            return receiver.take(request, dict(context.invocation_metadata()))

    with futures.ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        service_grpc.add_TraceServiceServicer_to_server(Service(), server)
        receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield receiver
        finally:
            server.stop(None).wait()


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    name: Protocol = request.param
    return name


@pytest.fixture
def receiver(protocol: Protocol) -> Iterator[Receiver]:
    """A collector of each protocol."""
    with http_receiver() if protocol == "http" else grpc_receiver() as started:
        yield started


def value_of(value: Any) -> Attribute:
    """The value of an attribute of the protocol."""
    kind = value.WhichOneof("value")
    found: Attribute = getattr(value, kind)
    return found


def compare(requests: list[Any], traces: Traces) -> None:
    """Hold requests against the spans they were made from: each is there once, with everything it has."""
    got: dict[str, tuple[Any, Any]] = {}
    for request in requests:
        for resource_spans in request.resource_spans:
            facts = {one.key: value_of(one.value) for one in resource_spans.resource.attributes}
            for scope_spans in resource_spans.scope_spans:
                assert scope_spans.scope.name == "asyncmachine"
                for span in scope_spans.spans:
                    assert span.span_id.hex() not in got
                    got[span.span_id.hex()] = (span, facts)
    assert got.keys() == {span.span_id for span in traces.spans}
    for span in traces.spans:
        told, facts = got[span.span_id]
        assert (told.trace_id.hex(), told.parent_span_id.hex()) == (span.trace_id, span.parent_id)
        assert (told.name, told.start_time_unix_nano, told.end_time_unix_nano) == (
            span.name,
            span.start_ns,
            span.end_ns,
        )
        assert {one.key: value_of(one.value) for one in told.attributes} == span.attributes
        links = [(link.trace_id.hex(), link.span_id.hex(), value_of(link.attributes[0].value)) for link in told.links]
        assert links == [(link.trace_id, link.span_id, link.kind) for link in span.links]
        assert [(e.name, e.time_unix_nano) for e in told.events] == [(e.name, e.time_ns) for e in span.events]
        assert (told.status.code, told.status.message) == ((2, span.error) if span.error else (0, ""))
        assert {key: facts[key] for key in traces.resource} == traces.resource
        assert facts["service.name"] == span.service


def from_json(line: str) -> Any:
    """Read a line by the protocol's own definition; in JSON its ids are hexadecimal, unlike other bytes."""

    def with_base64(node: Any) -> Any:
        if isinstance(node, list):
            return [with_base64(one) for one in node]
        if not isinstance(node, dict):
            return node
        ids = ("traceId", "spanId", "parentSpanId")
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode() if key in ids else with_base64(value)
            for key, value in node.items()
        }

    return json_format.ParseDict(with_base64(json.loads(line)), service_pb2.ExportTraceServiceRequest())


def test_lines_are_requests(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is a request by the protocol's definition, of a limited size; together they hold every span."""
    monkeypatch.setattr(span_model, "BATCH", 50)
    traces = write_otlp(record, tmp_path / "run.jsonl")
    requests = [from_json(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert max(len(one.resource_spans[0].scope_spans[0].spans) for one in requests) == 50
    compare(requests, traces)


def test_lines_need_the_standard_library_only(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is written where no package is installed."""
    for name in ("opentelemetry", "google", "google.protobuf", "grpc"):
        monkeypatch.setitem(sys.modules, name, None)
    assert str(write_otlp(record, tmp_path / "run.jsonl")).endswith("spans in 3 traces")


def test_a_collector_gets_every_span(
    record: Record, receiver: Receiver, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP and gRPC all spans arrive as they were built, with headers, in several requests."""
    monkeypatch.setattr(span_model, "BATCH", 50)
    traces = send_otlp(record, receiver.endpoint, protocol, headers={"X-Token": "secret"})
    compare(receiver.requests, traces)
    assert traces.count == build_spans(record).count
    assert all(headers["x-token"] == "secret" for headers in receiver.headers)


def test_the_ambient_span_is_no_parent(record: Record, receiver: Receiver, protocol: Protocol) -> None:
    """Spans sent while another span is current are those of the record all the same."""
    from opentelemetry.sdk.trace import TracerProvider

    with TracerProvider().get_tracer("test").start_as_current_span("ambient"):
        traces = send_otlp(record, receiver.endpoint, protocol)
    compare(receiver.requests, traces)


def test_nobody_listens(
    record: Record, protocol: Protocol, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is told at once in one sentence with the address, and no library writes anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with caplog.at_level(logging.DEBUG), pytest.raises(CollectorError) as caught:
        send_otlp(record, f"http://127.0.0.1:{port}", protocol)
    assert str(caught.value).startswith(f"cannot send spans to http://127.0.0.1:{port}: ")
    assert "refused" in caught.value.reason
    assert "\n" not in str(caught.value)
    assert (caught.value.endpoint, caught.value.sent) == (f"http://127.0.0.1:{port}", 0)
    assert [one for one in caplog.records if one.levelno >= logging.INFO] == []
    assert capfd.readouterr() == ("", "")


def test_refused_spans_are_an_error(record: Record, receiver: Receiver, protocol: Protocol) -> None:
    """A collector that took only a part is not taken for one that took all; what it says is passed on."""
    receiver.refuse = 2
    with pytest.raises(SpansRefusedError, match=r"refused \d+ of \d+ spans: too old") as caught:
        send_otlp(record, receiver.endpoint, protocol)
    assert caught.value.refused == 2 * len(receiver.requests)
    assert caught.value.count == build_spans(record).count


def test_a_failing_collector_is_told_once(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """A status other than 200 ends it: nothing is tried again, and what was taken before is counted."""
    monkeypatch.setattr(span_model, "BATCH", 50)
    with http_receiver() as receiver:
        receiver.status = 503
        with pytest.raises(CollectorError, match="it responded 503 Service Unavailable"):
            send_otlp(record, receiver.endpoint)
        assert len(receiver.requests) == 1


def test_an_answer_that_is_no_otlp(record: Record) -> None:
    """Another program at the address is told from a collector."""
    with http_receiver() as receiver:
        receiver.body = b"<html>"
        with pytest.raises(CollectorError, match="its response is not OTLP"):
            send_otlp(record, receiver.endpoint)
        with pytest.raises(CollectorError, match="it responded 404 Not Found"):
            send_otlp(record, f"{receiver.endpoint}/elsewhere")


def test_an_answer_that_is_no_http(record: Record) -> None:
    """A port at which something else listens is told too, over either protocol."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10)
                connection.sendall(b"SSH-2.0-nothing\r\n")
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(CollectorError, match="its response is not HTTP"):
            send_otlp(record, f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1", "http://", "http://127.0.0.1:notaport", "http://[::1"])
def test_an_address_that_is_none(record: Record, protocol: Protocol, endpoint: str) -> None:
    """It is told with an example."""
    with pytest.raises(CollectorError, match=r"an address is expected, such as http://127\.0\.0\.1:431[78]"):
        send_otlp(record, endpoint, protocol)


def test_an_unknown_protocol(record: Record) -> None:
    """It is told what is known."""
    with pytest.raises(ValueError, match="'http' or 'grpc', got 'carrier pigeon'"):
        send_otlp(record, "127.0.0.1", "carrier pigeon")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("protocol", "module"), [("grpc", "grpc"), ("http", "opentelemetry.proto"), ("grpc", "opentelemetry.proto")]
)
def test_packages_that_are_missing(
    record: Record, protocol: Protocol, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one sentence with the line that installs them."""
    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'asyncmachine\[otlp\]'"):
        send_otlp(record, "127.0.0.1", protocol)
