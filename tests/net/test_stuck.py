"""A program that hangs on the virtual clock is told so, and where; one that only waits is left alone."""

from __future__ import annotations

import asyncio
import math
import re

import pytest

from pubsub_sim import World, min_topic_size, run
from pubsub_sim.errors import Deadlock, NeverQuiet
from pubsub_sim.net.clock import clock_of
from pubsub_sim.protocol.validation import Verdict


async def stuck_here() -> None:
    await asyncio.get_running_loop().create_future()


async def poll_for_ever() -> None:
    clock = clock_of(asyncio.get_running_loop())
    while True:
        await clock.sleep(1.0)


def test_each_waiting_task_is_named_with_the_places_it_is_inside_of() -> None:
    """Outermost first, so that the reader finds both the call and what it waits in."""

    async def outer() -> None:
        await stuck_here()

    async def main() -> None:
        await asyncio.gather(asyncio.create_task(outer(), name="first"), asyncio.create_task(outer(), name="second"))

    with pytest.raises(Deadlock, match=r"^nothing will ever happen; waiting: ") as caught:
        run(main(), clock="virtual")
    main_task, *others = caught.value.tasks
    assert "main, line" in main_task
    assert [line.split()[0] for line in others] == ["first", "second"]
    for line in others:
        assert "outer, line" in line
        assert line.split(" > ")[1].startswith("stuck_here, line")


def test_a_crowd_of_waiting_tasks_fits_a_sentence() -> None:
    """The main task comes first, equal ones are counted, and of many the rest is left to the attribute."""

    async def main() -> None:
        crowd = [asyncio.create_task(stuck_here(), name="all alike") for _ in range(50)]
        crowd += [asyncio.create_task(stuck_here(), name=f"number {number}") for number in range(50)]
        await asyncio.gather(*crowd)

    with pytest.raises(
        Deadlock, match=r"waiting: [^;]*main, line \d+\); 50 times all alike .*; number 0.*; and 32 more$"
    ) as caught:
        run(main(), clock="virtual")
    assert len(caught.value.tasks) == 101
    assert len(set(caught.value.tasks)) == 52


def test_a_pause_for_ever_is_no_event() -> None:
    """An infinite timer does not keep a program alive."""

    async def main() -> None:
        await asyncio.sleep(math.inf)

    with pytest.raises(Deadlock, match="nothing will ever happen"):
        run(main(), clock="virtual")


def test_polls_do_not_hide_a_hang() -> None:
    """Background timers are armed for ever; a main task that waits beside them is found out."""

    async def main() -> None:
        polling = asyncio.create_task(poll_for_ever(), name="poll")
        await stuck_here()
        await polling

    with pytest.raises(
        Deadlock, match=r"^nothing but polls and sweeps for 60 s of virtual time; waiting: .*stuck_here"
    ):
        run(main(), clock="virtual", patience_s=60)


@pytest.mark.parametrize("discovery", [True, False])
def test_a_worlds_own_polls_do_not_hide_a_hang(version: str, discovery: bool) -> None:
    """Discovery, sweeps and readiness polls go on for ever; a message that never comes is named all the same."""

    async def main() -> None:
        async with World(3, version=version, discovery=discovery) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            subscription = await topics[0].subscribe()
            lonely = asyncio.create_task(topics[1].publish(b"x", ready=min_topic_size(9)), name="lonely publisher")
            await subscription.next()
            await lonely

    with pytest.raises(Deadlock, match="nothing but polls") as caught:
        run(main(), clock="virtual", patience_s=30)
    for pattern in (
        r"lonely publisher \(Topic\.publish, line",
        r"Task-\d+ \(.*main, line \d+ > Subscription\.next, ",
    ):
        assert any(re.match(pattern, line) for line in caught.value.tasks), caught.value.tasks


def test_time_limits_that_come_and_go_do_not_hide_a_hang() -> None:
    """Only one that strikes is progress: a poll with a limit of its own is still a poll."""

    async def main() -> None:
        async def poll() -> None:
            clock = clock_of(asyncio.get_running_loop())
            while True:
                async with asyncio.timeout(10):
                    await clock.sleep(1.0)
                await clock.sleep(1.0)

        polling = asyncio.create_task(poll())
        await stuck_here()
        await polling

    with pytest.raises(Deadlock, match="nothing but polls"):
        run(main(), clock="virtual", patience_s=60)


def test_a_program_that_pauses_is_not_stuck() -> None:
    """However long: on the clock itself, or in tasks of its own that pause by asyncio.sleep."""

    async def main() -> int:
        clock = clock_of(asyncio.get_running_loop())
        polling = asyncio.create_task(poll_for_ever())
        await clock.sleep(1000)
        await asyncio.gather(asyncio.sleep(1000), asyncio.sleep(2000))
        polling.cancel()
        return clock.now_ns()

    assert run(main(), clock="virtual", patience_s=60) == 3_000_000_000_000


def test_a_program_whose_main_task_polls_ends_at_its_horizon() -> None:
    """A poll of the program's own is a step; only the program knows when it has gone on too long."""

    async def main() -> None:
        await poll_for_ever()

    with pytest.raises(Deadlock, match=r"^not ended at the horizon of 300 s; waiting: .*poll_for_ever"):
        run(main(), clock="virtual", horizon_s=300)


def test_a_world_that_never_comes_to_rest_says_who_is_busy(version: str) -> None:
    """Instead of waiting for ever."""

    async def never(peer: object, message: object) -> Verdict:
        await asyncio.get_running_loop().create_future()
        return Verdict.ACCEPT

    async def main() -> None:
        async with World(3, version=version, discovery=False) as world:
            topics = [await ps.join("t") for ps in world.pubsubs]
            await topics[2].subscribe()
            await world.connect(1, 2)
            await world.settle()
            await world.pubsubs[2].register_validator("t", never)
            await topics[1].publish(b"x")
            with pytest.raises(NeverQuiet, match=r"^not quiet after 2 s, busy: host 2$"):
                await world.settle(limit_s=2)

    run(main(), clock="virtual")
