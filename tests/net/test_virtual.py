"""The virtual clock: time jumps, order is that of the calls, and nothing outside exists."""

from __future__ import annotations

import asyncio

import pytest

from pubsub_sim import OptionError, run
from pubsub_sim.errors import Deadlock


def test_waiting_takes_no_time() -> None:
    """A day passes at once, to the exact instant."""

    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert run(main(), clock="virtual") == 86_400.0


def test_timers_due_at_one_instant_fire_in_the_order_they_were_made() -> None:
    """The stock heap compares due times only."""

    async def main() -> list[int]:
        order: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(50):
            loop.call_at(1.0, order.append, number)
        await asyncio.sleep(1.0)
        return order

    assert run(main(), clock="virtual") == list(range(50))


def test_a_timer_never_fires_before_its_time() -> None:
    """Not even by the resolution of a clock: each callback sees exactly its due time."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        seen: list[float] = []
        for due in (0.3, 0.1, 0.1 + 1e-9, 1e6):
            loop.call_at(due, lambda: seen.append(loop.time()))
        await asyncio.sleep(1e6 + 1)
        return seen

    assert run(main(), clock="virtual") == [0.1, 0.1 + 1e-9, 0.3, 1e6]


def test_a_program_that_waits_for_nothing_is_a_deadlock_that_names_its_tasks() -> None:
    """Instead of sleeping for ever."""

    async def stuck_here() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        await asyncio.create_task(stuck_here(), name="the stuck one")

    with pytest.raises(Deadlock, match=r"the stuck one \(.*stuck_here"):
        run(main(), clock="virtual")


def test_threads_are_refused() -> None:
    """Their time is not virtual."""

    async def main() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="virtual loop"):
        run(main(), clock="virtual")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clock": "lunar"}, "clock: expected 'wall' or 'virtual', got 'lunar'"),
        ({"clock": "virtual", "loop": "uvloop"}, "loop: expected nothing, as the virtual clock"),
        ({"loop": "trio"}, "loop: expected 'uvloop' or 'asyncio', got 'trio'"),
        ({"seed": "x"}, "seed: expected a whole number, got 'x'"),
    ],
)
def test_unusable_options_are_named(options: dict[str, str], message: str) -> None:
    """And the coroutine is closed, so that nothing warns of it."""

    async def main() -> None:
        """Never run."""

    with pytest.raises(OptionError, match=message):
        run(main(), **options)  # type: ignore[arg-type] # what is tested


def test_a_program_runs_from_inside_a_running_loop() -> None:
    """As in a notebook: in a thread of its own."""

    async def inner() -> int:
        await asyncio.sleep(0)
        return 42

    async def outer() -> int:
        return run(inner(), clock="virtual")

    assert asyncio.run(outer()) == 42
