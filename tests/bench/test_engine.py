"""The command `engine`: the engine's own benchmark, run as a process and stored beside a sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.bench.engine import EngineBenchmarkError, EngineOptions, measure_engine
from pubsub_sim.errors import OptionError
from pubsub_sim.results import BusyFolderError, Store, read_engine, write_engine
from tests.bench.processes import LIVES_ON_S, children, wait_until
from tests.results.engine_runs import an_engine
from tests.results.runs import a_run

FEW = "bare,hand-toggle"


def is_benchmark(pid: int) -> bool:
    """Say whether a process is a living benchmark."""
    try:
        return b"asyncmachine.benchmark" in Path(f"/proc/{pid}/cmdline").read_bytes()  # empty once it has ended
    except OSError:
        return False


def benchmarks_of(parent: int) -> list[int]:
    """Give the living benchmarks that a process started."""
    return [pid for pid in children(parent) if is_benchmark(pid)]


def few(folder: Path, *, rounds: int = 1, only: str = FEW, force: bool = False) -> EngineOptions:
    return EngineOptions(out=str(folder), rounds=rounds, only=only, batch_s=0.001, force=force, share=True)


def test_what_was_measured_is_stored_with_where_it_ran(tmp_path: Path) -> None:
    """Samples of every round, the words of the workloads, and the facts of code and machine."""
    is_new, record = measure_engine(few(tmp_path, rounds=2))
    assert is_new
    assert read_engine(tmp_path) == record
    assert [sample.outcome for sample in record.samples] == ["ok"] * 4
    assert {entry.name for entry in record.workloads} == set(FEW.split(","))
    assert record.provenance.keys() >= {"commit", "dirty", "sources", "python", "cpu", "utc", "load_average"}
    assert record.provenance["environment"] == {"PYTHONHASHSEED": "0"}


def test_a_stored_record_is_kept_until_something_changes(tmp_path: Path) -> None:
    """The same code and machine are not measured twice; more rounds, force or another interpreter are."""
    _, record = measure_engine(few(tmp_path, rounds=2))
    everything = few(tmp_path, rounds=2, only="")
    assert measure_engine(everything) == (False, record)
    assert measure_engine(few(tmp_path, rounds=1, only=""))[0] is False
    assert measure_engine(few(tmp_path, rounds=1, force=True))[0] is True


def test_a_file_that_cannot_be_read_is_measured_again(tmp_path: Path) -> None:
    """It counts as not there: it is named and moved aside."""
    write_engine(tmp_path, an_engine()).write_text("{")
    told: list[str] = []
    assert measure_engine(few(tmp_path), told.append)[0] is True
    assert told == ["engine.json is now engine.json.corrupt: it is not complete JSON"]
    assert (tmp_path / "engine.json.corrupt").read_text() == "{"
    assert read_engine(tmp_path) is not None


def test_a_benchmark_without_results_is_one_sentence(tmp_path: Path) -> None:
    """Nothing is stored then."""
    with pytest.raises(EngineBenchmarkError, match="ended with status 2 and left nothing to store"):
        measure_engine(few(tmp_path, only="there-is-none"))
    assert read_engine(tmp_path) is None


def test_a_busy_folder_is_left_alone(tmp_path: Path) -> None:
    """A sweep and the engine do not write at the same time."""
    with Store(tmp_path).exclusive(), pytest.raises(BusyFolderError):
        measure_engine(few(tmp_path))


def test_bad_rounds_are_refused() -> None:
    """The sentence names the value."""
    with pytest.raises(OptionError, match="rounds: expected a whole number of at least 1, got 0"):
        EngineOptions(rounds=0)


def test_pack_takes_the_engine_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The committed form of a sweep holds the engine's file too, unchanged."""
    Store(tmp_path / "raw").write(a_run())
    write_engine(tmp_path / "raw", an_engine())
    assert main(["pack", f"--out={tmp_path / 'raw'}", f"--target={tmp_path / 'packed'}"]) == 0
    assert read_engine(tmp_path / "packed") == an_engine()
    assert "engine.json: " in capsys.readouterr().out


def test_a_benchmark_ends_with_the_command_that_was_killed(tmp_path: Path) -> None:
    """No process of a killed command goes on measuring."""
    words = [
        "-m",
        "pubsub_sim",
        "engine",
        f"--out={tmp_path}",
        "--rounds=1000",
        f"--only={FEW}",
        "--batch-s=0.001",
        "--share",
    ]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        try:
            assert wait_until(lambda: benchmarks_of(command.pid))
            (benchmark,) = benchmarks_of(command.pid)
            assert wait_until(lambda: children(benchmark))
        finally:
            os.kill(command.pid, signal.SIGKILL)
    assert wait_until(lambda: not is_benchmark(benchmark), within_s=LIVES_ON_S)
