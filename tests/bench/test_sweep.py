"""Whole sweeps, with real workers on a tiny grid."""

import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from pubsub_sim.bench.grid import plan
from pubsub_sim.bench.manifest import ForeignManifestError
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.sweep import SweepResult, sweep
from pubsub_sim.errors import PubsubSimError
from pubsub_sim.results import RUN, NoRunsError, Row, Store, UnwritableFolderError, wide
from tests.bench.processes import LIVES_ON_S, is_worker, wait_until, workers_of

pytestmark = pytest.mark.xdist_group("sweep")


def tiny(folder: Path, **more: Any) -> SweepOptions:
    """Give a sweep of two runs: one version against itself."""
    return SweepOptions(
        **{
            "versions": "baseline",
            "hosts": 3,
            "messages": 1,
            "repeats": 1,
            "control": True,
            "out": str(folder),
            "progress": "none",
            "share": True,
        }
        | more
    )


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny sweep; whoever changes it takes a copy."""
    folder = tmp_path_factory.mktemp("sweeps") / "two-runs"
    sweep(tiny(folder))
    return folder


@pytest.fixture(scope="module")
def with_timeouts(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepOptions, SweepResult]:
    """A sweep of two runs that end and two that do not, and its result; whoever changes its folder takes a copy."""
    options = tiny(tmp_path_factory.mktemp("sweeps") / "with-timeouts", messages=[1, 1_000_000], limit_s=1.5)
    return options, sweep(options)


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def test_sweep_stores_every_run_of_the_grid(tmp_path: Path) -> None:
    """After a sweep each run of the grid is stored with its numbers, its place in the order and its limit."""
    options = tiny(tmp_path, hosts=[2, 3], messages=[1, 2], limit_s=5)
    result = sweep(options)
    assert (result.planned, result.measured, result.kept, dict(result.outcomes)) == (8, 8, 0, {"ok": 8})
    runs = wide(Store(tmp_path).load())
    assert sorted(runs["order"]) == list(range(8))
    assert set(runs["limit_s"]) == {5.0}
    assert (runs["connections"] == runs["hosts"] * (runs["hosts"] - 1) / 2).all()
    assert sorted(runs["kind"].unique()) == ["control", "timing"]


def test_stored_runs_tell_where_they_come_from(two_runs: Path) -> None:
    """Each file has the provenance of its run, the worker's pinned environment and the version's description."""
    facts = Store(two_runs).provenance()
    assert facts["environment"][0]["MALLOC_MMAP_THRESHOLD_"] == "4194304"
    assert len(facts["sources"]) == 1
    assert facts["versions"]["baseline"]["machines"] == []


def test_second_sweep_measures_only_what_is_missing(two_runs: Path, tmp_path: Path) -> None:
    """Runs that are stored already are kept untouched; new cells are added."""
    copytree(two_runs, tmp_path, dirs_exist_ok=True)
    before = stamps(tmp_path)
    result = sweep(tiny(tmp_path, repeats=2))
    assert (result.planned, result.measured, result.kept) == (4, 2, 2)
    assert before.items() <= stamps(tmp_path).items()


def test_force_measures_everything_again(two_runs: Path, tmp_path: Path) -> None:
    """With force no stored run is kept."""
    copytree(two_runs, tmp_path, dirs_exist_ok=True)
    before = stamps(tmp_path)
    assert sweep(tiny(tmp_path, force=True)).measured == 2
    after = stamps(tmp_path)
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)


def test_failed_runs_are_records_and_do_not_stop_the_sweep(with_timeouts: tuple[SweepOptions, SweepResult]) -> None:
    """Runs over their limit are stored as timeouts, and the other runs are made all the same."""
    options, result = with_timeouts
    assert dict(result.outcomes) == {"ok": 2, "timeout": 2}
    assert all("limit of 1.5 s" in sentence for sentence in result.failures.values())
    runs = wide(Store(Path(options.out)).load())
    assert runs["failures"].sum() == 2


def test_failed_runs_are_kept_unless_a_retry_is_asked_for(
    with_timeouts: tuple[SweepOptions, SweepResult], tmp_path: Path
) -> None:
    """A stored failure is data: only retry_failed measures it again, and ok runs stay."""
    copytree(with_timeouts[0].out, tmp_path, dirs_exist_ok=True)
    options = replace(with_timeouts[0], out=str(tmp_path))
    assert sweep(options).measured == 0
    assert sweep(replace(options, retry_failed=True)).measured == 2


def test_unequal_work_becomes_a_failure_even_in_stored_runs(two_runs: Path, tmp_path: Path) -> None:
    """If the stored runs of a pair have different RPC counts, the next sweep marks both as failed in the store."""
    options = tiny(tmp_path)
    copytree(two_runs, tmp_path, dirs_exist_ok=True)
    store = Store(tmp_path)
    record = store.read(plan(options)[0].runs[0])
    assert record is not None
    rows = tuple(Row(RUN, "rpcs", 1) if row[:2] == (RUN, "rpcs") else row for row in record.rows)
    store.write(replace(record, rows=rows))
    result = sweep(options)
    assert dict(result.outcomes) == {"failed": 2}
    assert set(wide(store.load())["outcome"]) == {"failed"}
    assert all("different numbers of RPCs (baseline " in sentence for sentence in result.failures.values())


def test_torn_file_is_measured_again(two_runs: Path, tmp_path: Path) -> None:
    """A file that is not whole is named and moved aside, and its pair is measured again."""
    options = tiny(tmp_path)
    copytree(two_runs, tmp_path, dirs_exist_ok=True)
    path = Store(tmp_path).files()[0]
    torn = path.read_bytes()[:100]
    path.write_bytes(torn)
    result = sweep(options)
    assert (result.measured, result.again, dict(result.aside)) == (2, 1, {path.name: f"{path.name}.corrupt"})
    assert f"moved aside: {path.name} is now {path.name}.corrupt" in result.sentence()
    assert path.with_name(f"{path.name}.corrupt").read_bytes() == torn
    assert len(wide(Store(tmp_path).load())) == 2


def test_without_measuring_nothing_is_made(tmp_path: Path) -> None:
    """With measure=False a sweep only counts what is stored, and makes no folder."""
    result = sweep(tiny(tmp_path / "new", measure=False))
    assert (result.measured, result.kept) == (0, 0)
    assert not (tmp_path / "new").exists()
    with pytest.raises(NoRunsError):
        Store(tmp_path / "new").load()


def test_folder_that_cannot_be_written_ends_the_sweep_before_the_first_run(tmp_path: Path) -> None:
    """Where no result can be stored, nothing is measured."""
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableFolderError) as error:
        sweep(tiny(tmp_path / "file" / "sweep"))
    assert isinstance(error.value, PubsubSimError)


def test_manifest_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    """A folder that holds another program's file of that name is refused before the first run, and left as it is."""
    for text in ("{}", '{"name": "an extension", "schema": 1}', "not JSON", "[]"):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(
            ForeignManifestError, match=r"manifest\.json is no manifest of a sweep and would be replaced"
        ):
            sweep(tiny(tmp_path))
        assert (tmp_path / "manifest.json").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_file_in_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    """Nothing is moved away for a sweep."""
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(UnwritableFolderError, match="runs: File exists; choose another folder"):
        sweep(tiny(tmp_path / "runs"))
    assert (tmp_path / "runs").read_text() == "mine"


def test_killed_sweep_leaves_whole_files_no_process_and_is_finished_by_the_next(tmp_path: Path) -> None:
    """`kill -9` in the middle: every file is whole, no worker lives on, and a second start repeats no finished pair."""
    flags = {"versions": "baseline", "hosts": "3", "messages": "2", "repeats": "6", "out": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "pubsub_sim",
        "sweep",
        "--control",
        "--share",
        *(f"--{name}={value}" for name, value in flags.items()),
    ]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    assert wait_until(lambda: len(stamps(tmp_path)) >= 2 and workers_of(killed.pid))
    workers = workers_of(killed.pid)
    killed.kill()
    killed.wait()
    assert wait_until(lambda: not any(map(is_worker, workers)), within_s=LIVES_ON_S)
    before = stamps(tmp_path)
    assert len(wide(Store(tmp_path).load())) == len(before) < 12
    result = sweep(tiny(tmp_path, messages=2, repeats=6))
    repeats = Counter(name.split("-")[3] for name in before)
    whole = {name: stamp for name, stamp in before.items() if repeats[name.split("-")[3]] == 2}
    assert (result.planned, result.kept, dict(result.outcomes)) == (12, len(whole), {"ok": 12})
    assert whole.items() <= stamps(tmp_path).items()
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".parquet"] == ["manifest.json"]


def test_killed_worker_is_a_crashed_run_and_the_sweep_goes_on(tmp_path: Path) -> None:
    """`kill -9` of one worker: its run is stored as crashed with the signal, and the runs after it are made."""
    flags = {"versions": "baseline", "hosts": "5", "messages": "200", "repeats": "2", "out": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "pubsub_sim",
        "sweep",
        "--control",
        "--share",
        *(f"--{name}={value}" for name, value in flags.items()),
    ]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert wait_until(lambda: workers_of(running.pid))
    os.kill(workers_of(running.pid)[0], signal.SIGKILL)
    _, log = running.communicate(timeout=240)
    runs = wide(Store(tmp_path).load())
    assert sorted(runs["outcome"]) == ["crashed", "ok", "ok", "ok"]
    assert "the worker was killed by SIGKILL" in runs.loc[runs["outcome"] == "crashed", "error"].iloc[0]
    assert running.returncode == 1
    assert log.count("\n") == 1
