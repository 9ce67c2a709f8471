"""One run of the command `simsub`, in a process that has loaded nothing else: what came of it, and what it took.

The garbage collector is off: hardly anything that a run leaves is a cycle (the peak of the memory is the same with it), and
scanning all hosts again and again would be a tenth of all processor time.
"""

from __future__ import annotations

import gc
from typing import NamedTuple

from pubsub_sim.bench.probes import GcProbe, KernelProbe, PhaseProbe, TaskProbe
from pubsub_sim.scenarios.simsub import PHASES, Simsub, Spread, simsub
from pubsub_sim.world.running import run


class Cost(NamedTuple):
    """What a run took.

    Attributes:
        cpu_ns: processor time of each phase.
        peak_rss_bytes: most memory that was resident.
    """

    cpu_ns: dict[str, int]
    peak_rss_bytes: int


def measured(options: Simsub) -> tuple[Spread, Cost]:
    """Make one run in this process and say what it took.

    Args:
        options: the run.

    Raises:
        ScenarioFailure: a message was delivered twice.
    """
    phases = PhaseProbe(TaskProbe(), GcProbe(), lambda _: None)
    gc.disable()
    try:
        kernel = KernelProbe()
        spread = run(simsub(options, phases), clock="virtual")
        peak_rss_bytes = kernel.read()["peak_rss_bytes"]
    finally:
        gc.enable()
    return spread, Cost({name: phases.costs[name]["cpu_ns"] for name in PHASES}, peak_rss_bytes)
