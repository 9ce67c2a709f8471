"""Probes that measure the phases of a run from outside: clocks, tasks, the garbage collector, the kernel's counts."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


class TaskProbe:
    """Counts the tasks created on a loop, by its task factory.

    Attributes:
        created: tasks created since the probe was attached.
    """

    def __init__(self) -> None:
        self.created = 0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Become the task factory of a loop."""
        loop.set_task_factory(self._make)

    def _make(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **more: Any,
    ) -> asyncio.Task[Any]:
        self.created += 1
        return asyncio.Task(coro, loop=loop, **more)


class GcProbe:
    """Watches the cyclic garbage collector.

    Attributes:
        collections: collections seen.
        wall_ns: time spent in them, in nanoseconds.
        collected: objects they freed.
    """

    def __init__(self) -> None:
        self.collections = 0
        self.wall_ns = 0
        self.collected = 0
        self._since_ns = 0

    def attach(self) -> None:
        """Begin to watch."""
        gc.callbacks.append(self._seen)

    def detach(self) -> None:
        """Stop watching."""
        gc.callbacks.remove(self._seen)

    def _seen(self, stage: str, info: dict[str, int]) -> None:
        if stage == "start":
            self._since_ns = time.perf_counter_ns()
            return
        self.wall_ns += time.perf_counter_ns() - self._since_ns
        self.collections += 1
        self.collected += info["collected"]


class TimeSlices:
    """The time slices of one run.

    Args:
        token: file descriptor on which the turn token is passed on and comes back, a byte each; -1 for a run by itself,
            which never pauses.
        slice_ns: how long a time slice lasts at least; it ends at the first pause after that.

    Attributes:
        taken: time slices begun.
        paused_ns: time on the clock in which the run was paused.
        paused_cpu_ns: processor time that this took.
    """

    def __init__(self, token: int = -1, slice_ns: int = 0) -> None:
        self.taken = 0
        self.paused_ns = 0
        self.paused_cpu_ns = 0
        self._token = token
        self._slice_ns = slice_ns
        self._ends_ns = 0  # the first pause comes before the first time slice

    def pause(self) -> None:
        """Pause here if the time slice has been long enough; the event loop pauses as well, as nothing is awaited."""
        if self._token < 0 or time.perf_counter_ns() < self._ends_ns:
            return
        cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
        os.write(self._token, b".")
        if not os.read(self._token, 1):
            os._exit(1)  # nobody is there to hand it back
        self.taken += 1
        now_ns = time.perf_counter_ns()
        self._ends_ns = now_ns + self._slice_ns
        self.paused_ns += now_ns - wall_ns
        self.paused_cpu_ns += time.process_time_ns() - cpu_ns


class PhaseProbe:
    """Takes the time of named phases.

    Args:
        tasks: counts the tasks.
        collector: watches the collector.
        announce: called with a phase's name before its clock starts.
        slices: the run's time slices, if it shares the machine; it may pause before a phase, and a pause within one does
            not count.

    Attributes:
        costs: phase to its wall_ns, cpu_ns, gc_wall_ns and tasks_created, in the order of the phases.
        tasks_alive: tasks alive at the end of the last phase, without the one that runs the scenario.
    """

    def __init__(
        self, tasks: TaskProbe, collector: GcProbe, announce: Callable[[str], None], slices: TimeSlices | None = None
    ) -> None:
        self.costs: dict[str, dict[str, int]] = {}
        self.tasks_alive = 0
        self._tasks = tasks
        self._collector = collector
        self._announce = announce
        self._slices = slices or TimeSlices()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time what happens inside; a phase that ends with an exception leaves no numbers."""
        slices = self._slices
        slices.pause()
        self._announce(name)
        paused_ns, paused_cpu_ns = slices.paused_ns, slices.paused_cpu_ns
        created, gc_wall_ns = self._tasks.created, self._collector.wall_ns
        cpu_ns = time.process_time_ns()
        wall_ns = time.perf_counter_ns()
        yield
        wall_ns = time.perf_counter_ns() - wall_ns
        cpu_ns = time.process_time_ns() - cpu_ns
        self.costs[name] = {
            "wall_ns": wall_ns - (slices.paused_ns - paused_ns),
            "cpu_ns": cpu_ns - (slices.paused_cpu_ns - paused_cpu_ns),
            "gc_wall_ns": self._collector.wall_ns - gc_wall_ns,
            "tasks_created": self._tasks.created - created,
        }
        self.tasks_alive = len(asyncio.all_tasks()) - 1


class KernelProbe:
    """Asks the kernel what the process took since the probe was made.

    The peak of resident memory is set back first where the kernel can do that (Linux); ``ru_maxrss`` would hold the
    memory of the parent at the time of the fork.

    Attributes:
        start_rss_bytes: resident memory when the probe was made.
    """

    def __init__(self) -> None:
        if _CLEAR_REFS.exists():
            _CLEAR_REFS.write_text("5")
        self.start_rss_bytes = _status_bytes("VmRSS")
        self._before = resource.getrusage(resource.RUSAGE_SELF)

    def read(self) -> dict[str, int]:
        """Give peak_rss_bytes, start_rss_bytes, page_faults and involuntary_switches."""
        now = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "peak_rss_bytes": _status_bytes("VmHWM"),
            "start_rss_bytes": self.start_rss_bytes,
            "page_faults": now.ru_minflt - self._before.ru_minflt,
            "involuntary_switches": now.ru_nivcsw - self._before.ru_nivcsw,
        }


def _status_bytes(name: str) -> int:
    if not _STATUS.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"the kernel tells no {name}")
