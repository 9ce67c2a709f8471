"""The reference's tests of the queue."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Event, Machine, Result
from tests.reference.machines import active, ended, history, no_rels


@pytest.mark.reference("TestQueue")
def test_a_nested_mutation_is_promised_a_queue_tick() -> None:
    """A mutation made in a handler waits for its own transition, and is promised a tick."""
    results: list[Result] = []

    class Nested:
        def BEnter(self, e: Event) -> None:
            results.append(e.machine.add("C", **e.args))

    m = no_rels("A")
    h = history(m)
    m.bind(Nested())
    m.set("B", some="argument")
    assert [result.tick for result in results] == [4]
    assert h.text() == "AExit BEnter AB AnyEnter AEnd BState AnyState CEnter BB BC AnyEnter CState AnyState"
    assert (ended(m), m.queue_tick) == ("(B:1 C:1) [A:2 D:0]", 4)


@pytest.mark.reference("TestQueueCheckable")
def test_the_queue_can_be_asked() -> None:
    """A handler sees what is queued, and where."""
    seen: list[Any] = []

    class Asking:
        def AState(self, e: Event) -> None:
            m = e.machine
            for state in "BCD":
                e.add(state)
            queued = [(mutation.kind, mutation.called) for mutation in m.queued()]
            seen.extend([m.queue_len, queued.index(("add", ("C",))), ("add", ("A",)) in queued])
            seen.extend([m.will_be("C"), m.will_be("A"), m.will_be_removed("A")])

    m = no_rels()
    m.bind(Asking())
    m.add("A", some="argument")
    assert seen == [3, 1, False, True, False, False]
    assert (ended(m), m.active_states(), m.queue_tick) == ("(A:1 B:1 C:1 D:1) []", ("D", "C", "B", "A"), 5)


@pytest.mark.reference("TestNestedMutation")
def test_repetitions_are_queued_once() -> None:
    """A mutation that is queued already is not queued again."""
    lengths: list[int] = []

    class Repeating:
        def AState(self, e: Event) -> None:
            for _ in range(3):
                e.add("B")
            lengths.append(e.machine.queue_len)
            for _ in range(2):
                e.remove("B")
                lengths.append(e.machine.queue_len)

    m = no_rels("B")
    m.bind(Repeating())
    m.add("A", some="argument")
    assert lengths == [1, 2, 2]
    assert (ended(m), m.queue_tick) == ("(A:1) [B:2 C:0 D:0]", 5)


@pytest.mark.reference("TestEvMutations")
def test_mutations_of_an_event_know_their_source() -> None:
    """A mutation made through an event names the machine and the transition it was made in."""
    sources: list[Any] = []

    class Tracing:
        def AState(self, e: Event) -> None:
            assert e.transition is not None
            sources.append((e.machine.id, e.transition.id))
            e.add("B", **e.args)
            e.remove("A")

        def BState(self, e: Event) -> None:
            assert e.mutation.source is not None
            sources.append((e.mutation.source.machine_id, e.mutation.source.tx_id))
            sources.append(e.args)

    m = no_rels()
    h = history(m)
    m.bind(Tracing())
    m.add("A", some="argument")
    assert sources[0] == sources[1]
    assert sources[2] == {"some": "argument"}
    assert h.text() == (
        "AnyEnter AState AnyState BEnter AA AB AnyEnter BState AnyState AExit AB AnyEnter AEnd AnyState"
    )
    assert (ended(m), m.queue_tick) == ("(B:1) [A:2 C:0 D:0]", 4)


@pytest.mark.reference("TestWhenQueue")
def test_a_queued_mutation_can_be_awaited() -> None:
    """Who waits for a queued mutation wakes when it has been processed."""

    async def main() -> None:
        seen: list[set[str]] = []

        class Queueing:
            def AState(self, e: Event) -> None:
                e.add("B")
                e.add("C")
                self.task = asyncio.create_task(wait(e.machine, e.add("D")))

        async def wait(m: Machine, result: Result) -> None:
            await m.when_queue(result)
            seen.append(active(m))

        m = no_rels()
        handlers = Queueing()
        m.bind(handlers)
        m.add("A")
        await handlers.task
        assert seen == [{"A", "B", "C", "D"}]
        assert m.queue_tick == 5

    asyncio.run(main())


@pytest.mark.reference("TestWhenQueueEnds")
def test_the_end_of_the_queue_can_be_awaited() -> None:
    """A wait made during a transition ends when everything queued has been processed, not before."""

    async def main() -> None:
        waits: list[asyncio.Future[None]] = []

        class Handlers:
            def AState(self, e: Event) -> None:
                assert e.machine.transition is not None
                waits.append(e.machine.when_queue_ends())
                e.add("B")

            def BState(self, e: Event) -> None:
                self.done_in_b = waits[0].done()

        m = no_rels()
        handlers = Handlers()
        m.bind(handlers)
        m.add("A")
        assert (handlers.done_in_b, waits[0].done()) == (False, True)
        m.remove("A")
        assert (ended(m), m.queue_tick) == ("(B:1) [A:2 C:0 D:0]", 4)

    asyncio.run(main())
