"""The flags of a machine: which combinations are legal, and that each of them is met."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from asyncmachine import Event, Machine, MachineDisposedError, Tracer, Transition
from asyncmachine._runtime import (
    AUDIENCES,
    BUSY,
    DISPOSED,
    DISPOSING,
    INTERRUPTED,
    LEGAL,
    OBSERVED,
    PHASES,
    RECORDED,
    WAITED,
)
from asyncmachine._waiters import WHEN_ENDS, Subscription

STATES: dict[str, Any] = {"A": {}, "B": {}, "Never": {}}
FLAGS = {"BUSY": BUSY, "DISPOSED": DISPOSED, "OBSERVED": OBSERVED, "WAITED": WAITED, "INTERRUPTED": INTERRUPTED, "DISPOSING": DISPOSING, "RECORDED": RECORDED}  # fmt: skip


def words(flags: int) -> str:
    return " ".join(name for name, flag in FLAGS.items() if flags & flag) or "at rest"


@pytest.mark.parametrize("flags", range(128), ids=words)
def test_the_table_is_the_rules(flags: int) -> None:
    """Of all combinations those are legal that the rules of the page allow, and no others."""
    is_one_audience = not (flags & OBSERVED and flags & RECORDED)
    phase = flags & (BUSY | DISPOSED | INTERRUPTED | DISPOSING)
    is_one_phase = phase in (0, BUSY, DISPOSED, INTERRUPTED, DISPOSING, BUSY | DISPOSING)
    is_nobody_left = not (flags & DISPOSED and flags & WAITED)
    assert (flags in LEGAL) == (is_one_audience and is_one_phase and is_nobody_left)


class Ends(Tracer):
    """Hears of ends only."""

    def __init__(self, look: Callable[[], None]) -> None:
        self.look = look

    def queue_end(self, machine: Machine) -> None:
        self.look()

    def machine_dispose(self, machine: Machine) -> None:
        self.look()


class Steps(Ends):
    """Hears of every step."""

    def transition_start(self, tx: Transition) -> None:
        self.look()


class Waiter:
    """Is told when the queue has been drained."""

    def __init__(self, look: Callable[[], None]) -> None:
        self.look = look

    def resolve(self, value: Any) -> None:
        self.look()

    def fail(self, error: BaseException) -> None:
        raise error


async def life(audience: int, course: str, *, is_waited: bool) -> set[int]:
    """The flags seen in the life of a machine, from everywhere it can be looked at."""
    seen: set[int] = set()

    def look() -> None:
        seen.add(m._flags)

    class Handlers:
        def AState(self, e: Event) -> None:
            look()
            if course == "dispose":
                m.dispose()
                look()
            elif course == "interrupt":
                e.add("B")
                raise KeyboardInterrupt
            elif course == "dispose and interrupt":
                m.dispose()
                e.add("B")
                raise KeyboardInterrupt

    tracers: list[Tracer] = {0: [], OBSERVED: [Steps(look)], RECORDED: [Ends(look)]}[audience]
    m = Machine(STATES, handlers=Handlers(), tracers=tracers)
    if is_waited:
        m.when("Never")
        m._watch().put(Subscription(WHEN_ENDS, Waiter(look)))
    look()
    if "interrupt" in course:
        with pytest.raises(KeyboardInterrupt):
            m.add("A")
    else:
        m.add("A")
    look()
    m.dispose()
    look()
    assert m.is_disposed
    return seen


def test_every_legal_combination_is_met_and_no_other() -> None:
    """In handlers, tracers, waits, and between calls. Nobody can look on as an unobserved machine ends that nobody waits for."""
    courses = ("", "dispose", "interrupt", "dispose and interrupt")
    seen: set[int] = set()
    for audience, course, is_waited in product(AUDIENCES, courses, (False, True)):
        seen |= asyncio.run(life(audience, course, is_waited=is_waited))
    assert {words(flags) for flags in seen} == {words(flags) for flags in LEGAL - {DISPOSING}}
    assert len(LEGAL) == 33
    assert len(PHASES) == 6


def test_a_handler_that_disposes_and_is_interrupted_leaves_no_machine_behind() -> None:
    """Its machine is disposed, what was queued is dropped, and evals that waited fail."""

    class Handlers:
        def AState(self, e: Event) -> None:
            self.soon = e.machine.eval_soon(int)
            e.machine.dispose()
            raise SystemExit

    handlers = Handlers()
    m = Machine(STATES, handlers=handlers)
    with pytest.raises(SystemExit):
        m.add("A")
    assert (m.is_disposed, m._flags, m.queue_len) == (True, DISPOSED, 0)
    with pytest.raises(MachineDisposedError):
        handlers.soon.result()
