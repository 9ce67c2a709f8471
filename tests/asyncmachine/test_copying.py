"""Schemas, machines, results and errors survive pickling and copying."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import (
    AsyncMachineError,
    Event,
    HandlerError,
    HandlerNameError,
    LogLevel,
    Machine,
    MachineDisposedError,
    NestedEvalError,
    Result,
    Schema,
    SchemaError,
    State,
    UnknownStateError,
    pipes,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Door(Schema):
    Open = State(remove="Closed")
    Closed = State(auto=True, remove=Open)
    Knocked = State(multi=True, require=Closed, tags=("sound", "loud:1"))


class Handlers:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.machine: Machine | None = None

    def OpenState(self, e: Event) -> None:
        self.calls.append(f"OpenState {e.machine.id}")


def by_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


WAYS = pytest.mark.parametrize("copied", [by_pickle, copy.deepcopy, copy.copy])


@WAYS
def test_schema_and_states(copied: Callable[[Any], Any]) -> None:
    """A schema class is itself; a state is an equal one, immutable as before."""
    assert copied(Door) is Door
    for name, state in Door.states.items():
        twin = copied(state)
        assert (twin, twin.name, twin.tags) == (state, name, state.tags)
        with pytest.raises(AttributeError, match="immutable"):
            twin.auto = True


@WAYS
@pytest.mark.parametrize("schema", [Door, Door.to_dict(), Schema.of(Door.to_dict(), name="Gate")])
def test_machine(copied: Callable[[Any], Any], schema: Any) -> None:
    """An equal machine: ticks, order, options and handlers; the two go different ways from then on."""
    m = Machine(schema, id="m", handlers=Handlers(), queue_limit=7, slow_handler_s=2.0, tags=("t",))
    for state in ("Knocked", "Open", "Closed", "Knocked"):
        m.add(state)
    twin = copied(m)
    assert twin is not m
    assert (twin.export(), twin.string_all(), twin.inspect()) == (m.export(), m.string_all(), m.inspect())
    assert (twin.queue_limit, twin.slow_handler_s, twin.tags, twin.log_level) == (7, 2.0, ("t",), LogLevel.NOTHING)
    assert twin.schema.__name__ == m.schema.__name__
    before = m.string_all()
    twin.add("Open")
    assert m.string_all() == before
    assert twin._handlers[0].calls == ["OpenState m"] * 2
    assert (twin._handlers[0] is m._handlers[0]) is (copied is copy.copy)


@pytest.mark.parametrize("copied", [by_pickle, copy.deepcopy])
def test_handlers_that_know_their_machine(copied: Callable[[Any], Any]) -> None:
    """The copy of the handlers knows the copy of the machine, whichever is copied."""
    handlers = Handlers()
    handlers.machine = Machine(Door, handlers=handlers)
    twin = copied(handlers)
    assert twin.machine is not handlers.machine
    assert twin.machine._handlers == (twin,)
    machine = copied(handlers.machine)
    assert machine._handlers[0].machine is machine


@WAYS
def test_pipes_stay_behind(copied: Callable[[Any], Any]) -> None:
    """The copy of a machine leads nobody, and the original goes on leading."""
    m, follower = Machine(Door), Machine(Door)
    pipe = pipes.add(m, follower, "Open")
    twin = copied(m)
    twin.add("Open")
    assert follower.not_("Open")
    assert pipe.is_bound
    m.add("Open")
    assert follower.is_("Open")


def test_not_at_work_and_not_disposed() -> None:
    """Between mutations only, and not after the end."""
    errors: list[BaseException] = []

    class Copying:
        def OpenState(self, e: Event) -> None:
            with pytest.raises(AsyncMachineError, match="between mutations only") as caught:
                copy.copy(e.machine)
            errors.append(caught.value)

    m = Machine(Door, handlers=Copying())
    m.add("Open")
    assert len(errors) == 1
    m.dispose()
    with pytest.raises(MachineDisposedError):
        pickle.dumps(m)


@WAYS
def test_results(copied: Callable[[Any], Any]) -> None:
    """The constants stay themselves, a queued result an equal one."""
    assert copied(Result.EXECUTED) is Result.EXECUTED
    assert copied(Result.CANCELED) is Result.CANCELED
    assert copied(Result(5)) == Result(5)


@WAYS
@pytest.mark.parametrize(
    "error",
    [
        SchemaError("wrong", schema="S", state="A", matches=("B",)),
        UnknownStateError("Opne", "m", Door.names),
        HandlerError("wrong", handler="h", owner="O"),
        HandlerNameError("OpneState", "Handlers", ("OpenState",)),
        NestedEvalError("m", "label"),
        MachineDisposedError("m"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors(copied: Callable[[Any], Any], error: AsyncMachineError) -> None:
    """The same class, the same message, the same facts."""
    twin = copied(error)
    assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))
