"""The helpers for tests pass when they should, and show the machine when they fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, UnknownStateError, testing
from pubsub_sim import run

if TYPE_CHECKING:
    from collections.abc import Callable

STATES: dict[str, Any] = {"A": {}, "B": {"require": ["A"]}, "C": {}}


def machine() -> Machine:
    m = Machine(STATES, id="m")
    m.add("A", "B")
    return m


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (testing.assert_states, ("B", "A"), ("A", "C"), "exactly A, C active; missing C, unexpected B"),
        (testing.assert_active, ("A",), ("A", "C"), "A, C active; inactive C"),
        (testing.assert_not, ("C",), ("C", "A"), "C, A inactive; active A"),
        (testing.assert_clock, ({"A": 1, "C": 0},), ({"A": 1, "C": 2},), "ticks {'A': 1, 'C': 2}; different {'C': 0}"),
        (testing.assert_time, (("A", "C"), (1, 0)), (("A", "C"), (3, 0)), "different {'A': 1}"),
    ],
)
def test_the_present(check: Callable[..., None], good: tuple[Any, ...], bad: tuple[Any, ...], message: str) -> None:
    """Each passes, or says what is different and shows `string_all` and `inspect`; a typing error is no failure."""
    m = machine()
    check(m, *good)
    with pytest.raises(AssertionError) as caught:
        check(m, *bad)
    text = str(caught.value)
    assert message in text
    assert m.string_all() in text
    assert m.inspect() in text
    if isinstance(good[0], str):
        with pytest.raises(UnknownStateError):
            check(m, "Nope")
    m.dispose()
    with pytest.raises(AssertionError, match="'m' is disposed"):
        check(m, *good)


def test_errors() -> None:
    """Now, ever, and of which kind."""
    m = machine()
    testing.assert_no_err_now(m)
    testing.assert_no_err_ever(m)
    with pytest.raises(AssertionError, match="expected the error ValueError"):
        testing.assert_err(m, ValueError)
    m.add_err(ValueError("disk full"))
    testing.assert_err(m)
    testing.assert_err(m, ValueError, "full")
    with pytest.raises(
        AssertionError, match=r"ValueError matching 'empty'(.|\n)*last error: ValueError\('disk full'\)"
    ):
        testing.assert_err(m, ValueError, "empty")
    with pytest.raises(AssertionError, match="no error now"):
        testing.assert_no_err_now(m)
    m.remove("Exception")
    testing.assert_no_err_now(m)
    with pytest.raises(AssertionError, match="no error ever"):
        testing.assert_no_err_ever(m)


def test_a_queued_error_is_an_error() -> None:
    """`assert_no_err_ever` looks into the queue too."""
    m = Machine(STATES)
    failures: list[str] = []

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add_err(ValueError())
            try:
                testing.assert_no_err_ever(e.machine)
            except AssertionError as failure:
                failures.append(str(failure))

    m.bind(Handlers())
    m.add("A")
    assert len(failures) == 1


def test_waits_with_a_deadline() -> None:
    """In time they give the result; too late they show the machine and stop waiting."""

    async def main() -> None:
        m = machine()
        loop = asyncio.get_running_loop()
        loop.call_later(5, m.add, "C")
        await testing.active_within(m, "A", "C", deadline_s=6)
        loop.call_later(5, lambda: m.remove("A", n=1))
        await testing.inactive_within(m, "A", "B", deadline_s=6)
        loop.call_later(5, lambda: m.add("A", n=1))
        assert await testing.within(m, m.when_args("A"), deadline_s=6) == {"n": 1}
        with pytest.raises(AssertionError, match=r"within 2 s: B active\nm: \(A:3 C:1\)"):
            await testing.active_within(m, "B", deadline_s=2)
        with pytest.raises(AssertionError, match=r"within 2 s: A, C inactive\n(.|\n)*1 A"):
            await testing.inactive_within(m, "A", "C", deadline_s=2)
        with pytest.raises(AssertionError, match="within 2 s: the end"):
            await testing.within(m, m.when_disposed(), deadline_s=2, what="the end")
        assert m._flags == 0

    run(main(), clock="virtual")


def test_a_time_out_of_the_awaited_is_not_the_deadline() -> None:
    """It reaches the test as it is, and so does a cancellation."""

    async def late() -> None:
        raise TimeoutError("its own")

    async def main() -> None:
        m = machine()
        with pytest.raises(TimeoutError, match="its own"):
            await testing.within(m, late())
        task = asyncio.ensure_future(testing.active_within(m, "C"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main(), clock="virtual")


class Handlers:
    def AEnter(self, e: Event) -> None: ...

    def AState(self, e: Event) -> None: ...

    def AnyState(self, e: Event) -> None: ...


def test_handler_calls() -> None:
    """Order and number of calls, and what was called instead."""
    calls = testing.HandlerCalls()
    m = Machine(STATES, handlers=Handlers(), tracers=(calls,))
    m.add("A")
    assert calls.order == ["AEnter", "AState", "AnyState"]
    calls.assert_order("AEnter", "AnyState")
    calls.assert_counts(1)
    m.add("C")
    calls.assert_counts({"AEnter": 1, "AnyState": 2, "BState": 0})
    with pytest.raises(
        AssertionError, match=r"expected 1 calls; different {'AnyState': 2}\ncalled: AEnter AState AnyState AnyState"
    ):
        calls.assert_counts(1)
    with pytest.raises(AssertionError, match="order AState, AEnter; it was AEnter, AState\ncalled: AEnter"):
        calls.assert_order("AState", "AEnter")
    with pytest.raises(AssertionError, match="missing BState"):
        calls.assert_order("AEnter", "BState")
    calls.clear()
    assert (calls.order, calls.counts) == ([], {})
