"""Nothing is left of a disposed machine: no task, no future, no reference that keeps it alive."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from asyncmachine import Event, Machine, MachineDisposedError, pipes
from asyncmachine.history import History

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}, "Start": {}}


class Handlers:
    """Work of every kind, bound to states and to the machine."""

    machine: Machine | None = None

    async def AState(self, e: Event) -> None:
        await asyncio.Event().wait()

    def BState(self, e: Event) -> None:
        assert e.ctx is not None
        e.ctx.fork(asyncio.sleep(3600))
        e.fork(asyncio.sleep(3600))
        e.add("C")

    async def MState(self, e: Event) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)  # takes its time to end

    async def StartEnd(self, e: Event) -> None:
        raise AssertionError("dispose ends this task before its first step")


Kept = list[Any]


def nothing(m: Machine) -> Kept:
    return []


def handlers_that_know_the_machine(m: Machine) -> Kept:
    handlers = m._handlers[0]
    assert isinstance(handlers, Handlers)
    handlers.machine = m
    return [handlers]


def async_handlers(m: Machine) -> Kept:
    m.add("A", "M")
    m.add("M")
    return []


def forks(m: Machine) -> Kept:
    m.add("B")
    return [m.fork(asyncio.sleep(3600)), m.fork(asyncio.sleep(3600), "C")]


def waits(m: Machine) -> Kept:
    return [
        m.when("A"), m.when_not("A"), m.when_time({"A": 3}), m.when_ticks("A", 4), m.when_next_active("A"),
        m.when_args("A"), m.when_query(lambda clock: clock["A"] == 9), m.when_err(), m.when_disposed(),
    ]  # fmt: skip


def cancelled_waits(m: Machine) -> Kept:
    kept = waits(m)
    for wait in kept:
        wait.cancel()
    return kept


def contexts(m: Machine) -> Kept:
    ctx = m.state_ctx("A")
    ctx.fork(asyncio.sleep(3600))

    async def inside() -> None:
        async with ctx:
            await asyncio.sleep(3600)

    return [ctx, asyncio.ensure_future(ctx.wait_expired()), asyncio.ensure_future(inside())]


def pipes_both_ways(m: Machine) -> Kept:
    other = Machine(STATES)
    other.add("Start")
    kept = [other, pipes.bind(m, other, "A"), pipes.bind_any(other, m)]
    m.add("A")
    return kept


def observers(m: Machine) -> Kept:
    history = History(m, ("A",))
    m.add("A")
    return [history]


def evals_and_dry_runs(m: Machine) -> Kept:
    m.can_add("A")
    return [m.eval_soon(list), m.eval(dict)]


def errors(m: Machine) -> Kept:
    m.add_err(ValueError("kept by the machine only"))
    return []


def functions_at_the_end(m: Machine) -> Kept:
    m.on_dispose(lambda: m.id)
    m.on_dispose(m.log_args.__repr__)
    return []


USES = [
    nothing, handlers_that_know_the_machine, async_handlers, forks, waits, cancelled_waits, contexts, pipes_both_ways,
    observers, evals_and_dry_runs, errors, functions_at_the_end,
]  # fmt: skip


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("by_collector", [False, True])
def test_a_disposed_machine_is_freed(use: Callable[[Machine], Kept], by_collector: bool) -> None:
    """At once, without the collector, although all it gave out is kept; and no task is left."""

    async def main() -> None:
        m = Machine(STATES, handlers=Handlers())
        m.add("Start")
        kept = use(m)
        await asyncio.sleep(0)
        m.dispose()
        await m.disposed()
        gone = weakref.ref(m)
        # a bound handler object that is kept keeps whatever it refers to
        kept = [one for one in kept if not isinstance(one, Handlers)]
        del m
        for _ in range(3):  # what was cancelled by the end of a context, outside the machine, takes a turn to end
            await asyncio.sleep(0)
        if by_collector:
            gc.collect()
        assert gone() is None
        assert asyncio.all_tasks() == {asyncio.current_task()}
        for one in kept:
            if isinstance(one, asyncio.Future):
                assert one.done()
                if not one.cancelled() and one.exception() is not None:
                    assert isinstance(one.exception(), MachineDisposedError)

    gc.collect()
    if not by_collector:
        gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_an_error_is_kept_until_the_collector_comes(caplog: pytest.LogCaptureFixture) -> None:
    """The traceback of the last error holds the handler's frame, and that the machine: no more than a cycle."""
    caplog.set_level(
        logging.CRITICAL, logger="asyncmachine"
    )  # the test runner keeps what is logged, with its traceback

    class Failing:
        def AState(self, e: Event) -> None:
            raise ValueError

    m = Machine(STATES, handlers=Failing())
    m.add("A")
    gone = weakref.ref(m)
    m.dispose()
    assert isinstance(m.err, ValueError)
    del m
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("use", [nothing, waits, observers, pipes_both_ways])
def test_a_dropped_machine_is_collected(use: Callable[[Machine], Kept]) -> None:
    """Without dispose: whoever waits for it is not kept from being collected with it."""

    async def main() -> None:
        m = Machine(STATES)
        kept = use(m)
        gone = weakref.ref(m)
        del m, kept
        gc.collect()
        assert gone() is None

    asyncio.run(main())


def test_a_finished_wait_leaves_nothing_on_the_machine() -> None:
    """Neither a result nor a cancellation leaves a subscription behind."""

    async def main() -> None:
        m = Machine(STATES)
        before = m._flags
        done, cancelled = m.when("C"), m.when("C")
        cancelled.cancel()
        m.add("C")
        await done
        assert m._flags == before
        assert m._waiters.is_empty

    asyncio.run(main())


def test_many_activations_keep_no_tasks() -> None:
    """A task that ended with its state is not remembered."""

    async def main() -> None:
        m = Machine(STATES, handlers=Handlers())
        for _ in range(20):
            m.add("A", "M")
            await asyncio.sleep(0)
            m.remove("A", "M")
        m.add("C")
        for _ in range(3):
            await asyncio.sleep(0)
        # those of the Multi state are bound to the machine's life
        assert len(m._waiters.tasks) == 20
        m.dispose()
        await m.disposed()
        assert not m._waiters.tasks

    asyncio.run(main())


def test_expired_contexts_are_harmless() -> None:
    """Ended twice, or used after the end: nothing happens, and their coroutines are closed."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("C")
        ctx = m.state_ctx("C")
        ctx.expire()
        m.remove("C")
        ctx.expire()
        assert ctx.fork(asyncio.sleep(0)) is None
        await ctx.wait_expired()
        async with ctx:
            await asyncio.sleep(3600)

    asyncio.run(main())
