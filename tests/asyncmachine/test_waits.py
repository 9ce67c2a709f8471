"""Waits resolve after committed transitions, in order, and leave nothing behind when they are given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, MachineDisposedError, Result, StateContext
from asyncmachine._runtime import OBSERVED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.asyncmachine.loops import Run

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}


def test_when_resolves_together_only(run: Run) -> None:
    """When needs all states at the same moment."""

    async def main() -> None:
        m = Machine(STATES)
        wait = m.when("A", "B")
        m.add("A")
        m.remove("A")
        m.add("B")
        assert not wait.done()
        m.add("A")
        assert wait.done()
        await wait

    run(main)


@pytest.mark.parametrize("make", [lambda m: m.when("A"), lambda m: m.when(), lambda m: m.when_not("B", "C"), lambda m: m.when_time({"A": 1}), lambda m: m.when_ticks("B", 0), lambda m: m.when_query(lambda clock: clock["A"] == 1), lambda m: m.when_queue(Result.EXECUTED), lambda m: m.when_queue_ends()])  # fmt: skip
def test_already_true_is_already_done(make: Callable[[Machine], asyncio.Future[Any]], run: Run) -> None:
    """A wait that is true when made is done."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A")
        assert make(m).done()

    run(main)


def test_when_not(run: Run) -> None:
    """WhenNot needs all states inactive."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A", "B")
        wait = m.when_not("A", "B")
        m.remove("A")
        assert not wait.done()
        m.remove("B")
        assert wait.done()

    run(main)


def test_when_time_ticks_off_each_state(run: Run) -> None:
    """WhenTime keeps a reached tick reached."""

    async def main() -> None:
        m = Machine(STATES)
        wait = m.when_time({"A": 3, "B": 1})
        m.add("B")
        m.remove("B")
        m.add("A")
        m.remove("A")
        assert not wait.done()
        m.add("A")
        assert wait.done()

    run(main)


def test_when_ticks_and_next_active(run: Run) -> None:
    """WhenTicks counts from now, WhenNextActive skips the current activation, a Multi re-entry counts."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A", "M")
        ticks, following, multi = m.when_ticks("A", 1), m.when_next_active("A"), m.when_next_active("M")
        m.remove("A")
        assert (ticks.done(), following.done()) == (True, False)
        m.add("A", "M")
        assert (following.done(), multi.done()) == (True, True)

    run(main)


def test_when_query(run: Run) -> None:
    """WhenQuery asks after every committed transition; its error reaches the waiter."""

    async def main() -> None:
        m = Machine(STATES)
        wait = m.when_query(lambda clock: clock["A"] > 2)
        broken = m.when_query(lambda clock: 1 // (1 - clock["B"]) > 5)
        m.add("A")
        m.remove("A")
        assert not wait.done()
        m.add("A")
        m.add("B")
        assert wait.done()
        with pytest.raises(ZeroDivisionError):
            await broken

    run(main)


class Queueing:
    """Queues B and C from A's State handler and looks at a wait."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []
        self.wait: asyncio.Future[Any] | None = None
        self.results: list[Result] = []

    def look(self, e: Event) -> None:
        assert self.wait is not None
        self.seen.append((e.name, self.wait.done()))

    def AState(self, e: Event) -> None:
        self.results = [e.add("B"), e.add("C")]
        self.look(e)

    def BState(self, e: Event) -> None:
        self.look(e)

    def CState(self, e: Event) -> None:
        self.look(e)


def test_waits_resolve_between_transitions(run: Run) -> None:
    """A wait resolves after its transition and before the next queued one."""

    async def main() -> None:
        h = Queueing()
        m = Machine(STATES, handlers=h)
        h.wait = m.when("B")
        m.add("A")
        assert h.seen == [("AState", False), ("BState", False), ("CState", True)]

    run(main)


def test_when_args_resolves_after_the_state_handler(run: Run) -> None:
    """WhenArgs resolves right after the State handler, before the next final handler, with the arguments."""

    async def main() -> None:
        h = Queueing()
        m = Machine(STATES, handlers=h)
        h.wait = m.when_args("B")
        m.add("B", "C", x=1)
        assert h.seen == [("BState", False), ("CState", True)]
        assert await h.wait == {"x": 1}

    run(main)


def test_when_args_matches_values(run: Run) -> None:
    """WhenArgs needs every given pair, works without handlers, and ignores states that are active already."""

    async def main() -> None:
        m = Machine(STATES)
        wait = m.when_args("M", topic="t")
        m.add("M", topic="u")
        assert not wait.done()
        m.add("M", topic="t", more=1)
        assert await wait == {"topic": "t", "more": 1}
        m.add("A")
        again = m.when_args("A")
        m.add("A")
        assert not again.done()
        again.cancel()

    run(main)


def test_when_queue_resolves_for_canceled_mutations_too(run: Run) -> None:
    """A queue waiter is released once its mutation is processed, whatever its outcome."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None:
                self.wait = e.machine.when_queue(e.add("B"))
                self.ends = e.machine.when_queue_ends()
                self.early = (self.wait.done(), self.ends.done())

            def BEnter(self, e: Event) -> bool:
                return False

        h = Handlers()
        Machine(STATES, handlers=h).add("A")
        assert h.early == (False, False)
        assert (h.wait.done(), h.ends.done()) == (True, True)

    run(main)


def test_when_err(run: Run) -> None:
    """WhenErr waits for Exception."""

    async def main() -> None:
        m = Machine(STATES)
        wait = m.when_err()
        m.add_err(ValueError())
        assert wait.done()

    run(main)


def test_taken_back_state_is_seen_by_when_not(run: Run) -> None:
    """A take-back resolves WhenNot, expires the context, and does not resolve When."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None:
                self.ctx = e.ctx
                self.gone = e.machine.when_not("A")
                raise ValueError

        h = Handlers()
        m = Machine(STATES, handlers=h)
        wait = m.when("A")
        m.add("A")
        assert isinstance(h.ctx, StateContext)
        assert (h.ctx.expired, h.gone.done(), wait.done()) == (True, True, False)
        wait.cancel()

    run(main)


@pytest.mark.parametrize("make", [lambda m: m.when("A", "B"), lambda m: m.when_time({"A": 9}), lambda m: m.when_args("A", x=1), lambda m: m.when_query(lambda clock: False)])  # fmt: skip
def test_cancelled_wait_leaves_nothing(make: Callable[[Machine], asyncio.Future[Any]], run: Run) -> None:
    """Cancelling a wait, or the task that awaits it, unsubscribes at once."""

    async def main() -> None:
        m = Machine(STATES)
        make(m).cancel()
        assert m._flags & ~OBSERVED == 0

        async def waiter() -> None:
            await make(m)

        task = asyncio.create_task(waiter())
        await asyncio.sleep(0)
        assert m._flags & ~OBSERVED != 0
        task.cancel()
        await asyncio.wait([task])
        assert m._flags & ~OBSERVED == 0
        assert m._waiters.is_empty

    run(main)


def test_a_thousand_waiters(run: Run) -> None:
    """Many waiters on one state are all told by one transition and leave nothing."""

    async def main() -> None:
        m = Machine(STATES)
        waits = [m.when("A") for _ in range(1000)]
        assert len({id(wait) for wait in waits}) == 1000
        m.add("A")
        assert all(wait.done() for wait in waits)
        assert m._flags & ~OBSERVED == 0

    run(main)


def test_dispose_fails_pending_waits(run: Run) -> None:
    """On dispose pending waits raise, except when_disposed; later ones raise at once."""

    async def main() -> None:
        m = Machine(STATES, id="mine")
        wait, end = m.when("A"), m.when_disposed()
        m.dispose()
        with pytest.raises(MachineDisposedError, match="mine"):
            await wait
        await end
        with pytest.raises(MachineDisposedError):
            await m.when("A")

    run(main)


def test_waits_need_a_loop() -> None:
    """Without a running loop a wait is a RuntimeError, and leaves nothing."""
    m = Machine(STATES)
    with pytest.raises(RuntimeError):
        m.when("A")
    assert m._flags & ~OBSERVED == 0


@pytest.mark.parametrize("leaving", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_comparison_of_arguments_may_leave_the_program(leaving: type[BaseException], run: Run) -> None:
    """What is no error of the wait leaves the mutation, and the wait goes on."""

    class Leaves:
        __hash__ = None  # type: ignore[assignment]  # as it has its own comparison

        def __eq__(self, other: object) -> bool:
            raise leaving

    async def main() -> None:
        machine = Machine({"A": {}})
        wait = machine.when_args("A", value=Leaves())
        with pytest.raises(leaving):
            machine.add("A", value=1)
        assert not wait.done()
        wait.cancel()

    run(main)
