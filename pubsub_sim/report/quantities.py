"""The quantities that are compared, by name: how each comes out of a run, its unit and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One number of a run, in the unit in which it is shown.

    Attributes:
        name: key in tables, in the summary and in file names.
        title: what it is, for headings and axes.
        unit: "ms", "µs", "MiB", "tasks" or "calls".
        column: column of the frame with one row per run.
        minus: a column to be taken off, or "".
        over: a column to be divided by, or "".
        per_unit: how many stored units make one shown unit.
        kind: kind of the runs that it is taken from.
        meaning: one sentence about what it holds and what not.
        is_count: whether it is a whole number that needs no rounding.
    """

    name: str
    title: str
    unit: str
    column: str
    minus: str = ""
    over: str = ""
    kind: str = "timing"
    per_unit: float = 1.0
    meaning: str
    is_count: bool = False

    def of(self, runs: pd.DataFrame) -> pd.Series[float]:
        """Give the value of each run, NaN for runs that are not ok or lack it.

        Args:
            runs: one row per run, as results.wide gives it.
        """
        values = _column(runs, self.column)
        if self.minus:
            values = values - _column(runs, self.minus)
        if self.over:
            values = values / _column(runs, self.over)
        return (values / self.per_unit).where(runs["outcome"] == "ok")


def _column(runs: pd.DataFrame, name: str) -> pd.Series[float]:
    if name in runs:
        return runs[name].astype("float64")
    return pd.Series(np.nan, index=runs.index, dtype="float64")


_MS = 1e6
_US = 1e3
_MIB = 2.0**20

_ALL = (
    Quantity(
        name="duration",
        title="Duration",
        unit="ms",
        column="wall_ns",
        per_unit=_MS,
        meaning="Wall-clock time over all phases, including the fixed waits of the procedure.",
    ),
    Quantity(
        name="duration-net",
        title="Duration without fixed waits",
        unit="ms",
        column="wall_ns",
        minus="fixed_wait_ns",
        per_unit=_MS,
        meaning="Wall-clock time over all phases, minus the requested time of the fixed waits.",
    ),
    Quantity(
        name="cpu",
        title="CPU time of `rand msgs`",
        unit="ms",
        column="rand msgs/cpu_ns",
        per_unit=_MS,
        meaning="CPU time of the process in the phase `rand msgs`, in which only messages are sent.",
    ),
    Quantity(
        name="cpu-per-rpc",
        title="CPU time per RPC",
        unit="µs",
        column="rand msgs/cpu_ns",
        over="rand msgs/rpcs",
        per_unit=_US,
        meaning="The same CPU time divided by the number of RPCs sent in that phase.",
    ),
    Quantity(
        name="calls",
        title="Calls in `rand msgs`",
        unit="calls",
        column="rand msgs/calls",
        kind="calls",
        meaning="Function calls while messages are sent, counted in separate instrumented runs. The count has no timing noise; a call is no fixed amount of time.",
        is_count=True,
    ),
    Quantity(
        name="lag",
        title="Longest turn in `rand msgs`",
        unit="ms",
        column="longest_turn_ns",
        kind="lag",
        per_unit=_MS,
        meaning="Longest time between two turns of the event loop while messages are sent, in separate instrumented runs.",
    ),
    Quantity(
        name="memory",
        title="Peak memory of the process",
        unit="MiB",
        column="peak_rss_bytes",
        per_unit=_MIB,
        meaning="Peak resident memory of the process, including the interpreter and all imports.",
    ),
    Quantity(
        name="allocated",
        title="Allocated memory, traced",
        unit="MiB",
        column="allocated_bytes",
        kind="memory",
        per_unit=_MIB,
        meaning="Sum over the run of the increases in traced memory between consecutive calls and returns.",
    ),
    Quantity(
        name="peak-traced",
        title="Peak memory, traced",
        unit="MiB",
        column="peak_traced_bytes",
        kind="memory",
        per_unit=_MIB,
        meaning="Peak of the memory that Python allocated for the run, without interpreter and imports.",
    ),
    Quantity(
        name="final-traced",
        title="Final memory, traced",
        unit="MiB",
        column="final_traced_bytes",
        kind="memory",
        per_unit=_MIB,
        meaning="The same memory at the end of the last phase, before the hosts are closed.",
    ),
    Quantity(
        name="freed",
        title="Freed memory, traced",
        unit="MiB",
        column="freed_bytes",
        kind="memory",
        per_unit=_MIB,
        meaning="Part of the final memory that closing the hosts and a garbage collection release.",
    ),
    Quantity(
        name="tasks-created",
        title="Created tasks",
        unit="tasks",
        column="tasks_created",
        meaning="Tasks created on the event loop over all phases.",
        is_count=True,
    ),
    Quantity(
        name="tasks-final",
        title="Final tasks",
        unit="tasks",
        column="tasks_final",
        meaning="Tasks alive at the end of the last phase, before the hosts are closed.",
        is_count=True,
    ),
)

QUANTITIES: Mapping[str, Quantity] = {entry.name: entry for entry in _ALL}
"""Every quantity by name, in the order of the report."""

HEADLINE = ("duration-net", "cpu")
"""The quantities that the first sentence of the report is about."""
