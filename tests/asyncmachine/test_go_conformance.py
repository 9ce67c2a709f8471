"""What asyncmachine-go itself did, recorded; see tests/data/README.md."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from asyncmachine import Event, Machine, Mutation, Result, Tracer, Transition

DATA = Path(__file__).parents[1] / "data"


def load(name: str) -> Any:
    with gzip.open(DATA / name) as file:
        return json.load(file)


SCENARIOS = load("go_scenarios.json.gz")["scenarios"]
KINDS = sorted({scenario["kind"] for scenario in SCENARIOS})


class FirstTransition(Tracer):
    """Keeps the ticks after the first transition: autos follow in transitions of their own."""

    def __init__(self) -> None:
        self.after: tuple[int, ...] | None = None

    def transition_end(self, tx: Transition) -> None:
        if self.after is None:
            self.after = tx.after


def test_every_recorded_transition_of_a_real_program_gives_the_recorded_ticks() -> None:
    """7,498 transitions of 107 machines: relations and ticking."""
    replayed = 0
    for recorded in load("go_transitions.json.gz")["machines"]:
        states = recorded["states"]
        schema = {name: recorded["schema"][name] for name in states}
        for kind, called, auto, accepted, before, after in recorded["transitions"]:
            if not accepted:
                continue  # a handler may have refused what the relations allow
            tracer = FirstTransition()
            machine = Machine.restore(schema, {"states": states, "time": before}, tracers=[tracer])
            if auto:
                machine._prepend(Mutation(kind, tuple(called), {}, is_auto=True))
                machine.eval(lambda: None)
            else:
                getattr(machine, kind)(*called)
            assert tracer.after is not None
            ticks = [tracer.after[machine.state_names.index(name)] for name in states]
            assert ticks == after, (recorded["id"], kind, called, auto)
            replayed += 1
    assert replayed > 7000


@pytest.mark.parametrize("kind", KINDS)
def test_every_recorded_scenario_of_this_kind_agrees(kind: str) -> None:
    """Results, active order, ticks, complete handler order, queue ticks, nested results."""
    differing = [
        number
        for number, scenario in enumerate(SCENARIOS)
        if scenario["kind"] == kind and play(scenario) != expected(scenario)
    ]
    assert differing == []


def expected(scenario: Any) -> list[Any]:
    names = ["Exception", *(name for name in scenario["schema"] if name != "Exception")]
    return [
        (
            step["result"],
            step["active"],
            {name: step["ticks"][name] for name in names if name in step["ticks"]},
            step["calls"],
            step["queue_tick"],
            step.get("nested_results"),
        )
        for step in scenario["steps"]
    ]


def play(scenario: Any) -> list[Any]:
    calls: list[str] = []
    nested_results: list[Any] = []
    machine = Machine(scenario["schema"], handlers=recorder(scenario, calls, nested_results))
    out = []
    for step in scenario["steps"]:
        calls.clear()
        nested_results.clear()
        kind, *states = step["mutation"]
        method = {"can": "can_add"}.get(kind, kind)
        result = getattr(machine, method)(*states)
        ticks = machine.clock()
        out.append(
            (
                as_recorded(result),
                list(machine.active_states()),
                {name: ticks[name] for name in step["ticks"]},
                list(calls),
                machine.queue_tick,
                list(nested_results) if "nested_results" in step else None,
            )
        )
    return out


def as_recorded(result: Any) -> Any:
    if not isinstance(result, Result):
        return "queued"
    return result.tick if result.queued else "executed" if result.executed else "canceled"


def recorder(scenario: Any, calls: list[str], nested_results: list[Any]) -> Any:
    if not scenario["handlers"]:
        return None
    states = [name for name in scenario["schema"] if name != "Exception"]
    vetoes, panics, nested = set(scenario["veto"]), set(scenario["panic"]), dict(scenario["nested"])

    def make(name: str) -> Any:
        def handler(self: Any, e: Event) -> bool | None:
            calls.append(name)
            for kind, *called in nested.pop(name, ()):
                nested_results.append(as_recorded(getattr(e.machine, kind)(*called)))
            mutation = e.mutation
            assert mutation is not None
            if name in panics and "Exception" not in mutation.called:
                raise RuntimeError(name)
            return False if name in vetoes else None

        return handler

    names = [f"{state}{suffix}" for state in states for suffix in ("Enter", "Exit", "State", "End")]
    names += [f"{a}{b}" for a in states for b in [*states, "Exception"]]
    names += ["AnyEnter", "AnyState", "ExceptionEnter", "ExceptionState"]
    return type("Recorder", (), {name: make(name) for name in names})()
