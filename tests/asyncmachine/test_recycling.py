"""A machine that nobody looks at begins another life, and cannot be told from one that was just made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, Schema, State, Tracer
from asyncmachine._runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable


class Flow(Schema):
    Start = State(add="Ask")
    Ask = State(remove="Done")
    Done = State(remove="Ask", multi=True)
    Quiet = State()


class Handlers:
    def __init__(self) -> None:
        self.ended = 0

    def AskState(self, e: Event) -> None:
        e.machine.add("Done", n=1)

    def DoneState(self, e: Event) -> None:
        e.machine.add("Quiet")

    def StartEnd(self, e: Event) -> None:
        self.ended += 1


class Silent(Tracer):
    pass


def parts_of(machine: Machine) -> dict[str, Any]:
    """Everything that a machine keeps, but for references to others."""
    parts = {name: getattr(machine, name, None) for name in (*Runtime.__slots__, *Machine.__slots__)}
    del parts["__weakref__"]
    parts["_queue"] = list(parts["_queue"] or ())
    parts["_urgent"] = list(parts["_urgent"] or ())
    return parts


def test_a_recycled_machine_has_all_parts_of_a_new_one() -> None:
    """Whatever it did: its ticks, queue, errors and names are those of a machine that was just made."""
    handlers = Handlers()
    m = Machine(Flow, id="a", handlers=handlers, tags=("t",))
    new = Machine(Flow, id="b", handlers=handlers, tags=("t",))
    for _ in range(3):
        m.add("Start")
        m.remove("Quiet")
        assert not m.can_add("Start").canceled
        assert m.recycle(id="b")
        assert parts_of(m) == parts_of(new)
        assert m.export() == new.export()
    assert handlers.ended == 3


def test_it_lives_as_a_new_one_does() -> None:
    """The same mutations give the same ticks, results and queue ticks in every life."""
    m = Machine(Flow, handlers=Handlers())
    lives = []
    for number in range(4):
        results = [m.add("Start"), m.add("Done"), m.remove("Ask"), m.add("Ask")]
        lives.append((results, m.time(), m.active_states(), m.queue_tick))
        assert m.recycle(id=f"life {number}")
        assert m.id == f"life {number}"
    assert lives == [lives[0]] * 4


def test_without_an_id_it_is_numbered() -> None:
    """As by the constructor, so that no two lives have the same name."""
    m = Machine(Flow)
    first = m.id
    assert m.recycle()
    assert m.id != first


SEEN: dict[str, Callable[[Machine], object]] = {
    "wait": lambda m: m.when("Done"),
    "old wait": lambda m: m.when("Done").cancel(),
    "wait for arguments": lambda m: m.when_args("Done", n=1),
    "context": lambda m: m.state_ctx("Start"),
    "task": lambda m: m.fork(asyncio.sleep(0)),
    "tracer": lambda m: m.bind_tracer(Silent()),
    "old tracer": lambda m: (m.bind_tracer(tracer := Silent()), m.unbind_tracer(tracer)),
    "log": lambda m: setattr(m, "log_level", 1),
    "slow handlers": lambda m: setattr(m, "slow_handler_s", 1.0),
    "end": lambda m: m.on_dispose(print),
    "error": lambda m: (m.when_err(), m.add_err(ValueError("planted"))),
    "disposed": lambda m: m.dispose(),
}


@pytest.mark.parametrize("seen", SEEN)
def test_what_somebody_knows_of_is_not_recycled(seen: str) -> None:
    """A wait, a context, a task, a tracer, a log, an error or a function would be left behind, or meet another life."""

    async def main() -> None:
        m = Machine(Flow, id="a", handlers=Handlers())
        m.add("Quiet")
        SEEN[seen](m)
        before = m.time("Quiet")
        assert not m.recycle(id="b")
        assert m.id == "a"
        assert m.time("Quiet") == before
        m.dispose()
        assert m.is_disposed

    asyncio.run(main())


def test_a_busy_machine_is_not_recycled() -> None:
    """Neither in a handler nor in an eval of its own."""
    answers: list[bool] = []

    class Own:
        def QuietState(self, e: Event) -> None:
            answers.append(e.machine.recycle(id="x"))

    m = Machine(Flow, handlers=Own())
    m.add("Quiet")
    m.eval(lambda: answers.append(m.recycle(id="x")))
    assert answers == [False, False]
    assert m.is_active("Quiet")


def test_a_child_of_a_traced_parent_is_not_recycled() -> None:
    """The parent's tracers are told of every machine that begins, and are handed machines of their own."""
    parent = Machine(Flow)
    child = Machine(Flow, parent=parent)
    assert child.recycle(id="second")
    tracer = Silent()
    parent.bind_tracer(tracer)
    assert not child.recycle(id="third")
    parent.unbind_tracer(tracer)
    assert child.recycle(id="third")


def test_what_the_end_of_start_does_is_of_the_old_life() -> None:
    """A handler of its end that makes somebody wait keeps the machine from another life."""

    class Own:
        def StartEnd(self, e: Event) -> None:
            e.machine.state_ctx("Quiet")

    m = Machine(Flow, id="a", handlers=Own())
    m.add("Start")
    assert not m.recycle(id="b")
    assert (m.id, m.is_active("Start")) == ("a", False)
