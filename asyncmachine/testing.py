"""Assertions for tests of machines.

Assertions whose failure shows the whole machine, waits with a deadline, and a log of handler calls. They raise plain
`AssertionError`s and work with any test runner.
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
    """Assert that exactly these states are active, in any order.

    Raises:
        AssertionError: The active states differ, or the machine is disposed.
        UnknownStateError: A name is not in the schema.
    """
    __tracebackhide__ = True
    machine._numbers(states)
    active = machine.active_states()
    if machine.is_disposed or set(active) != set(states):
        missing = [state for state in states if state not in active]
        extra = [state for state in active if state not in states]
        raise _failure(
            machine, f"expected exactly {_list(states)} active; missing {_list(missing)}, unexpected {_list(extra)}"
        )


def assert_active(machine: Machine, *states: str) -> None:
    """Assert that all of these states are active. See `assert_states`."""
    __tracebackhide__ = True
    if not machine.is_(*states):
        raise _failure(
            machine, f"expected {_list(states)} active; inactive {_list(s for s in states if not machine.is_(s))}"
        )


def assert_not(machine: Machine, *states: str) -> None:
    """Assert that none of these states is active. See `assert_states`."""
    __tracebackhide__ = True
    if not machine.not_(*states):
        raise _failure(
            machine, f"expected {_list(states)} inactive; active {_list(s for s in states if machine.is_(s))}"
        )


def assert_clock(machine: Machine, clock: Mapping[str, int]) -> None:
    """Assert the ticks of states, by name. See `assert_states`."""
    __tracebackhide__ = True
    if not machine.is_clock(clock):
        found = machine.clock(*clock) if clock else {}
        wrong = {state: tick for state, tick in found.items() if tick != clock[state]}
        raise _failure(machine, f"expected ticks {dict(clock)}; different {wrong}")


def assert_time(machine: Machine, states: Sequence[str], ticks: Sequence[int]) -> None:
    """Assert the ticks of states, in order.

    Raises:
        AssertionError: They differ, or the machine is disposed.
        UnknownStateError: A name is not in the schema.
        ValueError: The numbers of ticks and states differ.
    """
    __tracebackhide__ = True
    assert_clock(machine, dict(zip(states, ticks, strict=True)))


# errors


def assert_no_err_now(machine: Machine) -> None:
    """Assert that `Exception` is not active. See `assert_states`."""
    __tracebackhide__ = True
    if not machine.not_(EXCEPTION):
        raise _failure(machine, "expected no error now")


def assert_no_err_ever(machine: Machine) -> None:
    """Assert that `Exception` has never been active and is not queued. See `assert_states`."""
    __tracebackhide__ = True
    if machine.is_disposed or machine.tick(EXCEPTION) or machine.will_be(EXCEPTION):
        raise _failure(machine, "expected no error ever")


def assert_err(machine: Machine, kind: type[BaseException] = Exception, match: str = "") -> None:
    """Assert that `Exception` is active and that the last error is of a class.

    Args:
        machine: The machine.
        kind: Class of the error.
        match: Regular expression searched for in its text.

    Raises:
        AssertionError: There is no such error.
    """
    __tracebackhide__ = True
    if not (machine.is_err() and isinstance(machine.err, kind) and re.search(match, str(machine.err))):
        raise _failure(machine, f"expected the error {kind.__name__}{f' matching {match!r}' if match else ''}")


# waits


async def within(machine: Machine, wait: Awaitable[T], *, deadline_s: float = 1.0, what: str = "") -> T:
    """Wait with a deadline.

    Args:
        machine: The machine shown on failure.
        wait: One of the machine's waits, or any awaitable.
        deadline_s: Time limit, in seconds of the running loop's clock.
        what: Description of the expected event.

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
            raise  # raised by the wait itself
    raise _failure(machine, f"expected within {deadline_s} s: {what or repr(wait)}")


async def active_within(machine: Machine, *states: str, deadline_s: float = 1.0) -> None:
    """Wait until all of these states are active at the same time. See `within`."""
    __tracebackhide__ = True
    await within(machine, machine.when(*states), deadline_s=deadline_s, what=f"{_list(states)} active")


async def inactive_within(machine: Machine, *states: str, deadline_s: float = 1.0) -> None:
    """Wait until all of these states are inactive at the same time. See `within`."""
    __tracebackhide__ = True
    await within(machine, machine.when_not(*states), deadline_s=deadline_s, what=f"{_list(states)} inactive")


# handler calls


class HandlerCalls(Tracer):
    """A tracer that records the called handlers, in order.

    Attributes:
        order: Names of the handlers.
    """

    def __init__(self) -> None:
        self.order: list[str] = []

    def handler_start(self, tx: Transition, binding: str, name: str) -> None:
        """Record the name; called by the machine."""
        self.order.append(name)

    @property
    def counts(self) -> Counter[str]:
        """Number of calls by handler."""
        return Counter(self.order)

    def clear(self) -> None:
        """Clear the recorded calls."""
        self.order.clear()

    def assert_order(self, *names: str) -> None:
        """Assert that the first calls of these handlers were in this order; others may lie in between.

        Raises:
            AssertionError: A handler was not called, or not after the previous one.
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
        """Assert the numbers of calls.

        Args:
            expected: One number for every called handler, or a number by name.

        Raises:
            AssertionError: A number differs.
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
    """Return the error, with a description of the machine."""
    if machine.is_disposed:
        return AssertionError(f"{expectation}\nmachine {machine.id!r} is disposed")
    error = f"\nlast error: {machine.err!r}" if machine.err is not None else ""
    return AssertionError(f"{expectation}\n{machine.id}: {machine.string_all()}{error}\n{machine.inspect()}")
