"""The reference's tests of ticks."""

from __future__ import annotations

from operator import sub

import pytest

from asyncmachine import Machine
from tests.reference.machines import active, no_rels

WALK = [
    ("add A B", "A B", (1, 1, 0, 0)),
    ("add A B", "A B", (1, 3, 0, 0)),
    ("add A B C", "A B C", (1, 5, 1, 0)),
    ("set D", "D", (2, 6, 2, 1)),
    ("add D C", "C D", (2, 6, 3, 1)),
    ("remove B C", "D", (2, 6, 4, 1)),
    ("add A B", "A B D", (3, 7, 4, 1)),
]


def walked() -> Machine:
    """A machine after the walk, each step of which is checked."""
    m = no_rels(B={"multi": True})
    for mutation, states, ticks in WALK:
        kind, *called = mutation.split()
        getattr(m, kind)(*called)
        assert (active(m), m.time("A", "B", "C", "D")) == (set(states.split()), ticks), mutation
    return m


@pytest.mark.reference("TestTime")
def test_time() -> None:
    """Ticks only grow: a called Multi state by two, a changed state by one."""
    m = walked()
    before = m.time("A", "B", "C", "D")
    m.add("C")
    now = m.time("A", "B", "C", "D")
    assert now == (3, 7, 5, 1)
    assert tuple(map(sub, now, before)) == (0, 0, 1, 0)
    assert active(m) == {"A", "B", "C", "D"}
    assert sum(m.time()) == 16
    assert (m.queue_tick, m.active_states()) == (9, ("C", "A", "B", "D"))


@pytest.mark.reference("TestClock")
def test_clock() -> None:
    """A clock is the ticks by name."""
    m = walked()
    assert m.clock() == {"Exception": 0, "A": 3, "B": 7, "C": 4, "D": 1}
    assert m.clock("A", "B") == {"A": 3, "B": 7}
    assert m.tick("A") == 3


@pytest.mark.reference("TestIsClock")
def test_is_clock() -> None:
    """A clock can be compared with the current one."""
    m = no_rels()
    one, everything = m.clock("A"), m.clock()
    m.add("A", "B")
    assert [m.is_clock(everything), m.is_clock(one)] == [False, False]
    one["A"] += 1
    assert m.is_clock(one)


@pytest.mark.reference("TestIsTime")
def test_is_time() -> None:
    """A time is a plain tuple, compared as such."""
    m = no_rels()
    one, everything = m.time("A"), m.time()
    m.add("A", "B")
    assert [m.time("A") == one, m.time() == everything] == [False, False]


@pytest.mark.reference("TestTimeMethods")
def test_time_arithmetic() -> None:
    """The activity of a state is the parity of its place in a time; differences are taken place by place."""
    m = Machine.restore({"A": {}, "B": {}, "C": {}}, {"states": ["A", "B", "C"], "time": [2, 1, 3]})
    assert [m.is_active(state) for state in "ABC"] == [False, True, True]
    before = m.time("A", "B", "C")
    m.set("A")
    assert tuple(map(sub, m.time("A", "B", "C"), before)) == (1, 1, 1)


@pytest.mark.reference("TestIsActiveTick")
@pytest.mark.parametrize(("tick", "expected"), [(1, True), (0, False), (6548734, False), (6548735, True)])
def test_odd_is_active(tick: int, expected: bool) -> None:
    """Odd ticks are active."""
    assert Machine.restore({"A": {}}, {"states": ["A"], "time": [tick]}).is_active("A") is expected
