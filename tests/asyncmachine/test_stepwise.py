"""Waits, tasks and transitions looked at do not change the course of a mutation: each odd course keeps its promises."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, LogLevel, Machine, Result, Tracer
from asyncmachine._waiters import WHEN, Subscription, Waiters

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


@pytest.mark.parametrize("waiting", ["args", "states", "nobody"])
def test_failing_any_state_takes_nothing_back(waiting: str) -> None:
    """However the final handlers are called, AnyState's failure leaves what was entered, and has no context."""

    async def main() -> None:
        class Handlers:
            def AnyState(self, e: Event) -> None:
                if "A" in e.mutation.called:
                    assert e.ctx is None
                    raise ValueError

        m = Machine(STATES, handlers=Handlers())
        wait = {"args": lambda: m.when_args("A"), "states": lambda: m.when("A"), "nobody": m.when_err}[waiting]()
        assert m.add("A") == Result.CANCELED
        assert (m.is_("A", "Exception"), m.tick("A"), wait.done()) == (True, 1, True)

    run(main)


def test_all_waits_of_a_transition_are_told() -> None:
    """A wait for arguments and one for the state are both met by one transition."""

    async def main() -> None:
        m = Machine(STATES)
        waits = [m.when_args("A"), m.when("A"), m.when_not("B")]
        m.add("A")
        assert all(wait.done() for wait in waits)

    run(main)


@pytest.mark.parametrize("waiting", [True, False])
def test_transition_seen_late(waiting: bool) -> None:
    """A final handler that asks for the transition learns the ticks before it, whoever waits."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None:
                assert e.transition is not None
                self.before = e.transition.before

        h = Handlers()
        m = Machine(STATES, handlers=h)
        if waiting:
            m.when_args("A")
        m.add("A")
        assert h.before == (0, 0, 0, 0, 0)

    run(main)


@pytest.mark.parametrize("waiting", [True, False])
def test_failing_auto_is_not_retried(waiting: bool) -> None:
    """The Exception transition that an auto state caused makes no auto mutation, whoever waits for arguments."""

    async def main() -> None:
        calls: list[str] = []

        class Handlers:
            def BState(self, e: Event) -> None:
                calls.append(e.name)
                raise ValueError

        m = Machine({"A": {}, "B": {"auto": True}}, handlers=Handlers())
        if waiting:
            m.when_args("Exception")
        m.add("A")
        assert (calls, m.is_err()) == (["BState"], True)

    run(main)


def test_autos_follow_an_error() -> None:
    """An Auto state that needs Exception answers a failed handler."""

    class Handlers:
        def AState(self, e: Event) -> None:
            raise ValueError

    m = Machine({"A": {}, "Rescue": {"auto": True, "require": ["Exception"]}}, handlers=Handlers())
    m.add("A")
    assert m.is_("Exception", "Rescue")


def test_waits_for_autos_without_handlers() -> None:
    """A wait for an Auto state is met though no handler takes part in its transition."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None: ...

        m = Machine({"A": {}, "B": {"auto": True}}, handlers=Handlers())
        wait = m.when("B")
        m.add("A")
        assert wait.done()

    run(main)


def test_queued_transitions_that_are_looked_at() -> None:
    """A transition kept by a handler is complete when it is over, also when it was queued and known before."""
    kept: list[Any] = []

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B")

        def BState(self, e: Event) -> None:
            kept.append(e.transition)

    m = Machine(STATES, handlers=Handlers())
    for _ in range(2):
        m.add("A")
        m.set()
    assert [(tx.completed, tx.accepted, tx.after) for tx in kept] == [
        (True, True, (0, 1, 1, 0, 0)),
        (True, True, (0, 3, 3, 0, 0)),
    ]


def test_interrupted_transition_that_is_looked_at() -> None:
    """A transition that an interruption leaves says so."""

    class Handlers:
        def AState(self, e: Event) -> None:
            self.tx = e.transition
            raise KeyboardInterrupt

    h = Handlers()
    m = Machine(STATES, handlers=h)
    with pytest.raises(KeyboardInterrupt):
        m.add("A")
    assert h.tx is not None
    assert (h.tx.accepted, h.tx.canceled_by, h.tx.completed) == (False, "error", True)


def test_refused_transition_seen_before_its_end() -> None:
    """Once refused, a transition predicts no change."""

    class Look(Tracer):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def mutation_queued(self, machine: Machine, mutation: Any) -> None:
            tx = machine.transition
            self.seen.append(tx and (tx.accepted, tx.after))

    class Handlers:
        def AEnter(self, e: Event) -> None:
            raise ValueError

    t = Look()
    Machine(STATES, handlers=Handlers(), tracers=(t,)).add("A")
    assert t.seen == [None, (False, (0, 0, 0, 0, 0))]


def test_tracer_that_fails_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    """An error in any hook is logged and changes no result."""

    class Faulty(Tracer):
        def mutation_queued(self, machine: Machine, mutation: Any) -> None:
            raise ValueError

    m = Machine(STATES, tracers=(Faulty(),))
    assert m.add("A") is Result.EXECUTED
    assert "raised" in caplog.text


def test_error_in_exception_state_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot become a second Exception goes to the library's log."""

    class Handlers:
        def ExceptionState(self, e: Event) -> None:
            raise ValueError("second")

    Machine(STATES, id="mine", handlers=Handlers()).add_err(ValueError("first"))
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert (record.name, record.getMessage()) == (
        "asyncmachine",
        "[error] mine: ExceptionState failed in an Exception transition",
    )


def test_level_external_writes_no_changes(caplog: pytest.LogCaptureFixture) -> None:
    """At the lowest level only the user's own lines are written."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = Machine({"A": {}, "B": {"auto": True}}, log_level=LogLevel.EXTERNAL)
    m.add("A")
    assert caplog.messages == []


def test_log_of_waits(caplog: pytest.LogCaptureFixture) -> None:
    """Waits made and met have their lines."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")

    async def main() -> None:
        m = Machine(STATES, id="machine", log_level=LogLevel.OPS)
        m.when("A")
        m.add("A")

    run(main)
    assert [line for line in caplog.messages if "when" in line] == ["[machi] [when:new] A", "[machi] [when:match] A"]


def test_a_class_as_handlers() -> None:
    """A class whose handlers are static can be bound itself."""
    seen: list[str] = []

    class Handlers:
        @staticmethod
        def AState(e: Event) -> None:
            seen.append(e.name)

    Machine(STATES, handlers=Handlers).add("A")
    assert seen == ["AState"]


def test_waits_for_ticks_of_the_queue() -> None:
    """A wait for a queue tick is met when the tick is reached, also by mutations of an idle machine."""

    async def main() -> None:
        m = Machine(STATES)
        wait = m.when_queue(Result(3))
        m.add("A")
        m.add("A")
        assert wait.done()
        assert m._flags == 0

    run(main)


def test_end_of_the_queue_after_an_interruption() -> None:
    """Whoever waits for the end of the queue is told by the end of the machine."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None:
                self.ends = e.machine.when_queue_ends()
                raise KeyboardInterrupt

        h = Handlers()
        m = Machine(STATES, handlers=h)
        with pytest.raises(KeyboardInterrupt):
            m.add("A")
        assert not h.ends.done()
        m.dispose()
        assert h.ends.result() is None

    run(main)


def test_other_waits_stay_when_the_queue_ends() -> None:
    """The end of the queue is told, the rest still waits."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None:
                self.waits = [e.machine.when_queue_ends(), e.machine.when("B")]

        h = Handlers()
        m = Machine(STATES, handlers=h)
        m.add("A")
        assert [wait.done() for wait in h.waits] == [True, False]
        m.add("B")
        assert h.waits[1].done()

    run(main)


def test_a_wait_its_owner_has_settled() -> None:
    """The machine leaves it as it is, whether it would be met or fail."""

    async def main() -> None:
        m = Machine(STATES)
        met, failed = m.when("A"), m.when("B")
        for wait in (met, failed):
            wait.set_result(None)
        m.add("A")
        m.dispose()
        assert (met.result(), failed.result()) == (None, None)

    run(main)


def test_two_await_one_answer() -> None:
    """Both get it, also when an interruption has put it off."""

    async def main() -> None:
        class Handlers:
            def AState(self, e: Event) -> None:
                self.outcome = e.machine.eval_soon(int, "7")
                raise KeyboardInterrupt

        async def ask() -> Any:
            return await h.outcome

        h = Handlers()
        m = Machine(STATES, handlers=h)
        with pytest.raises(KeyboardInterrupt):
            m.add("A")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask()) for _ in range(2)]
            await asyncio.sleep(0)
            m.add("B")
        assert [task.result() for task in tasks] == [7, 7]

    run(main)


def test_tasks_of_one_activation() -> None:
    """One task of an activation may end before the others; the state's end cancels those that are left."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A")
        short, long = m.fork(asyncio.sleep(0), "A"), m.fork(asyncio.Event().wait(), "A")
        assert short is not None
        assert long is not None
        await short
        await asyncio.sleep(0)
        m.remove("A")
        await asyncio.wait([long])
        assert long.cancelled()

    run(main)


def test_task_that_outlives_its_activation() -> None:
    """A task that takes its time to end does not disturb those of the next activation."""

    async def main() -> None:
        m = Machine(STATES)
        go = asyncio.Event()

        async def slow() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await go.wait()

        m.add("A")
        old = m.fork(slow(), "A")
        await asyncio.sleep(0)
        m.remove("A")
        m.add("A")
        new = m.fork(asyncio.Event().wait(), "A")
        assert old is not None
        assert new is not None
        go.set()
        await asyncio.wait([old])
        await asyncio.sleep(0)
        assert not new.done()
        m.remove("A")
        await asyncio.wait([new])
        assert new.cancelled()

    run(main)


def test_cancelling_a_finished_handler_task() -> None:
    """It is too late, and nothing is kept."""

    async def main() -> None:
        class Tasks(Tracer):
            def __init__(self) -> None:
                self.tasks: list[asyncio.Task[Any]] = []

            def task_fork(self, machine: Machine, task: Any, state: str | None) -> None:
                self.tasks.append(task)

        class Handlers:
            async def AState(self, e: Event) -> None: ...

        t = Tasks()
        m = Machine(STATES, handlers=Handlers(), tracers=(t,))
        m.add("A")
        (task,) = t.tasks
        await task
        assert not task.cancel()
        assert not m._waiters.tasks

    run(main)


def test_forgetting_what_is_not_known() -> None:
    """Dropping a wait twice changes nothing."""

    class Nobody:
        def resolve(self, value: Any) -> None: ...

        def fail(self, error: BaseException) -> None: ...

    subs = Waiters()
    subscription = Subscription(WHEN, Nobody(), (1, 2), 6)
    subs.put(subscription)
    subs.drop(subscription)
    subs.drop(subscription)
    assert subs.is_empty
