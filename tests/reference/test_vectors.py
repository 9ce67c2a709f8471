"""The engine agrees with the 66 golden vectors: results, ticks, active order, queue ticks and every handler call."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from asyncmachine import Event, Machine, Result
from tests.asyncmachine.followers import Follower
from tests.reference.moot import VECTORS
from tests.reference.vectors import Step, Vector, read


class Recorder:
    """Handlers that note their calls, refuse and mutate as a vector says."""

    def __init__(self, vector: Vector) -> None:
        self.calls: list[str] = []
        self.nested_results: list[int] = []
        self.vector = vector
        self.mutated = False

    def handle(self, name: str, event: Event) -> bool | None:
        self.calls.append(name)
        if name == self.vector.nested_in and not self.mutated:
            self.mutated = True
            self.nested_results += [getattr(event.machine, kind)(*called).tick for kind, *called in self.vector.nested]
        return False if name in self.vector.veto else None


def recorder(vector: Vector) -> Recorder:
    """Every handler that the vector's states can have."""
    states = list(vector.schema)
    names = [f"{state}{suffix}" for state, suffix in product(states, ("Enter", "Exit", "State", "End"))]
    names += [f"{x}{y}" for x, y in product(states, states)] + ["AnyEnter", "AnyState"]

    def method(name: str) -> Any:
        return lambda self, event: self.handle(name, event)

    made: Recorder = type("Handlers", (Recorder,), {name: method(name) for name in names})(vector)
    return made


def text(result: Result) -> str:
    return "queued" if result.queued else "executed" if result.executed else "canceled"


def replay(vector: Vector, *, observed: bool) -> list[Step]:
    """Do what the vector did and return what is seen now, in the same form."""
    handlers = recorder(vector)
    m = Machine(vector.schema, handlers=handlers, tracers=[Follower()] if observed else [])
    seen = []
    for step in vector.steps:
        handlers.calls.clear()
        handlers.nested_results.clear()
        kind, *called = step.mutation
        result = getattr(m, "can_add" if kind == "can" else kind)(*called)
        ticks = m.clock()
        assert ticks.pop("Exception") == 0
        seen.append(
            Step(
                mutation=step.mutation,
                result=text(result),
                ticks=ticks,
                order=m.active_states(),
                queue_tick=m.queue_tick,
                nested=tuple(handlers.nested_results),
                calls=tuple(handlers.calls),
            )
        )
    return seen


@pytest.mark.parametrize("observed", [False, True], ids=["alone", "observed"])
@pytest.mark.parametrize("vector", [v for v in read() if v.name not in VECTORS], ids=lambda v: v.name)
def test_golden_vector(vector: Vector, observed: bool) -> None:
    """Each step ends as it did in Go, observed or not."""
    assert replay(vector, observed=observed) == vector.steps


def test_moot_vector_differs_in_the_order_of_its_auto_state_only() -> None:
    """Definition order puts V63's auto state C behind B; results, ticks and queue ticks are those of Go."""
    vector = next(v for v in read() if v.name == "V63")
    seen = replay(vector, observed=False)
    assert [(s.result, s.ticks, s.queue_tick, s.nested) for s in seen] == [
        (s.result, s.ticks, s.queue_tick, s.nested) for s in vector.steps
    ]
    assert seen[1].order == ("B", "C")
    assert vector.steps[1].order == ("C", "B")
    assert " ".join(seen[1].calls) == (
        "BEnter AnyEnter BState AnyState CEnter BB BC AnyEnter CState AnyState"
        " BB CC BC CB AnyEnter AnyState BC CB AnyEnter AnyState"
    )


def test_the_file_is_complete() -> None:
    """66 vectors, numbered without a gap, each with at least two steps; the moot ones are among them."""
    vectors = read()
    assert [v.name for v in vectors] == [f"V{number:02}" for number in range(1, 67)]
    assert all(len(v.steps) >= 2 for v in vectors)
    assert set(VECTORS) <= {v.name for v in vectors}
