"""The owner of what runs on a node: no task is lost, the first error ends the rest, and a close runs every step in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from pubsub_sim import run
from pubsub_sim.errors import HostClosed, TaskCancelled, TasksRemain
from pubsub_sim.net.clock import clock_of
from pubsub_sim.node.lifetime import Lifetime, Shielded


class Planted(Exception):
    """What the tests plant."""


def play(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test on the virtual clock; no task may be left."""

    async def whole() -> None:
        await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(whole(), clock="virtual")


async def _fail(error: BaseException) -> None:
    raise error


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def _owner(failures: list[BaseException]) -> Lifetime:
    owner = Lifetime("the owner")
    owner.on_failure = failures.append
    return owner


def test_the_first_error_ends_the_rest_and_is_told_once() -> None:
    """A second one comes out of the close."""
    failures: list[BaseException] = []

    async def stubborn() -> None:
        try:
            await _for_ever()
        finally:
            raise Planted("second")

    async def main() -> None:
        owner = _owner(failures)
        others = [owner.start(_for_ever(), "waits"), owner.start(stubborn(), "stubborn")]
        await asyncio.sleep(0)
        owner.start(_fail(Planted("first")), "fails")
        await asyncio.wait([other for other in others if other is not None])
        assert [str(failure) for failure in failures] == ["first"]
        assert owner.start(_for_ever(), "too late") is None
        with pytest.raises(ExceptionGroup) as caught:
            await owner.close()
        assert [str(error) for error in caught.value.exceptions] == ["second"]

    play(main)


def test_a_task_that_somebody_else_cancels_is_an_error() -> None:
    """Nobody would do its work any more; a task that its owner stops is none."""
    failures: list[BaseException] = []

    async def main() -> None:
        owner = _owner(failures)
        owner.stop(owner.start(_for_ever(), "stopped"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert failures == []
        task = owner.start(_for_ever(), "taken away")
        assert task is not None
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        await owner.close()

    play(main)
    (failure,) = failures
    assert isinstance(failure, TaskCancelled)
    assert failure.task == "taken away"


def test_an_error_of_a_timer_is_one_of_the_owner() -> None:
    """And timers end with it."""
    failures: list[BaseException] = []
    ran: list[str] = []

    async def main() -> None:
        owner, clock = _owner(failures), clock_of(asyncio.get_running_loop())
        owner.call_later(clock, 1.0, lambda: ran.append("first"))
        owner.call_later(clock, 2.0, lambda: 1 / 0)
        owner.call_later(clock, 3.0, lambda: ran.append("third"))
        await asyncio.sleep(10)
        owner.call_later(clock, 1.0, lambda: ran.append("too late"))
        await asyncio.sleep(10)
        await owner.close()

    play(main)
    assert ran == ["first"]
    assert [type(failure) for failure in failures] == [ZeroDivisionError]


def test_only_work_counts_as_busy() -> None:
    """A loop that waits for work is idle."""

    async def main() -> None:
        owner = Lifetime()
        owner.start(_for_ever(), "a loop", is_work=False)
        assert owner.is_idle
        work = owner.start(asyncio.sleep(1), "work")
        assert work is not None
        assert not owner.is_idle
        await work
        await asyncio.sleep(0)
        assert owner.is_idle
        await owner.close()

    play(main)


def test_a_closed_host_is_no_error_of_a_task_that_was_using_it() -> None:
    """As when a loop asks a host that has just ended."""

    async def asks() -> None:
        try:
            await _for_ever()
        except asyncio.CancelledError:
            raise HostClosed("poll") from None

    async def main() -> None:
        owner = Lifetime()
        owner.start(asks(), "asks")
        await asyncio.sleep(0)
        await owner.close()

    play(main)


@pytest.mark.parametrize("kind", [Planted, asyncio.CancelledError])
@pytest.mark.parametrize("is_awaited", [True, False])
def test_a_close_runs_every_step_and_groups_what_went_wrong(kind: type[BaseException], is_awaited: bool) -> None:
    """Whatever becomes of those before; once only, however often it is called."""
    ran: list[str] = []

    def step(name: str) -> tuple[str, Callable[[], Awaitable[None] | None]]:
        def fail() -> Awaitable[None] | None:
            ran.append(name)
            if is_awaited:
                return _fail(kind(name))
            raise kind(name)

        return name, fail

    async def main() -> None:
        owner = Lifetime("the owner")
        for _ in range(2):
            with pytest.raises(ExceptionGroup) as caught:
                await owner.close([step("one"), step("two"), ("three", lambda: ran.append("three"))])
            expected = Planted if kind is Planted else TaskCancelled
            assert [type(error) for error in caught.value.exceptions] == [expected] * 2

    play(main)
    assert ran == ["one", "two", "three"]


@pytest.mark.parametrize("rounds", range(8))
def test_a_close_goes_to_its_end_if_its_caller_is_cancelled(rounds: int) -> None:
    """At whatever round; the caller is told of its cancellation afterwards."""
    ran: list[str] = []

    async def pause() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        ran.append("paused")

    async def main() -> None:
        owner = Lifetime()
        owner.start(_for_ever(), "waits")
        closing = asyncio.ensure_future(owner.close([("pause", pause), ("last", lambda: ran.append("last"))]))
        for _ in range(rounds + 1):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert ran == ["paused", "last"]

    play(main)


def test_what_does_not_end_is_reported_by_name_and_costs_the_rest_nothing() -> None:
    """A task and a step that swallow their cancellation; the limit is on the loop's clock, and the loop's end is not held up."""
    ran: list[str] = []

    async def deaf() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                ran.append("cancelled")

    async def main() -> None:
        owner = Lifetime("the owner", limit_s=5.0)
        owner.start(deaf(), "deaf task")
        await asyncio.sleep(0)
        begin_s = asyncio.get_running_loop().time()
        with pytest.raises(ExceptionGroup) as caught:
            await owner.close([("deaf step", deaf), ("last", lambda: ran.append("last"))])
        assert asyncio.get_running_loop().time() == begin_s + 5.0
        (remaining,) = caught.value.exceptions
        assert isinstance(remaining, TasksRemain)
        assert remaining.tasks == ["deaf step", "deaf task"]
        assert "last" in ran

    play(main)


def test_a_task_may_close_its_own_owner() -> None:
    """It is cancelled like the others, once all is done, and nobody waits for it."""
    ran: list[str] = []

    async def main() -> None:
        owner = Lifetime()

        async def close() -> None:
            await owner.close([("step", lambda: ran.append("step"))])

        begin_s = asyncio.get_running_loop().time()
        closing = owner.start(close(), "closes its owner")
        assert closing is not None
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert asyncio.get_running_loop().time() == begin_s

    play(main)
    assert ran == ["step"]


def test_an_adopted_task_is_waited_for_and_its_errors_are_its_starters() -> None:
    """The owner hears only of its end."""
    failures: list[BaseException] = []

    async def main() -> None:
        owner = _owner(failures)
        failing = asyncio.ensure_future(_fail(Planted()))
        owner.adopt(failing, "adopted")
        owner.adopt(None, "none")
        assert not owner.is_idle
        await asyncio.wait([failing])
        await asyncio.sleep(0)
        assert owner.is_idle
        assert isinstance(failing.exception(), Planted)
        assert failures == []
        waiting = asyncio.ensure_future(_for_ever())
        owner.adopt(waiting, "waits")
        await owner.close()
        assert waiting.cancelled()

    play(main)


def test_a_shielded_call_that_fails_tells_even_who_was_cancelled() -> None:
    """An error that nobody has seen is worth more than a cancellation that its sender knows of."""

    async def fail_later() -> None:
        await asyncio.sleep(1)
        raise Planted

    async def main() -> None:
        waiting = asyncio.ensure_future(Shielded(fail_later(), "fails later").end())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(Planted):
            await waiting

    play(main)
