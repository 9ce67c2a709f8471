"""The reference's tests of handlers that fail, and of errors that are added."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from asyncmachine import Event, LogLevel, Machine, Result, Tracer
from tests.reference.machines import NO_RELS, active, ended, machine, no_rels


class Failing:
    """BEnter raises."""

    def BEnter(self, e: Event) -> None:
        raise RuntimeError("BEnter panic")


class FailingState:
    """BState raises."""

    def BState(self, e: Event) -> None:
        raise RuntimeError("BState panic")


@pytest.mark.reference("TestPartialNegotiationPanic")
def test_a_failing_negotiation_handler_cancels(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is changed but Exception, which has the error."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = machine(NO_RELS, "A", log_level=LogLevel.EVERYTHING)
    m.bind(Failing())
    assert m.add("B") == Result.CANCELED
    assert (m.string_all(), m.active_states()) == ("(Exception:1 A:1) [B:0 C:0 D:0]", ("Exception", "A"))
    assert (str(m.err), m.queue_tick) == ("BEnter panic", 3)
    assert "[cancel] (B A) by recover" in caplog.text


@pytest.mark.reference("TestPartialFinalPanic")
def test_a_failing_final_handler_is_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    """States up to the failing one stay, it and those after it are taken back; the error keeps its origin."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = machine(NO_RELS, log_level=LogLevel.EVERYTHING)
    m.bind(FailingState())
    assert m.add("A", "B", "C") == Result.CANCELED
    assert active(m) == {"A", "Exception"}
    assert m.string_all() == "(Exception:1 A:1) [B:2 C:2 D:0]"
    assert m.queue_tick == 2
    assert "[cancel] (A B C) by recover" in caplog.text
    assert isinstance(m.err, RuntimeError)
    trace = m.err.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    assert trace.tb_frame.f_code.co_qualname == "FailingState.BState"


def _with_state(m: Machine) -> None:
    m.add_err(ValueError("test"), "B")
    m.add_err(ValueError("test"))


def _in_a_task_of_b(m: Machine) -> None:
    m.bind(WorkingB())
    m.add("B")


def _in_a_task(m: Machine) -> None:
    m.fork(fail())


async def fail() -> None:
    raise ValueError("test")


class WorkingB:
    """B's background work fails."""

    async def BState(self, e: Event) -> None:
        await fail()


@pytest.mark.reference("TestAddErr")
@pytest.mark.parametrize(
    ("cause", "states"), [(_with_state, {"B"}), (_in_a_task_of_b, {"B"}), (_in_a_task, set())], ids=["add_err", "handler", "fork"]
)  # fmt: skip
def test_errors_are_a_state(cause: Any, states: set[str]) -> None:
    """Errors that are added, and those of background work, activate Exception; an error state can come with it."""

    async def main() -> None:
        m = no_rels()
        cause(m)
        await m.when_err()
        assert m.is_err()
        assert active(m) == {"Exception", *states}
        assert str(m.err) == "test"

    asyncio.run(main())


class Slow(Tracer):
    """Notes which handlers are reported as slow."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def handler_slow(self, tx: Any, name: str, seconds: float) -> None:
        self.names.append(name)


@pytest.mark.reference("TestHandlerTimeout")
def test_a_slow_handler_is_reported_and_stands() -> None:
    """Python cannot interrupt a handler: where Go takes the state back, the transition stands and is reported."""

    class Handlers:
        def AState(self, e: Event) -> None:
            sum(range(10_000))

    slow = Slow()
    m = machine(NO_RELS, handlers=Handlers(), tracers=[slow], slow_handler_s=1e-9)
    assert m.add("A") is Result.EXECUTED
    assert slow.names == ["AState"]
    assert ended(m) == "(A:1) [B:0 C:0 D:0]"
