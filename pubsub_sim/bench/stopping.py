"""The stop rule: a cell has been run often enough when the intervals of its ratios are narrow, whatever the ratios say.

The rule looks at widths only. A rule that stopped once a difference were significant would find differences by stopping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.bench.instruments import MESSAGES_PHASE
from pubsub_sim.results import RUN
from pubsub_sim.results.intervals import median

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pubsub_sim.bench.options import SweepOptions
    from pubsub_sim.results import RunRecord

Cell = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Stop:
    """What was decided about a cell.

    Attributes:
        hosts: number of hosts.
        messages: number of random messages.
        repeats: how often it was run.
        half_width: half the width of the widest 95 % interval of a ratio in this cell, as a share of the ratio; None if
            no pair ended well.
        reason: "narrow", "most repeats" or "no pair"; "" if it is to be run again.
    """

    hosts: int
    messages: int
    repeats: int
    half_width: float | None
    reason: str


def stops(options: SweepOptions, records: Iterable[RunRecord]) -> list[Stop]:
    """Decide about every cell of a grid.

    Args:
        options: the grid, the width that is narrow enough and the most repeats.
        records: runs so far, of any kind.

    Returns:
        One decision per cell, in the order of the grid.
    """
    cells: dict[Cell, list[RunRecord]] = {(h, m): [] for h in options.hosts for m in options.messages}
    for record in records:
        place = (record.parameters.hosts, record.parameters.messages)
        if record.parameters.kind == "timing" and place in cells:
            cells[place].append(record)
    found = []
    for (hosts, messages), own in cells.items():
        repeats = max((record.parameters.repeat for record in own), default=0)
        width = half_width(own, options.versions)
        reason = _reason(options, repeats, width)
        shown = None if math.isnan(width) else round(width, 6)
        found.append(Stop(hosts=hosts, messages=messages, repeats=repeats, half_width=shown, reason=reason))
    return found


def half_width(records: Sequence[RunRecord], versions: Sequence[str]) -> float:
    """Give half the width of the widest interval in a cell, on the logarithmic scale: 0.02 is 2 %.

    Args:
        records: timing runs of one cell.
        versions: the first is what the others are divided by.

    Returns:
        The greatest over the other versions, and over the time without fixed waits and the processor time of the
        messages, as far as both sides tell them; infinite while there is one pair only, NaN if a version has none. Runs
        that were not measured together are no pair.
    """
    ok = [record for record in records if record.outcome == "ok"]
    pairs = {(record.parameters.version, record.parameters.repeat): record.pair for record in ok}
    widths = []
    for version in versions[1:]:
        known = []
        for measure in (_net_duration, _cpu):
            values = {(record.parameters.version, record.parameters.repeat): measure(record) for record in ok}
            logs = [
                math.log(value / values[versions[0], repeat])
                for (name, repeat), value in sorted(values.items())  # a resumed sweep must decide the same
                if name == version
                and pairs.get((versions[0], repeat)) == pairs[name, repeat]
                and min(value, values[versions[0], repeat]) > 0  # what a program of others does not tell is 0
            ]
            found = median(logs)
            if found.is_known:
                known.append((found.high - found.low) / 2 if found.has_interval else math.inf)
        if not known:
            return math.nan
        widths += known
    return max(widths, default=math.nan)


def _reason(options: SweepOptions, repeats: int, width: float) -> str:
    if repeats < options.repeats:
        return ""
    if math.isnan(width):
        return "no pair"
    if width <= options.half_width:
        return "narrow"
    return "most repeats" if repeats >= options.max_repeats else ""


def _net_duration(record: RunRecord) -> int:
    return (record.value(RUN, "wall_ns") or 0) - (record.value(RUN, "fixed_wait_ns") or 0)


def _cpu(record: RunRecord) -> int:
    return record.value(MESSAGES_PHASE, "cpu_ns") or 0
