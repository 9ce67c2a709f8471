"""A dry run changes nothing, and an eval has the machine to itself; inside a handler both wait for their turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Event, Machine, NestedEvalError, Result, Transition
from asyncmachine.errors import MachineDisposedError
from tests.asyncmachine.scripted import STATES, Refuse, Script, run


def test_can_add_asks_relations_and_handlers() -> None:
    """A dry run asks, and changes nothing."""
    h = Refuse()
    m = Machine(
        {"A": {"require": ["B"]}, "B": {}, "C": {}, "D": {}, "M": {"multi": True, "require": ["B"]}}, handlers=h
    )
    assert [m.can_add(s) for s in "ABDM"] == [Result.CANCELED, Result.CANCELED, Result.EXECUTED, Result.EXECUTED]
    assert m.can_remove("A") is Result.EXECUTED
    assert (m.time(), m.queue_tick, h.checks) == ((0,) * 6, 1, [True])


def test_mutations_of_a_dry_run_are_drained() -> None:
    """Mutations made by handlers of a dry run are processed before it returns."""
    m = Machine(STATES, handlers=Refuse())
    assert m.can_add("C") is Result.EXECUTED
    assert m.active_states() == ("D",)


def test_can_add_inside_a_handler_is_awaitable() -> None:
    """A dry run inside a handler is queued, and its outcome can be awaited."""

    async def main() -> None:
        m = Machine(STATES, handlers=(h := Script(lambda e: [e.machine.can_add("B")])))
        m.bind(Refuse())
        m.add("A")
        assert h.results[0].queued
        assert await h.results[0] == Result.CANCELED

    asyncio.run(main())


# eval


def test_eval_returns_value_and_raises() -> None:
    """Eval gives back the value, or what the function raises."""
    m = Machine(STATES)
    assert m.eval(lambda a, b: a + b, 1, 2, label="sum") == 3
    with pytest.raises(ZeroDivisionError):
        m.eval(lambda: 1 / 0)
    assert m.add("A").executed


def test_mutations_in_eval_follow_it() -> None:
    """Mutations made in an eval are queued and processed when it ends."""
    m = Machine(STATES)
    assert m.eval(lambda: m.add("A")).queued
    assert m.is_("A")


def test_nested_eval() -> None:
    """Eval in a handler or in an eval of the same machine is refused."""
    m = Machine(STATES, handlers=Script(lambda e: e.machine.eval(int, label="inner")))
    m.add("A")
    assert isinstance(m.err, NestedEvalError)
    with pytest.raises(NestedEvalError, match="inner"):
        m.eval(lambda: m.eval(int, label="inner"))


def test_eval_soon_on_an_idle_machine() -> None:
    """Eval_soon runs at once when idle, without an event loop."""
    m = Machine(STATES)
    outcome = m.eval_soon(lambda a: a * 2, 21)
    assert outcome.done
    assert outcome.result() == 42


def test_eval_soon_runs_before_the_queue() -> None:
    """Eval_soon in a handler runs after the transition, before queued mutations, in the order asked."""

    async def main() -> list[Any]:
        order: list[Any] = []

        def script(e: Event) -> list[Any]:
            e.add("B")
            return [e.machine.eval_soon(note, e.machine, n) for n in range(2)]

        def note(m: Machine, n: int) -> int:
            order.append((n, m.is_("B")))
            return n

        m, s = run(script)
        assert m.is_("B")
        return [order, [await outcome for outcome in s.results]]

    assert asyncio.run(main()) == [[(0, False), (1, False)], [0, 1]]


def test_eval_soon_error_reaches_the_awaiter() -> None:
    """What the function raises is raised where it is awaited."""

    async def main() -> None:
        m = Machine(STATES)
        with pytest.raises(ZeroDivisionError):
            await m.eval_soon(lambda: 1 / 0)
        assert not m.is_err()

    asyncio.run(main())


def test_eval_after_dispose() -> None:
    """Evals of a disposed machine raise."""

    async def main() -> None:
        m = Machine(STATES)
        m.dispose()
        with pytest.raises(MachineDisposedError):
            m.eval(int)
        with pytest.raises(MachineDisposedError):
            await m.eval_soon(int)

    asyncio.run(main())


def test_the_transition_of_a_dry_run_ends_with_it() -> None:
    """A handler that asks for it is given it, completed afterwards and without effect; the machine keeps none."""
    seen: list[Transition] = []

    class Handlers:
        def AEnter(self, e: Event) -> None:
            assert e.transition is not None
            seen.append(e.transition)

    m = Machine({"A": {}}, handlers=Handlers())
    assert m.can_add("A") is Result.EXECUTED
    (tx,) = seen
    assert (tx.completed, tx.before == tx.after, m.transition) == (True, True, None)
