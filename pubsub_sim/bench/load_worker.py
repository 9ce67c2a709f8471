"""A worker makes one run under load: one JSON object on stdin, one on stdout, then the end.

The protocol is that of `bench.worker`. The object on stdin has "options", the fields of `scenarios.load.Load`, and "loop". What
the answer calls `version` holds the numbers of the run. Imports the standard library, the event loop and what is measured,
nothing else.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.probes import GcProbe, KernelProbe, PhaseProbe, TaskProbe
from pubsub_sim.bench.worker import die_with_parent, fault_of, print_line, sentence_of, show_traceback
from pubsub_sim.scenarios.load import Load, LoadOutcome, load
from pubsub_sim.scenarios.load_ledger import quantile
from pubsub_sim.world.running import loop_factory

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

QUANTILES = {"p50_ns": 0.5, "p90_ns": 0.9, "p99_ns": 0.99, "p999_ns": 0.999, "max_ns": 1.0}
"""Stored quantiles of the latencies."""


def measure(options: Load, loop: str) -> dict[str, Any]:
    """Make one run and give its answer.

    Args:
        options: the run.
        loop: event loop, "uvloop" or "asyncio".
    """
    faults: list[str] = []
    phases = PhaseProbe(TaskProbe(), GcProbe(), lambda name: print_line(f"phase: {name}"))
    try:
        gc.collect()
        gc.freeze()
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            kernel = KernelProbe()
            outcome = runner.run(_play(options, phases, faults))
            costs = kernel.read()
    except asyncio.CancelledError:
        return _answer(faults[0], {})
    except Exception as error:  # whatever ends a run is told, and the sweep goes on
        show_traceback(error)
        return _answer(sentence_of(error), {})
    if faults:
        return _answer(faults[0], {})
    return _answer("", _told(outcome, costs | {"cpu_ns": phases.costs["load"]["cpu_ns"]}))


async def _play(options: Load, phase: Callable[[str], AbstractContextManager[None]], faults: list[str]) -> LoadOutcome:
    """Play, but not on after an error that reached nobody."""
    task = asyncio.current_task()
    assert task is not None

    def fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        faults.append(fault_of(context))
        task.cancel()

    asyncio.get_running_loop().set_exception_handler(fault)
    return await load(options, phase)


def _told(outcome: LoadOutcome, costs: dict[str, int]) -> dict[str, Any]:
    latencies = outcome.latencies_ns
    numbers = {
        "sent": outcome.sent,
        "delivered": outcome.delivered,
        "dropped_subscription": outcome.drops.subscription,
        "dropped_on_the_way": outcome.drops.on_the_way,
        "frames_lost": outcome.drops.frames,
        "validations_refused": outcome.drops.validations,
        "given_up": outcome.given_up,
        "window_ns": outcome.window_ns,
        "latencies": len(latencies),
        **({name: quantile(latencies, share) for name, share in QUANTILES.items()} if latencies else {}),
        "longest_queue": outcome.longest_queue,
        "longest_backlog": outcome.longest_backlog,
        "most_in_flight": outcome.most_in_flight,
        **{name: costs[name] for name in ("cpu_ns", "peak_rss_bytes", "start_rss_bytes", "involuntary_switches")},
    }
    return {"numbers": numbers, "offered_by": outcome.offered_by, "completed_by": outcome.completed_by}


def _answer(error: str, told: dict[str, Any]) -> dict[str, Any]:
    outcome = "failed" if error else "ok"
    return {"outcome": outcome, "error": error, "rows": [("run", "failures", int(bool(error)))], "version": told}


def main(arguments: list[str]) -> int:
    """Read what to run, run it, write the answer; the last argument is the parent's process id.

    Returns:
        The exit status.
    """
    die_with_parent(arguments[-1])
    with os.fdopen(os.dup(1), "w") as output:
        os.dup2(2, 1)  # whatever else is printed must not mix with the answer
        spec = json.load(sys.stdin)
        answer = measure(Load(**spec["options"]), spec["loop"])
        json.dump(answer, output)
    return 0 if answer["outcome"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
