"""The real am-dbg: built with Go unless the environment variable AM_DBG names a binary, run without a terminal, asked over HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

MODULE = "github.com/pancsta/asyncmachine-go/tools/cmd/am-dbg"
VERSION = "v0.19.1"
CACHE = Path(__file__).parents[2] / ".venv-viewers" / "am-dbg"
PATIENCE_S = 60.0


def binary() -> Path:
    """Return the program, built if there is none yet; skip the test where it cannot be had."""
    named = os.environ.get("AM_DBG")
    if named:
        return Path(named)
    built = CACHE / "am-dbg"
    if built.exists():
        return built
    go = shutil.which("go")
    if go is None:
        pytest.skip("the real am-dbg needs Go to be built, or the environment variable AM_DBG to name a binary")
    CACHE.mkdir(parents=True, exist_ok=True)
    if not (CACHE / "go.mod").exists():
        subprocess.run([go, "mod", "init", "example.com/viewers"], cwd=CACHE, check=True)
    subprocess.run([go, "get", "-tool", f"{MODULE}@{VERSION}"], cwd=CACHE, check=True)
    subprocess.run([go, "build", "-trimpath", "-o", str(built), MODULE], cwd=CACHE, check=True)
    return built


class Counts(NamedTuple):
    """What am-dbg says it holds when it ends."""

    clients: int
    transitions: int


class AmDbg:
    """A running am-dbg, all on loopback. A context manager; leaving it ends the program.

    Args:
        folder: Where it writes.
        options: Further options.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = _free_ports()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        outputs = ["--output-log", "--output-clients", "--output-graph", "--output-diagrams", "1"]
        command = [str(binary()), "-l", self.address, "-d", str(folder), *outputs, "--ui-ssh", *options]
        self._out = folder / "stdout"
        with self._out.open("wb") as out:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self._session = ""
        self._calls = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def get(self, name: str) -> str:
        """Return one of the files it serves; empty while there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + 1}/{name}", timeout=PATIENCE_S) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError:
            return ""

    def ask(self, tool: str, **arguments: str) -> str:
        """Call a tool over MCP and return its text."""
        if not self._session:
            hello = {
                "protocolVersion": "2025-03-26",
                "capabilities": {},
                "clientInfo": {"name": "tests", "version": "1"},
            }
            self._post("initialize", hello)
            self._post("notifications/initialized", None)
        answer = self._post("tools/call", {"name": tool, "arguments": arguments})
        return "\n".join(part.get("text", "") for part in answer["result"]["content"])

    def _post(self, method: str, params: Any) -> Any:
        self._calls += 1
        body: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            body |= {"id": self._calls, "params": params}
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self._session:
            headers["Mcp-Session-Id"] = self._session
        request = urllib.request.Request(f"http://127.0.0.1:{self.port + 1}/mcp", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            self._session = answer.headers.get("Mcp-Session-Id") or self._session
            text = answer.read().decode()
        if not text:
            return None
        lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith(("data: ", "{"))]
        return json.loads(lines[-1])

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something that becomes true."""
        end = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > end:
                pytest.fail(f"am-dbg: {what} did not happen in {PATIENCE_S:g} s; it said {self._out.read_text()!r}")
            if self._process.poll() is not None:
                pytest.fail(f"am-dbg has ended; it said {self._out.read_text()!r}")
            time.sleep(0.1)

    def end(self) -> Counts:
        """End the program; return what it says it held."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE_S)
        found = re.search(r"Clients: ([\d,]+)\s+Transitions: ([\d,]+)", self._out.read_text())
        assert found is not None, self._out.read_text()
        return Counts(*[int(number.replace(",", "")) for number in found.groups()])

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port + 1)) == 0

    def __enter__(self) -> Self:
        self.wait_until(self._listens, "a start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _free_ports() -> int:
    """Return the first of three consecutive ports nobody listens at."""
    for first in range(17831, 18831, 3):
        try:
            for port in range(first, first + 3):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return first
    pytest.fail("no three free ports")
