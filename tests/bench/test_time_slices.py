"""Runs that are compared: each in a process of its own, one going on while the others are paused."""

import asyncio
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from pubsub_sim.bench.executors import make_pair
from pubsub_sim.bench.grid import plan
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.probes import GcProbe, PhaseProbe, TaskProbe, TimeSlices
from pubsub_sim.bench.process import Answer, run_interleaved
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.results import RUN
from tests.bench.processes import wait_until, workers_of

ENDLESS = RunSpec(version="baseline", hosts=5, messages=10**7, warmup=False).to_json()
SHORT = [RunSpec(version=version, hosts=5, messages=100).to_json() for version in ("baseline", "states")]


def of_run(answer: Answer, metric: str) -> int:
    return next(row.value for row in answer.rows if (row.phase, row.metric) == (RUN, metric))


def test_interleaved_runs_end_well() -> None:
    """In many slices; what a run was paused is in none of its times."""
    began_ns = time.perf_counter_ns()
    answers = run_interleaved([(spec, 30.0) for spec in SHORT], environment={}, slice_s=0.001)
    took_ns = time.perf_counter_ns() - began_ns
    assert [(answer.outcome, answer.error) for answer in answers] == [("ok", "")] * 2
    assert all(of_run(answer, "time_slices") >= 5 for answer in answers)
    assert sum(of_run(answer, "wall_ns") for answer in answers) < took_ns
    assert all(of_run(answer, "wall_ns") + of_run(answer, "paused_ns") < took_ns for answer in answers)


_RUNNER = """
import json, sys
from pubsub_sim.bench.probes import TimeSlices
slices = TimeSlices(*map(int, sys.argv[1:3]))
asked = json.load(sys.stdin)
with open(asked["log"], "a", buffering=1) as log:
    for number in range(asked["legs"]):
        slices.pause()
        log.write(f"{asked['name']} goes on\\n")
        log.write(f"{asked['name']} pauses\\n")
print(json.dumps({"outcome": "ok", "error": "", "rows": [["run", "failures", 0]], "version": {}}))
"""


def test_only_one_run_goes_on_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go on in the order given, slice by slice, and one that is longer than the others has its last slices alone."""
    monkeypatch.setattr("pubsub_sim.bench.process._our_worker", lambda: (sys.executable, "-c", _RUNNER))
    log = tmp_path / "log"
    runs = [
        (json.dumps({"name": name, "log": str(log), "legs": slices}), 30.0) for name, slices in (("a", 2), ("b", 4))
    ]
    assert [answer.outcome for answer in run_interleaved(runs, environment={}, slice_s=0.0)] == ["ok", "ok"]
    slices = [f"{name} {what}" for name in "ababbb" for what in ("goes on", "pauses")]
    assert log.read_text().splitlines() == slices


def test_limit_is_of_a_runs_own_time_slices() -> None:
    """One that never ends is stopped at its limit; the other, which was paused meanwhile, ends well."""
    endless, short = run_interleaved([(ENDLESS, 1.0), (SHORT[0], 30.0)], environment={}, slice_s=10.0)
    assert (endless.outcome, endless.error) == (
        "timeout",
        "the run was stopped at its limit of 1 s in phase 'rand msgs'",
    )
    assert of_run(endless, "wall_ns") >= 10**9
    assert short.outcome == "ok"


def test_killed_run_does_not_stop_the_others() -> None:
    """It is a crash, wherever it was, and the others go on without it; no process is left."""
    answers: list[Answer] = []
    runs = [(ENDLESS, 60.0), (SHORT[0], 60.0), (ENDLESS, 60.0)]
    thread = threading.Thread(target=lambda: answers.extend(run_interleaved(runs, environment={})))
    thread.start()
    assert wait_until(lambda: len(workers_of(os.getpid())) == 3)
    first, _, last = sorted(workers_of(os.getpid()))
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: workers_of(os.getpid()) == [last])  # the short one has ended
    os.kill(last, signal.SIGKILL)
    thread.join(timeout=120)
    assert [answer.outcome for answer in answers] == ["crashed", "ok", "crashed"]
    assert answers[2].error == "the worker was killed by SIGKILL in phase 'rand msgs'"
    assert workers_of(os.getpid()) == []


_EARLY_SPEAKER = """
import sys
from pubsub_sim.bench.probes import TimeSlices
sys.stdin.read()
print('{"outcome": "ok", "error": "", "rows": [["run", "failures", 0]], "version": {}}', flush=True)
TimeSlices(*map(int, sys.argv[1:3])).pause()
"""


class _LastWords(selectors.DefaultSelector):
    """Looks late, so that all ends of a worker are there at once, and tells of turn tokens last."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        time.sleep(0.3)
        return sorted(super().select(timeout), key=lambda event: isinstance(event[0].fileobj, socket.socket))


def test_token_that_ends_in_the_same_round_as_its_worker_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is over by then, and its token not listened to any more."""
    monkeypatch.setattr("pubsub_sim.bench.process.selectors.DefaultSelector", _LastWords)
    monkeypatch.setattr("pubsub_sim.bench.process._our_worker", lambda: (sys.executable, "-c", _EARLY_SPEAKER))
    assert [answer.outcome for answer in run_interleaved([("{}", 30.0)], environment={}, slice_s=0.0)] == ["ok"]


def test_run_that_cannot_begin_leaves_the_others() -> None:
    """A specification that is refused is a failed run; the other one is made."""
    refused, made = run_interleaved([("{}", 30.0), (SHORT[0], 30.0)], environment={})
    assert (refused.outcome, refused.error) == ("failed", "version: expected a value, as it has no default, got None")
    assert made.outcome == "ok"


def test_pair_is_interleaved_and_what_is_watched_runs_by_itself() -> None:
    """In a sweep the versions and the control share slices; a run that something watches never pauses."""
    options = SweepOptions(hosts="5", messages="100", repeats=1, control=True, calls_repeats=1, limit_s=30.0)
    slices = {}
    for pair in plan(options):
        task = [(run, order) for order, run in enumerate(pair.runs, start=pair.first)]
        for record, _, _ in make_pair(options, task, {}, {}):
            assert record.outcome == "ok"
            slices[record.parameters.version, record.parameters.kind] = record.value(RUN, "time_slices")
    assert {key for key, value in slices.items() if value} == {
        ("baseline", "timing"),
        ("baseline", "control"),
        ("states", "timing"),
    }
    assert {key for key, value in slices.items() if not value} == {("baseline", "calls"), ("states", "calls")}


def test_leg_ends_at_the_first_pause_after_its_time() -> None:
    """The first pause waits for the token; during a slice pauses cost nothing; a run by itself never waits."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.send(b"..")
        slices = TimeSlices(theirs.fileno(), 10**15)
        for _ in range(3):
            slices.pause()
        assert (slices.taken, ours.recv(10)) == (1, b".")
        slices = TimeSlices(theirs.fileno(), 0)
        slices.pause()
        assert (slices.taken, ours.recv(10)) == (1, b".")
    alone = TimeSlices()
    alone.pause()
    assert (alone.taken, alone.paused_ns) == (0, 0)


def test_phase_does_not_count_what_it_stood_still() -> None:
    """Neither on the clock nor of processor time."""

    class Paused(TimeSlices):
        def pause(self) -> None:
            time.sleep(0.01)
            sum(range(10**5))
            self.paused_ns += 10**12
            self.paused_cpu_ns += 10**12

    slices = Paused()
    phase = PhaseProbe(TaskProbe(), GcProbe(), lambda _: None, slices)

    async def main() -> None:
        with phase("one"):
            slices.pause()

    asyncio.run(main())
    assert -(10**12) < phase.costs["one"]["wall_ns"] < 0
    assert -(10**12) < phase.costs["one"]["cpu_ns"] < 0
