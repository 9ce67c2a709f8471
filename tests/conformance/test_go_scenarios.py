"""The engine agrees with what asyncmachine-go really did in 1,990 recorded random scenarios."""

from __future__ import annotations

import asyncio
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from asyncmachine import Event, Machine, Result, Tracer, Transition

DATA = Path(__file__).parents[1] / "data" / "go_scenarios.json.gz"


class BoomError(Exception):
    """What recorded panics raise here."""


@cache
def load() -> list[dict[str, Any]]:
    with gzip.open(DATA, "rt") as file:
        return json.load(file)["scenarios"]


class Recorder:
    """Handlers that log their calls, veto, raise and mutate as a scenario says."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.calls: list[str] = []
        self.nested_results: list[Any] = []
        self.veto = set(scenario["veto"])
        self.panic = set(scenario["panic"])
        self.nested = dict(scenario["nested"])

    def handle(self, name: str, event: Event) -> bool | None:
        self.calls.append(name)
        for kind, *states in self.nested.pop(name, ()):
            self.nested_results.append(outcome(getattr(event.machine, kind)(*states)))
        if name in self.panic and "Exception" not in event.mutation.called:
            raise BoomError(name)
        return False if name in self.veto else None


class Recording(Tracer):
    """Hears only how transitions end, and that each begins where the one before it ended."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.time: tuple[int, ...] | None = None

    def transition_end(self, tx: Transition) -> None:
        if self.time is not None and tx.before != self.time:
            self.faults.append(f"{tx} begins at {tx.before}, not at {self.time}")
        self.time = tx.machine.time()
        if tx.after != self.time:
            self.faults.append(f"{tx} ends at {tx.after}, the machine is at {self.time}")


class Following(Recording):
    """Hears every step."""

    def transition_start(self, tx: Transition) -> None:
        if tx.completed:
            self.faults.append(f"{tx} is over before it starts")


def handler_class(states: list[str]) -> type[Recorder]:
    names = [f"{state}{suffix}" for state in states for suffix in ("Enter", "Exit", "State", "End", "Exception")]
    names += [f"{x}{y}" for x in states for y in states]
    names += ["AnyEnter", "AnyState", "ExceptionEnter", "ExceptionState"]

    def method(name: str) -> Any:
        return lambda self, event: self.handle(name, event)

    return type("Handlers", (Recorder,), {name: method(name) for name in names})


CLASSES: dict[tuple[str, ...], type[Recorder]] = {}


def outcome(result: Result) -> Any:
    if result.queued:
        return result.tick
    return "executed" if result.executed else "canceled"


def replay(scenario: dict[str, Any], *, tracer: Recording | None = None, waits: bool = False) -> str | None:
    """Run one scenario and return the first difference, None if there is none."""
    states = list(scenario["schema"])
    if tuple(states) not in CLASSES:
        CLASSES[tuple(states)] = handler_class(states)
    recorder = CLASSES[tuple(states)](scenario)
    machine = Machine(scenario["schema"], handlers=recorder if scenario["handlers"] else None)
    if tracer is not None:
        machine.bind_tracer(tracer)
    if waits:
        machine.when_time({"Exception": 10**9})
        machine.when_args("A", nobody=1)
    for number, step in enumerate(scenario["steps"]):
        recorder.calls.clear()
        recorder.nested_results.clear()
        kind, *called = step["mutation"]
        result = outcome(getattr(machine, "can_add" if kind == "can" else kind)(*called))
        got = {
            "result": result,
            "active": list(machine.active_states()),
            "ticks": machine.clock(),
            "calls": list(recorder.calls),
            "queue_tick": machine.queue_tick,
            "nested_results": list(recorder.nested_results),
        }
        for key, value in got.items():
            if value != step[key]:
                return f"step {number} {step['mutation']} {key}: got {value}, recorded {step[key]}"
    return tracer.faults[0] if tracer is not None and tracer.faults else None


@pytest.mark.parametrize(
    ("tracer", "waits"),
    [(None, False), (Recording, False), (Following, False), (None, True), (Recording, True)],
    ids=["alone", "recorded", "followed", "waited for", "recorded and waited for"],
)
def test_recorded_scenarios(tracer: type[Recording] | None, waits: bool) -> None:
    """Results, order, ticks, queue ticks and every handler call equal the recorded ones, observed or not."""

    async def run() -> list[tuple[int, str]]:
        return [
            (number, difference)
            for number, scenario in enumerate(load())
            if (difference := replay(scenario, tracer=tracer() if tracer else None, waits=waits))
        ]

    assert asyncio.run(run()) == []
