"""The reference's tests of Remove, Add and Require."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from asyncmachine import LogLevel
from tests.reference.machines import NO_RELS, active, ended, machine, no_rels


@pytest.mark.reference("TestRemoveRelation")
def test_remove_pushes_out() -> None:
    """An added state ends what it removes."""
    m = no_rels("D", C={"remove": ["D"]})
    assert m.add("C").executed
    assert ended(m) == "(C:1) [A:0 B:0 D:2]"


@pytest.mark.reference("TestRemoveRelationSimultaneous")
def test_remove_between_called_states(caplog: pytest.LogCaptureFixture) -> None:
    """States that exclude each other cannot be called together."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = machine({**NO_RELS, "C": {"remove": ["D"]}}, "D", log_level=LogLevel.EVERYTHING)
    assert m.set("C", "D").canceled
    assert "[rel:remove] D by C" in caplog.text
    assert ended(m) == "(D:1) [A:0 B:0 C:0]"


@pytest.mark.reference("TestRemoveRelationCrossBlocking")
@pytest.mark.parametrize("mutations", [["set C"], ["set C", "set D"], ["add C"], ["add C", "add D"]], ids=", ".join)
def test_states_that_remove_each_other_alternate(mutations: list[str]) -> None:
    """The called one wins."""
    m = no_rels("D", C={"remove": ["D"]}, D={"remove": ["C"]})
    seen = ["(C:1) [A:0 B:0 D:2]", "(D:3) [A:0 B:0 C:2]"]
    for mutation, expected in zip(mutations, seen, strict=False):
        kind, state = mutation.split()
        assert getattr(m, kind)(state).executed
        assert ended(m) == expected


@pytest.mark.reference("TestAddRelation")
def test_add_brings_along() -> None:
    """An implied state comes along, unless a called one removes it."""
    m = no_rels(A={"remove": ["D"]}, C={"add": ["D"]})
    assert m.set("C").executed
    assert ended(m) == "(C:1 D:1) [A:0 B:0]"
    assert m.set("A", "C").executed
    assert ended(m) == "(A:1 C:1) [B:0 D:2]"


@pytest.mark.reference("TestRequireRelation")
def test_require_is_met_by_a_called_state() -> None:
    """A requirement can be called together with what needs it; its handlers come first."""
    m = no_rels("A", C={"require": ["D"]})
    assert m.set("C", "D").executed
    assert (ended(m), m.active_states()) == ("(C:1 D:1) [A:2 B:0]", ("D", "C"))


@pytest.mark.reference("TestRequireRelationWhenRequiredIsntActive")
def test_require_that_is_not_met(caplog: pytest.LogCaptureFixture) -> None:
    """A called state without its requirement cancels the whole mutation."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = machine({**NO_RELS, "C": {"require": ["D"]}}, "A", log_level=LogLevel.EVERYTHING)
    assert m.set("C", "A").canceled
    assert "[reject] C(-D)" in caplog.text
    assert active(m) == {"A"}


@pytest.mark.reference("TestRemoveMultiImplied")
def test_an_active_multi_state_does_not_imply_what_is_removed() -> None:
    """A state can be removed although an active Multi state adds it."""
    m = no_rels("A", "B", "C", A={"multi": True, "add": ["B"], "require": ["C"]}, B={"require": ["C"]})
    assert m.remove("B").executed
    assert ended(m) == "(A:1 C:1) [B:2 D:0]"


@pytest.mark.reference("TestRegressionRemoveCrossBlockedByImplied")
def test_an_implied_state_among_excluding_ones() -> None:
    """An implied state comes although it and an inactive one exclude each other."""
    m = machine({"A": {"remove": ["B"]}, "B": {"remove": ["A"]}, "Z": {"add": ["B"]}})
    assert m.set("Z").executed
    assert (ended(m), m.active_states()) == ("(B:1 Z:1) [A:0]", ("Z", "B"))


@pytest.mark.reference("TestRegressionImpliedBlockByBeingRemoved")
def test_an_implied_state_comes_when_its_remover_goes() -> None:
    """Dry blocks Wet, but Water removes Dry and brings Wet."""
    schema: dict[str, Any] = {
        "Wet": {"require": ["Water"]},
        "Dry": {"remove": ["Wet"]},
        "Water": {"add": ["Wet"], "remove": ["Dry"]},
    }
    m = machine(schema)
    m.set("Dry")
    m.set("Water")
    assert ended(m) == "(Wet:1 Water:1) [Dry:2]"
