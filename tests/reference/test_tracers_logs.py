"""The reference's tests of tracers, bound handlers and the log."""

from __future__ import annotations

import logging

import pytest

from asyncmachine import Event, HandlerError, LogLevel, Machine, Tracer
from tests.reference.machines import ended, no_rels


class Inits(Tracer):
    """Notes machines and transitions."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def machine_init(self, machine: Machine) -> None:
        self.seen.append(machine.id)

    def transition_end(self, tx: object) -> None:
        self.seen.append("transition")


class Handlers:
    """One handler."""

    def AState(self, e: Event) -> None:
        return None


@pytest.mark.reference("TestTracers")
def test_a_tracer_belongs_to_one_machine() -> None:
    """A tracer sees its machine from construction on, and no other one, not even the parent."""
    tracer = Inits()
    parent = no_rels()
    m = Machine({"A": {}}, id="child", parent=parent, handlers=Handlers(), tracers=[tracer])
    parent.add("A")
    assert tracer.seen == ["child"]
    m.add("A")
    assert tracer.seen == ["child", "transition"]
    m.dispose()
    assert m.is_disposed
    assert not parent.is_disposed


@pytest.mark.reference("TestBindTracer")
def test_tracers_can_be_bound_and_unbound() -> None:
    """A bound tracer sees transitions until it is unbound."""
    tracer = Inits()
    m = no_rels()
    m.bind_tracer(tracer)
    m.add("A")
    m.unbind_tracer(tracer)
    m.add("B")
    assert tracer.seen == ["transition"]


@pytest.mark.reference("TestUnbindHandlers")
def test_handlers_can_be_unbound() -> None:
    """The id that `bind` returns unbinds, once."""
    m = no_rels()
    binding = m.bind(Handlers())
    m.unbind(binding)
    with pytest.raises(HandlerError, match=binding):
        m.unbind(binding)


@pytest.mark.reference("TestLogger")
def test_the_log_can_be_switched(caplog: pytest.LogCaptureFixture) -> None:
    """The level can be changed at any time, and users write lines of their own."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = no_rels()
    m.add("B")
    assert caplog.messages == []
    m.log_level = LogLevel.EVERYTHING
    m.add("A")
    m.log("foo")
    assert [text for text in caplog.messages if "[state] +A B" in text or "[exter] foo" in text] == [
        f"[{m.id[:5]}] [state] +A B",
        f"[{m.id[:5]}] [exter] foo",
    ]
    caplog.clear()
    m.log_level = LogLevel.NOTHING
    m.remove("B")
    assert caplog.messages == []
    assert (ended(m), m.queue_tick) == ("(A:1) [B:2 C:0 D:0]", 4)
