"""Sweeps of simulations: a row, a series and networks per run; what is stored is kept, what fails has a record."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pubsub_sim.__main__ import main
from pubsub_sim.bench import simulations
from pubsub_sim.bench.process import run_side_by_side
from pubsub_sim.bench.simulation_options import SimSweepOptions, name_of
from pubsub_sim.bench.simulation_worker import play
from pubsub_sim.bench.simulations import sweep_simulations, unequal
from pubsub_sim.errors import OptionError
from pubsub_sim.results import UnwritableFolderError
from pubsub_sim.results.simulations import NETWORK, ROW, SERIES, SimulationStore
from pubsub_sim.simulator.options import SimOptions
from pubsub_sim.simulator.simulation import Simulation
from pubsub_sim.simulator.snapshots import links_from
from tests.bench.processes import LIVES_ON_S, children, wait_until

pytestmark = pytest.mark.xdist_group("simulations")

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {"duration": "15s", "peers": 5, "topics": 2, "progress": "none"}


def options_in(folder: Path, **changes: Any) -> SimSweepOptions:
    return SimSweepOptions(**{**SMALL, "seeds": 1, "out": str(folder), **changes})


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two versions and one seed."""
    folder = tmp_path_factory.mktemp("simulations")
    result = sweep_simulations(options_in(folder))
    assert result.sentence() == "2 runs (2 ok): 2 measured now, 0 kept"
    return folder


def test_a_run_is_a_row_with_its_options_account_and_digest(swept: Path) -> None:
    """One Parquet row per run; its series has a row per second; both versions decided the same."""
    options = options_in(swept)
    store = SimulationStore(swept)
    for run in options.runs():
        name = name_of(run)
        (row,) = pq.read_table(swept / f"{name}{ROW}").to_pylist()
        assert (row["version"], row["seed"], row["peers"], row["outcome"]) == (run.version, run.seed, 5, "ok")
        assert row["owed"] == row["delivered"] + row["missed"]
        assert len(row["digest"]) == 64
        series = store.series(name)
        assert int(series["sent"].iloc[-1]) == row["sent"]
        record = store.read(name)
        assert record is not None
        assert record.options == asdict(run)
    assert unequal(store, options.runs()) == []


def test_networks_of_chosen_moments_are_stored(swept: Path) -> None:
    """They begin at the start, are in order, and tell of peers, connections and meshes."""
    (run, _) = options_in(swept).runs()
    networks = links_from(SimulationStore(swept).network(name_of(run)))
    assert [links.time_s for links in networks] == sorted({links.time_s for links in networks})
    assert len(networks) >= 15
    last = networks[-2]
    assert last.peers
    assert last.connections
    assert any(last.meshes.values())
    assert all(name in last.peers for pair in last.connections for name in pair)


def test_a_stored_run_is_not_played_again(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sweep keeps its runs; a larger one plays what is new only."""
    monkeypatch.setattr(simulations, "_WORKER", ("false",))
    result = sweep_simulations(options_in(swept))
    assert (result.measured, result.kept) == (0, 2)
    looked = sweep_simulations(options_in(swept, seeds=(1, 2), play=False))
    assert (looked.planned, looked.measured, looked.kept) == (4, 0, 2)


def test_lists_of_values_make_a_grid() -> None:
    """Every option of a simulation can be varied, by its own parameter or by name; each run has another name."""
    options = SimSweepOptions(
        peers=[5, 10], seeds="1,2", options=("every_send=1/3", "latency_ms=10,20"), duration="10s"
    )
    runs = options.runs()
    assert len(runs) == 2 * 2 * 2 * 2 == len({name_of(run) for run in runs})
    assert {run.every_send for run in runs} == {1.0, 3.0}
    assert {run.latency_ms for run in runs} == {"10,20"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"versions": "third"}, "versions"),
        ({"seeds": -1}, "seeds"),
        ({"peers": 1}, "peers"),
        ({"options": "every_sent=1"}, "did you mean 'every_send'?"),
        ({"options": "every_send"}, "a name and a value"),
        ({"options": "every_send=often"}, "every_send"),
        ({"options": "peers=5"}, "'peers' is given already"),
        ({"options": ("jitter=0.1", "jitter=0.2")}, "'jitter' is given already"),
        ({"options": "clock=wall"}, "the virtual clock"),
        ({"executor": "threads"}, "executor"),
        ({"limit_s": 0}, "limit_s"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(changes: dict[str, Any], words: str) -> None:
    """Before anything is played."""
    with pytest.raises(OptionError) as refused:
        SimSweepOptions(**changes)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_that_fails_has_a_record_with_its_error(tmp_path: Path) -> None:
    """It is stopped at its limit; the sweep goes on, keeps the record, and plays it again if that is asked for."""
    options = options_in(tmp_path, versions="states", limit_s=0.01)
    result = sweep_simulations(options)
    assert result.outcomes == {"timeout": 1}
    (sentence,) = result.failures.values()
    assert "limit of 0.01 s" in sentence
    (row,) = pq.read_table(next(tmp_path.glob(f"*{ROW}"))).to_pylist()
    assert (row["outcome"], row["owed"], row["digest"]) == ("timeout", None, None)
    assert sweep_simulations(options_in(tmp_path, versions="states")).kept == 1
    again = sweep_simulations(options_in(tmp_path, versions="states", retry_failed=True))
    assert again.outcomes == {"ok": 1}


def test_a_worker_that_is_killed_has_a_record_too(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called crashed, and names the signal; what was stored of the run before is gone with it."""
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    killed = (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    monkeypatch.setattr(simulations, "_WORKER", killed)
    result = sweep_simulations(options_in(tmp_path, versions="states", force=True))
    assert result.outcomes == {"crashed": 1}
    assert "SIGKILL" in next(iter(result.failures.values()))
    assert not list(tmp_path.glob(f"sim-states*{SERIES}"))


def test_an_error_inside_a_simulation_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker answers with it instead of a traceback on its output."""
    from pubsub_sim.bench.simulation_worker import answer_to

    def begin(sim: Simulation) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(Simulation, "_begin", begin)
    answer = answer_to({"options": {"duration": "5s"}, "folder": str(tmp_path), "snapshot_s": 1.0})
    assert (answer["outcome"], answer["error"]) == ("failed", "RuntimeError: no such luck")
    assert answer["version"] == {}


def test_a_full_disk_ends_the_sweep_and_keeps_what_is_stored(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that cannot be stored is told in a sentence; those before it are there, and no half file is."""
    before = sorted(path.name for path in swept.iterdir())
    write = SimulationStore.write

    def fail(store: SimulationStore, record: Any) -> None:
        write(SimulationStore(Path("/dev/full")), record)

    monkeypatch.setattr(SimulationStore, "write", fail)
    with pytest.raises(UnwritableFolderError) as refused:
        sweep_simulations(options_in(swept, seeds=(1, 2), versions="states"))
    assert "/dev/full" in str(refused.value)
    assert sorted(path.name for path in swept.iterdir()) == before


def test_a_worker_that_cannot_write_fails_its_run(tmp_path: Path) -> None:
    """The error of the disk is the error of the run."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableFolderError):
        play(SimOptions(duration="2s", peers=2, topics=1), tmp_path / "file", 1.0)


@pytest.mark.parametrize("ending", [ROW, SERIES, NETWORK])
def test_a_damaged_file_is_moved_aside_and_its_run_played_again(swept: Path, tmp_path: Path, ending: str) -> None:
    """Nobody has to delete anything by hand."""
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    options = options_in(tmp_path, versions="states")
    (path,) = tmp_path.glob(f"sim-states*{ending}")
    path.write_bytes(path.read_bytes()[:-20])
    result = sweep_simulations(options)
    assert result.measured == 1
    assert list(result.aside) == [path.name]
    assert path.exists()


def test_an_interrupted_sweep_keeps_what_it_has(tmp_path: Path) -> None:
    """Ctrl-C ends the workers within seconds, says how many runs are stored, and the same sweep goes on."""
    words = [sys.executable, "-m", "pubsub_sim", "simulate-sweep", "--out", str(tmp_path), "--duration", "15s"]
    words += ["--peers", "5", "--topics", "2", "--seeds", ",".join(map(str, range(40))), "--processes", "2"]
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert wait_until(lambda: list(tmp_path.glob(f"*{ROW}")))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    stored = len(list(tmp_path.glob(f"*{ROW}")))
    assert err.splitlines()[-1].startswith(f"interrupted; {stored} of 80 runs are stored in ")
    for path in tmp_path.glob(f"*{ROW}"):
        assert SimulationStore(tmp_path).read(path.name.removesuffix(ROW)) is not None


def test_workers_end_with_whoever_listens() -> None:
    """Who stops asking for answers leaves no process."""
    before = set(children(os.getpid()))
    sleeper = (
        sys.executable,
        "-c",
        "import sys, time; print('phase: x', file=sys.stderr, flush=True); time.sleep(600)",
    )
    quick = {0: json.dumps({}), 1: json.dumps({})}
    answers = run_side_by_side(quick, sleeper, environment={}, limit_s=0.5, at_once=1)
    number, answer = next(answers)
    assert (number, answer.outcome) == (0, "timeout")
    answers.close()
    assert wait_until(lambda: set(children(os.getpid())) <= before, within_s=LIVES_ON_S)


def test_dask_plays_the_same_runs(swept: Path, tmp_path: Path) -> None:
    """A cluster gives the same accounts and digests; what it stored is kept by a sweep in processes."""
    pytest.importorskip("distributed")
    words = ["--out", str(tmp_path), "--duration", "15s", "--peers", "5", "--topics", "2", "--seeds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "pubsub_sim", "simulate-sweep", *words, "--executor", "dask", "--processes", "2"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    here, there = SimulationStore(swept), SimulationStore(tmp_path)
    for run in options_in(tmp_path).runs():
        one, other = here.read(name_of(run)), there.read(name_of(run))
        assert one is not None
        assert other is not None
        assert one.result == other.result
    assert sweep_simulations(options_in(tmp_path)).kept == 2


def test_the_command_says_what_it_did(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and the status of the runs."""
    words = ["--out", str(swept), "--duration", "15s", "--peers", "5", "--topics", "2", "--seeds", "1"]
    assert main(["simulate-sweep", *words]) == 0
    assert capsys.readouterr().out == f"2 runs (2 ok): 0 measured now, 2 kept, in {swept}\n"
