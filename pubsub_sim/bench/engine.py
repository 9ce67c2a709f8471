"""The engine's own benchmark, brought into a sweep's folder: started as a process, stored with where it ran."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.machine import measuring
from pubsub_sim.bench.options import sweep_folder
from pubsub_sim.bench.process import pinned_environment, undisturbed
from pubsub_sim.bench.provenance import installed, of_the_engine, of_the_moment
from pubsub_sim.checks import check_bool, check_whole
from pubsub_sim.errors import RunError
from pubsub_sim.flags import from_flags
from pubsub_sim.places import packages_folder
from pubsub_sim.results import EngineFileError, EngineRecord, Store, load_engine, read_engine, write_engine
from pubsub_sim.results.engine import ENGINE_FILE, ENGINE_SCHEMA
from pubsub_sim.results.footers import same_ground
from pubsub_sim.results.store import move_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_OTHER = ("python", "implementation")


class EngineBenchmarkError(RunError):
    """The engine's benchmark ended without results.

    Attributes:
        status: its exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"the engine's benchmark ended with status {self.status} and left nothing to store"


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """A run of the engine's benchmark.

    Attributes:
        out: folder of the sweep it belongs to; a relative one starts at the clone's data/raw, or outside a clone at the
            current folder.
        rounds: how often each workload is measured.
        only: names of workloads with commas, "" for all.
        batch_s: processor time of one batch in seconds.
        force: whether it is measured again if it is there already.
        share: whether to measure although something else is measured on this machine, and let others do so: for tests.

    Raises:
        OptionError: a value that cannot be used; the sentence names it.
    """

    out: str = "local-default"
    rounds: int = 5
    only: str = ""
    batch_s: float = 0.01
    force: bool = False
    share: bool = False

    def __post_init__(self) -> None:
        sweep_folder("out", self.out)
        check_whole("rounds", self.rounds, at_least=1)
        for name in ("force", "share"):
            check_bool(name, getattr(self, name))


def engine_command(arguments: Sequence[str]) -> int:
    """Measure the engine by itself and store what was found; show it as the benchmark does.

    Returns:
        0. A workload that failed, or whose library is not installed, is a row that says so.

    Raises:
        PubsubSimError: bad flags, the benchmark ended without results, or they cannot be stored.
    """
    summary = "Measure what the engine costs by itself and store it in a sweep's folder."
    options: EngineOptions = from_flags(EngineOptions, "engine", summary, arguments)
    is_new, record = measure_engine(options, lambda sentence: sys.stderr.write(f"{sentence}\n"))
    done = "stored" if is_new else "kept as stored"
    sys.stdout.write(f"engine: {len(record.workloads)} workloads, measured in {record.rounds} rounds, {done}\n")
    return 0


def measure_engine(options: EngineOptions, tell: Callable[[str], object] = lambda _: None) -> tuple[bool, EngineRecord]:
    """Measure what is not there yet.

    Args:
        options: what to measure, and where it is stored.
        tell: called with a sentence if a file that cannot be read was moved aside.

    Returns:
        Whether it was measured now, and the record that is stored.

    Raises:
        BusyFolderError: a sweep is writing there.
        BusyMachineError: something else is measured on this machine.
        EngineBenchmarkError: the benchmark ended without results.
        EngineFileError: the benchmark wrote something else than results.
        UnwritableFolderError: the folder cannot be written.
    """
    folder = sweep_folder("out", options.out)
    facts = {"schema": ENGINE_SCHEMA, **of_the_engine()}
    with Store(folder).exclusive():
        stored = _stored(folder, tell)
        if stored is not None and not options.force and _stands(stored, options, facts):
            return False, stored
        with measuring(f"the engine, for {options.out}", share=options.share):
            record = _measured(options, facts)
        write_engine(folder, record)
        return True, record


def _stored(folder: Path, tell: Callable[[str], object]) -> EngineRecord | None:
    """Read what is stored; move it aside if that cannot be done."""
    try:
        return read_engine(folder)
    except EngineFileError as error:
        new = move_aside(folder / ENGINE_FILE)
        tell(f"{ENGINE_FILE} is now {new}: {error.reason}")
        return None


def _stands(record: EngineRecord, options: EngineOptions, facts: Mapping[str, Any]) -> bool:
    """Say whether a record stands for a new run: same code, interpreter, processor and libraries, enough rounds."""
    if record.rounds < options.rounds or options.only or record.effort["batch_s"] != options.batch_s:
        return False
    peers = {name: version for name, version in record.environment.items() if name not in _OTHER}
    is_same = same_ground(record.provenance, facts) and peers == {name: installed(name) for name in peers}
    return is_same and all(sample.outcome != "failed" for sample in record.samples)


def _measured(options: EngineOptions, facts: Mapping[str, Any]) -> EngineRecord:
    environment = pinned_environment("default")
    provenance = {**facts, **of_the_moment(), "environment": environment}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "engine.json"
        words = [f"--rounds={options.rounds}", f"--batch-s={options.batch_s}", f"--out={path}"]
        words += [f"--only={options.only}"] if options.only else []
        done = subprocess.run(
            [sys.executable, "-m", "asyncmachine.benchmark", *words, f"--parent={os.getpid()}"],
            cwd=packages_folder(),
            env=undisturbed(environment),
            check=False,
        )
        if done.returncode != 0 or not path.exists():
            raise EngineBenchmarkError(done.returncode)
        return load_engine(path, provenance)
