"""The reference's tests of waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Event, Machine
from tests.reference.machines import ended, machine, no_rels, rels


class Later:
    """From A's State handler on, mutates once per turn of the loop."""

    def __init__(self, kind: str, *states: str) -> None:
        self.kind = kind
        self.states = states

    async def AState(self, e: Event) -> None:
        for state in self.states:
            await asyncio.sleep(0)
            getattr(e.machine, self.kind)(state)


@pytest.mark.reference("TestWhen")
def test_when() -> None:
    """A wait for two states ends when both are active."""

    async def main() -> None:
        m = no_rels()
        m.bind(Later("add", "B", "C"))
        m.set("A")
        await m.when("B", "C")
        assert (m.active_states(), m.queue_tick) == (("C", "B", "A"), 4)

    asyncio.run(main())


async def two_waiters(m: Machine, wait: str, mutation: str) -> None:
    async def waiter() -> None:
        await getattr(m, wait)("A", "B")

    tasks = [asyncio.create_task(waiter()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    getattr(m, mutation)("A", "B")
    await asyncio.gather(*tasks)


@pytest.mark.reference("TestWhen2")
def test_two_wait_for_the_same() -> None:
    """Both of two waiting tasks wake."""
    asyncio.run(two_waiters(no_rels(), "when", "add"))


@pytest.mark.reference("TestWhenActive")
def test_when_active_already() -> None:
    """A wait for an active state is done."""

    async def main() -> None:
        assert no_rels("A").when("A").done()

    asyncio.run(main())


@pytest.mark.reference("TestWhenDups")
def test_waits_that_share_states() -> None:
    """Of overlapping waits, those that are met end, and the others go on."""

    async def main() -> None:
        m = no_rels()
        waits = [m.when("A"), m.when("A", "B"), m.when("A", "C")]
        m.set("A")
        assert [wait.done() for wait in waits] == [True, False, False]
        m.add("C")
        assert [wait.done() for wait in waits] == [True, False, True]
        m.dispose()

    asyncio.run(main())


@pytest.mark.reference("TestWhenNot")
def test_when_not() -> None:
    """A wait for the end of two states ends when both are inactive."""

    async def main() -> None:
        m = no_rels("B", "C")
        m.bind(Later("remove", "B", "C"))
        m.add("A")
        await m.when_not("B", "C")
        assert m.when_not("B").done()
        assert not m.is_err()
        assert (ended(m), m.queue_tick) == ("(A:1) [B:2 C:2 D:0]", 5)

    asyncio.run(main())


@pytest.mark.reference("TestWhenNot2")
def test_two_wait_for_the_same_end() -> None:
    """Both of two tasks waiting for an end wake."""
    asyncio.run(two_waiters(no_rels("A", "B"), "when_not", "remove"))


@pytest.mark.reference("TestWhenNotActive")
def test_when_not_active_already() -> None:
    """A wait for the end of an inactive state is done."""

    async def main() -> None:
        assert no_rels("A").when_not("B").done()

    asyncio.run(main())


@pytest.mark.reference("TestWhenArgs")
def test_when_args() -> None:
    """A wait for arguments ends with the mutation that has them."""

    async def main() -> None:
        m = rels()
        wait = m.when_args("B", foo="bar")
        m.add("B", foo="foo")
        assert not wait.done()
        m.add("B", foo="bar")
        assert wait.result() == {"foo": "bar"}
        assert ended(m) == "(A:1 B:3 C:1) [D:0]"

    asyncio.run(main())


@pytest.mark.reference("TestWhenTime")
def test_when_time() -> None:
    """A wait for ticks ends when each state has reached its own."""

    async def main() -> None:
        m = no_rels("A", "B")
        waits = [m.when_time({"A": tick, "B": 2}) for tick in (5, 7, 9)]
        m.remove("A", "B")
        m.add("A", "B")
        assert not any(wait.done() for wait in waits)
        seen = []
        for _ in range(3):
            m.remove("A")
            m.add("A")
            seen.append([wait.done() for wait in waits])
        assert seen == [[True, False, False], [True, True, False], [True, True, True]]
        assert m.time("A", "B") == (9, 3)

    asyncio.run(main())


@pytest.mark.reference("TestWhenQuery")
def test_when_query() -> None:
    """A wait for a question about the clock ends when its answer is yes."""

    async def main() -> None:
        m = no_rels("A")
        far = m.when_query(lambda clock: clock["A"] > 4 * clock["B"])
        assert far.done(), "the question is asked at once"
        m.add("B")
        far = m.when_query(lambda clock: clock["A"] > 4 * clock["B"])
        less = m.when_query(lambda clock: clock["A"] < clock["B"])
        m.remove("A")
        m.add("A")
        m.remove("A")
        assert (m.time("A", "B"), far.done(), less.done()) == ((4, 1), False, False)
        m.add("A")
        assert (m.time("A", "B"), far.done(), less.done()) == ((5, 1), True, False)
        assert m.queue_tick == 7

    asyncio.run(main())


@pytest.mark.reference("TestWhenCtx")
def test_waits_can_be_given_up() -> None:
    """A wait that is cancelled is forgotten at once; cancelling stands for the reference's contexts."""

    async def main() -> None:
        m = machine({"A": {}, "B": {}, "C": {}, "D": {"multi": True}}, "A", "B")
        waits: list[asyncio.Future[Any]] = [
            m.when_time({"A": 3, "B": 3}),
            m.when_ticks("A", 2),
            m.when_time({"B": 3}),
            m.when_args("B", foo="bar"),
            m.when("C"),
        ]
        assert not m._waiters.is_empty
        for wait in waits:
            wait.cancel()
        assert all(wait.cancelled() for wait in waits)
        assert m._waiters.is_empty
        m.add("D")
        assert m.when_time({"A": 1}).done(), "passed already"

    asyncio.run(main())
