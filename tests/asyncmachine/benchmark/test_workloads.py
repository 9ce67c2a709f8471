"""Every workload does what it says, and one that does not is noticed."""

from __future__ import annotations

import ast
import asyncio
import difflib
import importlib.util
import inspect
import re
import textwrap
from dataclasses import replace
from typing import Any

import pytest

from asyncmachine import Machine
from asyncmachine._runtime import Runtime
from asyncmachine.benchmark.catalogue import WORKLOADS
from asyncmachine.benchmark.contract import CONTRACT, FIGURES
from asyncmachine.benchmark.machines import OnEnterAndState, Recorder, schema
from asyncmachine.benchmark.timing import Effort, WrongWorkError, sample
from asyncmachine.benchmark.unobserved import UnobservedMachine
from asyncmachine.benchmark.worker import measure
from asyncmachine.benchmark.workload import GROUPS, OURS, Bench, Workload, ticks_after

QUICK = Effort(batch_s=0.0005, batches=1)


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


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda entry: entry.name)
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


def test_a_machine_without_hooks_hears_no_tracer() -> None:
    """The copy of the hot path asks for no observers, which is all that sets it apart."""
    tracer = Recorder()
    machine = UnobservedMachine(schema(), handlers=OnEnterAndState(), tracers=(tracer,))
    machine.add("A")
    assert (machine.is_("A"), tracer.heard) == (True, 0)


def lines_of(method: Any) -> list[str]:
    """The statements of a method, without its docstring, comments and layout."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(method))).body
    assert isinstance(tree, ast.FunctionDef)
    if isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        del tree.body[0]
    return [line.strip() for line in ast.unparse(tree).splitlines()]


@pytest.mark.parametrize("name", ["_submit", "_course"])
def test_the_copy_of_the_hot_path_has_not_fallen_behind(name: str) -> None:
    """What the engine has and the copy has not is about observers; the rest is the same, line by line."""
    engine, copy = lines_of(getattr(Runtime, name)), lines_of(getattr(UnobservedMachine, name))
    left_out, rewritten = [], []
    for line in difflib.ndiff(engine, copy):
        if line.startswith("- "):
            left_out.append(line[2:])
        elif line.startswith("+ "):
            rewritten.append(line[2:])
    about = re.compile(r"observ|announce|recorded|TRACED|OBSERVED|RECORDED")
    alone = {
        "else:",
        "return EXECUTED",
        "function(handlers[slot], event)",
        "number = self._queue_tick = self._queue_tick + 1",
    }
    # `alone` is what such a question leads to
    assert [line for line in left_out if not about.search(line) and line not in alone] == []
    words = [set(re.findall(r"[\w.]+", line)) for line in left_out]
    assert [line for line in rewritten if not any(set(re.findall(r"[\w.]+", line)) <= known for known in words)] == []


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
