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


class Named(Machine):
    """A subclass with another constructor, a dictionary, and itself as its handlers."""

    def __init__(self, owner: str, *, schema: Any = Door) -> None:
        super().__init__(schema, id="named", handlers=self)
        self.owner = owner
        self.calls: list[str] = []

    def OpenState(self, e: Event) -> None:
        self.calls.append(self.owner)


class Slotted(Machine):
    """A subclass with slots, one of them private, one never set."""

    __slots__ = ("__secret", "owner", "unset")

    def __init__(self, owner: str) -> None:
        super().__init__(Door)
        self.owner = owner
        self.__secret = f"{owner}'s"

    @property
    def secret(self) -> str:
        return self.__secret


class Both(Slotted):
    """Slots and a dictionary."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.more = [owner]


@WAYS
def test_a_subclass_keeps_its_attributes(copied: Callable[[Any], Any]) -> None:
    """What it has added to a machine, in its dictionary and in slots; its constructor is not called."""
    named = Named("anna")
    named.add("Open")
    twin = copied(named)
    assert (type(twin), twin.owner, twin.calls, twin.id) == (Named, "anna", ["anna"], "named")
    assert twin.export() == named.export()
    slotted = copied(Slotted("berta"))
    assert (type(slotted), slotted.owner, slotted.secret) == (Slotted, "berta", "berta's")
    assert not hasattr(slotted, "unset")
    both = copied(Both("carla"))
    assert (both.owner, both.secret, both.more) == ("carla", "carla's", ["carla"])


@WAYS
def test_a_machine_that_is_its_own_handlers(copied: Callable[[Any], Any]) -> None:
    """The copy's handlers are the copy."""
    named = Named("anna")
    twin = copied(named)
    twin.owner = "berta"
    twin.add("Open")
    assert twin._handlers == (twin,)
    assert twin.calls[-1] == "berta"
    assert named.not_("Open")


def pick(args: Any) -> dict[str, str]:
    return dict.fromkeys(args, "x")


@WAYS
def test_what_picks_arguments_for_logs(copied: Callable[[Any], Any]) -> None:
    """A function that was put in its place is kept."""
    m = Machine(Door)
    assert copied(m).log_args is m.log_args
    m.log_args = pick
    assert copied(m).log_args is pick


class Special(State):
    __slots__ = ("note",)


@WAYS
def test_what_would_lose_something_is_refused_by_name(copied: Callable[[Any], Any]) -> None:
    """A subclass of `State`, a local schema with more than states, and the result of a queued dry run."""

    class Local(Schema):
        A = State()
        limit = 5

        @classmethod
        def of_the_house(cls) -> str:
            return cls.A

    with pytest.raises(TypeError, match="'Special'"):
        copied(Special())
    with pytest.raises(SchemaError, match=r"Local: .*lose limit, of_the_house"):
        copied(Machine(Local))
    checks: list[Result] = []
    m = Machine(Door)
    m.eval(lambda: checks.append(m.can_add("Open")))
    with pytest.raises(TypeError, match="'QueuedCheck'"):
        pickle.dumps(checks[0])


def test_not_at_work_and_not_disposed() -> None:
    """Between mutations only, and not after the end."""
    errors: list[BaseException] = []

    class Copying:
        def OpenState(self, e: Event) -> None:
            with pytest.raises(AsyncMachineError, match="only between mutations") as caught:
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
    assert copied(Result.CANCELED) == Result.CANCELED
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
