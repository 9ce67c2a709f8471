"""Runs beside comparators: ratios of processor time to a reference, per loop, signing and transport.

They tell how far each version is from the least that the work can cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.report.intervals import median
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import pairs
from pubsub_sim.report.show import Absent, Prose, Table
from pubsub_sim.report.sweep import CELL
from pubsub_sim.report.wording import NOTHING, code, estimate, listing, number, ratio, ratio_of

if TYPE_CHECKING:
    import pandas as pd

    from pubsub_sim.report.intervals import Estimate
    from pubsub_sim.report.sweep import Sweep

YARDSTICKS = ("floor", "direct")
"""References: versions that the others are held against, the lower one first."""

PLACE = ("loop", "sign", "transport")
"""Parameters that make a condition of a cell, in the order in which tables show them."""

TRANSPORTS = {"memory": "In memory", "tcp": "Over loopback TCP"}
"""Transport to how a sentence about it begins."""

_WORK = QUANTITIES["cpu"]
_PER_RPC = QUANTITIES["cpu-per-rpc"]


@dataclass(frozen=True)
class Condition:
    """One cell of the grid on one loop, signed or not, in memory or over sockets.

    Attributes:
        hosts: number of hosts.
        messages: number of random messages.
        loop: event loop.
        sign: "strict" or "none".
        transport: "memory" or "tcp".
        runs: one row per run.
    """

    hosts: int
    messages: int
    loop: str
    sign: str
    transport: str
    runs: pd.DataFrame

    @property
    def versions(self) -> set[str]:
        """Who was run."""
        return set(map(str, self.runs["version"]))

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
    """Give the conditions of the runs beside comparators in a fixed order, the transports of each side by side."""
    groups = sweep.field.groupby([*CELL, *PLACE], sort=True)
    firsts = [(runs.iloc[0], runs) for _, runs in groups]
    return [
        Condition(
            hosts=int(first["hosts"]),
            messages=int(first["messages"]),
            loop=str(first["loop"]),
            sign=str(first["sign"]),
            transport=str(first["transport"]),
            runs=runs,
        )
        for first, runs in firsts
    ]


def beside(sweep: Sweep, yardstick: str) -> Table | Prose:
    """Set everybody's processor time of the messages beside a reference's.

    Args:
        sweep: the runs.
        yardstick: the reference, the version that is divided by.

    Returns:
        One row per cell, loop, signing and transport: the reference's time per RPC, then the ratio of each other version
        to it, the median over the pairs with its interval; or a sentence if the sweep has no such runs.
    """
    if not (sweep.field["version"] == yardstick).any():
        return Absent(f"This sweep has no runs of {code(yardstick)}.")
    others = [name for name in field_versions(sweep) if name != yardstick]
    columns = [
        "hosts",
        "messages",
        "loop",
        "signatures",
        "transport",
        f"{code(yardstick)}, µs per RPC",
        *map(code, others),
    ]
    rows = []
    for condition in conditions(sweep):
        row = [f"{condition.hosts:,}", f"{condition.messages:,}", condition.loop, condition.sign]
        row.append(condition.transport)
        row.append(estimate(condition.per_rpc(yardstick)))
        ratios = (condition.ratio(name, yardstick) for name in others)
        rows.append(row + [ratio(found) if found.is_known else NOTHING for found in ratios])
    return Table(columns, rows)


def field_versions(sweep: Sweep) -> list[str]:
    """Name everybody in the runs beside comparators: references, the versions of the sweep, then the others."""
    there = sorted(set(map(str, sweep.field["version"])))
    known = [name for name in (*YARDSTICKS, *sweep.versions) if name in there]
    return [*known, *(name for name in there if name not in known)]


def in_words(sweep: Sweep) -> Prose:
    """Say how many runs beside comparators failed, and what each costs in the largest cell, signed, on the sweep's loop.

    Returns:
        A paragraph per transport with each processor time per RPC, as a multiple of the lower bound's too; who has no
        such runs is not in it.
    """
    if sweep.field.empty:
        return Absent("This sweep has no runs beside comparators.")
    failed = int((sweep.field["outcome"] != "ok").sum())
    said = [f"{failed:,} of the {len(sweep.field):,} runs of the field failed."]
    loop = sweep.conditions().get("loop", "")
    there = [found for found in conditions(sweep) if (found.loop, found.sign) == (loop, "strict")]
    largest = max(((found.hosts, found.messages) for found in there), default=None)
    said += [_sentence(sweep, found) for found in there if (found.hosts, found.messages) == largest]
    return Prose("\n\n".join(filter(None, said)))


def _sentence(sweep: Sweep, condition: Condition) -> str:
    yardstick = YARDSTICKS[0]
    least = condition.per_rpc(yardstick)
    others = [name for name in field_versions(sweep) if name != yardstick]
    known = {name: found for name in others if (found := condition.ratio(name, yardstick)).is_known}
    if not least.is_known or not known:
        return ""
    costs = listing(
        f"{code(name)} {ratio_of(found.value)} times as much ({number(condition.per_rpc(name).value)} µs)"
        for name, found in known.items()
    )
    return (
        f"{TRANSPORTS[condition.transport]}, with {condition.hosts:,} hosts and {condition.messages:,} messages, signed, on "
        f"{condition.loop}: an RPC costs {code(yardstick)} {number(least.value)} µs, {costs}."
    )


def who(sweep: Sweep) -> Table | Prose:
    """Say which comparators stand beside the versions, and what each does that those do not.

    Returns:
        One row each, in its own words; or a sentence if nobody does, or nobody described itself.
    """
    guests = [name for name in field_versions(sweep) if name not in sweep.versions and name in sweep.described]
    if not guests:
        return Absent("This sweep has no comparators.")
    rows = []
    for name in guests:
        described = sweep.described[name]
        besides = "; ".join(map(str, described.get("also", ())))
        rows.append([code(name), str(described.get("summary", NOTHING)), besides or NOTHING])
    return Table(["name", "what it is", "what it also does, and ours do not"], rows, words=3)
