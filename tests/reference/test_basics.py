"""The reference's tests of active states, names and unknown states."""

from __future__ import annotations

import pytest

from asyncmachine import UnknownStateError
from tests.reference.machines import active, ended, no_rels, rels


@pytest.mark.reference("TestSingleStateActive")
def test_one_state_is_active() -> None:
    """What was set is active, and nothing else."""
    assert active(no_rels("A")) == {"A"}


@pytest.mark.reference("TestMultipleStatesActive")
def test_several_states_are_active() -> None:
    """An added state joins those that are active, in front."""
    m = no_rels("A")
    m.add("B")
    assert m.active_states() == ("B", "A")


@pytest.mark.reference("TestExposeAllStateNames")
def test_all_names_are_known() -> None:
    """Exception is a state of every machine."""
    assert set(no_rels("A").state_names) == {"A", "B", "C", "D", "Exception"}


@pytest.mark.reference("TestStateSet")
def test_set() -> None:
    """Set replaces what is active."""
    m = no_rels("A")
    assert m.set("B").executed
    assert ended(m) == "(B:1) [A:2 C:0 D:0]"


@pytest.mark.reference("TestStateAdd")
def test_add() -> None:
    """Add keeps what is active."""
    m = no_rels("A")
    assert m.add("B").executed
    assert ended(m) == "(A:1 B:1) [C:0 D:0]"


@pytest.mark.reference("TestStateRemove")
def test_remove() -> None:
    """Remove ends one state only."""
    m = no_rels("B", "C")
    assert m.remove("C").executed
    assert ended(m) == "(B:1) [A:0 C:2 D:0]"


@pytest.mark.reference("TestPanicWhenStateIsUnknown")
def test_an_unknown_state_raises() -> None:
    """A mutation with an unknown name raises and changes nothing."""
    m = no_rels("A")
    with pytest.raises(UnknownStateError, match="'E'"):
        m.set("E")
    assert (str(m), m.queue_tick) == ("(A:1)", 2)


@pytest.mark.reference("TestIs")
def test_is() -> None:
    """`is_` asks for all."""
    m = no_rels("A", "B")
    assert [m.is_("A", "B"), m.is_("A", "B", "C")] == [True, False]


@pytest.mark.reference("TestNot")
def test_not() -> None:
    """`not_` asks for none."""
    m = no_rels("A", "B")
    assert [m.not_("A", "B"), m.not_("A", "B", "C"), m.not_("D")] == [False, False, True]


@pytest.mark.reference("TestAny")
def test_any() -> None:
    """`any_` asks for at least one; groups of states are asked with `is_`."""
    m = no_rels("A", "B")
    groups = [[("A", "B"), ("C",)], [("A", "B", "C"), ("A",)], [("C",)]]
    assert [any(m.is_(*group) for group in asked) for asked in groups] == [True, True, False]
    assert [m.any_("A", "B"), m.any_("C", "A"), m.any_("C")] == [True, True, False]


@pytest.mark.reference("TestHas")
def test_has() -> None:
    """`has` tells which names are states."""
    m = no_rels()
    assert [m.has("A", "Err"), m.has("A", "A", "B"), m.has(*m.state_names), m.has("A", "B")] == [
        False, True, True, True,
    ]  # fmt: skip


@pytest.mark.reference("TestCountActive")
def test_count_active() -> None:
    """The active ones among given states can be counted."""
    m = no_rels()
    m.add("A")
    assert [state for state in m.active_states() if state in ("A", "B")] == ["A"]


@pytest.mark.reference("TestSwitch")
def test_switch() -> None:
    """`switch` names the active one, or nothing."""
    m = no_rels("A")
    assert [m.switch(["A", "B"]), m.switch(["C", "B"])] == ["A", ""]


@pytest.mark.reference("TestToggle")
def test_toggle() -> None:
    """Toggling twice ends where it began."""
    m = no_rels()
    seen = []
    for _ in range(2):
        assert m.toggle("A").executed
        seen.append(m.is_("A"))
    assert seen == [True, False]
    assert m.tick("A") == 2


@pytest.mark.reference("TestString")
def test_string() -> None:
    """Texts name the states in definition order, Exception first."""
    m = no_rels("A", "B")
    assert str(m) == "(A:1 B:1)"
    assert m.string_all() == "(A:1 B:1) [Exception:0 C:0 D:0]"


BEFORE = """
1 A
    |Tick     1
    |Auto     true
    |Require  C
0 B
    |Tick     0
    |Multi    true
    |Add      C
1 C
    |Tick     1
    |After    D
0 D
    |Tick     0
    |Add      C B
0 Exception
    |Tick     0
    |Multi    true
"""
AFTER = """
0 Exception
    |Tick     0
    |Multi    true
1 A
    |Tick     3
    |Auto     true
    |Require  C
1 B
    |Tick     1
    |Multi    true
    |Add      C
1 C
    |Tick     3
    |After    D
1 D
    |Tick     1
    |Add      C B
"""


@pytest.mark.reference("TestInspect")
def test_inspect() -> None:
    """The table shows activity, tick, flags and relations of the states asked for, or of all."""
    m = rels("A", "C")
    assert m.inspect("A", "B", "C", "D", "Exception") == BEFORE.lstrip("\n")
    assert ended(m) == "(A:1 C:1) [B:0 D:0]"
    m.remove("C")
    assert ended(m) == "() [A:2 B:0 C:2 D:0]"
    m.add("B")
    assert (ended(m), m.active_states()) == ("(A:3 B:1 C:3) [D:0]", ("B", "C", "A"))
    m.add("D")
    assert m.inspect() == AFTER.lstrip("\n")
    assert (m.active_states(), m.queue_tick) == (("D", "B", "C", "A"), 5)
