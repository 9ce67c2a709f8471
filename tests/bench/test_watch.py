"""The watch of the machine: what it sees, when it warns, waits and stops."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pubsub_sim.bench.display import Tally
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.sweep import sweep
from pubsub_sim.bench.watch import LOOK_S, Counts, Gate, NoisyMachineError, Watch, read_counts
from pubsub_sim.errors import OptionError
from pubsub_sim.results import Store, wide
from pubsub_sim.results.disturbance import find_disturbed, name_disturbances

S = 10**9
QUIET = [Counts(0, 0, 0, 0), Counts(S, S // 100, 0, 0)]
BUSY = [Counts(0, 0, 0, 0), Counts(S, S, 0, 0)]
ROBBED = [Counts(0, 0, 0, 0), Counts(S, 0, S // 2, 0)]


def reader(*looks: list[Counts]) -> Iterator[Counts]:
    """Give the counts of looks one after the other."""
    return iter([counts for look in looks for counts in look])


def test_own_work_is_not_that_of_others() -> None:
    """What this process and its children did is taken off."""
    found = reader([Counts(0, 5 * S, 0, 2 * S), Counts(2 * S, 8 * S, 0, 4 * S)])
    watch = Watch(found.__next__)
    look = watch.look()
    assert look is not None
    assert look == (2 * S, S, 0)
    assert look.reasons == ["other processes use 0.5 processors"]


def test_spinning_process_is_seen() -> None:
    """Real counts: a process beside this one that never sleeps makes the machine busy."""
    assert read_counts() is not None
    words = [sys.executable, "-c", "print(1, flush=True)\nwhile True: pass"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            watch = Watch()
            time.sleep(LOOK_S)  # the kernel must have something to count
            look = watch.look()
        finally:
            process.kill()
    assert look is not None
    assert any("other processes" in reason for reason in look.reasons)


def test_busy_machine_is_warned_of_at_the_start() -> None:
    """Without a policy there is one line, and the sweep goes on; a quiet machine is nothing to tell."""
    told: list[str] = []
    for looks in ([BUSY], [QUIET]):
        Gate("no", told.append, read=reader(*looks).__next__, sleep=lambda _: None).open()
    assert told == ["warning: this machine is not quiet: other processes use 1.0 processors; times will be noisy"]


def test_gate_waits_until_the_machine_is_quiet() -> None:
    """It says what it waits for, once, and looks again until nothing disturbs."""
    told: list[str] = []
    slept: list[float] = []
    Gate("wait", told.append, read=reader(BUSY, ROBBED, BUSY, QUIET).__next__, sleep=slept.append).open()
    assert told == ["waiting for a quiet machine: other processes use 1.0 processors"]
    assert len(slept) == 4 + 2


def test_gate_stops_a_sweep_on_a_busy_machine() -> None:
    """At its start, and after a pair that was disturbed."""
    gate = Gate("stop", lambda _: None, read=reader(ROBBED).__next__, sleep=lambda _: None)
    with pytest.raises(
        NoisyMachineError, match=r"^this machine is not quiet: the hypervisor withholds 0\.50 processors; "
    ):
        gate.open()
    look = Watch(reader(BUSY).__next__).look()
    with pytest.raises(NoisyMachineError, match="other processes"):
        gate.after(look)
    Gate("no", lambda _: None).after(look)


def test_runs_tell_what_disturbed_them() -> None:
    """Load of others, steal, and switches beyond those that come with time slices; what is not known is quiet."""
    quiet = {"watched_ns": S, "others_cpu_ns": S / 50, "steal_ns": 0, "cpu_ns": S / 5, "time_slices": 10}
    assert name_disturbances(quiet | {"involuntary_switches": 30}) == []
    assert name_disturbances({}) == []
    assert name_disturbances(quiet | {"others_cpu_ns": S}) == ["other processes use 1.0 processors"]
    assert name_disturbances(quiet | {"steal_ns": S / 10}) == ["the hypervisor withholds 0.10 processors"]
    assert name_disturbances(quiet | {"involuntary_switches": 500}) == ["it lost the processor 500 times"]


def test_progress_tells_of_disturbed_runs() -> None:
    """The line that shows how far a sweep is."""
    tally = Tally(3)
    tally.add("ok")
    assert "disturbed" not in tally.sentence()
    tally.add("ok", is_disturbed=True)
    assert "no failures, 1 disturbed by others" in tally.sentence()


def test_every_run_of_a_sweep_is_watched(tmp_path: Path) -> None:
    """Each stored run has the numbers of the watch, and whoever reads them can judge it."""
    options = SweepOptions(hosts=(2,), messages=(1,), repeats=1, out=str(tmp_path), share=True, progress="none")
    result = sweep(options)
    runs = wide(Store(tmp_path).load())
    assert (runs[["watched_ns", "others_cpu_ns", "steal_ns"]].notna()).all(axis=None)
    assert (runs["watched_ns"] > runs["wall_ns"]).all()
    assert int(find_disturbed(runs).sum()) == result.disturbed


def test_unknown_policy_is_one_sentence() -> None:
    """There are three."""
    with pytest.raises(OptionError, match="quiet_only: expected one of no, wait, stop"):
        SweepOptions(quiet_only="maybe")
