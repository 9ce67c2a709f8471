"""The reference's tests of Auto states."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from asyncmachine import Event, LogLevel
from tests.reference.machines import NO_RELS, active, ended, machine

AUTO: dict[str, Any] = {"auto": True}


@pytest.mark.reference("TestAutoStates")
def test_an_auto_state_follows(caplog: pytest.LogCaptureFixture) -> None:
    """An Auto state comes by itself once its requirement is there."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = machine({**NO_RELS, "B": {**AUTO, "require": ["A"]}}, log_level=LogLevel.EVERYTHING)
    assert m.add("A").executed
    assert (ended(m), m.queue_tick) == ("(A:1 B:1) [C:0 D:0]", 2)
    assert "[auto] B" in caplog.text


@pytest.mark.reference("TestPartialAutoStates")
def test_auto_states_come_one_without_the_other(caplog: pytest.LogCaptureFixture) -> None:
    """An Auto state without its requirement does not hold back another one."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = machine({**NO_RELS, "A": AUTO, "B": {**AUTO, "after": ["A"], "require": ["C"]}}, log_level=LogLevel.EVERYTHING)
    assert m.add("D").executed
    assert active(m) == {"A", "D"}
    assert "[auto_] +A" in caplog.text


@pytest.mark.reference("TestPartialAuto")
def test_no_auto_state_comes(caplog: pytest.LogCaptureFixture) -> None:
    """Autos without their requirement are refused together, and their cause stands."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    needy = {**AUTO, "require": ["B"]}
    m = machine({**NO_RELS, "C": needy, "D": needy}, log_level=LogLevel.EVERYTHING)
    m.add("A")
    assert (active(m), m.queue_tick) == ({"A"}, 2)
    assert "[cancel:reject] C D" in caplog.text


class RefuseB:
    """Never lets B in; BState must not run."""

    def BState(self, e: Event) -> None:
        raise AssertionError(e.name)


class ByPair(RefuseB):
    def CB(self, e: Event) -> bool:
        return False


class ByEnter(RefuseB):
    def BEnter(self, e: Event) -> bool:
        return False


class BySelf(RefuseB):
    def CC(self, e: Event) -> bool:
        return False


@pytest.mark.parametrize(
    ("schema", "handlers", "left"),
    [
        pytest.param({"A": AUTO, "B": AUTO, "C": {}}, ByPair(), "(A:1 C:1) [B:0]", marks=pytest.mark.reference("TestPartialAutoStatesByStateState"), id="pair"),
        pytest.param({"A": AUTO, "B": {**AUTO, "add": ["D"]}, "C": {}, "D": {}}, ByEnter(), "(A:1 C:1) [B:0 D:0]", marks=pytest.mark.reference("TestPartialAutoStatesByEnter"), id="enter"),
        pytest.param({"A": AUTO, "B": AUTO, "C": {}}, BySelf(), "(C:1) [A:0 B:0]", marks=pytest.mark.reference("TestPartialAutoStatesBySelfHandler"), id="self"),
    ],
)  # fmt: skip
def test_a_handler_refuses_an_auto_state(schema: dict[str, Any], handlers: object, left: str) -> None:
    """A handler about an Auto state drops it alone; one about another state cancels the auto transition."""
    m = machine(schema, handlers=handlers)
    assert m.add("C").executed
    assert ended(m) == left
    assert not m.is_err()
