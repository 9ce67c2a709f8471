"""What measures knows nothing of recorders: it never loads one, and its hosts are watched by nobody."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pubsub_sim import World, run

RECORDING = ("asyncmachine.record", "asyncmachine.export", "pubsub_sim.recording", "sqlite3")

WORKER = """
import json, sys
import pubsub_sim.bench.commands, pubsub_sim.bench.sweep
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.bench.worker import measure
record = measure(RunSpec(version={version!r}, hosts=3, messages=2))
assert record["outcome"] == "ok", record["error"]
print(json.dumps(sorted(sys.modules)))
"""


def test_a_worker_never_loads_a_recorder(version: str) -> None:
    """Nor do the commands that start it; so a recorder cannot cost what is measured anything, not even memory."""
    done = subprocess.run(
        [sys.executable, "-c", WORKER.format(version=version)], capture_output=True, text=True, check=True
    )
    loaded = done.stdout
    assert '"pubsub_sim.scenarios.simple_discovery"' in loaded
    assert ('"asyncmachine.machine"' in loaded) == (version == "states")
    for module in RECORDING:
        assert f'"{module}' not in loaded


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_the_commands_that_measure_import_none(command: str) -> None:
    """From the command line too: a recorder is loaded by `play` and `discovery` only."""
    script = (
        "import sys; from pubsub_sim.__main__ import main\n"
        f"try: main([{command!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pubsub_sim.bench" in done.stdout
    for module in RECORDING:
        assert f"'{module}" not in done.stdout


def test_hosts_that_are_measured_are_watched_by_nobody(version: str) -> None:
    """A world without a trace and without watchers gives its hosts no tracer at all, as before there were any."""

    async def tracers() -> list[object]:
        async with World(2, version=version, trace=False) as world:
            return [pubsub._core.tracer for pubsub in world.pubsubs]

    assert run(tracers(), clock="virtual") == [None, None]
