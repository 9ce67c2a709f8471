"""The instruments."""

import asyncio
import json
import subprocess
import sys
from contextlib import AbstractContextManager
from typing import Any

import pytest
import uvloop

from pubsub_sim.bench.instruments import MESSAGES_PHASE, CallInstrument, Instrument, LagInstrument, MemoryInstrument


def watch(instrument: Instrument, *stretches: Any) -> None:
    """Call one function per phase, named after its number, under a instrument."""
    instrument.start()
    for number, stretch in enumerate(stretches):
        around: AbstractContextManager[None] = instrument.around(str(number))
        with around:
            stretch()
    instrument.stop()


def test_memory_in_all_at_its_peak_and_at_the_end_by_hand() -> None:
    """A block given back counts in all and in the peak, one that is kept also at the end, and what closing gives back is freed."""
    kept: list[bytearray] = []

    def come_and_go() -> None:
        block = bytearray(3 << 20)
        len(block)

    def keep() -> None:
        kept.append(bytearray(1 << 20))

    instrument = MemoryInstrument()
    instrument.start()
    with instrument.around("one"):
        for _ in range(4):
            come_and_go()
    with instrument.around("two"):
        keep()
    kept.clear()
    instrument.stop()
    found = {name: value / 2**20 for name, value in instrument.of_run().items()}
    expected = {"allocated_bytes": 13, "peak_traced_bytes": 3, "final_traced_bytes": 1, "freed_bytes": 1}
    assert found == pytest.approx(expected, abs=0.1)


def test_calls_are_counted_per_phase() -> None:
    """Ten calls more are ten more in the count, and the run is the sum of its phases."""

    def call(times: int) -> None:
        for _ in range(times):
            abs(-1)

    instrument = CallInstrument()
    watch(instrument, lambda: call(10), lambda: call(20))
    counts = [phase["calls"] for phase in instrument.of_phases().values()]
    assert counts[1] - counts[0] == 10
    assert instrument.of_run() == {"calls": sum(counts)}


@pytest.mark.parametrize("version", ["baseline", "states"])
def test_count_of_calls_is_the_same_in_every_process(version: str) -> None:
    """The clock has no say in it: two runs of one seed make equally many calls while they send messages."""
    spec = json.dumps({"version": version, "hosts": 4, "messages": 3, "kind": "calls"})
    counts = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "pubsub_sim.bench.worker"],
            input=spec,
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": "0"},
        )
        rows = {(phase, name): value for phase, name, value in json.loads(done.stdout)["rows"]}
        counts.append(rows[MESSAGES_PHASE, "calls"])
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_turns_of_the_loop_are_timed_only_while_messages_are_sent(factory: Any) -> None:
    """Each round of the loop is a turn, other phases count nothing."""
    instrument = LagInstrument()

    async def main() -> None:
        with instrument.around("init"):
            await asyncio.sleep(0)
        assert instrument.of_run() == {"turns": 0, "longest_turn_ns": 0}
        with instrument.around(MESSAGES_PHASE):
            for _ in range(5):
                await asyncio.sleep(0)
                sum(range(100_000))
        assert 4 <= instrument.of_run()["turns"] <= 7
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert instrument.of_run()["turns"] <= 7

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    assert instrument.of_run()["longest_turn_ns"] > 0
