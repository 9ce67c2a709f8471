"""Instruments that slow a run down: traced memory, counted calls and timed turns of the event loop, each in runs of its own.

An instrument wraps the phases of a run, as `probes.PhaseProbe` does. No timing run has one.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import sys
import time
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MESSAGES_PHASE = "rand msgs"
"""The phase in which only messages are sent."""


class Instrument(Protocol):
    """Watches a run."""

    def start(self) -> None:
        """Begin, right before the first phase; on the running loop's thread."""

    def around(self, phase: str) -> Any:
        """Give a context manager for what happens in a phase."""

    def stop(self) -> None:
        """End, when the hosts are closed and the loop is gone."""

    def of_phases(self) -> dict[str, dict[str, int]]:
        """Give phase to its numbers."""

    def of_run(self) -> dict[str, int]:
        """Give the numbers of the run as a whole."""


class MemoryInstrument:
    """Traces what Python allocates (tracemalloc); memory that C libraries take for themselves is not in it.

    tracemalloc knows what is alive, not what was allocated in all. So the traced memory is read at every call and
    return, and what it grew by from one reading to the next is added up; what is taken and given back inside one
    C function is missed. Numbers are named after those of the benchmark this one follows: allocated, peak ("max
    heap"), final ("last heap") and freed ("GCed", there the sweeper's work, here what closing the hosts gives back).
    """

    def __init__(self) -> None:
        self._allocated = 0
        self._peak = 0
        self._final = 0
        self._left = 0
        self._read: Callable[[], int] = lambda: 0

    def start(self) -> None:
        """Start tracemalloc and read the traced memory at every call and return."""
        tracemalloc.start()
        self._read, watch = _growth()
        sys.setprofile(watch)

    @contextmanager
    def around(self, phase: str) -> Iterator[None]:
        """Take the allocated, final and peak memory at the end of the phase."""
        yield
        self._allocated = self._read()
        self._final, self._peak = tracemalloc.get_traced_memory()

    def stop(self) -> None:
        """Stop tracing, after a full collection and a last reading of the memory."""
        sys.setprofile(None)
        gc.collect()
        self._left = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()

    def of_phases(self) -> dict[str, dict[str, int]]:
        """Give no numbers: memory is traced for the run as a whole."""
        return {}

    def of_run(self) -> dict[str, int]:
        """Give allocated, peak, final and freed memory in bytes."""
        return {
            "allocated_bytes": self._allocated,
            "peak_traced_bytes": self._peak,
            "final_traced_bytes": self._final,
            "freed_bytes": self._final - self._left,
        }


class CallInstrument:
    """Counts calls, in C (cProfile): of Python functions, of C functions by Python, and resumptions of coroutines.

    The count is decided by the program and not by the clock: the same run gives the same number on a busy machine.
    """

    def __init__(self) -> None:
        self._profile = cProfile.Profile()
        self._calls: dict[str, int] = {}

    def start(self) -> None:
        """Do nothing: each phase enables the profiler itself."""

    @contextmanager
    def around(self, phase: str) -> Iterator[None]:
        """Count the calls of the phase."""
        self._profile.enable()
        yield
        self._profile.disable()
        self._calls[phase] = sum(entry.callcount for entry in self._profile.getstats())
        self._profile.clear()

    def stop(self) -> None:
        """Disable the profiler."""
        self._profile.disable()

    def of_phases(self) -> dict[str, dict[str, int]]:
        """Give each phase its number of calls."""
        return {phase: {"calls": calls} for phase, calls in self._calls.items()}

    def of_run(self) -> dict[str, int]:
        """Give the number of calls in all phases."""
        return {"calls": sum(self._calls.values())}


class LagInstrument:
    """Takes the time between two turns of the event loop while messages are sent.

    It asks to be called in every turn, so the loop never sleeps; a timer would be cheaper, but uvloop's timers are
    whole milliseconds, longer than most turns.
    """

    def __init__(self) -> None:
        self._turns = 0
        self._longest_ns = 0

    def start(self) -> None:
        """Do nothing: the message phase starts the turns' clock itself."""

    @contextmanager
    def around(self, phase: str) -> Iterator[None]:
        """Time the turns of the event loop in the message phase, and nothing in the others."""
        if phase != MESSAGES_PHASE:
            yield
            return
        loop = asyncio.get_running_loop()
        last_ns = time.perf_counter_ns()
        handle: asyncio.Handle

        def turn() -> None:
            nonlocal handle, last_ns
            now_ns = time.perf_counter_ns()
            self._longest_ns = max(self._longest_ns, now_ns - last_ns)
            self._turns += 1
            last_ns = now_ns
            handle = loop.call_soon(turn)

        handle = loop.call_soon(turn)
        try:
            yield
        finally:
            handle.cancel()

    def stop(self) -> None:
        """Do nothing: the end of the message phase cancels the callback."""

    def of_phases(self) -> dict[str, dict[str, int]]:
        """Give no numbers: turns are timed for the run as a whole."""
        return {}

    def of_run(self) -> dict[str, int]:
        """Give the number of turns and the longest turn in nanoseconds."""
        return {"turns": self._turns, "longest_turn_ns": self._longest_ns}


INSTRUMENTS: dict[str, Callable[[], Instrument]] = {
    "memory": MemoryInstrument,
    "calls": CallInstrument,
    "lag": LagInstrument,
}
"""Kind of a run to its instrument; a run of another kind has none."""


def _growth() -> tuple[Callable[[], int], Callable[[Any, str, Any], None]]:
    """Give a sum of the growth of the traced memory, and the function that adds to it; both without attributes: cheap."""
    traced = tracemalloc.get_traced_memory
    last, total = traced()[0], 0

    def watch(frame: Any, event: str, argument: Any) -> None:
        nonlocal last, total
        now = traced()[0]
        if now > last:
            total += now - last
        last = now

    return lambda: total, watch
