"""Contexts and tasks end with their state."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, Result
from asyncmachine._runtime import OBSERVED
from tests.asyncmachine.scripted import Working

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.asyncmachine.loops import Run

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}


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


ROUTES: list[Callable[[Machine], object]] = [
    lambda m: m.remove("A"),
    lambda m: m.set("B"),
    lambda m: m.add("X"),
    lambda m: m.remove("Need"),
    lambda m: m.eval(lambda: m.remove("A")),
    lambda m: m.dispose(),
]


@pytest.mark.parametrize("route", ROUTES)
def test_async_handler_is_cancelled_by_any_route(route: Callable[[Machine], object], run: Run) -> None:
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
        assert not m._waiters.tasks

    run(main)


def test_task_cancelled_before_its_first_step(run: Run) -> None:
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
        is_eager = asyncio.get_running_loop().get_task_factory() is not None  # its first step is taken at once
        assert h.log == (["started", "stopped"] if is_eager else [])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main)


def test_async_handler_error_becomes_exception(run: Run) -> None:
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
        assert m._flags & ~OBSERVED == 0

    run(main)


def test_async_handler_of_multi_lives_on(run: Run) -> None:
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
        await asyncio.wait(tuple(m._waiters.tasks))
        assert done == [1, 2]

    run(main)


def test_async_handler_without_a_loop() -> None:
    """Without a running loop an async handler fails with RuntimeError and does not warn."""
    m = Machine(STATES, handlers=Working())
    assert m.add("A") == Result.CANCELED
    assert isinstance(m.err, RuntimeError)


def test_async_handler_honours_a_task_factory(run: Run) -> None:
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


def test_event_fork_ends_with_the_activation(run: Run) -> None:
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


def test_fork_error_becomes_exception(run: Run) -> None:
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


def test_async_with_context(run: Run) -> None:
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


def test_async_with_context_ended_inside(run: Run) -> None:
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


def test_async_with_expired_context(run: Run) -> None:
    """A block under an expired context is cancelled at its first await, quietly."""

    async def main() -> None:
        m = Machine(STATES)
        ctx = m.state_ctx("A")
        m.add("A")
        async with ctx:
            await asyncio.Event().wait()
        await ctx.wait_expired()

    run(main)


def test_outer_cancellation_passes_through_context(run: Run) -> None:
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


def test_wait_expired(run: Run) -> None:
    """Wait_expired ends with the context."""

    async def main() -> None:
        m = Machine(STATES)
        task = asyncio.create_task(m.state_ctx("A").wait_expired())
        await asyncio.sleep(0)
        m.add("A")
        await task

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_an_eager_task_that_ends_its_own_state_is_cancelled(run: Run) -> None:
    """Under an eager task factory a task may end its state, or the machine, before `fork` returns."""

    def eager(loop: Any, coro: Any, *, name: Any = None, context: Any = None, **_: Any) -> Any:
        factory: Any = asyncio.eager_task_factory  # type: ignore[attr-defined,unused-ignore]
        return factory(
            loop, coro, name=name, context=context
        )  # uvloop also tells `eager_start`, which Python 3.13.0 does not know

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(eager)
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
