"""Assertions for tests of machines.

Assertions that show the whole machine when they fail, waits with a deadline, and a record of handler calls. They raise
plain `AssertionError`s, so any test runner will do. For tests only: nothing in the engine knows of them.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from asyncmachine.schema import EXCEPTION
from asyncmachine.tracing import Tracer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping, Sequence

    from asyncmachine.machine import Machine, Transition

T = TypeVar("T")

# the present


def assert_states(machine: Machine, *states: str) -> None:
    """Demand that exactly these states are active, in any order.

    Raises:
        AssertionError: Others are, or the machine is disposed.
        UnknownStateError: A name is not in the schema.
    """
    __tracebackhide__ = True
    machine._numbers(states)
    active = machine.active_states()
    if machine.is_disposed or set(active) != set(states):
        missing = [state for state in states if state not in active]
        extra = [state for state in active if state not in states]
        raise _failure(
            machine, f"expected exactly {_list(states)} active; missing {_list(missing)}, too many {_list(extra)}"
        )


def assert_active(machine: Machine, *states: str) -> None:
    """Demand that all of these states are active. See `assert_states`."""
    __tracebackhide__ = True
    if not machine.is_(*states):
        raise _failure(
            machine, f"expected {_list(states)} active; inactive {_list(s for s in states if not machine.is_(s))}"
        )


def assert_not(machine: Machine, *states: str) -> None:
    """Demand that none of these states is active. See `assert_states`."""
    __tracebackhide__ = True
    if not machine.not_(*states):
        raise _failure(
            machine, f"expected {_list(states)} inactive; active {_list(s for s in states if machine.is_(s))}"
        )


def assert_clock(machine: Machine, clock: Mapping[str, int]) -> None:
    """Demand these ticks, by state name. See `assert_states`."""
    __tracebackhide__ = True
    if not machine.is_clock(clock):
        found = machine.clock(*clock) if clock else {}
        wrong = {state: tick for state, tick in found.items() if tick != clock[state]}
        raise _failure(machine, f"expected ticks {dict(clock)}; different {wrong}")


def assert_time(machine: Machine, states: Sequence[str], ticks: Sequence[int]) -> None:
    """Demand these ticks, state by state.

    Raises:
        AssertionError: They are others, or the machine is disposed.
        UnknownStateError: A name is not in the schema.
        ValueError: There are not as many ticks as states.
    """
    __tracebackhide__ = True
    assert_clock(machine, dict(zip(states, ticks, strict=True)))


# errors


def assert_no_err_now(machine: Machine) -> None:
    """Demand that `Exception` is not active. See `assert_states`."""
    __tracebackhide__ = True
    if not machine.not_(EXCEPTION):
        raise _failure(machine, "expected no error now")


def assert_no_err_ever(machine: Machine) -> None:
    """Demand that `Exception` has never been active and is not queued. See `assert_states`."""
    __tracebackhide__ = True
    if machine.is_disposed or machine.tick(EXCEPTION) or machine.will_be(EXCEPTION):
        raise _failure(machine, "expected no error ever")


def assert_err(machine: Machine, kind: type[BaseException] = Exception, match: str = "") -> None:
    """Demand that `Exception` is active and that the last error is of a kind.

    Args:
        machine: The machine.
        kind: Class of the error.
        match: Regular expression to be found in its text.

    Raises:
        AssertionError: It is not.
    """
    __tracebackhide__ = True
    if not (machine.is_err() and isinstance(machine.err, kind) and re.search(match, str(machine.err))):
        raise _failure(machine, f"expected the error {kind.__name__}{f' matching {match!r}' if match else ''}")


# the near future


async def within(machine: Machine, wait: Awaitable[T], *, deadline_s: float = 1.0, what: str = "") -> T:
    """Wait, but not for ever.

    Args:
        machine: The machine to show when it takes too long.
        wait: What to wait for: one of the machine's waits, or anything else.
        deadline_s: How long, in seconds of the running loop's clock.
        what: What is expected, in words.

    Returns:
        The result of the wait.

    Raises:
        AssertionError: The deadline has passed; the wait is cancelled.
    """
    __tracebackhide__ = True
    try:
        async with asyncio.timeout(deadline_s) as deadline:
            return await wait
    except TimeoutError:
        if not deadline.expired():
            raise  # the wait's own
    raise _failure(machine, f"expected within {deadline_s} s: {what or repr(wait)}")


async def active_within(machine: Machine, *states: str, deadline_s: float = 1.0) -> None:
    """Wait until all of these states are active at the same moment. See `within`."""
    __tracebackhide__ = True
    await within(machine, machine.when(*states), deadline_s=deadline_s, what=f"{_list(states)} active")


async def inactive_within(machine: Machine, *states: str, deadline_s: float = 1.0) -> None:
    """Wait until all of these states are inactive at the same moment. See `within`."""
    __tracebackhide__ = True
    await within(machine, machine.when_not(*states), deadline_s=deadline_s, what=f"{_list(states)} inactive")


# the past


class HandlerCalls(Tracer):
    """Writes down which handlers were called, in order. Give it to a machine as a tracer.

    Attributes:
        order: Names of the handlers.
    """

    def __init__(self) -> None:
        self.order: list[str] = []

    def handler_start(self, tx: Transition, binding: str, name: str) -> None:
        """Note the name; called by the machine."""
        self.order.append(name)

    @property
    def counts(self) -> Counter[str]:
        """How often each handler was called."""
        return Counter(self.order)

    def clear(self) -> None:
        """Forget all calls so far."""
        self.order.clear()

    def assert_order(self, *names: str) -> None:
        """Demand that these handlers were called for the first time in this order; others may lie between.

        Raises:
            AssertionError: One was not called, or not after the one before it.
        """
        __tracebackhide__ = True
        missing = [name for name in names if name not in self.order]
        if missing:
            raise AssertionError(f"expected calls of {_list(names)}; missing {_list(missing)}\n{self._text()}")
        firsts = [self.order.index(name) for name in names]
        if firsts != sorted(firsts):
            really = sorted(names, key=self.order.index)
            raise AssertionError(f"expected the order {_list(names)}; it was {_list(really)}\n{self._text()}")

    def assert_counts(self, expected: int | Mapping[str, int]) -> None:
        """Demand how often handlers were called.

        Args:
            expected: One number for every handler that was called, or a number by name.

        Raises:
            AssertionError: One was called more or less often.
        """
        __tracebackhide__ = True
        counts = self.counts
        wanted = dict.fromkeys(counts, expected) if isinstance(expected, int) else expected
        wrong = {name: counts[name] for name, count in wanted.items() if counts[name] != count}
        if wrong:
            raise AssertionError(f"expected {expected} calls; different {wrong}\n{self._text()}")

    def _text(self) -> str:
        return f"called: {' '.join(self.order) or 'nothing'}"


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _failure(machine: Machine, expectation: str) -> AssertionError:
    """Return the error, with everything there is to see of the machine."""
    if machine.is_disposed:
        return AssertionError(f"{expectation}\nmachine {machine.id!r} is disposed")
    error = f"\nlast error: {machine.err!r}" if machine.err is not None else ""
    return AssertionError(f"{expectation}\n{machine.id}: {machine.string_all()}{error}\n{machine.inspect()}")
