"""Intended differences from the reference: the queue, dry runs, evals and waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Event, Machine, MachineDisposedError, NestedEvalError, Result
from tests.asyncmachine.differences.machines import PLAIN, build, fail, refuse, text

# queue


def queued(*mutations: str, schema: dict[str, Any] | None = None) -> tuple[list[int], Machine]:
    """The ticks promised to mutations made in one handler, and the machine afterwards."""
    results: list[int] = []

    def mutate(e: Event) -> None:
        for mutation in mutations:
            kind, *states = mutation.split()
            results.append(getattr(e, kind)(*states).tick)

    m = build(schema or PLAIN, AState=mutate)
    m.add("A")
    return results, m


def test_q09_a_full_queue_takes_errors() -> None:
    """An error is never lost."""
    results: list[Result] = []

    def overfill(e: Event) -> None:
        results.extend([e.add("B"), e.add("C"), e.add_err(ValueError()), e.add("Exception")])

    m = build(PLAIN, AState=overfill)
    m.queue_limit = 1
    m.add("A")
    assert [result.canceled for result in results] == [False, True, False, False]
    assert m.is_("A", "B", "Exception")


@pytest.mark.parametrize(
    ("mutations", "ticks", "active"),
    [
        ("add B, remove B, add B", [3, 4, 5], "A B"),
        ("add B, remove B C, add B", [3, 4, 5], "A B"),
        ("add B, remove C, add B", [3, 4, 5], "A B"),
        ("add B C, add B C", [3, 0], "A B C"),
        ("add B C, add C B", [3, 4], "A B C"),
        ("add B, add B C", [3, 4], "A B C"),
        ("add B, set C, add B", [3, 4, 5], "B C"),
        ("set B, set B", [3, 0], "B"),
        ("set B, add C, set B", [3, 4, 5], "B"),
        ("set B, add B, set B", [3, 4, 5], "B"),
    ],
)
def test_q10_a_duplicate_is_dropped_right_behind_the_first_only(mutations: str, ticks: list[int], active: str) -> None:
    """Whatever else waits behind the first one keeps it, and so does another order of the states."""
    promised, m = queued(*mutations.split(", "))
    assert promised == ticks
    assert set(m.active_states()) == set(active.split())


def test_q36_a_canceled_mutation_releases_its_waiters() -> None:
    """Also one that relations refuse, with nothing after it."""

    async def main() -> None:
        waits: list[asyncio.Future[None]] = []

        def ask(e: Event) -> None:
            waits.append(e.machine.when_queue(e.add("B")))

        m = build({"A": {}, "B": {"require": ["C"]}, "C": {}}, AState=ask)
        m.add("A")
        assert text(m) == "(A:1) [B:0 C:0]"
        assert [wait.done() for wait in waits] == [True]

    asyncio.run(main())


# dry runs and evals


def test_q12_an_event_of_a_dry_run_says_so() -> None:
    """Handlers can tell a dry run from a mutation."""
    seen: list[bool] = []
    m = build(PLAIN, AEnter=lambda e: seen.append(e.is_check))
    m.can_add("A")
    m.add("A")
    assert seen == [True, False]


def test_q13_a_dry_run_tells_the_truth() -> None:
    """Of adds and of removes."""
    m = build(PLAIN, "A B", AExit=refuse, CEnter=refuse)
    assert [str(m.can_remove("A")), str(m.can_remove("B")), str(m.can_add("C")), str(m.can_add("D"))] == [
        "canceled", "executed", "canceled", "executed",
    ]  # fmt: skip


def test_q13_a_dry_run_inside_a_handler_tells_the_truth_later() -> None:
    """It is queued, and its outcome can be awaited; what its own handlers mutate is processed before."""

    async def main() -> None:
        checks: list[Any] = []

        def check(e: Event) -> None:
            checks.extend([e.machine.can_remove("A"), e.machine.can_remove("B")])

        def bring_d(e: Event) -> None:
            e.add("D")

        m = build(PLAIN, "B", AState=check, AExit=refuse, BExit=bring_d)
        m.add("A")
        assert [result.queued for result in checks] == [True, True]
        assert [str(await result) for result in checks] == ["canceled", "executed"]
        assert m.is_("A", "B", "D")

    asyncio.run(main())


def test_q14_a_dry_run_of_a_remove_has_arguments() -> None:
    """Its handlers are given them."""
    seen: list[Any] = []
    build(PLAIN, "A", AExit=lambda e: seen.append(e.args)).can_remove("A", why="asked")
    assert seen == [{"why": "asked"}]


def test_q15_a_nested_eval_raises_at_once() -> None:
    """It neither blocks nor runs, and the outer one goes on."""
    m = Machine(PLAIN)
    ran: list[str] = []

    def outer() -> str:
        with pytest.raises(NestedEvalError):
            m.eval(ran.append, "inner")
        return "outer"

    assert m.eval(outer) == "outer"
    assert ran == []


def test_q16_an_error_in_an_eval_reaches_the_caller_only() -> None:
    """What it queued is processed, and the machine goes on."""
    m = Machine(PLAIN)

    def outer() -> None:
        m.add("A")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        m.eval(outer)
    assert m.is_("A")
    assert not m.is_err()
    assert m.add("B") is Result.EXECUTED


# waits


def test_q34_a_question_is_asked_at_once() -> None:
    """A wait for a question whose answer is yes already is done, and can be cancelled like any other."""

    async def main() -> None:
        m = build(PLAIN, "A")
        assert m.when_query(lambda clock: clock["A"] == 1).done()
        wait = m.when_query(lambda clock: clock["A"] == 2)
        wait.cancel()
        m.remove("A")
        assert wait.cancelled()

    asyncio.run(main())


def test_q35_all_waits_end_with_the_machine() -> None:
    """Questions too, with an error that names the machine; but whoever waits for the end itself has no error."""

    async def main() -> None:
        m = Machine(PLAIN, id="mine")
        waits: list[asyncio.Future[Any]] = [
            m.when("A"), m.when_time({"A": 1}), m.when_args("A"), m.when_query(lambda clock: False), m.when_err(),
        ]  # fmt: skip
        end = m.when_disposed()
        m.dispose()
        for wait in waits:
            with pytest.raises(MachineDisposedError, match="mine"):
                await wait
        await end

    asyncio.run(main())


def test_q37_waits_are_not_shared() -> None:
    """Two waits for the same are two futures: cancelling one leaves the other."""

    async def main() -> None:
        m = Machine(PLAIN)
        one, other = m.when_args("B", foo="bar"), m.when_args("B", foo="bar")
        less = m.when_args("B", foo="bar", baz=1)
        assert one is not other
        one.cancel()
        m.add("B", foo="bar")
        assert (other.done(), less.done()) == (True, False)
        less.cancel()

    asyncio.run(main())


def test_waits_see_a_transition_whose_final_handler_failed() -> None:
    """What it committed and did not take back resolves waits."""

    async def main() -> None:
        m = build(PLAIN, CState=fail)
        waits = [m.when("B"), m.when_time({"B": 1}), m.when_query(lambda clock: clock["B"] == 1), m.when("C")]
        m.add("B", "C")
        assert [wait.done() for wait in waits] == [True, True, True, False]
        waits[3].cancel()

    asyncio.run(main())
