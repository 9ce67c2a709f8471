"""Tests of single pieces of am-dbg's messages: steps and times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncmachine.export.amdbg.messages import Dialect, old_step_messages, step_messages, step_of
from asyncmachine.export.amdbg.times import pack_time, unpack_time
from asyncmachine.record import Step

NAMES = ("A", "B", "Any")
STEPS = [
    *(Step(kind, "A") for kind in ("called", "activate", "deactivate", "missing", "cancel")),
    *(Step("relation", "A", "B", relation) for relation in ("after", "add", "require", "remove")),
    *(Step("handler", "A", handler=f"A{suffix}") for suffix in ("Enter", "Exit", "State", "End")),
]
PAIRS = [Step("handler", "A", handler="AA"), Step("handler", "B", handler="AB")]


@pytest.mark.parametrize("step", STEPS + PAIRS)
def test_a_step_of_today_is_understood_again(step: Step) -> None:
    """A step that is sent reads as the same step."""
    (message,) = step_messages([step], NAMES)
    assert step_of(message, NAMES, "2026") == step


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_2024_is_understood_again(step: Step) -> None:
    """So does one in the shape of 2024."""
    (message,) = old_step_messages([step])
    assert step_of(message, NAMES, "2024") == step


def test_a_missing_state_is_told_with_its_relation() -> None:
    """A requirement that is missing is two steps, as the library sends them."""
    told = [step_of(message, NAMES, "2026") for message in step_messages([Step("missing", "A", "B", "require")], NAMES)]
    assert told == [Step("relation", "A", "B", "require"), Step("missing", "A")]


def test_what_am_dbg_cannot_show_is_left_out() -> None:
    """Handlers of any state, and kinds of steps it does not know, are not sent."""
    steps = [Step("handler", "Any", handler="AnyEnter"), Step("handler", "Q", handler="QEnter"), Step("dance", "A")]
    assert list(step_messages(steps, ("A", "B"))) == []
    assert list(old_step_messages([Step("dance", "A")])) == []


@pytest.mark.parametrize(
    ("dialect", "state"),
    [("2026", "A"), ("2024", "")],
)
def test_an_absent_number_is_state_0_today(dialect: Dialect, state: str) -> None:
    """Gob leaves out a zero: without a name, no number means the first state, where there are numbers."""
    assert step_of({"Type": 32, "FromStateIdx": -1}, NAMES, dialect) == Step("called", state)


@given(st.integers(-(10**19), 10**19), st.integers(-720, 840))
def test_times_go_there_and_back(unix_ns: int, zone: int) -> None:
    """Moments keep their nanoseconds and their zone."""
    assert unpack_time(pack_time(unix_ns, zone)) == (unix_ns, zone)


@pytest.mark.parametrize("data", [b"", b"\x02" * 15, b"\x01" + bytes(14), bytes(16)])
def test_other_times_are_none(data: bytes) -> None:
    """Times of another version, and Go's zero, are no moments."""
    assert unpack_time(data) is None
