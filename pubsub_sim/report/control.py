"""The control: the ratio of a version to itself per cell, and the ratios whose intervals stand apart from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.report.engine import numbers
from pubsub_sim.report.intervals import UNKNOWN, Estimate
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import control_pairs, over_grid, per_cell, version_pairs
from pubsub_sim.report.show import Absent, Prose, Several, Table
from pubsub_sim.report.tables import control_version
from pubsub_sim.report.wording import NOTHING, code, count, ratio

if TYPE_CHECKING:
    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep

Cell = tuple[int, int]


@dataclass(frozen=True)
class Beside:
    """A quantity's ratios and the control's.

    Attributes:
        quantity: what of the runs.
        version: who is compared with the base.
        cells: hosts and messages to the ratio of a version to itself, and that of the version to the base.
        control: geometric mean over the grid of a version to itself.
        ratio: that of the version to the base.
    """

    quantity: Quantity
    version: str
    cells: dict[Cell, tuple[Estimate, Estimate]]
    control: Estimate
    ratio: Estimate

    @property
    def holding_one(self) -> int:
        """In how many cells the control's interval holds 1."""
        return sum(_holds_one(itself) for itself, _ in self.cells.values())

    @property
    def apart(self) -> int:
        """In how many cells the interval of the ratio and that of the control have nothing in common."""
        return sum(are_apart(*both) for both in self.cells.values())

    @property
    def judged(self) -> int:
        """In how many cells both have an interval."""
        return sum(itself.has_interval and found.has_interval for itself, found in self.cells.values())


def are_apart(one: Estimate, other: Estimate) -> bool:
    """Say whether two intervals have nothing in common; False if one of them is unknown."""
    known = one.has_interval and other.has_interval
    return known and (one.low > other.high or other.low > one.high)


def beside(sweep: Sweep) -> list[Beside]:
    """Set the ratios of the headline beside those of a version to itself; nothing for a sweep without control runs."""
    found = []
    for quantity in (QUANTITIES[name] for name in HEADLINE):
        itself = control_pairs(sweep, quantity)
        own = {(cell.hosts, cell.messages): cell.ratio for cell in per_cell(itself)}
        for version in sweep.others if own else ():
            paired = version_pairs(sweep, version, quantity)
            theirs = {(cell.hosts, cell.messages): cell.ratio for cell in per_cell(paired)}
            cells = {cell: (own.get(cell, UNKNOWN), theirs.get(cell, UNKNOWN)) for cell in sweep.cells}
            found.append(Beside(quantity, version, cells, over_grid(itself), over_grid(paired)))
    return found


def show(sweep: Sweep) -> Several | Prose:
    """Say where a version's ratio stands apart from that of a version to itself, then give both for each cell."""
    found = beside(sweep)
    if not found:
        return Absent("Nor is there anything to list.")
    said = Prose("\n".join(_verdict(sweep, entry) for entry in found))
    return Several([said, *(part for entry in found for part in (_title(sweep, entry), _table(sweep, entry)))])


def summarise(sweep: Sweep) -> list[dict[str, Any]]:
    """Give what stands beside the ratios of the headline as JSON values, per quantity and version."""
    return [
        {"quantity": entry.quantity.name, "version": entry.version, "over": sweep.base, "unit": "1"}
        | {"itself": numbers(entry.control), "ratio": numbers(entry.ratio)}
        | {"cells_judged": entry.judged, "cells_apart": entry.apart, "control_holding_one": entry.holding_one}
        | {
            "cells": [
                {"hosts": hosts, "messages": messages, "itself": numbers(itself), "ratio": numbers(found)}
                for (hosts, messages), (itself, found) in entry.cells.items()
            ]
        }
        for entry in beside(sweep)
    ]


def _verdict(sweep: Sweep, entry: Beside) -> str:
    apart = "apart" if are_apart(entry.control, entry.ratio) else "not apart"
    return (
        f"- {entry.quantity.title}: {code(control_version(sweep))} against itself gives {ratio(entry.control)}, "
        f"{code(entry.version)} against {code(sweep.base)} {ratio(entry.ratio)}. Over the grid the intervals are {apart}, and "
        f"in {entry.apart:,} of {count(entry.judged, 'cell')}. The control's own interval holds one in {entry.holding_one:,} "
        "of them."
    )


def _title(sweep: Sweep, entry: Beside) -> Prose:
    return Prose(f"**{entry.quantity.title}**: {code(entry.version)} / {code(sweep.base)} beside the control")


def _table(sweep: Sweep, entry: Beside) -> Table:
    itself = f"{code(control_version(sweep))} / itself"
    columns = ["hosts", "messages", itself, f"{code(entry.version)} / {code(sweep.base)}", "intervals apart"]
    rows = [
        [f"{cell[0]:,}", f"{cell[1]:,}", _shown(both[0]), _shown(both[1]), _apart(*both)]
        for cell, both in entry.cells.items()
    ]
    rows.append(["all", "all", _shown(entry.control), _shown(entry.ratio), _apart(entry.control, entry.ratio)])
    return Table(columns, rows, words=0)


def _shown(value: Estimate) -> str:
    return ratio(value) if value.is_known else NOTHING


def _apart(one: Estimate, other: Estimate) -> str:
    if not (one.has_interval and other.has_interval):
        return NOTHING
    return "yes" if are_apart(one, other) else "no"


def _holds_one(value: Estimate) -> bool:
    return value.has_interval and value.low <= 1 <= value.high
