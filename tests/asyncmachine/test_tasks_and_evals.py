"""What becomes of forks, tasks and deferred evals whose state or caller is gone, and of their errors: on both loops."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from asyncmachine import Event, Machine
from tests.asyncmachine.loops import Run

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}


def test_when_disposed_waits_for_the_tasks(run: Run) -> None:
    """Whoever waits for the end is told when the last task has ended."""

    async def main() -> None:
        m = Machine(STATES)
        stopped: list[str] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                stopped.append("work")

        m.fork(work())
        end = m.when_disposed()
        await asyncio.sleep(0)
        m.dispose()
        assert not end.done()
        await end
        assert stopped == ["work"]

    run(main)


def test_a_fork_needs_a_known_state_and_a_loop(run: Run) -> None:
    """A refused fork closes its coroutine; it never warns."""
    m = Machine(STATES)
    with pytest.raises(RuntimeError):
        m.fork(asyncio.sleep(0))

    async def main() -> None:
        with pytest.raises(KeyError):
            m.fork(asyncio.sleep(0), "Nope")
        ctx = m.state_ctx("A")
        m.add("A")
        assert ctx.fork(asyncio.sleep(0)) is None
        gc.collect()

    run(main)


def test_event_forks_of_multi_states_live_on(run: Run) -> None:
    """E.fork in a handler of a Multi state, or in AnyState, is bound to the machine's life."""

    async def main() -> None:
        class Handlers:
            def __init__(self) -> None:
                self.tasks: list[asyncio.Task[Any] | None] = []

            def MState(self, e: Event) -> None:
                self.tasks.append(e.fork(asyncio.sleep(0)))

            def AnyState(self, e: Event) -> None:
                self.tasks.append(e.fork(asyncio.sleep(0)))

        h = Handlers()
        m = Machine(STATES, handlers=h)
        m.add("M")
        m.remove("M")
        tasks = [task for task in h.tasks if task is not None]
        assert len(tasks) == 3
        await asyncio.wait(tasks)
        assert not any(task.cancelled() for task in tasks)

    run(main)


def test_task_that_ends_its_own_state_while_it_is_made(run: Run) -> None:
    """A task whose state has ended by the time it exists is cancelled."""

    async def main() -> None:
        m = Machine(STATES)
        m.add("A")

        def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
            m.remove("A")
            return asyncio.Task(coro, loop=loop, **options)

        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        task = m.fork(asyncio.Event().wait(), "A")
        loop.set_task_factory(None)
        m.dispose()
        await asyncio.wait_for(m.disposed(), 60)
        assert task is not None
        assert task.cancelled()

    run(main)


def test_error_of_a_task_after_the_end_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """A task that fails while it is being cancelled has nobody to tell but the log."""

    async def main() -> None:
        m = Machine(STATES)

        async def fail() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError("too late")

        m.fork(fail())
        await asyncio.sleep(0)
        m.dispose()
        await m.disposed()

    run(main)
    assert ".fail failed; the Exception state was refused: the machine is disposed" in caplog.text


def test_an_eval_whose_caller_gave_up_is_not_run(run: Run) -> None:
    """Eval_soon of a cancelled task does not happen; what nobody awaits is logged if it failed."""

    async def main() -> None:
        ran: list[int] = []

        class Handlers:
            def AState(self, e: Event) -> None:
                self.outcome = e.machine.eval_soon(ran.append, 1)
                with pytest.raises(RuntimeError, match="not known yet"):
                    self.outcome.result()
                waiting = self.outcome.__await__()
                next(waiting)
                assert self.outcome._waiter is not None
                self.outcome._waiter.cancel()
                with pytest.raises(asyncio.CancelledError):
                    waiting.send(None)

        h = Handlers()
        m = Machine(STATES, handlers=h)
        m.add("A")
        assert m.is_("A")
        assert (ran, m.err) == ([], None)

    run(main)


def test_failed_eval_that_nobody_awaits_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An error is never lost."""
    m = Machine(STATES)
    outcome = m.eval_soon(lambda: 1 / 0, label="division")
    del outcome
    gc.collect()
    assert "[eval] 'division' failed and nobody awaited it" in caplog.text


def test_awaited_before_it_is_known(run: Run) -> None:
    """Eval_soon and a dry run in a handler can be awaited before their turn comes; two dry runs differ."""

    async def main() -> None:
        answers: list[Any] = []

        async def ask(outcome: Any) -> None:
            answers.append(await outcome)

        class Handlers:
            def AState(self, e: Event) -> None:
                outcomes = [e.machine.eval_soon(int, "7"), e.machine.can_add("B"), e.machine.can_add("B")]
                assert outcomes[1] != outcomes[2]
                assert len({*outcomes[1:]}) == 2
                self.begun = [outcome.__await__() for outcome in outcomes]
                for waiting in self.begun:
                    next(waiting)

        h = Handlers()
        m = Machine(STATES, handlers=h)
        m.add("A")
        for waiting in h.begun:
            with pytest.raises(StopIteration) as stop:
                waiting.send(None)
            answers.append(str(stop.value.value))
        assert (m.err, answers) == (None, ["7", "executed", "executed"])

    run(main)
