"""What does another version cost, as a multiple of the base? Ratios of paired runs, per cell and over the grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pubsub_sim.report.intervals import Estimate, mean_of_medians, mean_of_sampled_groups, median
from pubsub_sim.report.sweep import CELL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep

PAIR = [*CELL, "repeat"]
"""Parameters that two runs share to be a pair: they ran side by side with the same seed."""


@dataclass(frozen=True)
class CellRatio:
    """One cell of the grid.

    Attributes:
        hosts: number of hosts.
        messages: number of random messages.
        ratio: the other version over the base: the median over the pairs, taken of logarithms.
        difference: the other version less the base, in the quantity's unit.
    """

    hosts: int
    messages: int
    ratio: Estimate
    difference: Estimate


def pairs(base: pd.DataFrame, other: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """Match runs that ran side by side: runs of the same cell and repeat that were measured at different times are no pair.

    Args:
        base: one row per run; what is divided by. In the column `pair`, if there is one, what it was measured with.
        other: one row per run; what is divided.
        quantity: what of the runs.

    Returns:
        Columns hosts, messages, repeat, log_ratio and difference; only pairs in which both runs are ok and positive.
    """
    sides = [side[PAIR].assign(value=quantity.of(side), pair=side.get("pair", default="")) for side in (base, other)]
    both = sides[0].merge(sides[1], on=PAIR, suffixes=("_base", "_other"), validate="one_to_one")
    both = both.loc[both["pair_base"] == both["pair_other"]]
    both = both.loc[(both["value_base"] > 0) & (both["value_other"] > 0)].sort_values(PAIR, ignore_index=True)
    ratio = both["value_other"] / both["value_base"]
    return both[PAIR].assign(log_ratio=np.log(ratio), difference=both["value_other"] - both["value_base"])


def version_pairs(sweep: Sweep, version: str, quantity: Quantity) -> pd.DataFrame:
    """Pair the runs of a version with those of the base."""
    return pairs(sweep.of(sweep.base, kind=quantity.kind), sweep.of(version, kind=quantity.kind), quantity)


def control_pairs(sweep: Sweep, quantity: Quantity) -> pd.DataFrame:
    """Pair the second runs of a version with its first ones: a ratio that should be 1. Only what is timed has some."""
    versions = sorted(set(sweep.controls["version"]))
    if not versions or quantity.kind != "timing":
        return pairs(sweep.runs.iloc[:0], sweep.runs.iloc[:0], quantity)
    first = sweep.of(versions[0])
    return pairs(first, sweep.controls.loc[sweep.controls["version"] == versions[0]], quantity)


def per_cell(paired: pd.DataFrame) -> list[CellRatio]:
    """Estimate each cell of the grid.

    Args:
        paired: pairs as `pairs` gives them.

    Returns:
        The cells that have a pair, by hosts and messages.
    """
    found = []
    for _, rows in paired.groupby(CELL, sort=True):
        hosts, messages = int(rows["hosts"].iloc[0]), int(rows["messages"].iloc[0])
        ratio = median(rows["log_ratio"]).exp()
        found.append(CellRatio(hosts, messages, ratio, median(rows["difference"])))
    return found


def over_grid(paired: pd.DataFrame) -> Estimate:
    """Estimate the geometric mean over the cells of each cell's median ratio.

    Args:
        paired: pairs as `pairs` gives them.

    Returns:
        The mean with the interval of its measurement: a bootstrap of the pairs inside each cell.
    """
    return mean_of_medians(_by_cell(paired)).exp()


def over_sampled_cells(paired: pd.DataFrame) -> Estimate:
    """Estimate the same mean as one over all cells there could be.

    Args:
        paired: pairs as `pairs` gives them.

    Returns:
        The mean with an interval from a hierarchical bootstrap: cells first, then pairs inside each cell. Where cells
        differ, no number of repeats makes it narrow.
    """
    return mean_of_sampled_groups(_by_cell(paired)).exp()


def _by_cell(paired: pd.DataFrame) -> list[NDArray[np.float64]]:
    return [rows["log_ratio"].to_numpy() for _, rows in paired.groupby(CELL, sort=True)]
