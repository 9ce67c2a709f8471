"""Timing in one process: processor time of batches whose size was found beforehand.

The garbage collector is left as users have it.
"""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncmachine.benchmark.workload import Bench, Workload

    Run = Callable[[int], int]

_ITERATIONS_AT_MOST = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is done for one sample.

    Attributes:
        batch_s: Processor time that a batch is meant to take, in seconds.
        batches: How many batches are timed; their median is the sample. Odd, so that it is one of them.

    Raises:
        ValueError: A value that cannot be used.
    """

    batch_s: float = 0.01
    batches: int = 7

    def __post_init__(self) -> None:
        if not 0 < self.batch_s < 10:
            raise ValueError(f"batch_s: expected a time above 0 and below 10 s, got {self.batch_s!r}")
        if self.batches < 1 or self.batches % 2 == 0:
            raise ValueError(f"batches: expected an odd number of at least 1, got {self.batches!r}")


class WrongWorkError(Exception):
    """A workload did not do what it says, so its time is worth nothing.

    Attributes:
        what: What is wrong.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def sample(workload: Workload, effort: Effort) -> tuple[int, int]:
    """Measure a workload once.

    Returns:
        Amount and count: so many nanoseconds of processor time (or bytes) for so many events.

    Raises:
        WrongWorkError: The workload did not do what it says.
    """
    if workload.is_async:
        return _on_a_loop(workload, effort)
    bench: Bench = workload.make()
    if workload.unit == "bytes":
        return _bytes(bench), workload.events
    meter = _Meter(bench)
    return meter.measured(lambda n: _timed(bench.loop, n), effort, workload.events)


class _Meter:
    """Counts the iterations of a bench, so that its work can be checked at the end."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.iterations = 0

    def measured(self, run: Run, effort: Effort, events: int) -> tuple[int, int]:
        def counted(n: int) -> int:
            self.iterations += n
            return run(n)

        n = _calibrated(counted, effort.batch_s)
        times = sorted(counted(n) for _ in range(effort.batches))
        wrong = self.bench.wrong(self.iterations)
        if wrong:
            raise WrongWorkError(wrong)
        return times[effort.batches // 2], n * events


def _calibrated(run: Run, batch_s: float) -> int:
    """Find how many iterations fill a batch; this is the warm-up too."""
    target_ns = batch_s * 1e9
    n = 1
    run(1)
    while True:
        took_ns = max(run(n), 1)
        if took_ns >= target_ns / 4 or n >= _ITERATIONS_AT_MOST:
            return max(1, int(n * target_ns / took_ns))
        n = min(_ITERATIONS_AT_MOST, max(2 * n, int(n * target_ns / took_ns / 2)))


def _timed(loop: Callable[[int], Any], n: int) -> int:
    start_ns = time.process_time_ns()
    loop(n)
    return time.process_time_ns() - start_ns


def _on_a_loop(workload: Workload, effort: Effort) -> tuple[int, int]:
    with asyncio.Runner() as runner:
        bench: Bench = runner.run(workload.make())

        async def timed(n: int) -> int:
            start_ns = time.process_time_ns()
            await bench.loop(n)
            return time.process_time_ns() - start_ns

        try:
            return _Meter(bench).measured(lambda n: runner.run(timed(n)), effort, workload.events)
        finally:
            if bench.finish is not None:
                runner.run(_finished(bench.finish))


async def _finished(finish: Callable[[], Any]) -> None:
    await finish()


def _bytes(bench: Bench) -> int:
    """Measure what the objects of one iteration hold, after one iteration that is thrown away."""
    bench.loop(1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = bench.loop(1)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    wrong = bench.wrong(2)
    if wrong or not kept:
        raise WrongWorkError(wrong or "nothing was kept")
    return after - before
