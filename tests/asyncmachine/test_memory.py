"""What the engine remembers is shared by equal machines, found again, and bounded."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from asyncmachine import Event, Machine, Schema
from asyncmachine.plans import Configuration, Plan

STATES: dict[str, Any] = {f"S{n}": {} for n in range(12)}


class Handlers:
    def S1State(self, e: Event) -> None: ...


def test_machines_of_one_schema_share_what_is_known() -> None:
    """The second machine with equal handlers finds the first one's plans; one with other handlers has its own."""
    schema = Schema.of(STATES)
    first, second, other = Machine(schema, handlers=Handlers()), Machine(schema, handlers=Handlers()), Machine(schema)
    for m in (first, second, other):
        m.add("S1")
    assert first._plans is second._plans
    assert first._configuration is second._configuration
    assert other._configuration is not first._configuration
    assert Machine(schema)._configuration is Machine(schema)._configuration


def test_handlers_of_one_class_are_found_once() -> None:
    """The functions of a class are resolved once per schema, in whatever company it is bound."""
    schema = Schema.of(STATES)

    class Other:
        def S2State(self, e: Event) -> None: ...

    alone, together = Machine(schema, handlers=Handlers()), Machine(schema, handlers=Other())
    together.bind(Handlers())
    assert alone._plans.table.state[2] != ()
    assert len(alone._plans.compiled.classes) == 2


def test_a_plan_is_made_once() -> None:
    """The same call in the same configuration finds its plan, also with names repeated or out of order."""
    m = Machine({"A": {}, "B": {"auto": True}, "C": {}})
    for called in (("A",), ("A", "C"), ("A", "A")):
        plan = m._plans.plan(m._configuration, 0, called)
        known = m._plans.known
        m._plan_for(0, called)
        assert m._configuration.adds[called] is plan
        assert m._plans.known == known
    plan = m._plans.plan(m._configuration, 0, ("A",))
    assert m._plans.plan(m._configuration, 0, ("A",)) is plan
    assert m._configuration.adds["A", "A"] is m._configuration.adds["A",]
    auto = m._plans.auto_plan(m._configuration, (2,))
    assert m._plans.auto_plan(m._configuration, (2,)) is auto


def test_forgotten_plans_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit nodes and plans are really let go: forgotten nodes keep no others alive."""
    monkeypatch.setattr("asyncmachine.plans.PLAN_LIMIT", 50)
    m = Machine(Schema.of({**STATES, "S0": {"auto": True, "require": ["S1"]}}))
    gc.collect()
    before = sum(isinstance(o, Configuration | Plan) for o in gc.get_objects())
    m.set("S1")
    resting = m._configuration  # as another machine may, that stays where it is
    for number in range(600):
        bits = (number * 2654435761) >> 7
        wanted = [f"S{n}" for n in range(1, 12) if bits >> n & 1]
        m.set(*wanted, *wanted)  # known under the given and under the proper names
        m.add("S1")
        assert len(m._plans.configurations) <= 110
    gc.collect()
    assert resting.active
    after = sum(isinstance(o, Configuration | Plan) for o in gc.get_objects())
    assert after - before < 300


def test_combinations_of_handlers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many handler classes a schema meets, a few are remembered, and all work."""
    monkeypatch.setattr("asyncmachine.plans.TABLE_LIMIT", 3)
    schema = Schema.of(STATES)
    seen: list[int] = []

    def handler(number: int) -> Any:
        return lambda self, event: seen.append(number)

    for number in range(10):
        m = Machine(schema, handlers=type("H", (), {"S1State": handler(number)})())
        m.add("S1")
        compiled = m._plans.compiled
        assert len(compiled.plan_caches) <= 3
        assert len(compiled.classes) <= 3
    assert seen == list(range(10))
    assert len(compiled.plan_caches) > 0


def test_equal_mappings_are_equal_whatever_they_share() -> None:
    """Plain data that name one list twice are the same schema as data with two equal lists."""
    one = ["B"]
    shared = {"A": {"add": one}, "C": {"add": one}, "B": {}}
    apart = {"A": {"add": ["B"]}, "C": {"add": ["B"]}, "B": {}}
    first, second = Machine(shared), Machine(apart)
    assert first.schema is second.schema


@pytest.mark.parametrize("mutate", ["add", "prepare", "queued", "waited"])
def test_an_idle_machine_keeps_no_arguments(mutate: str) -> None:
    """What a mutation was given lives no longer than its transition, though the machine does."""

    class Large: ...

    class Keeper:
        def AState(self, e: Event) -> None:
            if "again" in e.args:
                e.add("A", large=e.args["again"])

    m = Machine({"A": {"multi": True}}, handlers=Keeper())
    large = Large()
    kept = weakref.ref(large)
    if mutate == "prepare":
        m.prepare("add", "A")({"large": large})
    elif mutate == "queued":
        m.add("A", again=large)
    else:
        if mutate == "waited":
            m.state_ctx("Exception")
        m.add("A", large=large)
    del large
    assert kept() is None
