"""The life and death of one worker."""

import os
import signal
import threading

import pytest

from pubsub_sim.bench.process import Answer, pinned_environment, run_worker
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.results import RUN, Row
from tests.bench.processes import wait_until, workers_of

ENDLESS = RunSpec(version="baseline", hosts=5, messages=10**7, warmup=False)


def test_run_that_takes_too_long_is_a_timeout_that_names_the_phase() -> None:
    """A run is stopped at its limit, with the time really taken, and the sentence says in which phase."""
    answer = run_worker(ENDLESS.to_json(), environment={}, limit_s=2.0)
    assert (answer.outcome, answer.error) == ("timeout", "the run was stopped at its limit of 2 s in phase 'rand msgs'")
    failed, taken = answer.rows
    assert (failed, taken[:2]) == (Row(RUN, "failures", 1), (RUN, "wall_ns"))
    assert taken.value >= 2 * 10**9


def test_stopped_worker_leaves_no_process() -> None:
    """After a timeout no worker of this process is alive."""
    run_worker(ENDLESS.to_json(), environment={}, limit_s=0.2)
    assert workers_of(os.getpid()) == []


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV"])
def test_killed_worker_is_a_crash_that_names_the_signal(name: str) -> None:
    """A worker that a signal ends is a crashed run, and the sentence names the signal and the phase."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(run_worker(ENDLESS.to_json(), environment={}, limit_s=60)))
    thread.start()
    assert wait_until(lambda: workers_of(os.getpid()))
    (worker,) = workers_of(os.getpid())
    os.kill(worker, getattr(signal, name))
    thread.join(timeout=120)
    assert answers[0].outcome == "crashed"
    assert answers[0].error.startswith(f"the worker was killed by {name}")


def test_worker_that_says_nothing_is_a_failure_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends without a record is a failed run that tells the last line on its stderr."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    answer = run_worker(ENDLESS.to_json(), environment={}, limit_s=60)
    assert answer == Answer("failed", "the worker ended with status 1 and no record")


def test_allocator_is_pinned_by_the_environment_or_left_alone() -> None:
    """Pinning fixes malloc's thresholds; the default sets none; the hash seed is fixed in both."""
    assert pinned_environment("default") == {"PYTHONHASHSEED": "0"}
    assert pinned_environment("pinned")["MALLOC_MMAP_THRESHOLD_"] == "4194304"
    assert pinned_environment("pinned")["MALLOC_TRIM_THRESHOLD_"] == "134217728"


def test_parents_own_settings_do_not_reach_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debug switches of Python and malloc in the parent's environment do not change what is measured."""
    monkeypatch.setenv("PYTHONVERBOSE", "1")
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    answer = run_worker(RunSpec(version="baseline", hosts=2, messages=1).to_json(), environment={}, limit_s=30)
    assert answer.outcome == "ok"
