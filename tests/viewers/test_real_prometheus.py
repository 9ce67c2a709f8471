"""Debian's Prometheus scrapes a running simulation. Opt-in: `pytest -m viewers`.

The programs `prometheus` and `promtool` are those on the PATH (Debian: `apt install prometheus`).
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine.record import Record
from pubsub_sim.simulator import prometheus, watch
from pubsub_sim.simulator.command import SimulateOptions, simulate
from pubsub_sim.simulator.dashboard import expressions
from tests.viewers.test_real_jaeger import attempts, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.viewers, pytest.mark.xdist_group("prometheus")]


class Scraped:
    """A simulation of half a minute that was scraped, and is served until the tests are over.

    Attributes:
        exposition: The metrics as they were served at the end.
        record: The record of the same run.
        owed: Deliveries that were owed, by the account.
        delivered: Those that came.
    """

    def __init__(self, address: str, exposition: bytes, record: Path, owed: int, delivered: int) -> None:
        self.exposition = exposition
        self.record = record
        self.owed = owed
        self.delivered = delivered
        self._address = address

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what Prometheus finds for an expression now."""
        url = f"http://{self._address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        found: list[dict[str, Any]] = told["data"]["result"]
        return found

    def value(self, expression: str) -> float:
        """Return the only value of an expression."""
        (found,) = self.query(expression)
        return float(found["value"][1])


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Half a minute on the wall clock, recorded and scraped; the metrics stay served afterwards, so that the last scrape is whole."""
    pytest.importorskip("prometheus_client")
    if shutil.which("prometheus") is None:
        pytest.skip("there is no prometheus on the PATH: apt install prometheus")
    record = tmp_path_factory.mktemp("prometheus") / "run.sqlite"
    metrics, answers = (f"127.0.0.1:{port}" for port in free_ports(2))
    leave = prometheus.Exporter.__exit__
    with ExitStack() as late, pytest.MonkeyPatch.context() as patched:

        def stay(exporter: prometheus.Exporter, *_: object) -> None:
            late.callback(leave, exporter, None, None, None)

        patched.setattr(prometheus.Exporter, "__exit__", stay)
        assert late.enter_context(watch.prometheus_running(metrics, answers))
        options = SimulateOptions(
            clock="wall", duration="30s", peers=10, topics=5, live=False, prometheus=metrics, record=str(record)
        )
        result = simulate(options).result
        with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=30) as answer:
            exposition = answer.read()
        found = Scraped(answers, exposition, record, result.owed, result.delivered)
        for _ in attempts():
            if found.query("pubsub_sim_messages_owed_total") and (
                found.value("pubsub_sim_messages_owed_total") == result.owed
            ):
                break
        time.sleep(3)  # so that a scrape that began before the end is not the last one
        yield found


def test_promtool_has_nothing_to_say(scraped: Scraped) -> None:
    """Names, types and texts of the metrics are what Prometheus recommends."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool on the PATH: apt install prometheus")
    done = subprocess.run([promtool, "check", "metrics"], input=scraped.exposition, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_of_the_dashboard_returns_data(scraped: Scraped, expression: str) -> None:
    """A panel without a line is a mistake in its expression, or in the metrics."""
    asked = expression.replace("$__rate_interval", "40s").replace("$kind", ".*")
    found = scraped.query(asked)
    assert found
    assert any(not math.isnan(float(entry["value"][1])) for entry in found)


def test_the_counters_are_what_the_record_counts(scraped: Scraped) -> None:
    """Prometheus has as many transitions of each kind and result as the record, and the account's deliveries."""
    counted: Counter[str] = Counter()
    with Record.open(scraped.record) as record:
        for transition in record.transitions():
            counted["accepted" if transition.change.accepted else "canceled"] += 1
    told = {
        entry["metric"]["result"]: float(entry["value"][1])
        for entry in scraped.query("sum by (result) (asyncmachine_transitions_total)")
    }
    assert told == dict(counted)
    assert scraped.value("pubsub_sim_messages_owed_total") == scraped.owed
    assert scraped.value("pubsub_sim_messages_delivered_total") == scraped.delivered


def test_a_prometheus_that_does_not_start_is_an_error() -> None:
    """An address that is taken is told with what Prometheus wrote."""
    if shutil.which("prometheus") is None:
        pytest.skip("there is no prometheus on the PATH: apt install prometheus")
    metrics, answers = (f"127.0.0.1:{port}" for port in free_ports(2))
    with (
        watch.prometheus_running(metrics, answers),
        pytest.raises(watch.PrometheusError, match=answers),
        watch.prometheus_running(metrics, answers),
    ):
        pass
