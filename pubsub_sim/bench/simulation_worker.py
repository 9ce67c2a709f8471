"""A worker plays one simulation of a sweep: one JSON object on stdin, one on stdout, and the series and networks as files.

The protocol is that of `bench.worker`. The object on stdin has "options", the fields of `SimOptions`, "folder", where the
files go, and "snapshot_s", how many seconds of the run are between two networks. What the answer calls `version` is the account.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.worker import die_with_parent, print_line
from pubsub_sim.errors import PubsubSimError
from pubsub_sim.results.simulations import encoded
from pubsub_sim.results.whole_files import put_whole
from pubsub_sim.simulator.meters import MachineMeter, Series
from pubsub_sim.simulator.options import SimOptions
from pubsub_sim.simulator.simulation import Simulation
from pubsub_sim.simulator.snapshots import COLUMNS, Snapshots
from pubsub_sim.world.running import run

if TYPE_CHECKING:
    from pubsub_sim.simulator.simulation import SimResult

SERIES, NETWORK = "series.parquet", "network.parquet"
"""Files that a worker leaves."""


def play(options: SimOptions, folder: Path, snapshot_s: float) -> SimResult:
    """Play one simulation and write its series and its networks.

    Raises:
        UnwritableFolderError: they cannot be written.
        whatever ended the simulation.
    """
    meter = MachineMeter()
    series, snapshots = Series(meter), Snapshots(snapshot_s)

    def take(sim: Simulation) -> None:
        series.take(sim)
        snapshots.take(sim)

    sim = Simulation(options, tracers=[meter], on_metrics=take)
    result = run(sim.run(), clock=options.clock, seed=options.seed)
    facts = {"options": asdict(options), "result": asdict(result)}
    put_whole(encoded(series.rows, facts), folder / SERIES)
    put_whole(encoded(snapshots.rows(), {"options": asdict(options)}, COLUMNS), folder / NETWORK)
    return result


def answer_to(spec: dict[str, Any]) -> dict[str, Any]:
    """Play what was asked for, and say how it ended."""
    begin_ns, begin_cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    account: dict[str, Any] = {}
    try:
        result = play(SimOptions(**spec["options"]), Path(spec["folder"]), spec["snapshot_s"])
        account = asdict(result)
        error = "" if result.adds_up else "the account does not add up"
    except Exception as failure:  # whatever ends a simulation is told, and the sweep goes on
        print_line("".join(traceback.format_exception(failure)).rstrip())
        text = " ".join(str(failure).split())
        error = text if isinstance(failure, PubsubSimError) else f"{type(failure).__name__}: {text}".rstrip(": ")
    rows = [
        ("run", "failures", int(bool(error))),
        ("run", "wall_ns", time.perf_counter_ns() - begin_ns),
        ("run", "cpu_ns", time.process_time_ns() - begin_cpu_ns),
    ]
    return {"outcome": "failed" if error else "ok", "error": error, "rows": rows, "version": account}


def main(arguments: list[str]) -> int:
    """Read what to play, play it, write the answer; the last argument is the parent's process id.

    Returns:
        The exit status.
    """
    die_with_parent(arguments[-1])
    with os.fdopen(os.dup(1), "w") as output:
        os.dup2(2, 1)  # whatever else is printed must not mix with the answer
        spec = json.load(sys.stdin)
        gc.freeze()
        print_line("phase: simulation")
        answer = answer_to(spec)
        json.dump(answer, output)
    return 0 if answer["outcome"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
