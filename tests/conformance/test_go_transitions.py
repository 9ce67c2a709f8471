"""The resolver agrees with 7,498 transitions recorded from a real asyncmachine-go program."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from asyncmachine import Machine, Schema, Tracer, Transition

DATA = Path(__file__).parents[1] / "data" / "go_transitions.json.gz"


class FirstTransition(Tracer):
    """Keeps the ticks after the first transition."""

    def __init__(self) -> None:
        self.after: tuple[int, ...] | None = None

    def transition_end(self, tx: Transition) -> None:
        if self.after is None:
            self.after = tx.after


def replay(machine: dict[str, Any]) -> tuple[int, list[str]]:
    schema = Schema.of(machine["schema"])
    states = machine["states"]
    replayed, differences = 0, []
    for number, (kind, called, auto, accepted, before, after) in enumerate(machine["transitions"]):
        if not accepted:
            continue
        tracer = FirstTransition()
        m = Machine.restore(schema, {"states": states, "time": before}, tracers=(tracer,))
        if auto:  # accepted in part, which no mutation of a user is
            plan = m._plans.auto_plan(m._configuration, m._numbers(called)).commit
            got = [tick + plan.ticks.count(number) for number, tick in enumerate(m.time())]
        else:
            getattr(m, kind)(*called)
            assert tracer.after is not None
            got = list(tracer.after)
        by_name = dict(zip(m.state_names, got, strict=True))
        replayed += 1
        if [by_name[name] for name in states] != after:
            differences.append(f"{machine['id']} {number}: {kind} {called}")
    return replayed, differences


def test_recorded_transitions() -> None:
    """Every accepted transition gives exactly the recorded ticks."""
    with gzip.open(DATA, "rt") as file:
        machines = json.load(file)["machines"]
    results = [replay(machine) for machine in machines]
    assert [difference for _, differences in results for difference in differences] == []
    assert sum(replayed for replayed, _ in results) > 7_000
