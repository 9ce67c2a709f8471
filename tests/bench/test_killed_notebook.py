"""A notebook that measures and is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pubsub_sim
from tests.bench.processes import LIVES_ON_S, children, is_worker, wait_until, workers_of

pytestmark = pytest.mark.xdist_group("kernels")

NOTEBOOK = Path(pubsub_sim.__file__).resolve().parents[1] / "notebooks" / "3_sweep.ipynb"


@pytest.mark.parametrize("victim", ["kernel", "papermill"])
def test_killed_notebook_leaves_no_worker(tmp_path: Path, victim: str) -> None:
    """`kill -9` of the kernel, or of papermill itself, leaves no worker alive five seconds later."""
    parameters = {"versions": "baseline", "hosts": "5", "messages": "10000000", "limit_s": "600", "out": str(tmp_path)}
    parameters["share"] = "True"
    words = [word for name, value in parameters.items() for word in ("-p", name, value)]
    running = subprocess.Popen(
        [sys.executable, "-m", "papermill", str(NOTEBOOK), str(tmp_path / "out.ipynb"), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found: list[tuple[int, int]] = []

    def is_measuring() -> bool:
        found[:] = [(kernel, worker) for kernel in children(running.pid) for worker in workers_of(kernel)]
        return bool(found)

    assert wait_until(is_measuring)
    ((kernel, worker),) = found
    if victim == "kernel":
        os.kill(kernel, signal.SIGKILL)
    else:
        running.kill()
    assert wait_until(lambda: not is_worker(worker), within_s=LIVES_ON_S)
    running.kill()
    running.wait()
