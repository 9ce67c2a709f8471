"""Sweeps on a cluster."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.results import Store, wide
from tests.bench.processes import children, is_worker, wait_until, workers_of

pytest.importorskip("distributed")


def flags(folder: Path, **more: str) -> list[str]:
    given = {
        "versions": "baseline",
        "hosts": "5",
        "messages": "100",
        "repeats": "3",
        "executor": "dask",
        "dask-workers": "2",
        "limit-s": "30",
        "progress": "none",
        "out": str(folder),
    } | more
    return ["--control", "--share", *(f"--{name}={value}" for name, value in given.items())]


def test_killed_worker_of_a_cluster_costs_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kill -9` of one of two workers in the middle of a run: the pair is made by another one, and every run is there."""
    command = [sys.executable, "-m", "pubsub_sim", "sweep", *flags(tmp_path)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        found: dict[int, list[int]] = {}

        def is_busy() -> bool:
            found.update({pid: workers for pid in children(running.pid) if len(workers := workers_of(pid)) == 2})
            return bool(found)

        assert wait_until(is_busy)
        ((victim, orphans),) = found.items()
        os.kill(victim, signal.SIGKILL)
        assert wait_until(lambda: not any(map(is_worker, orphans)))
        said, log = running.communicate(timeout=240)
    finally:
        running.kill()
    assert running.returncode == 0, log
    assert said.splitlines()[-1].startswith("6 runs (6 ok): 6 measured now, 0 kept")  # a busy machine adds a warning
    runs = wide(Store(tmp_path).load())
    assert sorted(runs["order"]) == list(range(6))
    assert json.loads((tmp_path / "manifest.json").read_text())["done"] == 6
    assert main(["sweep", *flags(tmp_path, executor="serial")]) == 0
    assert capsys.readouterr().out.startswith("6 runs (6 ok): 0 measured now, 6 kept")


def test_cluster_without_the_resource_is_refused(tmp_path: Path) -> None:
    """Runs that would wait for ever are not begun: the sentence says how the workers must be started."""
    code = (
        "import sys\n"
        "from distributed import LocalCluster\n"
        "from pubsub_sim.__main__ import main\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:\n"
        "        sys.exit(main(['sweep', *sys.argv[1:], '--scheduler', cluster.scheduler_address]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *flags(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert "scheduler: expected workers that were started with --resources run=1, got 'inproc://" in done.stderr
