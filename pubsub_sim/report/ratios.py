"""Cost of another version as a multiple of the base: ratios of paired runs, per cell and over the grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pubsub_sim.report.sweep import CELL
from pubsub_sim.results.intervals import Estimate, mean_of_medians, mean_of_sampled_groups, median

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep

PAIR = [*CELL, "session", "repeat"]
"""Parameters that two runs under one condition share to be a pair: they ran side by side with the same seed."""


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


def match_pairs(base: pd.DataFrame, other: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """Match runs that ran side by side: runs of the same cell and repeat that were measured at different times are no pair.

    Args:
        base: one row per run; what is divided by. In the column `pair`, if there is one, what it was measured with.
        other: one row per run; what is divided.
        quantity: what of the runs.

    Returns:
        Columns hosts, messages, session, repeat, log_ratio and difference; only pairs in which both runs are ok and positive.
    """
    ones, others = _positive(base, quantity), _positive(other, quantity)
    places = sorted(place for place in ones.keys() & others.keys() if ones[place][0] == others[place][0])
    below = np.array([ones[place][1] for place in places], dtype=np.float64)
    above = np.array([others[place][1] for place in places], dtype=np.float64)
    found = pd.DataFrame(np.array(places, dtype=np.int64).reshape(-1, len(PAIR)), columns=PAIR)
    return found.assign(log_ratio=np.log(above / below), difference=above - below)


def _positive(runs: pd.DataFrame, quantity: Quantity) -> dict[tuple[int, ...], tuple[str, float]]:
    """Give hosts, messages, session and repeat of each run that has a value above 0: what it was measured with, and that value."""
    values = quantity.of(runs).tolist()
    measured_with = runs["pair"].tolist() if "pair" in runs else [""] * len(runs)
    places = list(zip(*(runs[name].tolist() for name in PAIR), strict=True))
    if len(set(places)) < len(places):
        raise ValueError(f"runs: expected one of each {', '.join(PAIR)}, got {len(places) - len(set(places))} more")
    rows = zip(places, measured_with, values, strict=True)
    return {place: (pair, value) for place, pair, value in rows if value > 0}


def pair_version(sweep: Sweep, version: str, quantity: Quantity) -> pd.DataFrame:
    """Pair the runs of a version with those of the base."""
    base, other = sweep.of(sweep.base, kind=quantity.kind), sweep.of(version, kind=quantity.kind)
    return sweep.once(("pairs", version, quantity), lambda: match_pairs(base, other, quantity))


def estimate_cell_median(sweep: Sweep, version: str, cell: tuple[int, int], quantity: Quantity) -> Estimate:
    """Estimate the median of a version in one cell of the grid, given as hosts and messages."""
    runs = sweep.of(version, cell, quantity.kind)
    return sweep.once(("median", version, cell, quantity), lambda: median(quantity.of(runs)))


def pair_control(sweep: Sweep, quantity: Quantity) -> pd.DataFrame:
    """Pair the second runs of a version with its first ones: a ratio that should be 1. Only what is timed has some."""
    return sweep.once(("control pairs", quantity), lambda: _control_pairs(sweep, quantity))


def _control_pairs(sweep: Sweep, quantity: Quantity) -> pd.DataFrame:
    versions = sorted(set(sweep.controls["version"]))
    if not versions or quantity.kind != "timing":
        return match_pairs(sweep.runs.iloc[:0], sweep.runs.iloc[:0], quantity)
    first = sweep.of(versions[0])
    return match_pairs(first, sweep.controls.loc[sweep.controls["version"] == versions[0]], quantity)


def estimate_cells(paired: pd.DataFrame) -> list[CellRatio]:
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


def estimate_over_grid(paired: pd.DataFrame) -> Estimate:
    """Estimate the geometric mean over the cells of each cell's median ratio.

    Args:
        paired: pairs as `pairs` gives them.

    Returns:
        The mean with the interval of its measurement: a bootstrap of the pairs inside each cell.
    """
    return mean_of_medians(_by_cell(paired)).exp()


def estimate_over_sampled_cells(paired: pd.DataFrame) -> Estimate:
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
