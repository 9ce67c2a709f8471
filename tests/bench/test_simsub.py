"""The command `simsub`: what it plays, what it prints, and the published figures beside it."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from pubsub_sim import OptionError
from pubsub_sim.bench.simsub import SimsubOptions, measured, published
from pubsub_sim.scenarios.simsub import PHASES, Simsub


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pubsub_sim", "simsub", *words], capture_output=True, text=True, check=False
    )


def test_runs_stand_beside_the_published_one() -> None:
    """A line per run in columns of its own, both versions with the same numbers but for what they cost."""
    done = command("--hosts=100", "--messages=10", "--seed=2")
    assert (done.returncode, done.stderr) == (0, "")
    title, _, headings, reference, *runs = done.stdout.splitlines()
    assert title == "10 messages among 100 hosts; virtual clock, nothing signed"
    assert headings.split()[:6] == ["sent", "IHAVE", "IWANT", "GRAFT", "PRUNE", "copies"]
    assert reference.split() == "published 6,280 7,212 44 372 7 6.28 15.8 72.9 11.3 0.0 0.0".split()
    baseline, states = (line.split() for line in runs)
    assert baseline[:3] == ["baseline,", "seed", "2"]
    assert baseline[3:-2] == states[3:-2]
    assert baseline[14] == "0"  # lost
    assert len(states) == len("states, seed 2".split()) + 16


def test_stored_runs_are_not_made_again_and_have_verdicts(tmp_path: Path) -> None:
    """Runs of several numbers of hosts and seeds, side by side; the second time all are taken from the folder."""
    words = ("--hosts=8,100", "--seeds=2", "--versions=states", "--workers=2", f"--out={tmp_path}")
    first = command(*words)
    assert (first.returncode, first.stderr) == (0, "")
    assert "100 hosts, states: published beside ours over 2 seeds" in first.stdout
    paths = sorted((tmp_path / "meshes").iterdir())
    assert [path.name for path in paths] == [
        "states-100-10-1.parquet",
        "states-100-10-2.parquet",
        "states-8-60-1.parquet",
        "states-8-60-2.parquet",
    ]
    written = [path.stat().st_mtime_ns for path in paths]
    paths[-1].unlink()
    assert command(*words).stdout.splitlines()[0] == first.stdout.splitlines()[0]
    assert [path.stat().st_mtime_ns for path in paths[:-1]] == written[:-1]
    assert paths[-1].exists()


def test_what_was_not_published_is_told() -> None:
    """Instead of numbers of another size."""
    done = command("--hosts=8", "--messages=2", "--versions=states")
    assert done.returncode == 0
    assert done.stdout.splitlines()[3] == "published         nothing for so many hosts and messages"


@pytest.mark.parametrize(("hosts", "messages"), [(100, 10), (250, 60), (500, 60), (1000, 60)])
def test_published_figures_are_whole(hosts: int, messages: int) -> None:
    """Shares add up to everything, and gossip is that of six peers told by each host in every heartbeat with news."""
    figures = published(hosts, messages)
    assert figures is not None
    assert 99.8 < sum(value for name, value in figures.items() if name.endswith("_percent")) < 100.2
    assert 0.98 < figures["ihave"] / (hosts * 6 * (messages + 2)) < 1.02
    assert 6 < figures["sent"] / (hosts * messages) < 7


def test_a_run_says_what_it_took_and_leaves_the_collector_as_it_was() -> None:
    """Processor time of each phase, in order; the collector is on, and nothing more is frozen."""
    frozen = gc.get_freeze_count()
    spread, cost = measured(Simsub(version="baseline", hosts=8, messages=1))
    assert spread.undelivered == 0
    assert tuple(cost.cpu_ns) == PHASES
    assert cost.peak_rss_bytes > 10**7
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen


def test_runs_go_through_the_versions_seed_by_seed() -> None:
    """So that what changes on the machine hits both alike."""
    options = SimsubOptions(versions="states,baseline", hosts=10, seed=4, seeds=2)  # type: ignore[arg-type]
    assert [(one.version, one.seed) for one in options.runs] == [
        ("states", 4),
        ("baseline", 4),
        ("states", 5),
        ("baseline", 5),
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"versions": "baseline,lower-bound"},
            "version: expected one of baseline, states, direct, states-rpc, got 'lower-bound'",
        ),
        ({"hosts": 3}, "hosts=3 cannot be used with sources=5"),
        ({"seeds": 0}, "seeds: expected a whole number of at least 1, got 0"),
        ({"executor": "mpi"}, "executor: expected one of pool, dask, got 'mpi'"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
    ],
)
def test_runs_that_cannot_be_are_refused(options: dict[str, object], sentence: str) -> None:
    """The option, its value and what was expected."""
    with pytest.raises(OptionError, match=sentence):
        SimsubOptions(**options)  # type: ignore[arg-type]
