"""The commands `run`, `sweep` and `pack`: what they do and print."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from pubsub_sim.bench import manifest
from pubsub_sim.bench.options import PackOptions, RunOptions, SweepOptions, sweep_folder
from pubsub_sim.bench.process import Answer, pinned_environment, run_worker
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.bench.sweep import sweep
from pubsub_sim.flags import from_flags
from pubsub_sim.results import METRICS, RUN, Store, read_engine, write_engine
from pubsub_sim.results.load import LoadStore
from pubsub_sim.results.meshes import pack_meshes

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_command(arguments: Sequence[str]) -> int:
    """Measure one run in a fresh process and print what it took; store nothing. Of a failed run its log is shown.

    Returns:
        0, or 1 if the run failed.

    Raises:
        OptionError: a flag or a value that cannot be used.
    """
    options: RunOptions = from_flags(RunOptions, "run", "Measure one run and print what it took.", arguments)
    spec = RunSpec(**{entry.name: getattr(options, entry.name) for entry in fields(RunSpec)})
    answer = run_worker(spec.to_json(), environment=pinned_environment(options.allocator), limit_s=options.limit_s)
    if answer.outcome != "ok":
        _show(answer.log)
        sys.stderr.write(f"the run is {answer.outcome}: {answer.error}\n")
        return 1
    sys.stdout.write(f"{options.version}, {options.hosts} hosts, {options.messages} messages: ok\n\n")
    sys.stdout.write(_summary(answer) + "\n")
    return 0


def sweep_command(arguments: Sequence[str]) -> int:
    """Measure a grid and store every run; show the different logs of those that failed now.

    Returns:
        0, or 1 if a run of the grid is not ok.

    Raises:
        PubsubSimError: the sweep cannot go on.
    """
    summary = "Measure a grid of runs and store each; finished ones are kept."
    options: SweepOptions = from_flags(SweepOptions, "sweep", summary, arguments)
    result = sweep(options)
    sys.stdout.write(result.sentence() + "\n")
    for log in dict.fromkeys(result.logs.values()):
        _show(log)
    for name, sentence in result.failures.items():
        sys.stderr.write(f"{name}: {sentence}\n")
    return 1 if result.failures else 0


def pack_command(arguments: Sequence[str]) -> int:
    """Write a sweep in the form that is committed: one file per version, its manifest, and the rest that it has.

    The rest are the engine's benchmark, the runs under load and those of large meshes.

    Returns:
        0.

    Raises:
        PubsubSimError: the sweep cannot be read or the target cannot be written.
    """
    options: PackOptions = from_flags(PackOptions, "pack", "Pack a sweep into one file per version.", arguments)
    source, target = sweep_folder("out", options.out), sweep_folder("target", options.target)
    manifest.check_place(target)
    engine = read_engine(source)
    written = Store(source).pack(target)
    if engine is not None:
        written.append(write_engine(target, engine))
    beside = (LoadStore(source).pack(target), pack_meshes(source, target), manifest.copy(source, target))
    written += [path for path in beside if path is not None]
    for path in written:
        sys.stdout.write(f"{path.name}: {path.stat().st_size:,} bytes\n")
    return 0


def _show(log: str) -> None:
    """Show what a failed run logged, the traceback of its error at the end."""
    if log:
        sys.stderr.write(log.rstrip() + "\n")


def _summary(answer: Answer) -> str:
    phases = list(dict.fromkeys(row.phase for row in answer.rows if row.phase != RUN))
    values = {(row.phase, row.metric): row.value for row in answer.rows}
    lines = [f"{'phase':<22}{'wall ms':>10}{'cpu ms':>10}{'waits ms':>10}{'RPCs':>10}{'tasks':>10}"]
    for phase in [*phases, RUN]:
        times = (values[phase, name] / 1e6 for name in ("wall_ns", "cpu_ns", "fixed_wait_ns"))
        counts = (values[phase, name] for name in ("rpcs", "tasks_created"))
        lines.append(
            f"{phase:<22}" + "".join(f"{value:10.1f}" for value in times) + "".join(f"{n:10,}" for n in counts)
        )
    lines.append("")
    shown = {row.metric: row.value for row in answer.rows if row.phase == RUN and METRICS[row.metric].scope == "run"}
    for name, metric in METRICS.items():
        if name in shown and name != "failures":
            lines.append(f"{name:<22}{_in_unit(shown[name], metric.unit):>14}  {metric.meaning}")
    return "\n".join(lines)


def _in_unit(value: int, unit: str) -> str:
    if unit == "ns":
        return f"{value / 1e6:,.1f} ms"
    return f"{value / 2**20:,.1f} MiB" if unit == "bytes" else f"{value:,}"
