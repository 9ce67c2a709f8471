"""Waits resolve after committed transitions, contexts and tasks end with their state."""

# handlers are named after their states

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, MachineDisposedError, Result, StateContext

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def test_when_resolves_together_only() -> None:
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
def test_already_true_is_already_done(make: Callable[[Machine], asyncio.Future[Any]]) -> None:
    """A wait that is true when made is done."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A")
        assert make(m).done()

    run(main)


def test_when_not() -> None:
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


def test_when_time_ticks_off_each_state() -> None:
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


def test_when_ticks_and_next_active() -> None:
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


def test_when_query() -> None:
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


def test_waits_resolve_between_transitions() -> None:
    """A wait resolves after its transition and before the next queued one."""

    async def main() -> None:
        h = Queueing()
        m = Machine(STATES, handlers=h)
        h.wait = m.when("B")
        m.add("A")
        assert h.seen == [("AState", False), ("BState", False), ("CState", True)]

    run(main)


def test_when_args_resolves_after_the_state_handler() -> None:
    """WhenArgs resolves right after the State handler, before the next final handler, with the arguments."""

    async def main() -> None:
        h = Queueing()
        m = Machine(STATES, handlers=h)
        h.wait = m.when_args("B")
        m.add("B", "C", x=1)
        assert h.seen == [("BState", False), ("CState", True)]
        assert await h.wait == {"x": 1}

    run(main)


def test_when_args_matches_values() -> None:
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


def test_when_queue_resolves_for_canceled_mutations_too() -> None:
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


def test_when_err() -> None:
    """WhenErr waits for Exception."""

    async def main() -> None:
        m = Machine(STATES)
        wait = m.when_err()
        m.add_err(ValueError())
        assert wait.done()

    run(main)


def test_taken_back_state_is_seen_by_when_not() -> None:
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
def test_cancelled_wait_leaves_nothing(make: Callable[[Machine], asyncio.Future[Any]]) -> None:
    """Cancelling a wait, or the task that awaits it, unsubscribes at once."""

    async def main() -> None:
        m = Machine(STATES)
        make(m).cancel()
        assert m._gate == 0

        async def waiter() -> None:
            await make(m)

        task = asyncio.create_task(waiter())
        await asyncio.sleep(0)
        assert m._gate != 0
        task.cancel()
        await asyncio.wait([task])
        assert m._gate == 0
        assert m._subs is not None
        assert m._subs.is_empty

    run(main)


def test_a_thousand_waiters() -> None:
    """Many waiters on one state are all told by one transition and leave nothing."""

    async def main() -> None:
        m = Machine(STATES)
        waits = [m.when("A") for _ in range(1000)]
        assert len({id(wait) for wait in waits}) == 1000
        m.add("A")
        assert all(wait.done() for wait in waits)
        assert m._gate == 0

    run(main)


def test_dispose_fails_pending_waits() -> None:
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
    assert m._gate == 0


# contexts and tasks


def test_context_expires_with_its_tick() -> None:
    """A context ends on activation, deactivation and Multi re-entry, and is shared until then."""
    m = Machine(STATES)
    idle, multi = m.state_ctx("A"), m.state_ctx("M")
    m.add("A", "M")
    assert (idle.expired, multi.expired) == (True, True)
    active, multi = m.state_ctx("A"), m.state_ctx("M")
    assert active is m.state_ctx("A")
    m.add("A", "M")
    assert (active.expired, multi.expired) == (False, True)
    m.remove("A")
    assert active.expired


def test_context_expires_before_final_handlers() -> None:
    """AEnd sees the context of A expired."""

    class Handlers:
        def AState(self, e: Event) -> None:
            self.ctx = e.ctx

        def AEnd(self, e: Event) -> None:
            assert self.ctx is not None
            self.expired = self.ctx.expired

    h = Handlers()
    m = Machine(STATES, handlers=h)
    m.add("A")
    m.remove("A")
    assert h.expired


def test_event_context_is_of_its_own_activation() -> None:
    """An event's context, asked for too late, is expired instead of that of a later activation."""

    class Handlers:
        def AState(self, e: Event) -> None:
            self.event = getattr(self, "event", e)

        def AnyState(self, e: Event) -> None:
            assert e.ctx is None

    h = Handlers()
    m = Machine(STATES, handlers=h)
    m.add("A")
    assert h.event.ctx is m.state_ctx("A")
    m.remove("A")
    m.add("A")
    assert h.event.ctx is not None
    assert h.event.ctx.expired


class Working:
    """An async State handler that works until it is stopped."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def AState(self, e: Event) -> None:
        self.log.append("started")
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append("stopped")


ROUTES: list[Callable[[Machine], object]] = [
    lambda m: m.remove("A"),
    lambda m: m.set("B"),
    lambda m: m.add("X"),
    lambda m: m.remove("Need"),
    lambda m: m.eval(lambda: m.remove("A")),
    lambda m: m.dispose(),
]


@pytest.mark.parametrize("route", ROUTES)
def test_async_handler_is_cancelled_by_any_route(route: Callable[[Machine], object]) -> None:
    """The task of an async handler is cancelled however the state ends."""

    async def main() -> None:
        h = Working()
        m = Machine({"Need": {}, "A": {"require": ["Need"]}, "B": {}, "X": {"remove": ["A"]}}, handlers=h)
        m.add("Need", "A")
        await asyncio.sleep(0)
        assert h.log == ["started"]
        route(m)
        m.dispose()
        await m.disposed()
        assert h.log == ["started", "stopped"]
        assert not m._tasks

    run(main)


def test_task_cancelled_before_its_first_step() -> None:
    """A task that never ran gives no warning and leaves nothing."""

    async def main() -> None:
        h = Working()
        m = Machine(STATES, handlers=h)
        m.add("A")
        m.remove("A")
        m.add("B")
        m.fork(asyncio.sleep(0), "B")
        m.remove("B")
        m.dispose()
        await m.disposed()
        gc.collect()
        assert h.log == []

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main)


def test_async_handler_error_becomes_exception() -> None:
    """What an async handler raises is added as an error."""

    class Handlers:
        async def AState(self, e: Event) -> None:
            raise ValueError("late")

    async def main() -> None:
        m = Machine(STATES, handlers=Handlers())
        m.add("A")
        await m.when_err()
        assert str(m.err) == "late"
        assert m.is_("A")
        assert m._gate == 0

    run(main)


def test_async_handler_of_multi_lives_on() -> None:
    """Tasks of a Multi state are bound to the machine's life, not to one activation."""

    async def main() -> None:
        done: list[int] = []

        class Handlers:
            async def MState(self, e: Event) -> None:
                await asyncio.sleep(0)
                done.append(e.args["n"])

        m = Machine(STATES, handlers=Handlers())
        m.add("M", n=1)
        m.add("M", n=2)
        m.remove("M")
        await asyncio.wait(tuple(m._tasks or ()))
        assert done == [1, 2]

    run(main)


def test_async_handler_without_a_loop() -> None:
    """Without a running loop an async handler fails with RuntimeError and does not warn."""
    m = Machine(STATES, handlers=Working())
    assert m.add("A") is Result.CANCELED
    assert isinstance(m.err, RuntimeError)


def test_async_handler_honours_a_task_factory() -> None:
    """Tasks are made by the loop's task factory if there is one."""

    async def main() -> None:
        made: list[object] = []

        def factory(loop: Any, coro: Any, **options: Any) -> Any:
            made.append(coro)
            return asyncio.Task(coro, loop=loop, **options)

        asyncio.get_running_loop().set_task_factory(factory)
        m = Machine(STATES, handlers=Working())
        m.add("A")
        m.fork(asyncio.sleep(0))
        assert len(made) == 2
        m.dispose()
        await m.disposed()

    run(main)


def test_event_fork_ends_with_the_activation() -> None:
    """E.fork is bound to the handler's state; too late it closes the coroutine."""

    class Handlers:
        def AState(self, e: Event) -> None:
            self.event = e
            self.task = e.fork(asyncio.Event().wait())

    async def main() -> None:
        h = Handlers()
        m = Machine(STATES, handlers=h)
        m.add("A")
        m.remove("A")
        assert h.task is not None
        await asyncio.wait([h.task])
        assert h.task.cancelled()
        assert h.event.fork(asyncio.sleep(0)) is None

    run(main)


def test_fork_error_becomes_exception() -> None:
    """An error in a forked task becomes the Exception state, and still reaches who awaits the task."""

    async def fail() -> None:
        raise ValueError("late")

    async def main() -> None:
        m = Machine(STATES)
        task = m.fork(fail())
        assert task is not None
        with pytest.raises(ValueError, match="late"):
            await task
        await m.when_err()

    run(main)


def test_async_with_context() -> None:
    """A block under a context is cancelled when the state ends, quietly."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A")
        steps: list[str] = []

        async def work() -> None:
            async with m.state_ctx("A"):
                steps.append("in")
                await asyncio.Event().wait()
                steps.append("never")
            steps.append("out")
            await asyncio.sleep(0)
            steps.append("on")

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        m.remove("A")
        await task
        assert steps == ["in", "out", "on"]

    run(main)


def test_async_with_context_ended_inside() -> None:
    """A block that ends its own state without awaiting leaves no cancellation behind."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A")
        async with m.state_ctx("A"):
            m.remove("A")
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main)


def test_async_with_expired_context() -> None:
    """A block under an expired context is cancelled at its first await, quietly."""

    async def main() -> None:
        m = Machine(STATES)
        ctx = m.state_ctx("A")
        m.add("A")
        async with ctx:
            await asyncio.Event().wait()
        await ctx.wait_expired()

    run(main)


def test_outer_cancellation_passes_through_context() -> None:
    """Cancelling the task itself is not swallowed by the block."""

    async def main() -> None:
        m = Machine(STATES)

        async def work() -> None:
            async with m.state_ctx("A"):
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run(main)


def test_wait_expired() -> None:
    """Wait_expired ends with the context."""

    async def main() -> None:
        m = Machine(STATES)
        task = asyncio.create_task(m.state_ctx("A").wait_expired())
        await asyncio.sleep(0)
        m.add("A")
        await task

    run(main)


# end of life


def test_dispose_removes_start_first() -> None:
    """Dispose removes Start, so that StartEnd runs; then the machine is neutral."""
    seen: list[str] = []

    class Handlers:
        def StartEnd(self, e: Event) -> None:
            seen.append(e.name)

    m = Machine({"Start": {}}, handlers=Handlers())
    m.on_dispose(lambda: seen.append("disposed"))
    m.add("Start")
    m.dispose()
    m.dispose()
    assert seen == ["StartEnd", "disposed"]
    assert m.is_disposed
    assert [m.add("Start"), m.can_add("Start"), m.add_err(ValueError())] == [Result.CANCELED] * 3
    assert [m.is_("Start"), m.is_(), m.not_("Start"), m.any_("Start"), m.has("Start")] == [False] * 5
    assert (str(m), m.string_all(), m.inspect(), m.time(), m.clock(), m.tick("Start"), m.active_states()) == (
        "",
        "",
        "",
        (),
        {},
        0,
        (),
    )


def test_dispose_inside_a_handler() -> None:
    """Dispose in a handler takes effect when the queue is drained; new mutations are canceled at once."""

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B")
            e.machine.dispose()
            self.late = e.add("C")
            self.disposed = e.machine.is_disposed

        def BState(self, e: Event) -> None:
            self.ran = True

    h = Handlers()
    m = Machine(STATES, handlers=h)
    m.add("A")
    assert (h.late, h.disposed, h.ran, m.is_disposed) == (Result.CANCELED, False, True, True)


def test_dispose_from_a_task_of_the_machine() -> None:
    """A task of the machine can dispose of it and wait for the others."""

    async def main() -> None:
        m = Machine(STATES, handlers=Working())
        m.add("A")
        ended: list[bool] = []

        async def end() -> None:
            m.dispose()
            try:
                await m.disposed()
            except asyncio.CancelledError:
                ended.append(m.is_disposed)
                raise

        m.fork(end())
        await m.disposed()
        assert ended == [True]

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_an_eager_task_that_ends_its_own_state_is_cancelled() -> None:
    """Under an eager task factory a task may end its state, or the machine, before `fork` returns."""

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        m = Machine(STATES)
        ended: list[str] = []

        async def end(what: Callable[[], object], name: str) -> None:
            what()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append(name)
                raise

        m.add("A")
        m.fork(end(lambda: m.remove("A"), "state"), "A")
        await asyncio.sleep(0)
        assert ended == ["state"]
        m.fork(end(m.dispose, "machine"))
        await m.disposed()
        assert ended == ["state", "machine"]

    run(main)
