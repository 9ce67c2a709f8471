"""A worker measures one run: one JSON specification on stdin, one JSON record of raw integers on stdout, then the end.

Imports the standard library, the event loop and what is measured, nothing else.

The protocol, for programs in any language that want to be measured beside our versions (option ``programs`` of a sweep):

- The program is started once per run, in a session of its own; its last argument is the process id of the parent. If
  the parent ends, the program should end too. Everything else in that session is killed when the run is over.
- stdin: one JSON object with the fields of `spec.RunSpec`, then the end. ``version`` is the name the program was given.
  What it cannot play as asked it refuses. As a comparator a program is asked for ``transport`` "tcp" and one ``loop`` only.
- stderr: a line ``phase: <name>`` at the beginning of each phase of the measured run. The first of them starts the
  time limit; what comes before (start, imports, warm-up) has a limit of its own. Other lines are a log, of which the last
  MiB is kept and shown if the run fails.
- stdout: one JSON object of at most 1 MiB, then the end. ``outcome`` is "ok" or "failed"; ``error`` one sentence, empty when ok;
  ``version`` an object that describes the program: ``summary``, ``machines`` (a list), and perhaps ``also``, a list of what
  it does that ours do not, such as "encrypts all traffic", for readers of a ratio; ``rows`` a list of
  ``[phase, metric, whole number]`` with metrics of `results.metrics`. ``["run", "failures", 0 or 1]`` must be there;
  ``["rand msgs", "cpu_ns", ...]`` is what tables compare, ``["rand msgs", "rpcs", ...]`` what times are divided by. If
  ``["run", "rpcs", ...]`` or ``["run", "connections", ...]`` are there they must be those of all others in the pair.
- exit status: 0 for an ok run, 1 for a failed one, 2 for a specification that cannot be used; each leaves a record.
- Anything else, such as an unknown outcome or metric, a number that is not whole, or no record, is a failed run whose
  sentence quotes the end of what was printed.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import time
import traceback
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.instruments import INSTRUMENTS
from pubsub_sim.bench.probes import GcProbe, KernelProbe, PhaseProbe, TaskProbe, TimeSlices
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.errors import OptionError, PubsubSimError
from pubsub_sim.packages import MissingPackageError
from pubsub_sim.scenarios.play import play
from pubsub_sim.scenarios.versions import describe_version
from pubsub_sim.world.running import loop_factory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pubsub_sim.bench.instruments import Instrument
    from pubsub_sim.scenarios.simple_discovery import Observe, Outcome, Pause

_PR_SET_PDEATHSIG = 1
_WARMUP_HOSTS = 3
_WARMUP_MESSAGES = 5
_RUN = "run"


def die_with_parent(parent: str) -> None:
    """Ask the kernel to kill this process when its parent ends, however that happens (Linux only).

    Args:
        parent: process id of the parent, as a word of the command line; if it is gone already, or is no parent,
            this process ends at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if str(os.getppid()) != parent:
        os._exit(1)


def measure(spec: RunSpec, slices: TimeSlices | None = None) -> dict[str, Any]:
    """Run the scenario once and say what it cost.

    Args:
        spec: the run.
        slices: its time slices; None for a run by itself.

    Returns:
        The record: outcome "ok" or "failed", error (one sentence), rows of [phase, metric, value], and version, the
        version's own description.
    """
    slices = slices or TimeSlices()
    try:
        warmup_wall_ns = _warm_up(spec) if spec.warmup else 0
    except Exception as error:
        show_traceback(error)
        return _failure(f"the warm-up failed: {sentence_of(error)}")
    gc.collect()
    gc.freeze()
    faults: list[str] = []
    tasks, collector = TaskProbe(), GcProbe()
    phases = PhaseProbe(tasks, collector, lambda name: print_line(f"phase: {name}"), slices)
    instrument = INSTRUMENTS[spec.kind]() if spec.kind in INSTRUMENTS else None
    try:
        with asyncio.Runner(loop_factory=loop_factory(spec.loop)) as runner:
            tasks.attach(runner.get_loop())
            kernel = KernelProbe()
            collector.attach()
            if instrument is not None:
                instrument.start()
            observe = phases if instrument is None else _watched(phases, instrument)
            outcome = runner.run(_play(spec, observe, slices.pause, faults))
            collector.detach()
            costs = kernel.read()
        if instrument is not None:
            instrument.stop()
            costs |= instrument.of_run()
        gc.collect()  # a task whose exception nobody fetched tells of it only now
        version = describe_version(spec.version)
    except asyncio.CancelledError:
        return _failure(faults[0])
    except Exception as error:
        show_traceback(error)
        return _failure(sentence_of(error))
    if faults:
        return _failure(faults[0])
    costs |= {
        "failures": 0,
        "time_slices": slices.taken,
        "paused_ns": slices.paused_ns,
        "connections": outcome.connections,
        "deliveries": outcome.deliveries,
        "tasks_final": phases.tasks_alive,
        "warmup_wall_ns": warmup_wall_ns,
        "gc_collections": collector.collections,
        "gc_wall_ns": collector.wall_ns,
        "gc_collected_objects": collector.collected,
    }
    seen = {} if instrument is None else instrument.of_phases()
    rows = [(phase, name, value) for phase, values in seen.items() for name, value in values.items()]
    return {"outcome": "ok", "error": "", "rows": rows + _rows(phases, outcome, costs), "version": version}


async def _play(spec: RunSpec, observe: Observe, pause: Pause, faults: list[str]) -> Outcome:
    """Play, but not on after an error that reached nobody: what is waited for may never come then."""
    task = asyncio.current_task()
    assert task is not None

    def fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        faults.append(fault_of(context))
        if isinstance(error := context.get("exception"), BaseException):
            show_traceback(error)
        task.cancel()

    asyncio.get_running_loop().set_exception_handler(fault)
    return await play(spec, observe, pause)


def _watched(phases: PhaseProbe, instrument: Instrument) -> Observe:
    @contextmanager
    def both(name: str) -> Iterator[None]:
        with phases(name), instrument.around(name):
            yield

    return both


def _warm_up(spec: RunSpec) -> int:
    small = replace(spec, hosts=_WARMUP_HOSTS, messages=_WARMUP_MESSAGES)
    start_ns = time.perf_counter_ns()
    with asyncio.Runner(loop_factory=loop_factory(spec.loop)) as runner:
        runner.run(play(small, lambda _: nullcontext()))
    return time.perf_counter_ns() - start_ns


def _rows(phases: PhaseProbe, outcome: Outcome, costs: dict[str, int]) -> list[tuple[str, str, int]]:
    rows = []
    sums: dict[str, int] = {}
    for counts in outcome.phases:
        work = {"rpcs": counts.rpcs, "fixed_waits": counts.fixed_waits, "fixed_wait_ns": counts.fixed_wait_ns}
        for name, value in (phases.costs[counts.name] | work).items():
            rows.append((counts.name, name, value))
            sums[name] = sums.get(name, 0) + value
    rows += [(_RUN, name, value) for name, value in (sums | costs).items()]
    return rows


def _failure(sentence: str) -> dict[str, Any]:
    return {"outcome": "failed", "error": sentence, "rows": [(_RUN, "failures", 1)], "version": {}}


def show_traceback(error: BaseException) -> None:
    """Log a traceback: whoever wrote the version that failed wants to know where."""
    print_line("".join(traceback.format_exception(error)).rstrip())


def sentence_of(error: BaseException) -> str:
    """Say in one line what an error says; those that are not ours with their class."""
    text = " ".join(str(error).split())
    if isinstance(error, PubsubSimError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def fault_of(context: dict[str, Any]) -> str:
    """Say what an event loop tells of an error that reached nobody."""
    error = context.get("exception")
    return f"{context['message']}: {sentence_of(error)}" if error else str(context["message"])


def print_line(text: str) -> None:
    """Write one line to stderr at once."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Read a specification, measure, write the record.

    Args:
        arguments: nothing; or the parent's process id; or before that the file descriptor of the turn token of
            interleaved runs, and how many nanoseconds a time slice lasts at least.

    Returns:
        The exit status.
    """
    if arguments:
        die_with_parent(arguments[-1])
    slices = TimeSlices(*map(int, arguments[:-1]))
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # whatever the measured code prints must not mix with the record
        try:
            record = measure(RunSpec.from_json(sys.stdin.buffer.read()), slices)
            status = 0 if record["outcome"] == "ok" else 1
        except (MissingPackageError, OptionError) as error:
            record = _failure(str(error))
            status = 2
            print_line(str(error))
        json.dump(record, answer)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
