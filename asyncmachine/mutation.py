"""What is asked of a machine, what became of it, and what do handlers see of it? `Mutation`, `Result`, `Event`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from asyncmachine.machine import Machine
    from asyncmachine.transition import Transition
    from asyncmachine.waiting import StateContext, TaskOf

ADD = "add"
REMOVE = "remove"
SET = "set"
EVAL = "eval"


class Result:
    """The outcome of a mutation: `Result.EXECUTED`, `Result.CANCELED`, or queued with the tick it was promised.

    Attributes:
        executed: it was carried out.
        canceled: relations or a handler refused it; nothing changed.
        queued: the machine was busy; it will run later.
        tick: the queue tick promised, 0 unless queued (`Machine.when_queue` takes the result).
    """

    __slots__ = ("canceled", "executed", "queued", "tick")

    EXECUTED: Result
    CANCELED: Result

    def __init__(self, *, executed: bool = False, canceled: bool = False, queued: bool = False, tick: int = 0) -> None:
        self.executed = executed
        self.canceled = canceled
        self.queued = queued
        self.tick = tick

    def __bool__(self) -> NoReturn:
        raise TypeError("a Result has no truth value: queued is no success; ask for .executed, .canceled or .queued")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and (self._key() == other._key())

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        if self.queued:
            return f"Result.queued(tick={self.tick})"
        return "Result.EXECUTED" if self.executed else "Result.CANCELED"

    def _key(self) -> tuple[bool, bool, int]:
        return self.executed, self.queued, self.tick


Result.EXECUTED = Result(executed=True)
Result.CANCELED = Result(canceled=True)


class Source:
    """Where a traced mutation came from.

    Attributes:
        machine: id of the machine whose handler made it.
        transition: id of that handler's transition.
        time: sum of that machine's ticks before it.
    """

    __slots__ = ("machine", "time", "transition")

    def __init__(self, machine: str, transition: str, time: int) -> None:
        self.machine = machine
        self.transition = transition
        self.time = time

    def __str__(self) -> str:
        return f"{self.machine}/{self.transition}/{self.time}"


class Mutation:
    """A request to a machine. Read-only.

    Attributes:
        kind: "add", "remove" or "set" ("eval" for functions).
        called: the states named in it.
        args: what handlers get.
        is_auto: made by the machine for its Auto states.
        is_check: a dry run.
        source: where it came from, or None.
        queue_tick: the tick promised when it was queued; 0 if it was put in front.
    """

    __slots__ = ("args", "called", "is_auto", "is_check", "kind", "makes_auto", "on_done", "queue_tick", "source")

    def __init__(
        self,
        kind: str,
        called: tuple[str, ...],
        args: dict[str, Any],
        *,
        is_auto: bool = False,
        is_check: bool = False,
        makes_auto: bool = True,
        source: Source | None = None,
        on_done: Callable[[Result], None] | None = None,
    ) -> None:
        self.kind = kind
        self.called = called
        self.args = args
        self.is_auto = is_auto
        self.is_check = is_check
        self.makes_auto = makes_auto
        self.source = source
        self.on_done = on_done
        self.queue_tick = 0

    def __str__(self) -> str:
        return f"[{self.kind}] {' '.join(self.called)}"


class QueuedCall:
    """A function on the queue."""

    __slots__ = ("args", "function", "future")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], future: Any) -> None:
        self.function = function
        self.args = args
        self.future = future


class Event:
    """What a handler is called with.

    Attributes:
        name: the handler's name, e.g. "FooState".
        args: the mutation's arguments; one dict, shared by the transition's handlers.
        machine: whose transition it is.
    """

    __slots__ = ("_owner", "args", "machine", "name")

    def __init__(self, name: str, args: dict[str, Any], machine: Machine, owner: int) -> None:
        self.name = name
        self.args = args
        self.machine = machine
        self._owner = owner

    @property
    def transition(self) -> Transition | None:
        """The transition that runs now, or None once the machine is idle."""
        return self.machine.transition

    @property
    def mutation(self) -> Mutation | None:
        """The mutation of the transition that runs now, or None once the machine is idle."""
        transition = self.machine.transition
        return None if transition is None else transition.mutation

    @property
    def is_check(self) -> bool:
        """Whether this is a dry run (`can_add`, `can_remove`)."""
        mutation = self.mutation
        return mutation is not None and mutation.is_check

    @property
    def ctx(self) -> StateContext:
        """The context of the handler's state: of X for X's handlers, of Y for a pair XY.

        Raises:
            RuntimeError: AnyEnter and AnyState have none, and no event loop is running.
        """
        if self._owner < 0:
            raise RuntimeError(f"{self.name} belongs to no state, so it has no context")
        return self.machine.state_ctx(self.machine.state_names[self._owner])

    def add(self, *states: str, **args: Any) -> Result:
        """`Machine.add`, recording this transition as the source when somebody traces."""
        return self.machine._from_event(ADD, states, args)

    def remove(self, *states: str, **args: Any) -> Result:
        """`Machine.remove`, recording the source."""
        return self.machine._from_event(REMOVE, states, args)

    def set(self, *states: str, **args: Any) -> Result:
        """`Machine.set`, recording the source."""
        return self.machine._from_event(SET, states, args)

    def add_err(self, exc: Exception, *states: str, **args: Any) -> Result:
        """`Machine.add_err`."""
        return self.machine.add_err(exc, *states, **args)

    def fork(self, coro: Coroutine[Any, Any, Any]) -> TaskOf:
        """A background task that is cancelled when this activation of the handler's state ends."""
        return self.ctx.fork(coro)

    def __repr__(self) -> str:
        return f"<Event {self.name} of {self.machine.id}>"
