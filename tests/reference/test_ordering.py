"""The reference's tests of After and Require order."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from asyncmachine import Machine
from tests.reference.machines import History, active, history, machine, no_rels

AFTER: dict[str, Any] = {"C": {"after": ["D"]}, "A": {"after": ["B"]}}


def entered() -> tuple[Machine, History]:
    m = no_rels("A", "B", **AFTER)
    assert m.active_states() == ("B", "A")
    h = history(m)
    m.set("C", "D")
    assert active(m) == {"C", "D"}
    assert set(h.counts.values()) == {1}
    assert h.text() == "BExit AExit DEnter CEnter BD BC AD AC AnyEnter BEnd AEnd DState CState AnyState"
    return m, h


@pytest.mark.reference("TestAfterRelationWhenEntering")
def test_after_orders_the_entered() -> None:
    """D enters before C, which comes after it."""
    m, h = entered()
    assert h.follow("DEnter CEnter AD AC")
    assert m.active_states() == ("D", "C")


@pytest.mark.reference("TestAfterRelationWhenExiting")
def test_after_orders_the_exited() -> None:
    """B exits before A, which comes after it."""
    _, h = entered()
    assert h.follow("BExit AExit BD BC AD AC")


REQUIRE: dict[str, Any] = {
    "A": {"auto": True, "require": ["B", "C"]},
    "B": {"auto": True, "require": ["D"]},
    "C": {"auto": True},
    "D": {"auto": True},
    "Start": {},
}


@pytest.mark.reference("TestRequireOrder")
def test_require_orders_handlers() -> None:
    """States that are required come first; ties are broken by definition order, so C precedes D."""
    m = machine(REQUIRE)
    h = history(m)
    m.add("Start")
    assert h.follow("DState BState AState")
    assert h.follow("CState AState")
    assert active(m) == {"A", "B", "C", "D", "Start"}
    assert h.counts["AnyEnter"] == h.counts["AnyState"] == 2
    assert {count for name, count in h.counts.items() if not name.startswith("Any")} == {1}
    assert m.queue_tick == 2
    assert m.active_states() == ("Start", "C", "D", "B", "A")


@pytest.mark.reference("TestRequireOrder")
@pytest.mark.parametrize("called", [*permutations("ABCD")], ids="".join)
def test_require_order_does_not_depend_on_the_call(called: tuple[str, ...]) -> None:
    """However the states are called, their order is the same."""
    m = machine(REQUIRE)
    m.set(*called)
    assert m.active_states() == ("C", "D", "B", "A")
