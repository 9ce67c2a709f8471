"""The reference's tests of arguments, events and what a transition tells."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from asyncmachine import Event, LogLevel
from asyncmachine.logs import args_mapper
from tests.reference.machines import NO_RELS, ended, history, machine, no_rels


@pytest.mark.reference("TestHandlerArgs")
def test_arguments_reach_all_handlers() -> None:
    """Enter, Exit and State handlers are given the mutation's arguments."""
    seen: list[tuple[str, Any]] = []

    class Handlers:
        def BEnter(self, e: Event) -> None:
            seen.append((e.name, e.args))

        AExit = CState = BEnter

    m = no_rels("A")
    h = history(m)
    m.bind(Handlers())
    m.add("B", foo="bar")
    m.remove("A", foo="bar")
    m.set("C", foo="bar")
    assert seen == [(name, {"foo": "bar"}) for name in ("BEnter", "AExit", "CState")]
    assert h.text() == (
        "BEnter AA AB AnyEnter BState AnyState AExit AB AnyEnter AEnd AnyState BExit CEnter BC AnyEnter BEnd CState AnyState"
    )
    assert (ended(m), m.queue_tick) == ("(C:1) [A:2 B:2 D:0]", 5)


@pytest.mark.reference("TestHandlerStateInfo")
def test_handlers_see_the_transition() -> None:
    """Handlers see what was called, what will be or has become active, and which ticks change."""
    seen: dict[str, Any] = {}

    class Handlers:
        def DEnter(self, e: Event) -> None:
            tx = e.transition
            assert tx is not None
            assert str(tx) == f"tx#{tx.id}\n[set] D"
            seen["DEnter"] = (e.machine.active_states(), tx.target, tx.mutation.called, tx.enters, tx.exits)

        def DState(self, e: Event) -> None:
            tx = e.transition
            assert tx is not None
            changed = [a - b for a, b in zip(tx.after, tx.before, strict=True)]
            seen["DState"] = (dict(zip(e.machine.state_names, changed, strict=True)), tx.mutation.called)

    m = no_rels("A")
    h = history(m)
    m.bind(Handlers())
    m.set("D")
    assert seen == {
        "DEnter": (("A",), ("D",), ("D",), ("D",), ("A",)),
        "DState": ({"Exception": 0, "A": 1, "B": 0, "C": 0, "D": 1}, ("D",)),
    }
    assert h.text() == "AExit DEnter AD AnyEnter AEnd DState AnyState"


@pytest.mark.reference("TestLogArgs")
def test_chosen_arguments_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The machine's mapper chooses and cuts the arguments that are logged."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = machine(NO_RELS, "A", log_level=LogLevel.EVERYTHING)
    m.log_args = args_mapper(["arg", "arg2"], 5)
    m.add("D", arg="foofoofoo", secret="x")
    assert "(arg=fo...)" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.reference("TestGetters")
def test_settings_can_be_read() -> None:
    """The log level reads as it was set, and the queue of an idle machine is empty."""
    m = no_rels("A")
    m.log_level = LogLevel.EVERYTHING
    assert m.log_level is LogLevel.EVERYTHING
    assert m.queued() == ()
