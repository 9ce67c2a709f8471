"""A simulation for monitoring: it serves its metrics, and Prometheus scrapes them if it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pubsub_sim.errors import PubsubSimError
from pubsub_sim.simulator.command import simulate_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

METRICS = "localhost:9464"
PROMETHEUS = "localhost:9090"


def prometheus_config(target: str) -> str:
    """Return a configuration of Prometheus that scrapes one address every second."""
    return (
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: pubsub_sim, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )


@contextmanager
def prometheus_running(target: str, address: str) -> Iterator[bool]:
    """Run Prometheus, scraping an address; yield whether it is installed.

    Args:
        target: host and port of the metrics.
        address: host and port of Prometheus.
    """
    program = shutil.which("prometheus")
    if program is None:
        yield False
        return
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "prometheus.yml")
        config.write_text(prometheus_config(target), encoding="utf-8")
        words = [program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
        process = subprocess.Popen(
            [*words, f"--web.listen-address={address}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield True
        finally:
            process.terminate()
            process.wait()


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
