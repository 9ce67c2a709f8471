"""The real Jaeger shows a recorded run as it was sent. Opt-in: `pytest -m viewers`.

Jaeger v1.76.0 is built once with the Go on the PATH (its modules are fetched, some minutes) into `.venv-viewers/jaeger`, unless the
variable JAEGER names a binary.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from asyncmachine.export.otlp import send_otlp
from asyncmachine.record import Record
from tests.asyncmachine.export.scripted import play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncmachine.export.spans import Span, Traces

pytestmark = [pytest.mark.viewers, pytest.mark.xdist_group("jaeger")]

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv-viewers" / "jaeger"
MODULE = "github.com/jaegertracing/jaeger/cmd/jaeger"
VERSION = "v1.76.0"
PATIENCE_S = 60.0
"""Until when Jaeger has to answer; it is not measured."""


class Jaeger(NamedTuple):
    """A running Jaeger."""

    query: str
    http: str
    grpc: str

    def get(self, path: str, **parameters: str) -> Any:
        """Ask its query API; None if it knows nothing of it."""
        url = f"{self.query}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise

    def spans(self, trace_id: str, count: int) -> list[dict[str, Any]]:
        """Return the spans of a trace once so many are there, or those there are when patience ends."""
        spans: list[dict[str, Any]] = []
        for _ in attempts():
            found = self.get(f"/api/traces/{trace_id}")
            spans = found[0]["spans"] if found else []
            if len(spans) >= count:
                break
        return spans


def attempts() -> Iterator[None]:
    """Go on until patience ends, ten times a second."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        yield
        time.sleep(0.1)


def free_ports(number: int) -> list[int]:
    """Return ports nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


@pytest.fixture(scope="session")
def binary() -> Path:
    """The program, built if it is not there."""
    named = os.environ.get("JAEGER")
    if named:
        return Path(named)
    built = TOOLS / "bin" / "jaeger"
    if built.exists():
        return built
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go to build Jaeger with, and JAEGER names no binary")
    TOOLS.mkdir(parents=True, exist_ok=True)
    commands = [["get", "-tool", f"{MODULE}@{VERSION}"], ["build", "-trimpath", "-o", str(built), MODULE]]
    if not (TOOLS / "go.mod").exists():
        commands.insert(0, ["mod", "init", "example.com/tools"])
    for command in commands:
        done = subprocess.run([go, *command], cwd=TOOLS, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"go {' '.join(command)}: {done.stderr.strip()[-500:]}")
    return built


@pytest.fixture(scope="session")
def jaeger(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """Jaeger with its memory storage, on loopback only, with nothing but what is asked of it here."""
    folder = tmp_path_factory.mktemp("jaeger")
    ports = free_ports(4)
    query, query_grpc, http, grpc = (f"127.0.0.1:{port}" for port in ports)
    config = {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 10_000}}}},
            "jaeger_query": {
                "storage": {"traces": "memory"},
                "http": {"endpoint": query},
                "grpc": {"endpoint": query_grpc},
                "max_clock_skew_adjust": "0s",
            },
        },
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": grpc}, "http": {"endpoint": http}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
    }
    path = folder / "jaeger.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    log = folder / "jaeger.log"
    environment = {**os.environ, "OTEL_TRACES_SAMPLER": "always_off"}  # it does not trace itself
    with log.open("wb") as output:
        process = subprocess.Popen([binary, "--config", path], stdout=output, stderr=output, env=environment)
        try:
            for _ in attempts():
                if process.poll() is not None or all(is_listening(port) for port in ports):
                    break
            assert process.poll() is None, log.read_text()[-1000:]
            yield Jaeger(f"http://{query}", f"http://{http}", f"http://{grpc}")
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def sent(jaeger: Jaeger, protocol: Literal["http", "grpc"], path: Path) -> Traces:
    """Record the scripted run and send it."""
    play(path)
    with Record.open(path) as record:
        return send_otlp(record, getattr(jaeger, protocol), protocol, service=f"ps-{protocol}")


def parents_of(span: dict[str, Any]) -> list[str]:
    return [reference["spanID"] for reference in span["references"] if reference["refType"] == "CHILD_OF"]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_shows_every_span_as_sent(jaeger: Jaeger, protocol: Literal["http", "grpc"], tmp_path: Path) -> None:
    """All spans come back under their parents, without a warning and without a reference that leads nowhere."""
    traces = sent(jaeger, protocol, tmp_path / "run.sqlite")
    known = {(span.trace_id, span.span_id) for span in traces.spans}
    for trace in traces.traces:
        shown = {span["spanID"]: span for span in jaeger.spans(trace.trace_id, len(trace.spans))}
        assert shown.keys() == {span.span_id for span in trace.spans}
        for span in trace.spans:
            compare(span, shown[span.span_id], known)


def compare(span: Span, shown: dict[str, Any], known: set[tuple[str, str]]) -> None:
    """Check what Jaeger shows of a span against what it was sent."""
    assert shown["operationName"] == span.name
    assert parents_of(shown) == ([span.parent_id] if span.parent_id else []), span.name
    assert not shown["warnings"], span.name
    references = {(reference["traceID"], reference["spanID"]) for reference in shown["references"]}
    assert references <= known, span.name
    assert len(shown["references"]) == len(span.links) + bool(span.parent_id), span.name
    assert (shown["startTime"], len(shown["logs"])) == (span.start_ns // 1000, len(span.events))
    tags = [(tag["key"], tag["value"]) for tag in shown["tags"]]
    assert set(span.attributes.items()) <= set(tags), span.name
    assert (("otel.status_code", "ERROR") in tags) == bool(span.error), span.name


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_finds_what_was_refused(jaeger: Jaeger, protocol: Literal["http", "grpc"], tmp_path: Path) -> None:
    """A search for the tag `accepted=false` finds the run, and the refused transitions in it are those of the record."""
    traces = sent(jaeger, protocol, tmp_path / "run.sqlite")
    trace = traces.traces[0]
    jaeger.spans(trace.trace_id, len(trace.spans))
    found = jaeger.get(
        "/api/traces", service=f"ps-{protocol}", tags=json.dumps({"accepted": "false"}), lookback="1h", limit="100"
    )
    (mine,) = [one for one in found if one["traceID"] == trace.trace_id]
    refused = {
        span["operationName"]
        for span in mine["spans"]
        if any(tag["key"] == "accepted" and tag["value"] is False for tag in span["tags"])
    }
    assert refused == {span.name for span in trace.spans if span.attributes.get("accepted") is False}
    assert all("refused" in name for name in refused)
