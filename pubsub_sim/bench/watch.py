"""The watch of the machine: how much other processes and the hypervisor take, before a sweep and around each run."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pubsub_sim.errors import RunError
from pubsub_sim.results import RUN, Row
from pubsub_sim.results.disturbance import OTHERS_NS, STEAL_NS, WATCHED_NS, name_load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOK_S = 0.5
"""How long an idle machine is looked at: the kernel counts in hundredths of a second for each processor."""

METRICS = (WATCHED_NS, OTHERS_NS, STEAL_NS)
"""Metrics that the watch adds to a run."""

_STAT = Path("/proc/stat")
_AGAIN_S = 2.0


class NoisyMachineError(RunError):
    """The machine is not quiet, and only a quiet one was to be measured on.

    Attributes:
        reasons: what disturbs.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(tuple(reasons))
        self.reasons = tuple(reasons)

    def __str__(self) -> str:
        return (
            f"this machine is not quiet: {' and '.join(self.reasons)}; what was measured is stored, and the same sweep goes "
            "on where it stopped"
        )


class Counts(NamedTuple):
    """What the kernel has counted so far, in nanoseconds.

    Attributes:
        at: time on the clock.
        busy: processor time of all processes on all processors.
        steal: time in which the hypervisor withheld processors.
        own: processor time of this process and of its children that have ended.
    """

    at: int
    busy: int
    steal: int
    own: int


class Look(NamedTuple):
    """What a machine did for a while, in nanoseconds.

    Attributes:
        watched: how long.
        others: processor time of other processes.
        steal: time in which the hypervisor withheld processors.
    """

    watched: int
    others: int
    steal: int

    @property
    def reasons(self) -> list[str]:
        """What is above the limits, as parts of a sentence; empty for a quiet machine."""
        return name_load(self.others / self.watched, self.steal / self.watched) if self.watched else []

    def rows(self) -> tuple[Row, ...]:
        """Give it as numbers of a run."""
        return tuple(Row(RUN, name, value) for name, value in zip(METRICS, self, strict=True))


def read_counts() -> Counts | None:
    """Read the kernel's counts; None where it keeps no such ones (Linux only)."""
    try:
        words = _STAT.read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    ticks = [int(word) for word in words] + [0] * 8
    user, nice, system, _, _, interrupts, soft, steal = ticks[:8]
    tick_ns = 10**9 // os.sysconf("SC_CLK_TCK")
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own_s = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    busy = (user + nice + system + interrupts + soft) * tick_ns
    return Counts(time.monotonic_ns(), busy, steal * tick_ns, round(own_s * 1e9))


class Watch:
    """Watches the machine from its making on.

    Args:
        read: gives the kernel's counts.
    """

    def __init__(self, read: Callable[[], Counts | None] = read_counts) -> None:
        self._read = read
        self._before = read()

    def look(self) -> Look | None:
        """Give what the machine has done since the watch was made; None where the kernel does not tell."""
        now, before = self._read(), self._before
        if now is None or before is None:
            return None
        others = max(0, (now.busy - before.busy) - (now.own - before.own))
        return Look(now.at - before.at, others, max(0, now.steal - before.steal))


class Gate:
    """Lets pairs through: all, or only while the machine is quiet.

    Args:
        policy: "no" for all, "wait" until it is quiet, "stop" if it is not.
        tell: shown what it waits for.
        read: gives the kernel's counts.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        policy: str,
        tell: Callable[[str], None],
        *,
        read: Callable[[], Counts | None] = read_counts,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._policy = policy
        self._tell = tell
        self._read = read
        self._sleep = sleep

    def open(self) -> None:
        """Look at the machine before a sweep: warn if it is not quiet, and wait or stop if asked to.

        Raises:
            NoisyMachineError: it is not, and the policy is to stop.
        """
        reasons = self._look_s(LOOK_S)
        if reasons and self._policy == "no":
            self._tell(f"warning: this machine is not quiet: {' and '.join(reasons)}; times will be noisy")
        elif reasons:
            self._hold(reasons)

    def after(self, look: Look | None) -> None:
        """Wait or stop, if asked to, when the pair that was just made was disturbed.

        Raises:
            NoisyMachineError: the machine is not quiet, and the policy is to stop.
        """
        if self._policy != "no" and look is not None and look.reasons:
            self._hold(look.reasons)

    def _hold(self, reasons: list[str]) -> None:
        if self._policy == "stop":
            raise NoisyMachineError(reasons)
        self._tell(f"waiting for a quiet machine: {' and '.join(reasons)}")
        while self._look_s(LOOK_S):
            self._sleep(_AGAIN_S)

    def _look_s(self, seconds: float) -> list[str]:
        watch = Watch(self._read)
        self._sleep(seconds)
        look = watch.look()
        return [] if look is None else look.reasons
