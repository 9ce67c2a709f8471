"""What disturbed a run: the work of other processes, a hypervisor that gave the processor to others, involuntary switches.

The limits are far above what a quiet machine shows, and below what moves a time by some percent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

OTHERS_CORES = 0.25
"""Processors that other processes may use on average while a run goes on. A quiet machine shows 0.01 to 0.05."""

STEAL_CORES = 0.05
"""Processors that the hypervisor may withhold on average."""

SWITCHES_PER_S = 100
"""Involuntary switches per second of processor time of a run. Runs by themselves on a quiet machine show about 5."""

SWITCHES_PER_SLICE = 3
"""Involuntary switches that come with each time slice, as passing the turn token wakes another process."""

WATCHED_NS, OTHERS_NS, STEAL_NS = "watched_ns", "others_cpu_ns", "steal_ns"
"""Metrics of a run that tell how long the machine was watched, and what it saw."""

_COLUMNS = (WATCHED_NS, OTHERS_NS, STEAL_NS, "cpu_ns", "time_slices", "involuntary_switches")


def name_load(others_cores: float, steal_cores: float) -> list[str]:
    """Say what of a machine's load is above the limits.

    Args:
        others_cores: processors that other processes used on average.
        steal_cores: processors that the hypervisor withheld on average.

    Returns:
        Parts of a sentence; empty if it is quiet, or if the numbers are not known (NaN).
    """
    found = []
    if others_cores > OTHERS_CORES:
        found.append(f"other processes use {others_cores:.1f} processors")
    if steal_cores > STEAL_CORES:
        found.append(f"the hypervisor withholds {steal_cores:.2f} processors")
    return found


def name_disturbances(run: Mapping[str, float]) -> list[str]:
    """Say what disturbed a run.

    Args:
        run: metric of the run as a whole to its value; what is missing or NaN is taken as quiet.

    Returns:
        Parts of a sentence; empty if nothing did.
    """

    def value(name: str) -> float:
        found = float(run.get(name, math.nan))
        return 0.0 if math.isnan(found) else found

    watched_ns = value(WATCHED_NS)
    found = name_load(value(OTHERS_NS) / watched_ns, value(STEAL_NS) / watched_ns) if watched_ns else []
    cpu_s = value("cpu_ns") / 1e9
    allowed = SWITCHES_PER_S * cpu_s + SWITCHES_PER_SLICE * (value("time_slices") + 2)
    if cpu_s and value("involuntary_switches") > allowed:
        found.append(f"it lost the processor {value('involuntary_switches'):,.0f} times")
    return found


def find_disturbed(runs: pd.DataFrame) -> pd.Series[bool]:
    """Say of each run whether something disturbed it.

    Args:
        runs: one row per run, as `frames.wide` gives it.
    """
    import pandas as pd

    rows = runs[[name for name in _COLUMNS if name in runs]].to_dict("records")
    found = [bool(name_disturbances({str(name): value for name, value in row.items()})) for row in rows]
    return pd.Series(found, index=runs.index, dtype=bool)
