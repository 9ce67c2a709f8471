"""How far is each version from the least that the work can cost? Ratios to a yardstick, per loop and signing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.report.intervals import median
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import pairs
from pubsub_sim.report.show import Prose, Table
from pubsub_sim.report.wording import NOTHING, code, estimate, ratio

if TYPE_CHECKING:
    import pandas as pd

    from pubsub_sim.report.intervals import Estimate
    from pubsub_sim.report.sweep import Sweep

YARDSTICKS = ("floor", "direct")
"""Versions that the others are held against, the lower one first."""

_WORK = QUANTITIES["cpu"]
_PER_RPC = QUANTITIES["cpu-per-rpc"]


@dataclass(frozen=True)
class Condition:
    """One cell of the grid on one loop, signed or not.

    Attributes:
        hosts: number of hosts.
        messages: number of random messages.
        loop: event loop.
        sign: "strict" or "none".
        runs: one row per run.
    """

    hosts: int
    messages: int
    loop: str
    sign: str
    runs: pd.DataFrame

    def per_rpc(self, version: str) -> Estimate:
        """Estimate a version's processor time per RPC in microseconds."""
        return median(_PER_RPC.of(self._of(version)))

    def ratio(self, version: str, yardstick: str) -> Estimate:
        """Estimate the ratio of the processor times of the messages: the median over the pairs, taken of logarithms."""
        found = median(pairs(self._of(yardstick), self._of(version), _WORK)["log_ratio"])
        return found.exp() if found.is_known else found

    def _of(self, version: str) -> pd.DataFrame:
        return self.runs.loc[self.runs["version"] == version]


def conditions(sweep: Sweep) -> list[Condition]:
    """Give the conditions of the field, in a fixed order."""
    groups = sweep.field.groupby(["hosts", "messages", "loop", "sign"], sort=True)
    firsts = [(runs.iloc[0], runs) for _, runs in groups]
    return [
        Condition(int(first["hosts"]), int(first["messages"]), str(first["loop"]), str(first["sign"]), runs)
        for first, runs in firsts
    ]


def beside(sweep: Sweep, yardstick: str) -> Table | Prose:
    """Set everybody's processor time of the messages beside a yardstick's.

    Args:
        sweep: the runs.
        yardstick: the version that is divided by.

    Returns:
        One row per cell, loop and signing: the yardstick's time per RPC, then the ratio of each other version to it, the
        median over the pairs with its interval; or a sentence if the sweep has no such runs.
    """
    if not (sweep.field["version"] == yardstick).any():
        return Prose(f"This sweep has no runs of {code(yardstick)}.")
    others = [name for name in field_versions(sweep) if name != yardstick]
    columns = ["hosts", "messages", "loop", "signatures", f"{code(yardstick)}, µs per RPC", *map(code, others)]
    rows = []
    for condition in conditions(sweep):
        row = [f"{condition.hosts:,}", f"{condition.messages:,}", condition.loop, condition.sign]
        row.append(estimate(condition.per_rpc(yardstick)))
        ratios = (condition.ratio(name, yardstick) for name in others)
        rows.append(row + [ratio(found) if found.is_known else NOTHING for found in ratios])
    return Table(columns, rows)


def field_versions(sweep: Sweep) -> list[str]:
    """Name everybody in the field: yardsticks, the versions of the sweep, then the others."""
    there = sorted(set(map(str, sweep.field["version"])))
    known = [name for name in (*YARDSTICKS, *sweep.versions) if name in there]
    return [*known, *(name for name in there if name not in known)]


def failures(sweep: Sweep) -> Prose:
    """Say how many runs of the field failed, and who each version is."""
    if sweep.field.empty:
        return Prose("This sweep has no runs beside yardsticks.")
    failed = int((sweep.field["outcome"] != "ok").sum())
    guests = [name for name in field_versions(sweep) if name not in sweep.versions and name in sweep.described]
    said = [f"- {code(name)}: {sweep.described[name].get('summary', NOTHING)}." for name in guests]
    return Prose("\n".join([f"{failed:,} of the {len(sweep.field):,} runs of the field failed.", "", *said]))
