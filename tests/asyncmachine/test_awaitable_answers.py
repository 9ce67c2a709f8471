"""A handler that returns an awaitable is started or refused, and what it says is never taken for a yes."""

from __future__ import annotations

import asyncio
import functools
import gc
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, HandlerError, Machine, Result, Tracer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.asyncmachine.loops import Run

STATES: dict[str, Any] = {"A": {}, "B": {}, "M": {"multi": True}, "Auto": {"auto": True, "require": ["B"]}}


class Later:
    """An awaitable of the user's."""

    def __init__(self, coro: Any) -> None:
        self.coro = coro

    def __await__(self) -> Any:
        return self.coro.__await__()


class Callee:
    """A callable object whose call is a coroutine function."""

    def __init__(self, work: Callable[[Event], Any]) -> None:
        self.work = work

    async def __call__(self, e: Event) -> Any:
        return await self.work(e)


def logged(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


def as_method(work: Callable[[Event], Any]) -> Any:
    async def method(self: object, e: Event) -> Any:
        return await work(e)

    return method


WAYS: dict[str, Callable[[Callable[[Event], Any]], Any]] = {
    "decorated": lambda work: logged(as_method(work)),
    "lambda": lambda work: lambda self, e: work(e),
    "partial": lambda work: staticmethod(functools.partial(lambda one, e: work(e), 1)),
    "callable": lambda work: Callee(work),
    "awaitable": lambda work: lambda self, e: Later(work(e)),
    "task": lambda work: lambda self, e: asyncio.ensure_future(work(e)),
}
ways = pytest.mark.parametrize("way", WAYS)
observed = pytest.mark.parametrize("tracers", [(), (Tracer(),)], ids=["", "observed"])


def handlers(**methods: Any) -> Any:
    return type("Handlers", (), methods)()


@ways
@pytest.mark.parametrize("name", ["AState", "BEnd", "MState", "AnyState", "ExceptionState"])
def test_final_handlers_are_started(way: str, name: str, run: Run) -> None:
    """As async handlers are; what they raise becomes the Exception state."""

    async def main() -> None:
        ran: list[str] = []

        async def work(e: Event) -> None:
            ran.append("begun")
            await asyncio.sleep(0)
            ran.append("done")
            raise ValueError("late")

        m = Machine({"A": {}, "B": {}, "M": {"multi": True}})
        m.add("B")
        m.bind(handlers(**{name: WAYS[way](work)}))
        step = {
            "AState": lambda: m.add("A"),
            "BEnd": lambda: m.remove("B"),
            "ExceptionState": lambda: m.add("Exception"),
        }
        assert step.get(name, lambda: m.add("M"))() is Result.EXECUTED
        async with asyncio.timeout(60):
            await m.when_query(lambda clock: m.err is not None)
        assert str(m.err) == "late"
        assert ran[:2] == ["begun", "done"]
        m.dispose()
        await m.disposed()

    run(main)


@ways
def test_they_end_with_their_state(way: str, run: Run) -> None:
    """The work is cancelled when the state is left."""

    async def main() -> None:
        ended: list[str] = []

        async def work(e: Event) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        m = Machine(STATES, handlers=handlers(AState=WAYS[way](work)))
        m.add("A")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        m.remove("A")
        m.dispose()
        await m.disposed()
        await asyncio.sleep(0)
        assert ended == ["cancelled"]

    run(main)


@pytest.mark.parametrize("way", ["decorated", "lambda", "partial", "callable"])
@observed
@pytest.mark.parametrize("name", ["AEnter", "BExit", "BB", "BA", "AnyEnter"])
def test_negotiation_handlers_are_refused(way: str, name: str, tracers: tuple[Any, ...], run: Run) -> None:
    """The mutation is canceled, the error names the handler, and no coroutine is left without a word."""

    async def main() -> None:
        async def work(e: Event) -> bool:
            return False

        m = Machine(STATES, tracers=tracers)
        m.add("B")
        m.bind(handlers(**{name: WAYS[way](work)}))
        mutate = m.remove if name == "BExit" else m.add
        assert mutate("B" if name == "BExit" else "A") == Result.CANCELED
        assert m.is_("B")
        assert m.not_("A")
        assert isinstance(m.err, HandlerError)
        assert (m.err.handler, m.err.owner) == (name, "Handlers")
        await asyncio.sleep(0)
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main)


@pytest.mark.parametrize("name", ["AutoEnter", "AEnter"])
def test_in_auto_mutations_and_dry_runs(name: str, run: Run) -> None:
    """It is an error there as well."""

    async def main() -> None:
        async def work(e: Event) -> bool:
            return True

        m = Machine(STATES, handlers=handlers(**{name: WAYS["lambda"](work)}))
        assert m.can_add("A") == (Result.CANCELED if name == "AEnter" else Result.EXECUTED)
        m.add("B")
        if name == "AutoEnter":
            assert isinstance(m.err, HandlerError)
        assert m.not_("Auto") is (name == "AutoEnter")

    run(main)


def test_a_future_for_an_answer(run: Run) -> None:
    """A negotiation handler cannot answer with a future, not even with one that is done; a final handler's is waited for."""

    async def main() -> None:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        m = Machine(STATES, handlers=handlers(AEnter=lambda self, e: future, BState=lambda self, e: future))
        assert m.add("A") == Result.CANCELED
        assert not future.done()
        m.remove("Exception")
        m.add("B")
        future.set_exception(ValueError("of the future"))
        await m.when_err()
        assert str(m.err) == "of the future"

    run(main)


def test_without_a_loop() -> None:
    """A coroutine cannot be started; the state is taken back, and nothing is left without a word."""

    async def work(e: Event) -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = Machine(STATES, handlers=handlers(AState=lambda self, e: work(e)))
        assert m.add("A") == Result.CANCELED
        assert isinstance(m.err, RuntimeError)
        gc.collect()


@pytest.mark.parametrize("name", ["AEnter", "AState"])
def test_generators(name: str) -> None:
    """One that is returned is an error that names the handler: nobody would run it."""
    m = Machine(STATES, handlers=handlers(**{name: lambda self, e: (n for n in range(3))}))
    assert m.add("A") == Result.CANCELED
    assert isinstance(m.err, HandlerError)
    assert m.err.handler == name
    assert m.not_("A")


@pytest.mark.parametrize("value", [0, 1, "", "text", Result.CANCELED, object()])
def test_other_values_of_final_handlers_are_ignored(value: object) -> None:
    """As before: only negotiation handlers are asked."""
    assert Machine(STATES, handlers=handlers(AState=lambda self, e: value)).add("A") is Result.EXECUTED


def test_answers_of_machines_need_nobody() -> None:
    """What `add`, `eval_soon` and `can_add` return inside a handler may be returned, with a loop or without."""
    other = Machine(STATES)
    m = Machine(
        STATES,
        handlers=handlers(
            AState=lambda self, e: e.machine.eval_soon(other.add, "B"),
            BState=lambda self, e: e.machine.can_add("A"),
            MState=lambda self, e: e.machine.add("B"),
        ),
    )
    assert [m.add(name) for name in "ABM"] == [Result.EXECUTED] * 3
    assert other.is_("B")
    assert m.err is None


def test_a_question_that_is_a_coroutine(run: Run) -> None:
    """It would always be true; it is refused, at once and later."""

    async def question() -> bool:
        return False

    async def main() -> None:
        m = Machine(STATES)
        with pytest.raises(TypeError, match="'coroutine'"):
            m.when_query(lambda clock: question())
        wait = m.when_query(lambda clock: question() if clock["A"] else False)
        m.add("A")
        with pytest.raises(TypeError, match="'coroutine'"):
            await wait
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main)


class Leaves(BaseException):
    """What is no error of a program."""


def test_whoever_awaits_an_eval_is_told_what_left_it() -> None:
    """An eval that waits after an interruption and then leaves the program fails for the task that awaits it, too."""

    def leave() -> None:
        raise Leaves

    class Handlers:
        def AState(self, e: Event) -> None:
            self.answer = e.machine.eval_soon(leave)
            raise Leaves

    async def main() -> None:
        handlers = Handlers()
        machine = Machine({"A": {}}, handlers=handlers)
        with pytest.raises(Leaves):
            machine.add("A")

        async def wait() -> None:
            await handlers.answer

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        with pytest.raises(Leaves):
            machine.remove("A")
        with pytest.raises(Leaves):
            await task

    asyncio.run(main())
