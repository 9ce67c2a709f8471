"""An interruption leaves the call, and what it left in the queue is processed by the next one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Event, Machine, Result
from tests.asyncmachine.scripted import STATES


class Interrupt:
    """Interrupts the program once."""

    def __init__(self) -> None:
        self.armed = True

    def AState(self, e: Event) -> None:
        e.add("D")
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt


def test_interruption_leaves_the_call_and_the_queue() -> None:
    """KeyboardInterrupt leaves the call, the state is taken back, and the next mutation goes on with the queue."""
    m = Machine(STATES, handlers=Interrupt())
    with pytest.raises(KeyboardInterrupt):
        m.add("A")
    assert (m.tick("A"), m.is_err(), m.queue_len) == (2, False, 1)
    assert m.add("B") is Result.EXECUTED
    assert m.is_("B", "D")


def test_cancelled_error_is_never_an_exception_state() -> None:
    """CancelledError passes through handlers and add_err."""

    class Cancel:
        def AEnter(self, e: Event) -> None:
            raise asyncio.CancelledError

    m = Machine(STATES, handlers=Cancel())
    with pytest.raises(asyncio.CancelledError):
        m.add("A")
    assert m.add_err(asyncio.CancelledError()) == Result.CANCELED
    assert not m.is_err()


class Interrupts:
    """Interrupts the program in AState, after queueing B with a dry run and an eval."""

    def AState(self, e: Event) -> None:
        e.add("B")
        raise KeyboardInterrupt

    def DState(self, e: Event) -> None:
        e.add("C")
        raise KeyboardInterrupt


def interrupted(**options: Any) -> Machine:
    m = Machine(STATES, handlers=Interrupts(), **options)
    with pytest.raises(KeyboardInterrupt):
        m.add("A")
    assert m.queue_len == 1
    return m


@pytest.mark.parametrize(
    "go_on",
    [
        lambda m: m.eval(int),
        lambda m: m.eval_soon(int),
        lambda m: m.can_add("C"),
        lambda m: m.add("B"),
        lambda m: m.remove("C"),
    ],
)
def test_anything_goes_on_with_an_interrupted_queue(go_on: Any) -> None:
    """What an interruption left in the queue is processed by the next call of any kind, a dropped duplicate included."""
    m = interrupted()
    go_on(m)
    assert m.is_("B")
    assert (m.queue_len, m._flags) == (0, 0)


def test_who_waits_for_an_interrupted_mutation_is_told() -> None:
    """Its tick has come, though it was cut short; who waits for what is still queued goes on waiting."""

    async def main() -> None:
        waits: list[asyncio.Future[None]] = []

        class Handlers:
            def AState(self, e: Event) -> None:
                waits.append(e.machine.when_queue(e.add("B")))
                waits.append(e.machine.when_queue(e.add("C")))

            def BState(self, e: Event) -> None:
                raise KeyboardInterrupt

        m = Machine(STATES, handlers=Handlers())
        with pytest.raises(KeyboardInterrupt):
            m.add("A")
        assert [wait.done() for wait in waits] == [True, False]
        m.add("D")
        assert [wait.done() for wait in waits] == [True, True]

    asyncio.run(main())


def test_dispose_after_an_interruption() -> None:
    """The queue is processed before the end."""
    m = interrupted()
    seen: list[bool] = []
    m.on_dispose(lambda: seen.append(m.is_disposed))
    m.dispose()
    m.on_dispose(lambda: seen.append(m.is_disposed))
    assert seen == [True, True]
    assert m.queue_tick == 3


@pytest.mark.parametrize("call", [lambda m: m.add("C", x=1), lambda m: m.eval(int), lambda m: m.can_add("C")])
def test_interrupted_while_going_on(call: Any) -> None:
    """A second interruption leaves the rest of the queue again."""
    m = Machine(STATES, handlers=Interrupts())
    with pytest.raises(KeyboardInterrupt):
        m.eval(lambda: [m.add("D"), m.add("A"), m.add("B", x=1)])
    with pytest.raises(KeyboardInterrupt):
        call(m)
    assert m.queue_len > 0
    m.remove("C")
    m.add("C")
    assert m.queue_len == 0


def test_interrupted_eval_reaches_its_caller() -> None:
    """An interruption in an eval that somebody awaits leaves the call; the awaiter gets it too."""
    m = Machine(STATES)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        m.eval_soon(interrupt)
    assert m.add("A") is Result.EXECUTED
