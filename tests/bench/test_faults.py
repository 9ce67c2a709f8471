"""The command `faults`: what it plays, what it prints, and that it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pubsub_sim import OptionError
from pubsub_sim.bench.faults import FaultSearch, told, within
from pubsub_sim.checking.fault_runs import FaultRun
from pubsub_sim.flags import from_flags


def command(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "pubsub_sim", *words], capture_output=True, text=True, check=False)
    assert done.stderr == "" or done.returncode == 2
    return done


def test_runs_are_played_in_processes_and_counted() -> None:
    """One line says what was played and how long it took; nothing failed, so the status is 0."""
    done = command("faults", "--seeds=1", "--first=3", "--routers=floodsub", "--processes=2")
    assert done.returncode == 0
    assert done.stdout.startswith("baseline, states: 2 runs (1 seeds, floodsub) in ")
    assert done.stdout.endswith(" s, 0 failed\n")


def test_a_failure_is_told_with_the_command_that_plays_it_again() -> None:
    """That command plays this run and no other."""
    run = FaultRun(version="states", router="gossipsub", seed=17)
    lines = told(run, ["host 3 sang", "host 4 danced"]).splitlines()
    assert lines[:3] == ["states, gossipsub, seed 17: failed", "  host 3 sang", "  host 4 danced"]
    words = lines[3].removeprefix("  again: python -m pubsub_sim ").split()
    assert words[0] == "faults"
    search: FaultSearch = from_flags(FaultSearch, "faults", "", words[1:])
    assert search.runs == [run]


def test_a_search_by_default_is_a_thousand_runs_per_version() -> None:
    """Half of them with each router, no run twice."""
    runs = FaultSearch().runs
    assert len(set(runs)) == len(runs) == 2000
    for version in ("baseline", "states"):
        for router in ("floodsub", "gossipsub"):
            assert sum((run.version, run.router) == (version, router) for run in runs) == 500


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"versions": "baseline,other"}, "version: expected one of baseline, states, direct, states-rpc, got 'other'"),
        ({"routers": "randomsub"}, "router: expected one of floodsub, gossipsub, got 'randomsub'"),
        ({"seeds": 0}, "seeds: expected a whole number of at least 1, got 0"),
        ({"first": -1}, "first: expected a whole number of at least 0, got -1"),
    ],
)
def test_a_search_that_cannot_be_is_refused(options: dict[str, object], sentence: str) -> None:
    """The option, its value and what was expected."""
    with pytest.raises(OptionError, match=sentence):
        FaultSearch(**options)


def test_a_run_that_spins_is_ended() -> None:
    """A loop in which no time passes is no deadlock: processor time is what ends it, however it handles errors."""

    def spin() -> list[str]:
        while True:
            try:
                for _ in range(10**6):
                    pass
            except Exception:
                continue

    assert within(0.1, spin) == ["not ended after 0.1 s of processor time"]
    assert within(10.0, lambda: ["done"]) == ["done"]
