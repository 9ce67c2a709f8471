"""A wait is told once, in order, and whatever becomes of it leaves nothing behind: on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, MachineDisposedError, Tracer
from tests.asyncmachine.loops import Run, is_clean

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}


async def boom() -> None:
    await asyncio.sleep(0)
    raise ValueError


async def beside_a_failure(coro: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a task group whose other task fails."""
    async with asyncio.TaskGroup() as group:
        group.create_task(coro)
        group.create_task(boom())


WAITS: dict[str, Callable[[Machine], asyncio.Future[Any]]] = {
    "when": lambda m: m.when("A", "B"),
    "when a state twice": lambda m: m.when("A", "A"),
    "when_not": lambda m: m.when_not("C"),
    "when_time": lambda m: m.when_time({"A": 1, "B": 1}),
    "when_ticks": lambda m: m.when_ticks("A", 1),
    "when_next_active": lambda m: m.when_next_active("A"),
    "when_args": lambda m: m.when_args("A", x=1),
    "when_query": lambda m: m.when_query(lambda clock: clock["A"] and clock["B"]),
}


@pytest.mark.parametrize("make", WAITS.values(), ids=WAITS)
def test_a_resolved_wait_leaves_nothing(make: Callable[[Machine], asyncio.Future[Any]], run: Run) -> None:
    """What has been told is forgotten."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("C")
        wait = make(m)
        assert not is_clean(m)
        m.set("A", "B", x=1)
        assert wait.done()
        assert is_clean(m)

    run(main)


@pytest.mark.parametrize("make", WAITS.values(), ids=WAITS)
def test_waits_under_timeouts_and_groups(make: Callable[[Machine], asyncio.Future[Any]], run: Run) -> None:
    """A time limit, a failing neighbour in a task group and plain cancellation end a wait, and leave nothing."""

    async def wait_for(m: Machine, seconds: float | None) -> None:
        async with asyncio.timeout(seconds):
            await make(m)

    async def main() -> None:
        m = Machine(STATES)
        m.add("C")
        with pytest.raises(TimeoutError):
            await wait_for(m, 0)
        assert is_clean(m)
        with pytest.raises(ExceptionGroup):
            await beside_a_failure(wait_for(m, None))
        assert is_clean(m)
        task = asyncio.create_task(wait_for(m, None))
        await asyncio.sleep(0)
        assert not is_clean(m)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert is_clean(m)
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for(m, 60))
            await asyncio.sleep(0)
            m.set("A", "B", x=1)
        assert is_clean(m)

    run(main)


def test_contexts_under_timeouts_and_groups(run: Run) -> None:
    """A block under a context is ended by a time limit or a neighbour like any other code, and says so."""

    async def block(m: Machine, ended: list[str]) -> None:
        async with m.state_ctx("A"):
            await asyncio.Event().wait()
        ended.append("quietly")

    async def main() -> None:
        m = Machine(STATES)
        m.add("A")
        ended: list[str] = []
        limited = asyncio.timeout(0)
        with pytest.raises(TimeoutError):
            async with limited:
                await block(m, ended)
        with pytest.raises(ExceptionGroup):
            await beside_a_failure(block(m, ended))
        assert ended == []
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(block(m, ended))
            await asyncio.sleep(0)
            m.remove("A")
        assert ended == ["quietly"]
        assert is_clean(m)

    run(main)


def test_error_in_a_block_under_a_context(run: Run) -> None:
    """A block's own error, and a cancellation from outside, leave it, whether the state has ended or not."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A")

        async def block(*, ended: bool) -> None:
            async with m.state_ctx("A"):
                if ended:
                    m.remove("A")
                raise ValueError("own")

        for ended in (False, True):
            with pytest.raises(ValueError, match="own"):
                await block(ended=ended)
        await asyncio.sleep(0)  # no cancellation is left behind

        async def cancelled() -> None:
            async with m.state_ctx("A"):
                m.add("A")
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cancelled())

    run(main)


def test_waiting_for_an_expiry_can_be_given_up(run: Run) -> None:
    """A cancelled wait_expired hinders neither the context nor other waiters."""

    async def main() -> None:
        m = Machine(STATES)
        ctx = m.state_ctx("A")
        first, second = asyncio.create_task(ctx.wait_expired()), asyncio.create_task(ctx.wait_expired())
        await asyncio.sleep(0)
        first.cancel()
        m.add("A")
        await second
        assert first.cancelled()
        assert repr(ctx) == "StateContext(A:0 expired)"

    run(main)


def test_order_of_telling(run: Run) -> None:
    """One transition tells waits for activation first, then for inactivity, times and queries, whoever came first."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("C")
        order: list[str] = []
        waits = {
            "query": m.when_query(lambda clock: clock["A"] == 1),
            "time": m.when_time({"A": 1}),
            "not": m.when_not("C"),
            "when": m.when("A"),
        }
        for name, wait in waits.items():
            wait.add_done_callback(lambda _, name=name: order.append(name))
        m.set("A")
        await asyncio.sleep(0)
        assert order == ["when", "not", "time", "query"]

    run(main)


def test_one_of_two_waits_for_arguments_is_given_up(run: Run) -> None:
    """The other one is told."""

    async def main() -> None:
        m = Machine(STATES)
        first, second = m.when_args("A"), m.when_args("A")
        first.cancel()
        m.add("A", x=1)
        assert await second == {"x": 1}
        assert is_clean(m)

    run(main)


def test_giving_up_a_wait_spares_tasks(run: Run) -> None:
    """A cancelled wait leaves the task of a state bound to it."""

    async def main() -> None:
        stopped = asyncio.Event()

        class Handlers:
            async def AState(self, e: Event) -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    stopped.set()

        m = Machine(STATES, handlers=Handlers())
        m.add("A")
        await asyncio.sleep(0)
        m.when("B").cancel()
        m.remove("A")
        await asyncio.wait_for(stopped.wait(), 60)

    run(main)


def test_the_end_of_a_task_spares_waits(run: Run) -> None:
    """When the last task of a state ends, a wait for another state still is told."""

    async def main() -> None:
        class Handlers:
            async def AState(self, e: Event) -> None: ...

        m = Machine(STATES, handlers=Handlers())
        m.add("A")
        wait = m.when("B")
        await asyncio.sleep(0)
        m.add("B")
        assert wait.done()
        assert is_clean(m)

    run(main)


def test_giving_up_a_wait_spares_the_end_of_the_queue(run: Run) -> None:
    """A cancelled wait in a handler leaves another one for the end of the queue."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None:
                self.ends = e.machine.when_queue_ends()
                e.machine.when("B").cancel()

        h = Handlers()
        m = Machine(STATES, handlers=h)
        m.add("A")
        assert h.ends.done()
        assert is_clean(m)

    run(main)


def test_queue_waits_leave_nothing(run: Run) -> None:
    """Waits for the queue are forgotten once told; one that is given up is forgotten at once."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None:
                result = e.add("B")
                self.waits = [e.machine.when_queue(result), e.machine.when_queue(result), e.machine.when_queue_ends()]
                self.waits[1].cancel()

        h = Handlers()
        m = Machine(STATES, handlers=h)
        m.add("A")
        assert [wait.done() for wait in h.waits] == [True] * 3
        assert is_clean(m)

    run(main)


def test_failed_query_is_asked_once(run: Run) -> None:
    """A query that raises is forgotten, and is no match."""

    async def main() -> None:
        asked: list[int] = []

        def ask(clock: dict[str, int]) -> bool:
            asked.append(clock["A"])
            return bool(1 // (1 - clock["A"])) and False

        t = Waits()
        m = Machine(STATES)
        m.bind_tracer(t)
        wait = m.when_query(ask)
        m.add("A")
        m.add("B")
        assert asked == [0, 1]
        assert isinstance(wait.exception(), ZeroDivisionError)
        assert t.seen == ["new [whenQuery:new]"]
        m.unbind_tracer(t)
        assert is_clean(m)

    run(main)


def test_dispose_forgets_all_waits(run: Run) -> None:
    """Every kind of pending wait is told of the end, and nothing is kept."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("C")
        waits = [make(m) for make in WAITS.values()]
        given_up = m.when("A")
        given_up.cancel()
        m.dispose()
        for wait in waits:
            assert isinstance(wait.exception(), MachineDisposedError)
        assert m._waiters.is_empty
        assert m._waiters.args_mask == 0
        with pytest.raises(MachineDisposedError):
            await m.when_query(lambda clock: True)
        assert m.state_ctx("A").expired
        assert m.fork(asyncio.sleep(0)) is None
        await m.when_disposed()

    run(main)


def test_queue_waits_at_dispose(run: Run) -> None:
    """Dispose in a handler: who waits for the end of the queue is told, a mutation that never ran is an error."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None:
                self.ends = e.machine.when_queue_ends()
                e.machine.dispose()

        h = Handlers()
        Machine(STATES, handlers=h).add("A")
        await h.ends

    run(main)


class Waits(Tracer):
    """Notes what is told of waits, contexts and tasks."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def subscription_new(self, machine: Machine, text: str) -> None:
        self.seen.append(f"new {text}")

    def subscription_match(self, machine: Machine, text: str) -> None:
        self.seen.append(f"match {text}")

    def state_ctx_new(self, machine: Machine, ctx: Any) -> None:
        self.seen.append(f"new {ctx}")

    def state_ctx_end(self, machine: Machine, ctx: Any) -> None:
        self.seen.append(f"end {ctx}")

    def task_fork(self, machine: Machine, task: Any, state: str | None) -> None:
        self.seen.append(f"fork {state}")

    def schema_change(self, machine: Machine, old: Any) -> None:
        self.seen.append(f"grown from {len(old.names)}")


def test_hooks_of_waits_and_tasks(run: Run) -> None:
    """A tracer hears of waits made and met, of contexts, of tasks, and of a grown schema."""

    async def main() -> None:
        class Handlers:
            async def MState(self, e: Event) -> None:
                await asyncio.sleep(0)

            async def BState(self, e: Event) -> None:
                await asyncio.sleep(0)  # so that an eager task does not come before its time
                e.machine.when_queue(e.machine.add("C"))

            def CState(self, e: Event) -> None:
                e.machine.when_queue(e.add("A"))

        t = Waits()
        m = Machine(STATES, handlers=Handlers(), tracers=(t,))
        m.when("A", "B")
        m.when_args("M", y=1, x=1)
        m.state_ctx("A")
        m.fork(asyncio.sleep(0))
        m.add("A", "B", "M", x=1, y=1)
        m.add("C")
        m.set_schema({**STATES, "D": {}})
        await asyncio.sleep(0)
        assert t.seen == [
            "new [when:new] A B",
            "new [whenArgs:new] M (x y)",
            "new StateContext(A:0)",
            "fork None",
            "end StateContext(A:0 expired)",
            "fork B",
            "fork None",
            "match [whenArgs:match] M (x y)",
            "match [when:match] A B",
            "new [whenQueue:new] 4",
            "match [whenQueue:match] 4",
            "grown from 5",
        ]
        m.dispose()
        await m.disposed()

    run(main)
