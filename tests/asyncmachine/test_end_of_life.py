"""Dispose removes Start, then takes effect between transitions, and is an end once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, Result
from tests.asyncmachine.scripted import Working

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def test_dispose_removes_start_first() -> None:
    """Dispose removes Start, so that StartEnd runs; then the machine is neutral."""
    seen: list[str] = []

    class Handlers:
        def StartEnd(self, e: Event) -> None:
            seen.append(e.name)

    m = Machine({"Start": {}}, handlers=Handlers())
    m.on_dispose(lambda: seen.append("disposed"))
    m.add("Start")
    m.dispose()
    m.dispose()
    assert seen == ["StartEnd", "disposed"]
    assert m.is_disposed
    assert [m.add("Start"), m.can_add("Start"), m.add_err(ValueError())] == [Result.CANCELED] * 3
    assert [m.is_("Start"), m.is_(), m.not_("Start"), m.any_("Start"), m.has("Start")] == [False] * 5
    assert (str(m), m.string_all(), m.inspect(), m.time(), m.clock(), m.tick("Start"), m.active_states()) == (
        "",
        "",
        "",
        (),
        {},
        0,
        (),
    )


def test_dispose_inside_a_handler() -> None:
    """Dispose in a handler takes effect when the queue is drained; new mutations are canceled at once."""

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B")
            e.machine.dispose()
            self.late = e.add("C")
            self.disposed = e.machine.is_disposed

        def BState(self, e: Event) -> None:
            self.ran = True

    h = Handlers()
    m = Machine(STATES, handlers=h)
    m.add("A")
    assert (h.late, h.disposed, h.ran, m.is_disposed) == (Result.CANCELED, False, True, True)


def test_dispose_in_the_end_of_start() -> None:
    """Disposing again while Start is being removed is the same end."""

    class Handlers:
        def StartEnd(self, e: Event) -> None:
            e.machine.dispose()

    m = Machine({"Start": {}}, handlers=Handlers())
    m.add("Start")
    m.dispose()
    assert m.is_disposed


def test_failing_dispose_function_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The others are still called."""
    m = Machine(STATES)
    seen: list[int] = []
    m.on_dispose(lambda: 1 // 0)
    m.on_dispose(lambda: seen.append(1))
    m.dispose()
    assert seen == [1]
    assert "on_dispose function failed" in caplog.text


def test_dispose_from_a_task_of_the_machine() -> None:
    """A task of the machine can dispose of it and wait for the others."""

    async def main() -> None:
        m = Machine(STATES, handlers=Working())
        m.add("A")
        ended: list[bool] = []

        async def end() -> None:
            m.dispose()
            try:
                await m.disposed()
            except asyncio.CancelledError:
                ended.append(m.is_disposed)
                raise

        m.fork(end())
        await m.disposed()
        assert ended == [True]

    run(main)
