"""The machines that are measured: schemas of a given size, handlers and tracers that do as little as possible.

Imports the engine inside functions, so that a process can decide first how it is loaded.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncmachine.machine import Event, Machine, Transition
    from asyncmachine.schema import State

SIZE: Final = 20
"""States of a measured machine, `Exception` included, unless a workload says otherwise."""

A, B, UNRELATED = "A", "B", "Unrelated"

_HISTORY: Final = 10_000


def machine(
    special: Mapping[str, Any] | None = None, *, size: int = SIZE, handlers: object | None = None, tracer: object = None
) -> Machine:
    """Make a machine of `size` states: the special ones, `A`, `B` and `Unrelated`, and others without relations.

    Args:
        special: State to its definition.
        size: Number of states with `Exception`.
        handlers: Bound if given.
        tracer: Bound if given.
    """
    from asyncmachine import Machine

    made = Machine(schema(special, size=size), id="measured", handlers=handlers)
    if tracer is not None:
        made.bind_tracer(tracer)
    return made


def schema(special: Mapping[str, Any] | None = None, *, size: int = SIZE) -> dict[str, State | Mapping[str, Any]]:
    """Give the definition of such a machine."""
    states: dict[str, Any] = {**(special or {})}
    for name in (A, B, UNRELATED):
        states.setdefault(name, {})
    for number in range(size - 1 - len(states)):
        states[f"Other{number:03}"] = {}
    return states


def related(size: int) -> dict[str, State | Mapping[str, Any]]:
    """Give a definition in which every state requires the first one and removes its neighbour."""
    names = ["First", *(f"Other{number:03}" for number in range(size - 2))]
    states: dict[str, Any] = {"First": {}}
    for before, name in pairwise(names):
        states[name] = {"require": ["First"]} | ({} if before == "First" else {"remove": [before]})
    return states


class Counting:
    """Counts what it is called for, which is also all that the peers' callbacks do."""

    def __init__(self) -> None:
        self.entered = 0
        self.asked = 0

    def count(self) -> int:
        """Count one call."""
        self.entered += 1
        return self.entered


class OnState(Counting):
    """One final handler."""

    def AState(self, e: Event) -> None:
        """Count."""
        self.entered += 1


class OnEnterAndState(OnState):
    """One negotiation handler and one final handler."""

    def AEnter(self, e: Event) -> bool:
        """Count and agree."""
        self.asked += 1
        return True


class OnStateWithArgs(Counting):
    """One final handler that reads an argument."""

    def AState(self, e: Event) -> None:
        """Count what is said."""
        self.entered += e.args["amount"]


class Refusing(Counting):
    """A negotiation handler that says no."""

    def AEnter(self, e: Event) -> bool:
        """Count and refuse."""
        self.asked += 1
        return False


class Queueing(Counting):
    """A final handler that queues another mutation."""

    def AState(self, e: Event) -> None:
        """Ask for B."""
        self.entered += 1
        e.machine.add(B)


class Pulse(Counting):
    """A final handler that ends its own state again."""

    def AState(self, e: Event) -> None:
        """Count what is said and end."""
        self.entered += e.args["amount"]
        e.machine.remove(A)


class Working(Counting):
    """A final handler that is a task of its state."""

    async def AState(self, e: Event) -> None:
        """Count and tell whoever waits."""
        self.entered += 1
        e.args["done"].set_result(None)


def quiet_tracer() -> object:
    """Give a tracer that hears everything and does nothing."""
    from asyncmachine import Tracer

    def hear(self: object, *_: object) -> None:
        pass

    hooks = dict.fromkeys((name for name in vars(Tracer) if not name.startswith("_")), hear)
    return type("Quiet", (Tracer,), hooks)()


class Recorder:
    """A tracer that keeps the last transitions in memory; what they say is read out of them later."""

    def __init__(self) -> None:
        self.kept: deque[Transition] = deque(maxlen=_HISTORY)
        self.heard = 0

    def transition_end(self, tx: Transition) -> None:
        """Keep one transition."""
        self.heard += 1
        self.kept.append(tx)
