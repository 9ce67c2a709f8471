"""Whatever leaves a machine by whatever way, a disposal that was asked for takes place, and what is not disposed goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, MachineDisposedError
from asyncmachine._observers import FACTS, HOOKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.asyncmachine.loops import Run

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}
LEAVING = [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit]
leaving = pytest.mark.parametrize("error", LEAVING, ids=lambda error: error.__name__)


def leave(machine: Machine, error: type[BaseException]) -> None:
    machine.dispose()
    raise error


def handlers(name: str, error: type[BaseException]) -> Any:
    return type("Handlers", (), {name: lambda self, e: leave(e.machine, error)})()


def by_handler(name: str) -> Callable[[type[BaseException]], Machine]:
    """Return a function that makes a machine whose handler disposes it and leaves."""

    def make(error: type[BaseException]) -> Machine:
        m = Machine(STATES)
        m.add("C")
        m.bind(handlers(name, error))
        return m

    return make


def queueing(error: type[BaseException]) -> Machine:
    """Return a machine that leaves in a queued mutation, with another one behind it."""

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B")
            e.add("M")

        def BState(self, e: Event) -> None:
            leave(e.machine, error)

    return Machine(STATES, handlers=Handlers())


def evaluating(error: type[BaseException]) -> Machine:
    """Return a machine that leaves in an eval which a handler has asked for."""

    class Handlers:
        def AState(self, e: Event) -> None:
            e.machine.eval_soon(leave, e.machine, error)

    return Machine(STATES, handlers=Handlers())


def checking(error: type[BaseException]) -> Machine:
    """Return a machine that leaves in a dry run which a handler has asked for."""

    class Handlers:
        def AState(self, e: Event) -> None:
            e.machine.can_add("B")

        def BEnter(self, e: Event) -> None:
            leave(e.machine, error)

    return Machine(STATES, handlers=Handlers())


PLACES: dict[str, Callable[[type[BaseException]], Machine]] = {
    **{name: by_handler(name) for name in ("AEnter", "CExit", "AState", "CEnd", "CA", "AnyEnter", "AnyState")},
    "queued": queueing,
    "eval": evaluating,
    "check": checking,
}


def traced(hook: str, error: type[BaseException], *, disposing: bool) -> Machine:
    """Return a machine with a tracer that leaves by one hook, once."""

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B")

    m = Machine(STATES, handlers=Handlers())
    left: list[str] = []

    def method(self: object, *args: Any) -> None:
        if not left:
            left.append(hook)
            if disposing:
                m.dispose()
            raise error

    m.bind_tracer(type("Leaving", (), {hook: method})())
    return m


def perform(m: Machine) -> None:
    """Make the mutations in which a machine of these tests leaves."""
    m.add("M")
    m.set("A")


@leaving
@pytest.mark.parametrize("place", PLACES)
def test_dispose_and_leave(place: str, error: type[BaseException], run: Run) -> None:
    """The machine is disposed when the call is over: waits fail, functions are called, and `disposed` ends."""

    async def main() -> None:
        m = PLACES[place](error)
        waits = [m.when("B", "C", "M"), m.when_args("M", never=1), m.when_query(lambda clock: False)]
        called: list[str] = []
        ctx = m.state_ctx("Exception")
        m.on_dispose(lambda: called.append("on_dispose"))
        with pytest.raises(error):
            perform(m)
        assert m.is_disposed
        assert ctx.expired
        assert called == ["on_dispose"]
        for wait in waits:
            with pytest.raises(MachineDisposedError):
                await wait
        await m.disposed()
        await m.when_disposed()

    run(main)


ELSEWHERE = (
    "machine_init", "machine_bound", "submachine_new", "schema_change", "handler_slow", "pipe_add", "log",
    "state_ctx_new", "subscription_new", "task_fork",
)  # fmt: skip
"""Hooks that are called where something is made, in no transition, and those that need more than a tracer."""


@leaving
@pytest.mark.parametrize("disposing", [False, True])
@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook not in ELSEWHERE])
def test_a_tracer_that_leaves(hook: str, disposing: bool, error: type[BaseException], run: Run) -> None:
    """By whatever hook: the machine is disposed if that was asked for, else the next call goes on; nobody waits for ever."""

    async def main() -> None:
        m = traced(hook, error, disposing=disposing)
        met, ended, end = m.when("A"), m.when("A", "C"), m.when_disposed()
        contexts = [m.state_ctx("A"), m.state_ctx("M"), m.state_ctx("B")]
        left = 0
        for step in (perform, lambda m: m.add("B"), lambda m: m.dispose()):
            try:
                step(m)
            except error:
                left += 1
            assert m.is_disposed or not disposing or not left
        assert left == 1
        assert m.is_disposed
        assert all(ctx.expired for ctx in contexts)
        with pytest.raises(MachineDisposedError):
            await ended
        assert (met.done(), end.done()) == (True, True)
        await m.disposed()

    run(main)


@leaving
def test_every_function_of_on_dispose_is_called(error: type[BaseException], run: Run) -> None:
    """Whatever leaves one of them."""

    async def main() -> None:
        m = Machine(STATES)
        called: list[int] = []

        def first() -> None:
            called.append(1)
            raise error

        m.on_dispose(first)
        m.on_dispose(lambda: called.append(2))
        end = m.when_disposed()
        with pytest.raises(error):
            m.dispose()
        assert called == [1, 2]
        assert end.done()

    run(main)


@leaving
@pytest.mark.parametrize("disposing", [False, True])
@pytest.mark.parametrize("hook", ["transition_end", FACTS])
def test_a_tracer_of_ends_that_leaves(hook: str, disposing: bool, error: type[BaseException]) -> None:
    """The mutation it heard of is committed, and what it has queued is done by the next call, or before the end if it disposes."""
    left: list[str] = []

    def method(self: object, *args: Any) -> None:
        if not left:
            left.append(hook)
            m.add("B")
            if disposing:
                m.dispose()
            raise error

    m = Machine(STATES, tracers=[type("Leaving", (), {hook: method})()])
    with pytest.raises(error):
        m.add("A")
    assert (m.is_disposed, m.is_("A"), m.queue_len) == (disposing, not disposing, int(not disposing))
    assert m.add("M").canceled == disposing
    assert m.is_("A", "B", "M") == (not disposing)


@pytest.mark.parametrize("error", [error for error in LEAVING if error is not asyncio.CancelledError])
def test_a_question_that_leaves(error: type[BaseException], run: Run) -> None:
    """What has changed stays so, and whoever asks goes on waiting; a cancellation is the outcome of the wait instead."""

    async def main() -> None:
        m = Machine(STATES)
        answers: list[bool | type[BaseException]] = [False, error, True]

        def question(clock: object) -> bool:
            answer = answers.pop(0)
            if isinstance(answer, bool):
                return answer
            raise answer

        wait = m.when_query(question)
        with pytest.raises(error):
            m.add("A")
        assert m.is_("A")
        assert not wait.done()
        m.add("B")
        assert wait.done()

    run(main)
