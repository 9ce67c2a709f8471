"""The command `simulate`: one simulation from flags or a YAML file, optionally displayed, recorded and measured."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncmachine.errors import AsyncMachineError
from asyncmachine.record import Recorder
from pubsub_sim.checks import check_bool
from pubsub_sim.errors import DataError, OptionError, PubsubSimError
from pubsub_sim.flags import from_flags
from pubsub_sim.packages import explain_missing
from pubsub_sim.parameters import reject_unknown
from pubsub_sim.simulator.live import LiveView
from pubsub_sim.simulator.meters import MachineMeter, Series, write_series
from pubsub_sim.simulator.options import SimOptions
from pubsub_sim.simulator.simulation import Simulation
from pubsub_sim.world.running import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pubsub_sim.simulator.simulation import SimResult

INTERRUPTED = 130


class UnusableFileError(DataError):
    """A file of the simulator that cannot be read or written.

    Attributes:
        reason: the reason, as a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class SimulateOptions(SimOptions):
    """One simulation and its outputs.

    Attributes:
        config: a YAML file with options by name; flags take precedence. Empty for none.
        json: print the result as JSON.
        live: show the simulation live, if the output is a terminal.
        record: file of a record of all machines, for every viewer; empty for none.
        series: file of the time series, as Parquet; empty for none.
        prometheus: address that serves metrics, such as localhost:9464; empty for none.

    Raises:
        OptionError: an invalid value.
        OptionConflict: incompatible values.
    """

    config: str = ""
    json: bool = False
    live: bool = True
    record: str = ""
    series: str = ""
    prometheus: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bool("json", self.json)
        check_bool("live", self.live)
        for name in ("config", "record", "series"):
            if not isinstance(getattr(self, name), str):
                raise OptionError(name, getattr(self, name), "the name of a file, or an empty text")
        address_of("prometheus", self.prometheus)


def address_of(option: str, value: object) -> tuple[str, int] | None:
    """Parse an address such as localhost:9464; return None if it is empty.

    Raises:
        OptionError: it is invalid.
    """
    if value == "":
        return None
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not (host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise OptionError(option, value, "an address such as localhost:9464")
    return host, int(port)


def simulate_command(arguments: Sequence[str]) -> int:
    """Run one simulation and print the account of messages.

    Returns:
        0; 1 if the account does not add up or an output is incomplete; 130 if it was interrupted.

    Raises:
        PubsubSimError: an invalid flag, value or file.
    """
    summary = "Simulate a dynamic network of peers and topics, and account for every message."
    options: SimulateOptions = from_flags(SimulateOptions, "simulate", summary, [*_from_config(arguments), *arguments])
    try:
        outcome = simulate(options)
    except AsyncMachineError as error:  # from the recorder: its file cannot be created
        raise UnusableFileError(str(error)) from error
    result = outcome.result
    text = json.dumps(asdict(result), sort_keys=True) if options.json else in_words(result)
    sys.stdout.write(f"{text}\n")
    for problem in outcome.problems:
        sys.stderr.write(f"{problem}\n")
    if result.outcome == "interrupted":
        sys.stderr.write("interrupted; what was recorded until then is kept\n")
        return INTERRUPTED
    return 0 if result.adds_up and not outcome.problems else 1


@dataclass(frozen=True)
class Outcome:
    """The outputs of a simulation.

    Attributes:
        result: the account.
        series: a row of figures per second.
        meter: counts of the machines.
        problems: failed outputs, a sentence each.
    """

    result: SimResult
    series: Series
    meter: MachineMeter
    problems: tuple[str, ...]


def simulate(options: SimulateOptions, on_metrics: Callable[[Simulation], None] | None = None) -> Outcome:
    """Run one simulation with all requested outputs. An interrupt ends it cleanly.

    Args:
        options: the options.
        on_metrics: additionally called once per simulated second.

    Raises:
        asyncmachine.record.RecordError: the file of the record cannot be created.
        PubsubSimError: the address of the metrics is not available.
    """
    meter = MachineMeter()
    series = Series(meter)
    watching: list[Callable[[Simulation], None]] = [series.take]
    if on_metrics is not None:
        watching.append(on_metrics)
    tracers: list[Any] = [meter]
    with ExitStack() as stack:
        recorder = None
        if options.record:
            recorder = stack.enter_context(_recorder(options, lambda: sim))
            tracers.append(recorder)
        if options.prometheus:
            from pubsub_sim.simulator.prometheus import Exporter

            address = address_of("prometheus", options.prometheus)
            assert address is not None
            exporter = stack.enter_context(Exporter(address, lambda: 0 if recorder is None else recorder.lost))
            sys.stderr.write(f"metrics are served at http://{address[0]}:{exporter.port}/metrics\n")
            tracers.append(exporter.tracer)
            watching.append(exporter.take)
        if options.live and not options.json and sys.stdout.isatty():
            watching.append(stack.enter_context(LiveView()).show)
        bound = tuple(tracers)

        def bind(machine: Any) -> None:
            for tracer in bound:
                machine.bind_tracer(tracer)

        def take(sim: Simulation) -> None:
            for watch in watching:
                watch(sim)

        sim = Simulation(options, tracers=bound, bind_node_machine=bind, on_metrics=take)
        try:
            result = run(sim.run(), clock=options.clock, seed=options.seed)
        except KeyboardInterrupt:
            result = sim.result("interrupted")
        if recorder is not None:
            recorder.note_run(outcome=result.outcome, digest=result.digest, delivered=result.delivered)
    problems = _keep(options, series, result)
    if recorder is not None and recorder.failure is not None:
        problems.append(f"the record {options.record} is not whole: {recorder.failure}")
    return Outcome(result, series, meter, tuple(problems))


def _recorder(options: SimulateOptions, sim: Callable[[], Simulation]) -> Recorder:
    def now_ns() -> int:
        return sim().clock.now_ns()

    return Recorder(
        Path(options.record).expanduser(),
        loop_time_ns=now_ns if options.clock == "virtual" else None,
        attributes={"service": "simulator", **{name: str(value) for name, value in asdict(options).items()}},
    )


def _keep(options: SimulateOptions, series: Series, result: SimResult) -> list[str]:
    if options.series:
        try:
            write_series(series, options, result, Path(options.series).expanduser())
        except PubsubSimError as error:
            return [str(error)]
    return []


def in_words(result: SimResult) -> str:
    """Return the result as a few lines, the last of which is the account."""
    lines = [f"{result.simulated_s:,.1f} s simulated, digest {result.digest[:16]}"]
    lines += [f"a peer failed and was taken out: {failure}" for failure in result.peers_failed]
    missed = ", ".join(f"{count:,} {reason}" for reason, count in result.missed.items())
    account = f"{result.sent:,} messages: {result.owed:,} deliveries owed, {result.delivered:,} delivered, "
    account += f"{sum(result.missed.values()):,} missed" + (f" ({missed})" if missed else "")
    lines.append(account + ("" if result.adds_up else "; this does not add up"))
    return "\n".join(lines)


def _from_config(arguments: Sequence[str]) -> list[str]:
    """Return the options of the YAML file, if one is named, as flags."""
    path = ""
    for number, word in enumerate(arguments):
        if word.startswith("--config="):
            path = word.partition("=")[2]
        elif word == "--config" and number + 1 < len(arguments):
            path = arguments[number + 1]
    if not path:
        return []
    with explain_missing("--config"):
        import yaml
    try:
        given = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnusableFileError(f"{path} cannot be read as options: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise UnusableFileError(f"{path} cannot be read as options: it has no names with values")
    reject_unknown({str(name): None for name in given}, [entry.name for entry in fields(SimulateOptions)])
    flags = []
    for name, value in given.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None:
            flags.append(f"{flag}={value}")
    return flags
