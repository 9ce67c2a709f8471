"""A chain of pipes of any length ends well: everybody follows, in order, and errors stay where they are made."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, LogLevel, Machine, Result, Tracer, pipes

if TYPE_CHECKING:
    from collections.abc import Callable

STATES: dict[str, Any] = {"A": {}, "B": {}, "M": {"multi": True}, "ErrDisk": {"multi": True}}
LONG = 1200  # more machines than Python has frames
WAYS: dict[str, Callable[[Machine, Machine], Any]] = {
    "ordinary": lambda one, next_: pipes.bind_many(one, next_, ["A", "B"]),
    "flat": lambda one, next_: pipes.bind_many(one, next_, ["A", "B"], flat=True),
    "mirror": pipes.bind_any,
    "mixed": lambda one, next_: pipes.bind_many(one, next_, ["A", "B"], flat=int(one.id[1:]) % 2 == 0),
}


def chain(way: str, length: int, **options: Any) -> list[Machine]:
    machines = [Machine(STATES, id=f"m{number}", **options) for number in range(length)]
    for one, next_ in pairwise(machines):
        WAYS[way](one, next_)
    return machines


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "options", [{}, {"log_level": LogLevel.EVERYTHING}, {"queue_limit": 0}], ids=["", "logged", "no queue"]
)
def test_everybody_follows(way: str, options: dict[str, Any]) -> None:
    """However long it is, in both directions, and nobody is left with work or an error."""
    assert sys.getrecursionlimit() < LONG
    machines = chain(way, LONG, **options)
    assert machines[0].add("A") is Result.EXECUTED
    assert [m.tick("A") for m in machines] == [1] * LONG
    assert machines[0].remove("A") is Result.EXECUTED
    assert [m.tick("A") for m in machines] == [2] * LONG
    assert not any(m.is_err() or m.queue_len or m._chain for m in machines)


def test_errors_are_passed_on() -> None:
    """Error states too."""
    machines = [Machine(STATES) for _ in range(LONG)]
    for one, next_ in pairwise(machines):
        pipes.bind_err(one, next_, "ErrDisk")
    machines[0].add_err(ValueError("disk"))
    assert all(m.is_("Exception", "ErrDisk") for m in machines[1:])


@pytest.mark.parametrize("at", [3, 700])
def test_an_error_on_the_way(at: int) -> None:
    """It becomes the Exception state of the machine whose handler failed; who follows it is told that its state was taken back."""

    class Fails:
        def AState(self, e: Event) -> None:
            raise ValueError("here")

    machines = [Machine(STATES, handlers=Fails() if number == at else None) for number in range(LONG)]
    for one, next_ in pairwise(machines):
        pipes.bind(one, next_, "A")
    assert machines[0].add("A") is Result.EXECUTED
    assert [number for number, m in enumerate(machines) if m.is_err()] == [at]
    assert str(machines[at].err) == "here"
    assert [m.is_("A") for m in machines] == [number < at for number in range(LONG)]


@pytest.mark.parametrize("way", WAYS)
def test_order(way: str) -> None:
    """Each machine is told in the order in which the one before it changed."""
    seen: dict[str, list[str]] = {}

    class Order(Tracer):
        def transition_end(self, tx: Any) -> None:
            seen.setdefault(tx.machine.id, []).extend(
                [f"+{name}" for name in tx.enters] + [f"-{name}" for name in tx.exits]
            )

    machines = chain(way, 100, tracers=[Order()])

    class Queues:
        def AState(self, e: Event) -> None:
            e.add("B")
            e.remove("A")

    machines[0].bind(Queues())
    machines[0].add("A")
    assert [seen[m.id] for m in machines] == [["+A", "+B", "-A"]] * 100


@pytest.mark.parametrize("flat", [False, True])
def test_rings_and_trees(flat: bool) -> None:
    """A ring comes to rest, and every branch of a tree follows."""
    machines = [Machine(STATES) for _ in range(300)]
    for one, next_ in pairwise([*machines, machines[0]]):
        pipes.bind(one, next_, "A", flat=flat)
    machines[7].add("A")
    assert all(m.tick("A") == 1 for m in machines)
    nodes = [Machine(STATES) for _ in range(400)]
    for number, node in enumerate(nodes[1:], 1):
        pipes.bind(nodes[number // 3 if number < 100 else number - 20], node, "M", "A", flat=flat)
        pipes.bind(nodes[number // 3 if number < 100 else number - 20], node, "A", "M", flat=flat)
    nodes[0].add("A")
    assert all(node.any_("A", "M") for node in nodes)


@pytest.mark.parametrize("at", [5, 40])
def test_an_interruption_on_the_way(at: int) -> None:
    """It leaves the call; what it has kept from following is done by the next call on those machines."""

    class Interrupts:
        armed = True

        def AState(self, e: Event) -> None:
            if self.armed:
                self.armed = False
                raise KeyboardInterrupt

    machines = [Machine(STATES, handlers=Interrupts() if number == at else None) for number in range(100)]
    for one, next_ in pairwise(machines):
        pipes.bind(one, next_, "A")
    with pytest.raises(KeyboardInterrupt):
        machines[0].add("A")
    assert all(m.is_("A") for m in machines[:at])
    assert not any(m.is_("A") for m in machines[at:])
    machines[at].add("A")
    assert all(m.is_("A") for m in machines)


def test_who_is_called_meanwhile_does_what_was_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is called before its turn has what waits for it done first, in order."""
    monkeypatch.setattr("asyncmachine._runtime.CHAIN_LIMIT", 1)
    seen: list[str] = []

    class Calls:
        def AState(self, e: Event) -> None:
            seen.append(str(last))
            last.add("B")
            seen.append(str(last))

    first, second, third, last = (Machine(STATES) for _ in range(4))
    pipes.add(first, second, "A")
    pipes.add(second, third, "A")
    pipes.add(second, last, "A", "M")
    third.bind(Calls())
    first.add("A")
    assert seen == ["()", "(B:1 M:1)"]
    assert last.active_states() == ("B", "M")


def test_a_machine_that_is_disposed_on_the_way() -> None:
    """What was put off is done before the end."""
    machines = chain("ordinary", 30)

    class Disposes:
        def AState(self, e: Event) -> None:
            machines[17].dispose()

    machines[16].bind(Disposes())
    machines[0].add("A")
    assert machines[16].is_("A")
    assert machines[17].is_disposed
    assert not machines[18].is_("A")
