"""Every workload does what it says, and one that does not is noticed."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from dataclasses import replace

import pytest

from asyncmachine import Machine
from asyncmachine.benchmark.catalogue import WORKLOADS
from asyncmachine.benchmark.contract import CONTRACT, FIGURES
from asyncmachine.benchmark.machines import schema
from asyncmachine.benchmark.timing import Effort, WrongWorkError, sample
from asyncmachine.benchmark.worker import measure
from asyncmachine.benchmark.workload import GROUPS, OURS, Bench, Workload, ticks_after

QUICK = Effort(batch_s=0.0005, batches=1)
IN_THIS_PROCESS = [entry for entry in WORKLOADS.values() if not entry.without_hooks]


def is_there(workload: Workload) -> bool:
    return not workload.needs or importlib.util.find_spec(workload.needs) is not None


def after(workload: Workload, iterations: int) -> str:
    """Run so many iterations, and give the workload's own complaint."""

    async def on_a_loop() -> str:
        bench: Bench = await workload.make()
        await bench.loop(iterations)
        said = bench.wrong(iterations)
        if bench.finish is not None:
            await bench.finish()
        return said

    if workload.is_async:
        return asyncio.run(on_a_loop())
    bench: Bench = workload.make()
    bench.loop(iterations)
    return bench.wrong(iterations)


@pytest.mark.parametrize("workload", IN_THIS_PROCESS, ids=lambda entry: entry.name)
@pytest.mark.parametrize("iterations", [1, 2])
def test_an_iteration_ends_in_the_expected_ticks(workload: Workload, iterations: int) -> None:
    """After one iteration, and after two, ticks, calls and states are those that the workload promises."""
    if not is_there(workload):
        pytest.skip(f"{workload.who} is not installed")
    assert after(workload, iterations) == ""


@pytest.mark.parametrize(
    ("name", "added", "ticks"),
    [
        ("bare", {"A": {}}, {"A": 1}),
        ("add", {"A": {"add": ["B"]}}, {"A": 1, "B": 1}),
        ("pulse", {"A": {"multi": True}}, {"A": 1}),
    ],
)
def test_a_check_counts_ticks(name: str, added: dict[str, object], ticks: dict[str, int]) -> None:
    """The check sees a tick too few, a tick too many, and a state that should not have moved."""
    machine = Machine(schema(added))
    wrong = ticks_after(machine, ticks)
    assert "has tick 0 after 1 iterations, expected 1" in wrong(1)
    machine.add("A")
    assert wrong(1) == ""
    machine.add("Unrelated")
    assert wrong(1) == "Unrelated has tick 1 after 1 iterations, expected 0"


def test_work_that_was_not_done_is_no_sample() -> None:
    """A loop that skips its work gives a sentence instead of a very good time."""
    idle = Bench(loop=lambda _: None, wrong=ticks_after(Machine(schema()), {"A": 2}))
    workload = replace(WORKLOADS["bare"], make=lambda: idle)
    with pytest.raises(WrongWorkError, match="A has tick 0 after "):
        sample(workload, QUICK)


@pytest.mark.parametrize("name", ["bare", "wait-cycle", "construct-bytes", "hand-toggle"])
def test_a_sample_counts_events(name: str) -> None:
    """A sample is a whole amount for a whole number of events, a multiple of those of one iteration."""
    amount, count = sample(WORKLOADS[name], QUICK)
    assert isinstance(amount, int)
    assert amount > 0
    assert count > 0
    assert count % WORKLOADS[name].events == 0


def test_one_machine_of_a_thousand_holds_some_bytes() -> None:
    """Memory is counted per machine, not for the thousand."""
    amount, count = sample(WORKLOADS["construct-bytes"], QUICK)
    assert count == 1_000
    assert 100 < amount / count < 10_000


def test_an_absent_library_is_said_to_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its library a workload ends as absent, with a sentence and without numbers."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "transitions" else found(name))
    assert measure("transitions-toggle", QUICK) == {
        "outcome": "absent",
        "error": "transitions is not installed",
        "amount": 0,
        "count": 0,
    }


def test_the_engine_without_hooks_does_the_same_work() -> None:
    """With its hooks deleted the engine passes the same check, hears no tracer, and something was really deleted."""
    program = """
from asyncmachine.benchmark import hookless
from asyncmachine.benchmark.catalogue import WORKLOADS
from asyncmachine.benchmark.machines import Recorder, schema

assert hookless.load() > 10
bench = WORKLOADS["enter-and-state"].make()
bench.loop(3)
assert bench.wrong(3) == "", bench.wrong(3)
import asyncmachine
tracer = Recorder()
machine = asyncmachine.Machine(schema())
machine.bind_tracer(tracer)
machine.add("A")
assert machine.is_("A") and tracer.heard == 0, tracer.heard
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_names_groups_and_tasks_fit_together() -> None:
    """Each name is there once, each task of the side-by-side table is done by ours and by somebody else."""
    assert all(entry.group in GROUPS for entry in WORKLOADS.values())
    for task in {entry.task for entry in WORKLOADS.values()} - {""}:
        who = [entry.who for entry in WORKLOADS.values() if entry.task == task]
        assert who.count(OURS) == 1
        assert len(who) > 1


def test_every_clause_stands_on_workloads_that_exist() -> None:
    """A clause has known workloads, a known kind of figure and exactly one bar."""
    for clause in CONTRACT:
        assert set(clause.workloads()) <= set(WORKLOADS)
        assert clause.figure in FIGURES
        assert (clause.at_least is None) != (clause.at_most is None), clause.operation


@pytest.mark.parametrize(
    ("given", "says"),
    [({"batch_s": 0}, "batch_s: expected a time above 0"), ({"batches": 2}, "batches: expected an odd number")],
)
def test_effort_that_cannot_be_used_is_refused(given: dict[str, float], says: str) -> None:
    """The sentence names the value and what was expected."""
    with pytest.raises(ValueError, match=says):
        Effort(**given)  # type: ignore[arg-type]  # wrong on purpose
