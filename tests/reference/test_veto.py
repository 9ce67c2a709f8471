"""The reference's tests of negotiation handlers that refuse, and of dry runs."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from asyncmachine import Event, LogLevel, Result
from tests.reference.machines import NO_RELS, active, machine, rels


class Refuse:
    """Neither lets D in nor A out."""

    def DEnter(self, e: Event) -> bool:
        return False

    def AExit(self, e: Event) -> bool:
        return "D" in e.mutation.called


@pytest.mark.parametrize(
    ("mutation", "line"),
    [
        pytest.param("set D", "[cancel] (D) by DEnter", marks=pytest.mark.reference("TestNegotiationCancel"), id="set"),
        pytest.param("add D", "[cancel] (D A) by DEnter", marks=pytest.mark.reference("TestNegotiationCancel"), id="add"),
        pytest.param("remove A", "[cancel] () by AExit", marks=pytest.mark.reference("TestNegotiationRemove"), id="remove"),
    ],
)  # fmt: skip
def test_a_handler_refuses(mutation: str, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """A refused mutation is canceled, changes nothing, and the log names the handler."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = machine(NO_RELS, "A", log_level=LogLevel.EVERYTHING)
    m.bind(Refuse())
    kind, state = mutation.split()
    assert getattr(m, kind)(state) == Result.CANCELED
    assert active(m) == {"A"}
    assert line in caplog.text


@pytest.mark.reference("TestCanAdd")
def test_a_dry_run_changes_nothing() -> None:
    """`can_add` tells what `add` would do."""
    m = rels()
    assert [m.can_add("A"), m.can_add("C")] == [Result.CANCELED, Result.EXECUTED]
    expected: Any = ((0, 0, 0, 0, 0), 1)
    assert (m.time(), m.queue_tick) == expected
