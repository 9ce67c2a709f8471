"""A simulation for monitoring: it serves its metrics, and Prometheus scrapes them if it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pubsub_sim.errors import NetworkError, PubsubSimError
from pubsub_sim.simulator.command import simulate_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

METRICS = "localhost:9464"
PROMETHEUS = "localhost:9090"
_START_LIMIT_S = 30.0


def prometheus_config(target: str) -> str:
    """Return a configuration of Prometheus that scrapes one address every second."""
    return (
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: pubsub_sim, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )


class PrometheusError(NetworkError):
    """Prometheus ended before it answered.

    Attributes:
        address: host and port that it was to answer at.
        reason: the last line that it wrote.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"Prometheus did not start at {address}: {reason}")
        self.address = address
        self.reason = reason


@contextmanager
def prometheus_running(target: str, address: str) -> Iterator[bool]:
    """Run Prometheus in the context, scraping an address; gives whether it is installed.

    Args:
        target: host and port of the metrics.
        address: host and port that Prometheus answers at.

    Raises:
        PrometheusError: It ended before it answered, or does not answer within half a minute.
    """
    program = shutil.which("prometheus")
    if program is None:
        yield False
        return
    if _is_ready(address):
        raise PrometheusError(address, "another one answers there")
    with tempfile.TemporaryDirectory() as folder:
        config, log = Path(folder, "prometheus.yml"), Path(folder, "prometheus.log")
        config.write_text(prometheus_config(target), encoding="utf-8")
        words = [program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*words, f"--web.listen-address={address}"], stdout=subprocess.DEVNULL, stderr=output
            )
        try:
            _await_answer(process, address, log)
            yield True
        finally:
            process.terminate()
            process.wait()


def _await_answer(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Return once Prometheus says that it is ready."""
    end = time.monotonic() + _START_LIMIT_S
    while not _is_ready(address):
        if process.poll() is not None or time.monotonic() > end:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise PrometheusError(address, lines[-1] if lines else "it wrote nothing")
        time.sleep(0.1)


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=1):
            return True
    except OSError:
        return False


def watch(arguments: Sequence[str]) -> int:
    """Simulate on the wall clock for the given duration, and print the address to open; return the exit status."""
    duration = arguments[0] if arguments else "15m"
    with prometheus_running(METRICS, PROMETHEUS) as is_there:
        if is_there:
            sys.stderr.write(
                f"open http://{PROMETHEUS}/graph, or in Grafana the dashboard data/grafana/simulator.json with the data "
                f"source http://{PROMETHEUS}\n"
            )
        else:
            sys.stderr.write(
                "Prometheus is not installed (Debian: apt install prometheus); the metrics are served all the same\n"
            )
        return simulate_command(["--clock", "wall", "--duration", duration, "--prometheus", METRICS])


if __name__ == "__main__":
    try:
        sys.exit(watch(sys.argv[1:]))
    except PubsubSimError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
