"""Intended differences from the reference: handlers, and what observes a machine from outside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Event, HandlerError, Machine, Result, pipes
from asyncmachine.history import History, UntrackedStateError
from tests.asyncmachine.differences.machines import PLAIN, build, refuse, text

# handlers


def test_q24_handlers_are_checked_when_they_are_bound() -> None:
    """A coroutine function cannot negotiate, and a name like a handler's has to name a state."""

    class Coroutine:
        async def AEnter(self, e: Event) -> bool:
            return True

    class Misspelt:
        def AaState(self, e: Event) -> None: ...

    for handlers in (Coroutine(), Misspelt()):
        with pytest.raises(HandlerError):
            Machine(PLAIN, handlers=handlers)


@pytest.mark.parametrize(
    ("answer", "expected"), [(None, "executed"), (True, "executed"), (1, "executed"), (0, "canceled"), ("", "canceled"), ([], "canceled")]
)  # fmt: skip
def test_none_is_no_veto(answer: object, expected: str) -> None:
    """Anything else is judged by its truth."""
    assert str(build(PLAIN, AEnter=lambda e: answer).add("A")) == expected


def test_the_context_of_an_event() -> None:
    """X's for X's handlers, Y's for a pair XY, none for the Any handlers."""
    seen: dict[str, Any] = {}

    def look(e: Event) -> None:
        seen[e.name] = e.ctx and (e.ctx.state, e.ctx.tick, e.ctx.expired)

    names = ("AExit", "BEnter", "AB", "AnyEnter", "AEnd", "BState", "AnyState")
    m = build(PLAIN, "A", **dict.fromkeys(names, look))
    m.set("B")
    assert seen == {
        "AExit": ("A", 1, False), "BEnter": ("B", 0, False), "AB": ("B", 0, False), "AnyEnter": None,
        "AEnd": ("A", 2, False), "BState": ("B", 1, False), "AnyState": None,
    }  # fmt: skip


def test_a_transition_can_be_read_afterwards() -> None:
    """Ticks before and after are tuples in state order, also of a canceled one."""
    seen: list[Any] = []
    m = build(
        PLAIN, "A", BEnter=lambda e: seen.append(e.transition), BExit=lambda e: seen.append(e.transition), CEnter=refuse
    )
    m.set("B")
    m.set("C")
    assert [(tx.before, tx.after, tx.accepted, tx.canceled_by) for tx in seen] == [
        ((0, 1, 0, 0, 0), (0, 2, 1, 0, 0), True, ""),
        ((0, 2, 1, 0, 0), (0, 2, 1, 0, 0), False, "CEnter"),
    ]


# slow handlers


def test_a_slow_handler_stands(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is taken back, nothing is dropped, nobody waits: it is reported."""

    def queue(e: Event) -> None:
        e.add("B")

    m = build(PLAIN, AState=queue)
    m.slow_handler_s = 0.0
    assert m.add("A") is Result.EXECUTED
    assert text(m) == "(A:1 B:1) [C:0 D:0]"
    assert "[handler:slow]" in caplog.text


# pipes and history


def test_q43_a_pipe_from_the_whole_machine_mirrors_removals() -> None:
    """What the source loses, the target loses."""

    async def main() -> None:
        source, target = Machine(PLAIN), Machine(PLAIN)
        pipes.bind_any(source, target)
        source.add("A", "B")
        source.remove("A")
        assert target.active_states() == ("B",)

    asyncio.run(main())


def test_q44_a_history_leaves_out_what_it_is_told_to() -> None:
    """Mutations and changes that are excluded are not recorded, and a state that is not tracked is no question."""
    m = Machine(PLAIN)
    history = History(m, ("A",), called_exclude=("B",), changed_exclude=("C",))
    m.add("A")
    m.add("B")
    m.add("C")
    assert [record.called for record in history.find()] == [("A",)]
    with pytest.raises(UntrackedStateError, match="'B' is not tracked"):
        history.active_between("B")
