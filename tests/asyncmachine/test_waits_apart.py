"""A wait never changes the course of a transition, and once it is over it keeps nothing alive."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, MachineDisposedError, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.asyncmachine.loops import Run

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}
ERRORS: list[BaseException] = [ValueError("ambiguous"), StopIteration(), asyncio.CancelledError()]
errors = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


class Awkward:
    """What raises when it is compared, or when the answer is used as a condition, as arrays do."""

    def __init__(self, error: BaseException, *, in_bool: bool) -> None:
        self.error = error
        self.in_bool = in_bool

    def __eq__(self, other: object) -> Any:
        if self.in_bool:
            return self
        raise self.error

    __hash__ = None  # type: ignore[assignment]  # as arrays have none

    def __bool__(self) -> bool:
        raise self.error


class Handlers:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def AState(self, e: Event) -> None:
        self.calls.append(e.name)

    def AnyState(self, e: Event) -> None:
        self.calls.append(e.name)


async def assert_failed(wait: asyncio.Future[Any], error: BaseException) -> None:
    expected = RuntimeError if isinstance(error, StopIteration) else type(error)
    with pytest.raises(expected):
        await wait


@errors
@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("in_bool", [False, True])
def test_awkward_arguments(error: BaseException, bound: bool, in_bool: bool, run: Run) -> None:
    """What comparing an argument raises is the outcome of that wait: the mutation is executed, and the others are told."""

    async def main() -> None:
        h = Handlers()
        m = Machine(STATES, handlers=h if bound else None)
        before, awkward, after = (
            m.when_args("A", x=1),
            m.when_args("A", y=Awkward(error, in_bool=in_bool)),
            m.when_args("A"),
        )
        state = m.when("A")
        assert m.add("A", x=1, y=Awkward(error, in_bool=in_bool)) is Result.EXECUTED
        assert (m.tick("A"), m.is_err()) == (1, False)
        assert h.calls == (["AState", "AnyState"] if bound else [])
        assert [wait.done() for wait in (before, after, state)] == [True] * 3
        await assert_failed(awkward, error)
        assert m._waiters.is_empty

    run(main)


def test_the_same_object_is_equal(run: Run) -> None:
    """An argument that is the very object waited for matches without being compared."""

    async def main() -> None:
        m = Machine(STATES)
        awkward = Awkward(ValueError(), in_bool=True)
        wait = m.when_args("A", x=awkward)
        m.add("A", x=awkward)
        assert (await wait)["x"] is awkward

    run(main)


@errors
@pytest.mark.parametrize("in_bool", [False, True])
def test_awkward_questions(error: BaseException, in_bool: bool, run: Run) -> None:
    """What a question raises, or the truth of its answer, is the outcome of that wait."""

    async def main() -> None:
        m = Machine(STATES, handlers=(h := Handlers()))

        def question(clock: dict[str, int]) -> object:
            if not clock["A"]:
                return False
            if in_bool:
                return Awkward(error, in_bool=True)
            raise error

        awkward, other, state = m.when_query(question), m.when_query(lambda clock: clock["A"] > 0), m.when("A")
        assert m.add("A") is Result.EXECUTED
        assert h.calls == ["AState", "AnyState"]
        assert (m.tick("A"), m.is_err(), other.done(), state.done()) == (1, False, True, True)
        await assert_failed(awkward, error)
        assert m._waiters.is_empty

    run(main)


@pytest.mark.parametrize("tick", [1.5, "1", None, Awkward(ValueError(), in_bool=True)])
def test_ticks_are_integers(tick: Any, run: Run) -> None:
    """Anything else is refused where the wait is made, not in a transition."""

    async def main() -> None:
        m = Machine(STATES)
        with pytest.raises(TypeError):
            m.when_time({"A": tick})
        assert m._waiters.is_empty

    run(main)


WAITS: dict[str, Callable[[Machine], Any]] = {
    "when": lambda m: m.when("A"),
    "when_not": lambda m: m.when_not("C"),
    "when_time": lambda m: m.when_time({"A": 1}),
    "when_args": lambda m: m.when_args("A"),
    "when_query": lambda m: m.when_query(lambda clock: clock["A"] > 0),
    "when_queue": lambda m: m.when_queue(Result(m.queue_tick + 1)),
    "expired": lambda m: m.state_ctx("A").wait_expired(),
    "block": lambda m: block(m),
    "fork": lambda m: m.state_ctx("C").fork(asyncio.Event().wait()),
    "eval": lambda m: asked(m),
}


async def block(m: Machine) -> None:
    async with m.state_ctx("C"):
        await asyncio.Event().wait()


async def asked(m: Machine) -> None:
    async def ask(e: Event) -> None: ...

    await m.when("A", "B", "C")


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("way", WAITS)
def test_a_wait_on_a_closed_loop(way: str, debug: bool, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """It is dropped without a word; the mutation is executed, waits of a living loop are told, and the machine can end."""
    m = Machine(STATES, handlers=(h := Handlers()))
    m.add("C")
    dead = asyncio.new_event_loop()
    dead.set_debug(debug)
    kept: list[Any] = []

    async def wait() -> None:
        made = WAITS[way](m)
        kept.append(asyncio.ensure_future(made))
        await asyncio.sleep(0)

        async def awaiting() -> None:
            await kept[0]

        kept.append(asyncio.ensure_future(awaiting()))
        await asyncio.sleep(0)

    dead.run_until_complete(wait())
    dead.close()
    caplog.set_level(logging.ERROR, logger="asyncio")

    async def main() -> None:
        living = m.when("A")
        assert m.set("A") is Result.EXECUTED
        assert living.done()
        assert (m.tick("A"), m.is_err()) == (1, False)
        assert h.calls[-2:] == ["AState", "AnyState"]
        m.dispose()
        await m.disposed()
        await m.when_disposed()

    run(main)
    assert [record for record in caplog.records if record.name == "asyncmachine"] == []
    for task in kept:
        if isinstance(task, asyncio.Task):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # the test has left it so


def test_async_handlers_of_a_closed_loop(run: Run) -> None:
    """Their tasks are forgotten with their state, and the machine ends."""

    class Working:
        async def AState(self, e: Event) -> None:
            await asyncio.Event().wait()

        async def MState(self, e: Event) -> None:
            await asyncio.Event().wait()

    m = Machine(STATES, handlers=Working())
    dead = asyncio.new_event_loop()
    tasks: list[Any] = []

    async def first() -> None:
        m.add("A", "M")
        tasks.extend(asyncio.all_tasks())
        await asyncio.sleep(0)

    dead.run_until_complete(first())
    dead.close()
    assert m.remove("A") is Result.EXECUTED

    async def main() -> None:
        m.dispose()
        await m.disposed()
        await m.when_disposed()

    run(main)
    for task in tasks:
        task._log_destroy_pending = False


def gone(machine: weakref.ref[Machine]) -> bool:
    gc.collect()
    return machine() is None


OVER: dict[str, Callable[[Machine], Any]] = {
    "when": lambda m: [m.when("A"), m.add("A")][0],
    "when_not": lambda m: [m.add("A"), m.when_not("A"), m.remove("A")][1],
    "when_time": lambda m: [m.when_time({"A": 1}), m.add("A")][0],
    "when_ticks": lambda m: [m.when_ticks("A", 1), m.add("A")][0],
    "when_next_active": lambda m: [m.when_next_active("A"), m.add("A")][0],
    "when_args": lambda m: [m.when_args("A"), m.add("A")][0],
    "when_query": lambda m: [m.when_query(lambda clock: clock["A"] > 0), m.add("A")][0],
    "when_queue": lambda m: [m.when_queue(Result(m.queue_tick + 1)), m.add("A")][0],
    "when_queue_ends": lambda m: m.eval(m.when_queue_ends),
    "when_err": lambda m: [m.when_err(), m.add("Exception")][0],
    "done already": lambda m: [m.add("A"), m.when("A")][1],
    "given up": lambda m: [wait := m.when("A"), wait.cancel()][0],
    "disposed": lambda m: [m.when("A"), m.dispose()][0],
    "when_disposed": lambda m: [m.when_disposed(), m.dispose()][0],
    "context": lambda m: [m.state_ctx("A"), m.add("A")][0],
    "late context": lambda m: [m.dispose(), m.state_ctx("A")][1],
    "eval": lambda m: m.eval_soon(m.add, "A"),
    "check": lambda m: m.eval(m.can_add, "A"),
    "eval in an eval": lambda m: m.eval(m.eval_soon, m.add, "A"),
}


@pytest.mark.parametrize("way", OVER)
@pytest.mark.parametrize("bound", [False, True])
def test_what_is_over_keeps_no_machine(way: str, bound: bool, run: Run) -> None:
    """Whoever keeps a finished wait, context or answer does not keep the machine."""

    async def main() -> None:
        m = Machine(STATES, handlers=Handlers() if bound else None)
        kept, machine = OVER[way](m), weakref.ref(m)
        del m
        assert gone(machine)
        if way == "disposed":
            with pytest.raises(MachineDisposedError):
                await kept

    run(main)


def test_a_task_that_has_returned_keeps_no_machine(run: Run) -> None:
    """Nor does the task of an async handler."""  # one that was cancelled has a traceback, which asyncio keeps until somebody asks

    class Async:
        async def AState(self, e: Event) -> None:
            await asyncio.sleep(0)

    async def main() -> None:
        m = Machine(STATES, handlers=Async())
        m.add("A")
        (task,) = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait([task])
        machine = weakref.ref(m)
        del m
        assert gone(machine)
        assert task.done()

    run(main)


def test_giving_up_disposed_leaves_nothing(run: Run) -> None:
    """A cancelled `disposed()` is not kept by the machine."""

    async def main() -> None:
        m = Machine(STATES)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await m.disposed()
        assert m._on_dispose == ()

    run(main)
