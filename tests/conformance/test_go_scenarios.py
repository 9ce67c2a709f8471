"""The engine agrees with what asyncmachine-go really did in 1,990 recorded random scenarios.

In 88 of them it differs on purpose: mutations made inside a handler are judged when their turn comes. With the two short cuts of the
reference put back, and nothing else, all 1,990 agree.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from asyncmachine import Event, Machine, Result, Schema, Tracer, Transition
from asyncmachine.mutation import ARGS, CALLED, KIND, Origin, QueuedMutation
from asyncmachine.relations import REMOVE, SET

pytestmark = pytest.mark.xdist_group("go scenarios")  # which read and resolve the same schemas

DATA = Path(__file__).parents[1] / "data" / "go_scenarios.json.gz"


class BoomError(Exception):
    """What recorded panics raise here."""


@cache
def load() -> list[dict[str, Any]]:
    """Give the scenarios, each with a schema that its machines share: what is known of its handlers is found once."""
    with gzip.open(DATA, "rt") as file:
        scenarios: list[dict[str, Any]] = json.load(file)["scenarios"]
    return [one | {"states": list(one["schema"]), "schema": Schema.of(one["schema"])} for one in scenarios]


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


class ReferenceMachine(Machine):
    """Judges mutations made inside a handler as asyncmachine-go does, by what is there when they are made.

    A repeated mutation is dropped though others wait behind the first one; removing states that are inactive is executed without being
    queued if nothing else waits.
    """

    __slots__ = ()

    def _enqueue(self, kind: int, called: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> Result:
        self._numbers(called)
        queue = self._queue
        if not queue:
            is_moot = kind == REMOVE and not self._urgent and self._configuration.names.isdisjoint(called)
            if is_moot and self._current is not None:
                return Result.EXECUTED
        elif not args and self._waits_already(list(queue), kind, called):
            return Result.EXECUTED
        return super()._enqueue(kind, called, args, source)

    def _waits_already(self, queue: list[QueuedMutation], kind: int, called: tuple[str, ...]) -> bool:
        if any(self.schema.states[state].multi for state in called):
            return False
        wanted = set(called)
        for queued in reversed(queue):
            if queued[KIND] == kind and not queued[ARGS] and set(queued[CALLED]) == wanted:
                return True
            if kind == SET or queued[KIND] == SET or not wanted.isdisjoint(queued[CALLED]):
                return False
        return False


JUDGED_AT_THEIR_TURN = frozenset([
    12, 16, 33, 50, 97, 235, 249, 293, 301, 344, 350, 379, 388, 394, 397, 457, 493, 549, 601, 626, 654, 677, 692, 710, 730, 812, 840,
    848, 884, 894, 907, 916, 940, 1009, 1068, 1078, 1126, 1151, 1152, 1176, 1183, 1205, 1210, 1213, 1221, 1235, 1292, 1311, 1312,
    1348, 1373, 1382, 1417, 1428, 1459, 1467, 1486, 1489, 1562, 1565, 1576, 1580, 1585, 1595, 1609, 1622, 1639, 1645, 1676, 1705,
    1720, 1759, 1767, 1768, 1776, 1791, 1794, 1807, 1827, 1838, 1846, 1876, 1906, 1910, 1913, 1914, 1919, 1926,
])  # fmt: skip
"""Scenarios in which a handler removes inactive states, or repeats a mutation that waits: the reference drops it, here it has its turn
(Q-10 and "removing inactive states" in the guide of asyncmachine), so that AnyEnter, AnyState and the like are called once more, and
the queue ticks of what follows are later by one."""


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


def replay(
    scenario: dict[str, Any],
    *,
    tracer: Recording | None = None,
    waits: bool = False,
    kind_of_machine: type[Machine] = ReferenceMachine,
) -> str | None:
    """Run one scenario and return the first difference, None if there is none."""
    states = scenario["states"]
    if tuple(states) not in CLASSES:
        CLASSES[tuple(states)] = handler_class(states)
    recorder = CLASSES[tuple(states)](scenario)
    machine = kind_of_machine(scenario["schema"], handlers=recorder if scenario["handlers"] else None)
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
    """Results, order, ticks, queue ticks and every handler call equal the recorded ones, observed or not.

    With the reference's rule of what is queued.
    """

    async def run() -> list[tuple[int, str]]:
        return [
            (number, difference)
            for number, scenario in enumerate(load())
            if (difference := replay(scenario, tracer=tracer() if tracer else None, waits=waits))
        ]

    assert asyncio.run(run()) == []


def test_what_differs_on_purpose() -> None:
    """With the engine's own rule of what is queued exactly the scenarios differ in which that rule matters."""
    differing = {number for number, scenario in enumerate(load()) if replay(scenario, kind_of_machine=Machine)}
    assert differing == JUDGED_AT_THEIR_TURN
