"""Sweeps of simulations: many runs at a time, each in a process of its own; each is stored as soon as it is known.

They play on the virtual clock, so that nothing is measured by being alone and runs may share a machine. A run that is stored is
not played again; one that failed, was killed or took too long has a record with its error.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pubsub_sim.bench.display import Display
from pubsub_sim.bench.executors import cluster, distributed
from pubsub_sim.bench.process import Answer, pinned_environment, run_side_by_side, run_worker
from pubsub_sim.bench.provenance import of_a_simulation, of_the_moment
from pubsub_sim.bench.simulation_options import SimSweepOptions, column_types, name_of, snapshot_s
from pubsub_sim.bench.simulation_worker import NETWORK, SERIES
from pubsub_sim.bench.sweep import SweepInterrupted, SweepResult
from pubsub_sim.flags import from_flags
from pubsub_sim.results.simulations import SimulationRecord, SimulationStore
from pubsub_sim.simulator.accounts import REASONS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from pubsub_sim.simulator.options import SimOptions

_WORKER = (sys.executable, "-m", "pubsub_sim.bench.simulation_worker")
_COUNTS = ("sent", "owed", "delivered", "extra")


class Played(NamedTuple):
    """A run that was played.

    Attributes:
        answer: of its worker.
        facts: where it was played; nothing if that cannot be told.
        series: its file; None if it was not written.
        network: likewise.
    """

    answer: Answer
    facts: Mapping[str, Any]
    series: bytes | None = None
    network: bytes | None = None


class Player(Protocol):
    """Plays simulations, several at a time."""

    @property
    def grounds(self) -> Sequence[Mapping[str, Any]]:
        """Facts of code and machine that a stored run may come from to stand for a new one."""

    def play(self, runs: Sequence[SimOptions]) -> Generator[tuple[int, Played]]:
        """Play runs; give the position of each and what became of it, as soon as it is known."""


def sweep_simulations(options: SimSweepOptions) -> SweepResult:
    """Play what is not there yet, or with ``play=False`` only look at what is.

    Returns:
        Counts and failures. A run that fails is a stored record and does not stop the sweep.

    Raises:
        BusyFolderError: another sweep is writing there.
        MissingPackageError: Dask is asked for and not installed.
        SweepInterrupted: it was interrupted; says what is stored.
        UnreadableFileError: a file may not be read.
        UnwritableFolderError: the folder cannot be written, or the disk is full; what is stored stays.
    """
    store, runs = SimulationStore(options.folder), options.runs()
    if not options.play:
        return _result(store, runs, {}, 0, {})
    with store.exclusive(), _player(options) as player:
        aside = store.set_aside([name_of(run) for run in runs])
        todo = _todo(options, store, runs, player.grounds)
        logs = _make(options, store, player, todo)
        return _result(store, runs, aside, len(todo), logs)


def _make(
    options: SimSweepOptions, store: SimulationStore, player: Player, todo: Sequence[SimOptions]
) -> dict[str, str]:
    """Play and store runs; give what those that failed logged."""
    logs: dict[str, str] = {}
    try:
        with Display(options.progress if todo else "none", len(todo)) as display, closing(player.play(todo)) as played:
            for number, one in played:
                record = _record(todo[number], one)
                store.write(record)
                if record.outcome != "ok" and one.answer.log:
                    logs[record.name] = one.answer.log
                display.add(record.outcome)
    except KeyboardInterrupt:
        names = [name_of(run) for run in options.runs()]
        stored = sum(store.read(name) is not None for name in names)
        raise SweepInterrupted(stored, len(names), options.folder, is_forced=options.force) from None
    return logs


def _todo(
    options: SimSweepOptions, store: SimulationStore, runs: Sequence[SimOptions], grounds: Sequence[Mapping[str, Any]]
) -> list[SimOptions]:
    """The runs that are to be played."""

    def is_done(run: SimOptions) -> bool:
        name = name_of(run)
        if options.force or not store.finished(name, asdict(run), grounds):
            return False
        record = store.read(name)
        return record is not None and (record.outcome == "ok" or not options.retry_failed)

    return [run for run in runs if not is_done(run)]


# --- where they are played ---------------------------------------------------------------------------------------


@contextmanager
def _player(options: SimSweepOptions) -> Iterator[Player]:
    at_once = options.processes or os.cpu_count() or 1
    if options.executor == "processes":
        yield _Processes(at_once, options.limit_s)
        return
    with cluster(options.scheduler, at_once) as client:
        yield _Dask(client, options.limit_s)


class _Processes:
    """Plays on this machine."""

    def __init__(self, at_once: int, limit_s: float) -> None:
        self._at_once = at_once
        self._limit_s = limit_s
        self._facts = of_a_simulation()

    @property
    def grounds(self) -> Sequence[Mapping[str, Any]]:
        return [self._facts]

    def play(self, runs: Sequence[SimOptions]) -> Generator[tuple[int, Played]]:
        with tempfile.TemporaryDirectory() as place:
            folders = [Path(place, str(number)) for number in range(len(runs))]
            answers = run_side_by_side(
                {number: _spec(run, folders[number]) for number, run in enumerate(runs)},
                _WORKER,
                environment=pinned_environment("pinned"),
                limit_s=self._limit_s,
                at_once=self._at_once,
            )
            with closing(answers):
                for number, answer in answers:
                    yield number, _played(answer, folders[number], self._facts)


class _Dask:
    """Plays on the workers of a cluster; what a dying worker had is given to another one."""

    def __init__(self, client: Any, limit_s: float) -> None:
        self._client = client
        self._limit_s = limit_s

    @property
    def grounds(self) -> Sequence[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = list(self._client.run(of_a_simulation).values())
        return found

    def play(self, runs: Sequence[SimOptions]) -> Generator[tuple[int, Played]]:
        futures = {
            self._client.submit(_play_here, run, self._limit_s, pure=False, priority=-number): number
            for number, run in enumerate(runs)
        }
        for future in distributed().as_completed(futures):
            try:
                yield futures[future], future.result()
            except Exception as error:  # such as workers that died with the run again and again
                sentence = f"the cluster gave it up: {' '.join(str(error).split()) or type(error).__name__}"
                yield futures[future], Played(Answer("crashed", sentence), {})


def _play_here(run: SimOptions, limit_s: float) -> Played:
    """Play one run on a worker of a cluster, in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        spec = _spec(run, Path(place))
        answer = run_worker(spec, environment=pinned_environment("pinned"), limit_s=limit_s, command=_WORKER)
        return _played(answer, Path(place), of_a_simulation())


def _spec(run: SimOptions, folder: Path) -> str:
    return json.dumps({"options": asdict(run), "folder": str(folder), "snapshot_s": snapshot_s(run)})


def _played(answer: Answer, folder: Path, facts: Mapping[str, Any]) -> Played:
    """Take what the worker left; a run without an account has nothing that is whole."""
    found = [folder / name for name in (SERIES, NETWORK)]
    if not answer.version or not all(path.exists() for path in found):
        return Played(answer, facts)
    series, network = (path.read_bytes() for path in found)
    for path in found:
        path.unlink()
    return Played(answer, facts, series, network)


# --- what is stored ----------------------------------------------------------------------------------------------


def _record(run: SimOptions, played: Played) -> SimulationRecord:
    answer = played.answer
    types = column_types()
    options = asdict(run)
    row = {name: _cell(options[name], kind) for name, kind in types.items()}
    account, account_types = _account(answer)
    return SimulationRecord(
        name=name_of(run),
        options=options,
        outcome=answer.outcome,
        error=answer.error,
        row=row | account,
        types=types | account_types,
        result=dict(answer.version),
        provenance={**played.facts, **of_the_moment()},
        series=played.series,
        network=played.network,
    )


def _cell(value: Any, kind: type) -> Any:
    return None if value is None else kind(value)


def _account(answer: Answer) -> tuple[dict[str, Any], dict[str, type]]:
    """The columns of a run's account, None where it has none, and their types."""
    result = answer.version
    missed = result.get("missed")
    reasons = {f"missed_{reason.replace(' ', '_')}": missed and missed.get(reason, 0) for reason in REASONS}
    if missed is not None:
        reasons = {name: value or 0 for name, value in reasons.items()}
    times = {row.metric: row.value for row in answer.rows if row.metric in ("wall_ns", "cpu_ns")}
    failed = result.get("peers_failed")
    row = {
        **{name: result.get(name) for name in _COUNTS},
        "missed": None if missed is None else sum(missed.values()),
        **reasons,
        "peers_failed": None if failed is None else len(failed),
        "adds_up": result.get("adds_up"),
        "simulated_s": result.get("simulated_s"),
        "digest": result.get("digest"),
        "wall_ns": times.get("wall_ns"),
        "cpu_ns": times.get("cpu_ns"),
    }
    kinds = {"adds_up": bool, "simulated_s": float, "digest": str}
    return row, {name: kinds.get(name, int) for name in row}


def _result(
    store: SimulationStore,
    runs: Sequence[SimOptions],
    aside: Mapping[str, str],
    made: int,
    logs: Mapping[str, str],
) -> SweepResult:
    records = [record for record in (store.read(name_of(run)) for run in runs) if record is not None]
    return SweepResult(
        planned=len(runs),
        measured=made,
        kept=len(records) - made,
        outcomes=Counter(record.outcome for record in records),
        failures={record.name: record.error for record in records if record.outcome != "ok"},
        aside=aside,
        logs=logs,
    )


def unequal(store: SimulationStore, runs: Sequence[SimOptions]) -> list[str]:
    """Find runs whose versions decided differently: a sentence for each seed of a cell."""
    digests: dict[str, dict[str, str]] = {}
    for run in runs:
        record = store.read(name_of(run))
        if record is not None and record.outcome == "ok":
            alike = json.dumps({**asdict(run), "version": ""}, sort_keys=True)
            digests.setdefault(alike, {})[run.version] = record.row["digest"]
    return [
        f"seed {json.loads(alike)['seed']}: {', '.join(f'{version} {digest[:12]}' for version, digest in own.items())} "
        "decided differently"
        for alike, own in digests.items()
        if len(set(own.values())) > 1
    ]


def simulate_sweep_command(arguments: Sequence[str]) -> int:
    """Play a grid of simulations and store each; show the different logs of those that failed now.

    Returns:
        0, or 1 if a run of the grid is not ok, or the versions decided differently.

    Raises:
        PubsubSimError: the sweep cannot go on.
    """
    summary = "Simulate a grid of options and seeds and store each run; finished ones are kept."
    options: SimSweepOptions = from_flags(SimSweepOptions, "simulate-sweep", summary, arguments)
    result = sweep_simulations(options)
    sys.stdout.write(f"{result.sentence()}, in {options.folder}\n")
    for log in dict.fromkeys(result.logs.values()):
        sys.stderr.write(log.rstrip() + "\n")
    problems = [f"{name}: {sentence}" for name, sentence in result.failures.items()]
    problems += unequal(SimulationStore(options.folder), options.runs())
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0
