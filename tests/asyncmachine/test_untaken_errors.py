"""An error that nobody takes is logged once, with its traceback, the handler's and the mutation's name; a taken one is not."""

# handlers are named after their states

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
from typing import Any

import pytest

from asyncmachine import Event, Machine, Result, Tracer, pipes
from tests.asyncmachine.followers import Follower
from tests.asyncmachine.loops import Run

STATES: dict[str, Any] = {
    "A": {}, "B": {}, "C": {"auto": True, "require": ["B"]}, "ErrFoo": {"require": ["Exception"]},
    "M": {"multi": True}, "Calm": {"remove": ["Exception"]},
}  # fmt: skip


def fail(self: object, e: Event) -> None:
    raise ValueError("boom")


def build(*, observed: bool = False, **handlers: Any) -> Machine:
    tracers = (Follower(),) if observed else ()
    return Machine(STATES, id="m", handlers=type("Handlers", (), handlers)(), tracers=tracers)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The errors of the library's log; each has to come with its own exception."""
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert all(record.name == "asyncmachine" and record.exc_info and record.exc_info[1] for record in records)
    return [record.getMessage() for record in records]


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize(
    ("handler", "mutation", "where"),
    [
        ("AEnter", "add A", "AEnter failed in [add] A"),
        ("AState", "add A B", "AState failed in [add] A B"),
        ("AnyEnter", "add A", "AnyEnter failed in [add] A"),
        ("AnyState", "add A", "AnyState failed in [add] A"),
        ("MExit", "remove M", "MExit failed in [remove] M"),
        ("MEnd", "set A", "MEnd failed in [set] A"),
        ("MA", "add A", "MA failed in [add] A"),
        ("MM", "add A", "MM failed in [add] A"),
        ("CEnter", "add B", "CEnter failed in [add] C"),
        ("CState", "add B", "CState failed in [add] C"),
    ],
)
def test_a_handler_that_fails_is_told(
    handler: str, mutation: str, where: str, observed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Of every kind, negotiating or final, of called and of auto mutations, observed or not; without any set-up."""
    calls = []

    def fail_at_first(self: object, e: Event) -> None:
        if e.mutation.called[0] not in ("M", "Exception") or e.mutation.kind == "remove":
            calls.append(e.name)
            raise ValueError("boom")

    m = build(observed=observed, **{handler: fail_at_first})
    m.add("M")
    kind, *states = mutation.split()
    getattr(m, kind)(*states)
    assert calls == [handler]
    assert told(caplog) == [f"[error] m: {where}; the error is not handled"]
    assert "fail_at_first" in caplog.text, "the traceback shows the handler"


def test_a_script_shows_it_on_stderr() -> None:
    """Where nothing is set up, Python's own handler of last resort prints it with its traceback."""
    code = (
        "from asyncmachine import Machine\n"
        "class H:\n    def AState(self, e): 1 / 0\n"
        "Machine({'A': {}}, id='m', handlers=H()).add('A')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr.startswith("[error] m: AState failed in [add] A; the error is not handled\nTraceback")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_the_logger_turns_it_off(caplog: pytest.LogCaptureFixture) -> None:
    """A level above ERROR silences it, and nothing else changes."""
    caplog.set_level(logging.CRITICAL, logger="asyncmachine")
    m = build(AState=fail)
    assert m.add("A").canceled
    assert m.is_err()
    assert caplog.records == []


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("taker", ["ExceptionState", "ErrFooState"])
def test_a_state_handler_takes_it(taker: str, observed: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Of Exception, or of an error state that is entered with it."""
    taken: list[BaseException] = []
    m = build(observed=observed, **{taker: lambda self, e: taken.append(e.args["error"])})
    error = ValueError("boom")
    m.add_err(error, "ErrFoo")
    assert taken == [error]
    assert told(caplog) == []


@pytest.mark.parametrize(
    "bystander", ["ExceptionEnter", "ErrFooEnter", "AnyEnter", "AnyState", "ErrFooState", "ExceptionEnd"]
)
def test_other_handlers_do_not(bystander: str, caplog: pytest.LogCaptureFixture) -> None:
    """Who only agrees, sees every transition, or belongs to a state that is not entered takes nothing."""
    m = build(observed=True, **{bystander: lambda self, e: None})
    m.add_err(ValueError("boom"))
    assert told(caplog) == ["[error] m: [add] Exception; the error is not handled"]


@pytest.mark.parametrize("refuser", ["ExceptionEnter", "ErrFooEnter", "AnyEnter"])
def test_a_veto_takes_nothing(refuser: str, caplog: pytest.LogCaptureFixture) -> None:
    """An error whose Exception mutation is refused is told, though a handler would have taken it."""
    m = build(**{refuser: lambda self, e: False, "ExceptionState": lambda self, e: None})
    m.add_err(ValueError("boom"), "ErrFoo")
    assert told(caplog) == [f"[error] m: [add] Exception ErrFoo; the Exception state was refused by {refuser}"]


def test_relations_that_exclude_exception(caplog: pytest.LogCaptureFixture) -> None:
    """So is one that relations refuse, and it says where it came from."""
    m = build(AState=fail, ExceptionState=lambda self, e: None)
    m.add("Calm")
    m.add("A")
    (text,) = told(caplog)
    assert text == (
        "[error] m: AState failed in [add] A; the Exception state was refused by relations: Exception removed by Calm"
    )


def test_who_waits_takes_it(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits for Exception, for an error state, for its tick or for its arguments."""

    async def main() -> None:
        m = build()
        for make in (
            m.when_err,
            lambda: m.when("ErrFoo"),
            lambda: m.when_args("Exception"),
            lambda: m.when_ticks("Exception", 1),
        ):
            wait = make()
            m.add_err(ValueError("boom"), "ErrFoo")
            await wait
            m.remove("Exception")
        assert told(caplog) == []
        m.add_err(ValueError("boom"), "ErrFoo")
        assert len(told(caplog)) == 1, "nobody waits any more"

    run(main)


def test_who_waits_for_the_failing_mutation_takes_it(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits for a queued mutation is told by its result, whether it fails or is the error itself."""

    async def main() -> None:
        waits: list[Any] = []

        def queue(self: object, e: Event) -> None:
            for result in (e.add("A"), e.add_err(KeyError("x"))):
                results.append(result)
                waits.append(e.machine.when_queue(result))

        results: list[Result] = []
        m = build(AState=fail, BState=queue)
        m.add("B")
        await asyncio.gather(*waits)
        assert "AState" in results[0].reason
        assert told(caplog) == []

    run(main)


def test_waits_for_something_else_do_not(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Waits for the end of Exception, for more than Exception, cancelled ones, and questions take nothing."""

    async def main() -> None:
        m = build()
        m.when_err().cancel()
        m.when("Exception", "A")
        m.when_time({"Exception": 9})
        m.when_query(lambda clock: clock["Exception"] > 8)
        m.add("Exception")
        m.when_not("Exception")
        m.add_err(ValueError("boom"))
        assert len(told(caplog)) == 1
        m.dispose()

    run(main)


def test_exception_without_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """Adding the state by hand tells nothing: there is no error."""
    m = build()
    assert m.add("Exception").executed
    assert m.can_add("Exception", error=ValueError()).executed
    assert told(caplog) == []


def test_each_error_once(caplog: pytest.LogCaptureFixture) -> None:
    """Two errors are two reports, with what each comes from; binding handlers later does not repeat the last one."""

    def fail_twice(self: object, e: Event) -> None:
        e.add_err(KeyError("first"))
        raise ValueError("second")

    m = build(AState=fail_twice)
    m.add("A")
    assert told(caplog) == [
        "[error] m: AState failed in [add] A; the error is not handled",
        "[error] m: [add] Exception from m-2; the error is not handled",
    ]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError, KeyError]
    other = Machine(STATES)
    other.add_err(ValueError())
    caplog.clear()
    other.bind(type("Late", (), {"AState": fail})())
    assert told(caplog) == []


@pytest.mark.parametrize("failing", ["ExceptionEnter", "ErrFooEnd", "ExceptionState", "AnyState"])
def test_an_exception_transition_that_fails(failing: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its own error is told, and the one it was made for unless somebody was given it."""
    given = []
    handlers: dict[str, Any] = {"ExceptionState": lambda self, e: given.append(e.args["error"])}

    def fail_too(self: object, e: Event) -> None:
        if failing == "ExceptionState":
            given.append(e.args["error"])
        raise KeyError("too")

    if failing == "ErrFooEnd":  # an End handler of the Exception transition, before those that take the error
        states = {**STATES, "Exception": {"multi": True, "remove": ["A"]}}
        m = Machine(states, id="m", handlers=type("H", (), {**handlers, "AEnd": fail_too})())
        m.add("A")
    else:
        m = build(**{**handlers, failing: fail_too})
    m.add_err(ValueError("boom"))
    kinds = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert kinds == ([KeyError] if given else [ValueError, KeyError])


def test_an_error_raised_again_in_its_own_handler(caplog: pytest.LogCaptureFixture) -> None:
    """It is one error, told once."""

    def again(self: object, e: Event) -> None:
        raise e.args["error"]

    for name in ("ExceptionEnter", "ExceptionState"):
        caplog.clear()
        build(**{name: again}).add_err(ValueError("boom"))
        assert told(caplog) == [f"[error] m: {name} failed in an Exception transition"]


@pytest.mark.parametrize("flat", [False, True])
def test_a_pipe_takes_what_it_carries(flat: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An error that goes on to another machine is that machine's to take; a flat pipe carries no error."""
    source, target = build(), Machine(STATES, id="target")
    pipes.add(source, target, "Exception", flat=flat)
    source.add_err(ValueError("boom"))
    assert target.is_err()
    assert told(caplog) == (
        ["[error] m: [add] Exception; the error is not handled"]
        if flat
        else ["[error] target: [add] Exception from m-2; the error is not handled"]
    )


def test_pipes_to_a_machine_that_takes_errors(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody else has to be told, on however many machines the error passes."""
    taken: list[BaseException] = []
    middle = Machine(STATES)
    last = build(ErrFooState=lambda self, e: taken.append(e.args["error"]))
    source = build(AState=fail)
    pipes.bind_err(source, middle)
    pipes.bind_err(middle, last, "ErrFoo")
    source.add("A")
    assert [str(error) for error in taken] == ["boom"]
    assert told(caplog) == []


@pytest.mark.parametrize("end", ["unbind", "dispose"])
@pytest.mark.parametrize("is_given", [False, True])
def test_a_pipe_that_ends_before_it_has_carried_the_error_on(
    end: str, is_given: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is not lost: it is logged, unless another handler was given it."""
    taken: list[Exception] = []
    source, target = build(BState=fail), Machine(STATES, id="target")
    pipe = pipes.bind_err(source, target)

    def stop(self: object, e: Event) -> None:
        pipe.unbind() if end == "unbind" else target.dispose()

    source.bind(type("Late", (), {"AnyState": stop})())
    if is_given:
        source.bind(type("Taker", (), {"ExceptionState": lambda self, e: taken.append(e.args["error"])})())
    source.add_err(ValueError("boom"))
    assert not target.is_err()
    assert [str(error) for error in taken] == ["boom"] * is_given
    dropped = "[error] m: [add] Exception in m-2; the pipe that should have forwarded the error was unbound"
    assert told(caplog) == ([] if is_given else [dropped])


def test_a_pipe_that_ends_before_it_has_carried_no_error_on(caplog: pytest.LogCaptureFixture) -> None:
    """What is no error is dropped without a word."""
    source, target = build(), Machine(STATES)
    pipe = pipes.add(source, target, "A")
    source.bind(type("Late", (), {"AnyState": lambda self, e: pipe.unbind()})())
    source.add("A")
    assert target.not_("A")
    assert told(caplog) == []


def test_pipes_that_carry_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A pipe to an ordinary state, a mirror and a pipe that has ended take nothing."""
    for connect in (
        lambda source, target: pipes.add(source, target, "Exception", "A"),
        lambda source, target: pipes.remove(source, target, "Exception", "A"),
        lambda source, target: pipes.bind_any(source, target),
        lambda source, target: source.bind(type("Ending", (), {"AState": ending(pipes.bind_err(source, target))})()),
    ):
        caplog.clear()
        source, target = build(BState=fail), Machine(STATES)
        connect(source, target)
        source.add("A", "B")
        assert told(caplog) == ["[error] m: BState failed in [add] A B; the error is not handled"]


def ending(pipe: pipes.Pipe) -> Any:
    return lambda self, e: pipe.unbind()


def test_a_full_queue_and_the_end_of_a_machine(caplog: pytest.LogCaptureFixture) -> None:
    """What comes too late is told: an error that is added after the end or left in the queue, which is full for others."""

    class Interrupted:
        def AState(self, e: Event) -> None:
            e.add_err(ValueError("left behind"))
            e.machine.dispose()
            e.add_err(ValueError("late"))
            raise KeyboardInterrupt

        def BState(self, e: Event) -> None:
            e.add("A")
            pipes.add(source, e.machine, "Exception")
            source.add_err(ValueError("piped"))

    source = Machine(STATES)
    m = Machine(STATES, id="m", handlers=Interrupted(), queue_limit=1)
    m.add("Exception")
    with pytest.raises(KeyboardInterrupt):
        m.add("B")
    assert m.is_disposed
    m.add_err(ValueError("after"))
    texts = [(str(record.exc_info[1]), record.getMessage()) for record in caplog.records if record.exc_info]
    disposed = "the Exception state was refused: the machine is disposed"
    assert texts == [
        ("late", f"[error] m: [add] Exception from m-4; {disposed}"),
        ("piped", f"[error] m: [add] Exception from {source.id}-2; {disposed}"),
        ("left behind", f"[error] m: [add] Exception from m-4; {disposed}"),
        ("after", f"[error] m: [add] Exception; {disposed}"),
    ]  # fmt: skip


async def fail_later(self: object, e: Event) -> None:
    await asyncio.sleep(0)
    raise ValueError("boom")


@pytest.mark.parametrize("factory", [False, True])
def test_tasks(factory: bool, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The errors of async handlers and of forks say whose they are, also where the loop makes its tasks itself."""

    async def work() -> None:
        raise ValueError("boom")

    async def main() -> None:
        if factory:
            asyncio.get_running_loop().set_task_factory(lambda loop, coro, **kw: asyncio.Task(coro, loop=loop, **kw))

        m = build(AState=fail_later, BState=lambda self, e: e.fork(work()) and None)
        for mutate, where in (
            (lambda: m.add("A"), "async AState of [add] A failed"),
            (lambda: m.add("B"), "task test_tasks.<locals>.work of state B failed"),
            (lambda: m.fork(work()), "task test_tasks.<locals>.work failed"),
        ):
            caplog.clear()
            mutate()
            for _ in range(4):
                await asyncio.sleep(0)
            assert told(caplog) == [f"[error] m: {where}; the error is not handled"]

    run(main)


def test_taken_errors_of_tasks(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """A handler or a wait takes them like any other."""

    async def main() -> None:
        taken: list[str] = []
        m = build(AState=fail_later, ExceptionState=lambda self, e: taken.append(str(e.args["error"])))
        m.add("A")
        await m.when_err()
        waiting = build(AState=fail_later)
        waiting.add("A")
        await waiting.when_err()
        assert taken == ["boom"]
        assert told(caplog) == []

    run(main)


def test_who_awaits_a_fork_takes_its_error(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """In whatever way, but a tracer does not; the machine is in Exception nevertheless."""

    class Watching(Tracer):
        def task_fork(self, machine: Machine, task: asyncio.Task[Any], state: str | None) -> None:
            task.add_done_callback(lambda ended: None)

    async def work() -> None:
        await asyncio.sleep(0)
        raise ValueError("boom")

    async def main() -> None:
        if asyncio.get_running_loop().get_task_factory() is not None:
            pytest.skip("under a task factory of the loop's own it cannot be seen who awaits a fork")
        m = build()
        fork = lambda: m.fork(work()) or pytest.fail("no task")  # noqa: E731
        with pytest.raises(ValueError, match="boom"):
            await fork()
        assert m.is_err()
        with pytest.raises(ValueError, match="boom"):
            await asyncio.gather(fork())
        with pytest.raises(ValueError, match="boom"):
            await asyncio.wait_for(fork(), 1)
        await asyncio.wait([fork()])
        assert told(caplog) == []
        m.bind_tracer(Watching())
        fork()
        m.fork(asyncio.sleep(0))
        for _ in range(4):
            await asyncio.sleep(0)
        assert len(told(caplog)) == 1

    run(main)


def test_a_task_that_ends_by_no_exception_of_its_own_kind(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """What is no `Exception` becomes no state, but it is told."""

    class StopError(BaseException):
        pass

    async def main() -> None:
        async def work() -> None:
            raise StopError

        m = build()
        m.fork(work())
        for _ in range(4):
            await asyncio.sleep(0)
        assert not m.is_err()

    run(main)
    (text,) = told(caplog)
    assert text.endswith("work failed")


@pytest.mark.filterwarnings("error")
def test_async_handlers_and_forks_without_a_loop(caplog: pytest.LogCaptureFixture) -> None:
    """Where no loop runs, nothing is started, and that is told like any error of the handler."""

    async def work() -> None: ...

    m = build(AState=fail_later, BState=lambda self, e: e.fork(work()))
    assert m.add("A").canceled
    assert m.add("B").canceled
    assert told(caplog) == [
        "[error] m: AState failed in [add] A; the error is not handled",
        "[error] m: BState failed in [add] B; the error is not handled",
    ]
    assert caplog.text.count("RuntimeError: no running event loop") == 2


def test_a_question_that_fails_is_not_lost(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """A wait whose function raised and that nobody awaits is reported by asyncio, like any future."""

    async def main() -> None:
        m = build()
        m.when_query(lambda clock: 1 // (clock["A"] - 1) > 0)
        m.add("A")
        m.dispose()
        gc.collect()

    run(main)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "asyncio"
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


def test_functions_of_on_dispose(caplog: pytest.LogCaptureFixture) -> None:
    """One that fails is told, and the others are called."""
    called: list[int] = []
    m = build()
    m.on_dispose(lambda: 1 // 0)
    m.on_dispose(lambda: called.append(1))
    m.dispose()
    assert called == [1]
    assert told(caplog) == ["[dispose] m: on_dispose function failed"]


def test_a_dry_run_of_an_error_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """That the Exception state would be refused is the answer, and nothing is logged."""
    assert build(ExceptionEnter=lambda self, e: False).can_add("Exception").canceled
    assert told(caplog) == []


@pytest.mark.parametrize("is_taken", [False, True])
@pytest.mark.parametrize(("error", "is_told"), [(KeyboardInterrupt, False), (SystemExit, False), (GeneratorExit, True)])
def test_what_leaves_a_task_becomes_no_state(
    error: type[BaseException], is_told: bool, is_taken: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged if it leaves neither the loop nor the task that awaits this one."""
    m = build()

    async def work() -> None:
        raise error

    async def main() -> None:
        task = m.fork(work())
        assert task is not None
        if is_taken:
            await task
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with asyncio.Runner() as runner:
        if is_told and not is_taken:
            runner.run(main())
        else:
            with pytest.raises(error):
                runner.run(main())
    assert not m.is_err()
    assert told(caplog) == (
        ["[error] m: task test_what_leaves_a_task_becomes_no_state.<locals>.work failed"]
        if is_told and not is_taken
        else []
    )
