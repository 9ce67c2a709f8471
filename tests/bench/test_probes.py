"""The probes."""

import asyncio
import gc
from typing import Any

import pytest
import uvloop

from pubsub_sim.bench.probes import GcProbe, KernelProbe, PhaseProbe, TaskProbe


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_tasks_are_counted_per_phase(factory: Any) -> None:
    """Each phase knows how many tasks were created in it, and the probe how many are alive at its end."""
    tasks = TaskProbe()
    phase = PhaseProbe(tasks, GcProbe(), lambda _: None)

    async def main() -> None:
        with phase("one"):
            waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
        with phase("two"):
            await asyncio.create_task(asyncio.sleep(0))
        assert phase.tasks_alive == 3
        for task in waiting:
            task.cancel()

    with asyncio.Runner(loop_factory=factory) as runner:
        tasks.attach(runner.get_loop())
        runner.run(main())
    assert [cost["tasks_created"] for cost in phase.costs.values()] == [3, 1]


def test_collections_belong_to_the_phase_they_ran_in() -> None:
    """A collection in one phase takes no time in the other."""
    collector = GcProbe()
    phase = PhaseProbe(TaskProbe(), collector, lambda _: None)

    async def main() -> None:
        with phase("one"):
            gc.collect()
        with phase("two"):
            pass

    gc.disable()
    collector.attach()
    try:
        asyncio.run(main())
    finally:
        collector.detach()
        gc.enable()
    assert phase.costs["one"]["gc_wall_ns"] == collector.wall_ns > 0
    assert phase.costs["two"]["gc_wall_ns"] == 0


def test_phase_is_announced_before_its_clock_starts() -> None:
    """The name of a phase is told first, then its time begins."""
    told: list[tuple[str, int]] = []
    phase = PhaseProbe(TaskProbe(), GcProbe(), lambda name: told.append((name, len(phase.costs))))

    async def main() -> None:
        with phase("one"):
            assert told == [("one", 0)]

    asyncio.run(main())
    assert phase.costs["one"]["wall_ns"] > 0


def test_phase_that_raises_leaves_no_numbers() -> None:
    """Half a phase has no duration."""
    phase = PhaseProbe(TaskProbe(), GcProbe(), lambda _: None)
    with pytest.raises(ZeroDivisionError), phase("one"):
        raise ZeroDivisionError
    assert phase.costs == {}


def test_collections_are_counted_while_attached() -> None:
    """The probe counts collections and freed cycles between attach and detach, and none outside."""
    probe = GcProbe()
    gc.collect()
    gc.collect()
    probe.attach()
    cycle: list[Any] = []
    cycle.append(cycle)
    del cycle
    gc.collect()
    probe.detach()
    gc.collect()
    assert probe.collections >= 1
    assert probe.collected >= 1
    seen = probe.collections
    gc.collect()
    assert probe.collections == seen


def test_peak_memory_is_that_of_the_run() -> None:
    """A peak before the probe was made is forgotten, one after it is seen."""
    before = bytearray(200 << 20)
    before[::4096] = b"x" * len(before[::4096])
    del before
    probe = KernelProbe()
    assert probe.read()["peak_rss_bytes"] < probe.start_rss_bytes + (100 << 20)
    during = bytearray(150 << 20)
    during[::4096] = b"x" * len(during[::4096])
    del during
    assert probe.read()["peak_rss_bytes"] >= probe.start_rss_bytes + (140 << 20)
