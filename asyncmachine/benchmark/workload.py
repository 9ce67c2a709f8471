"""A workload: its words, a function that prepares it, and a check that the work was really done.

Knows neither clocks nor processes.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from asyncmachine.machine import Machine

FEATURE: Final = "feature"
BESIDE: Final = "beside"
SUPPORT: Final = "support"
GROUPS: Final = (FEATURE, BESIDE, SUPPORT)
"""Costs of the engine's own features; others beside it; what only the contract and the noise need."""

OURS: Final = "asyncmachine"
HAND_WRITTEN: Final = "hand-written"
"""Who did the work, when it was no library of others."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A prepared workload: everything is built and nothing has run.

    Attributes:
        loop: Runs that many iterations; a coroutine function for a workload on an event loop.
        wrong: Says what is wrong after that many iterations altogether, in one sentence; "" if nothing is.
        finish: Ends background work, for workloads on an event loop.
    """

    loop: Callable[[int], Any]
    wrong: Callable[[int], str]
    finish: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Something that is measured.

    Attributes:
        name: Key in files and on the command line.
        title: What is done, for a row of a table.
        group: One of `GROUPS`.
        make: Prepares it; a coroutine function for a workload on an event loop. For a workload in bytes the only
            iteration makes as many objects as there are events, and the loop returns what they hold.
        per: What is counted, in the singular.
        events: How many of these one iteration of the loop holds.
        unit: "ns" of processor time, or "bytes".
        who: Whose work it is: `OURS`, `HAND_WRITTEN`, "asyncio" or a library's name.
        needs: Module that has to be importable, "" for none.
        task: Which task of the side-by-side table it does, "" for none; the same words for all who do it.
    """

    name: str
    title: str
    group: str
    make: Callable[[], Any]
    per: str = "mutation"
    events: int = 1
    unit: str = "ns"
    who: str = OURS
    needs: str = ""
    task: str = ""

    @property
    def is_async(self) -> bool:
        """Whether it runs on an event loop."""
        return inspect.iscoroutinefunction(self.make)

    def words(self) -> dict[str, Any]:
        """Give what a reader of the results needs to know, as plain data."""
        names = ("name", "title", "group", "per", "events", "unit", "who", "task")
        return {name: getattr(self, name) for name in names}


def ticks_after(machine: Machine, per_iteration: Mapping[str, int]) -> Callable[[int], str]:
    """Return a check that each iteration moves exactly these ticks, and leaves all other states alone.

    Args:
        machine: As it is before the first iteration.
        per_iteration: State to the ticks that one iteration adds; states left out must not change.
    """
    start = machine.clock()

    def wrong(iterations: int) -> str:
        expected = {state: tick + iterations * per_iteration.get(state, 0) for state, tick in start.items()}
        found = machine.clock()
        for state, tick in expected.items():
            if found[state] != tick:
                return f"{state} has tick {found[state]} after {iterations:,} iterations, expected {tick}"
        return ""

    return wrong


def counted(read: Callable[[], int], per_iteration: int, what: str) -> Callable[[int], str]:
    """Return a check that something happened so many times in each iteration.

    Args:
        read: Gives the count.
        per_iteration: How often it has to happen.
        what: The thing counted, in the plural.
    """
    start = read()

    def wrong(iterations: int) -> str:
        found, expected = read() - start, iterations * per_iteration
        return "" if found == expected else f"{found:,} {what} in {iterations:,} iterations, expected {expected:,}"

    return wrong


def all_of(*checks: Callable[[int], str]) -> Callable[[int], str]:
    """Return a check that gives the first complaint of several."""
    return lambda iterations: next((said for check in checks if (said := check(iterations))), "")
