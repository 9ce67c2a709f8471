"""Cost of another version as a multiple of the base: ratios of paired runs, per cell and over the grid.

Where the base ran twice in a pair, both of its runs count. Of a sweep with several sessions each estimate is a mean over sessions
with a t interval; of one session it is a median, or a mean of medians, with a bootstrap interval that covers that session.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pubsub_sim.report.sweep import CELL
from pubsub_sim.results.intervals import (
    UNKNOWN,
    Estimate,
    balanced_means,
    estimate_center,
    mean_of_medians,
    mean_of_sampled_cells,
    mean_of_sampled_groups,
    mean_of_sessions,
    p_value_of_groups,
    p_value_of_sessions,
)

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
        ratio: the other version over the base: of the logarithms of the pairs' ratios the mean over sessions, or the median
            in a sweep of one session.
        difference: the other version less the base, in the quantity's unit, estimated alike.
        p_value: of a paired t test of the logarithms against 0; NaN for fewer than two sessions or pairs.
    """

    hosts: int
    messages: int
    ratio: Estimate
    difference: Estimate
    p_value: float


def match_pairs(
    base: pd.DataFrame, other: pd.DataFrame, quantity: Quantity, again: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Match runs that ran side by side: runs of the same cell and repeat that were measured at different times are no pair.

    Args:
        base: one row per run; what is divided by. In the column `pair`, if there is one, what it was measured with.
        other: one row per run; what is divided.
        quantity: what of the runs.
        again: second runs of the base: a pair is compared with the mean of both, of logarithms for the ratio.

    Returns:
        Columns hosts, messages, session, repeat, log_ratio and difference; only pairs in which a run of the base and the
        other one are ok and positive.
    """
    bases = [_positive(runs, quantity) for runs in (base, again) if runs is not None]
    found = []
    for place, (pair, above) in sorted(_positive(other, quantity).items()):
        below = [runs[place][1] for runs in bases if place in runs and runs[place][0] == pair]
        if below:
            log_ratio = np.log(above) - fmean(np.log(value) for value in below)
            found.append((*place, float(log_ratio), above - fmean(below)))
    return pd.DataFrame(found, columns=[*PAIR, "log_ratio", "difference"]).astype(dict.fromkeys(PAIR, "int64"))


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
    """Pair the runs of a version with those of the base, of which there are two in a pair with a control."""
    base, other = sweep.of(sweep.base, kind=quantity.kind), sweep.of(version, kind=quantity.kind)
    again = sweep.controls.loc[sweep.controls["version"] == sweep.base] if quantity.kind == "timing" else None
    return sweep.once(("pairs", version, quantity), lambda: match_pairs(base, other, quantity, again))


def estimate_cell_median(sweep: Sweep, version: str, cell: tuple[int, int], quantity: Quantity) -> Estimate:
    """Estimate a quantity of a version in one cell of the grid, given as hosts and messages."""
    return sweep.once(("medians", version, quantity), lambda: _cell_medians(sweep, version, quantity)).get(
        cell, UNKNOWN
    )


def _cell_medians(sweep: Sweep, version: str, quantity: Quantity) -> dict[tuple[int, int], Estimate]:
    runs = sweep.of(version, kind=quantity.kind)
    values, sessions = quantity.of(runs).to_numpy(), runs["session"].to_numpy()
    return {cell: estimate_center(values[rows], sessions[rows]) for cell, rows in divide_by_cell(runs)}


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
        paired: pairs as `match_pairs` gives them.

    Returns:
        The cells that have a pair, by hosts and messages.
    """
    logs, differences, sessions = (paired[name].to_numpy() for name in ("log_ratio", "difference", "session"))
    found = []
    for cell, rows in divide_by_cell(paired):
        ratio = estimate_center(logs[rows], sessions[rows]).exp()
        difference = estimate_center(differences[rows], sessions[rows])
        found.append(CellRatio(*cell, ratio, difference, _p_value_of_cell(logs[rows], sessions[rows])))
    return found


def divide_by_cell(frame: pd.DataFrame) -> list[tuple[tuple[int, int], NDArray[np.intp]]]:
    """Give the cells that have rows, each as hosts and messages, by these, and with the places of its rows in their order.

    Args:
        frame: with the columns hosts and messages.
    """
    hosts, messages = (frame[name].to_numpy() for name in CELL)
    order = np.lexsort((messages, hosts))
    begins = np.flatnonzero((np.diff(hosts[order]) != 0) | (np.diff(messages[order]) != 0)) + 1
    found = np.split(order, begins) if order.size else []
    return [((int(hosts[rows[0]]), int(messages[rows[0]])), rows) for rows in found]


def _p_value_of_cell(logs: NDArray[np.float64], sessions: NDArray[np.int64]) -> float:
    numbers, places = np.unique(sessions, return_inverse=True)
    if numbers.size < 2:
        return p_value_of_groups([logs])
    return p_value_of_sessions(np.bincount(places, logs) / np.bincount(places))


def has_sessions(paired: pd.DataFrame) -> bool:
    """Whether pairs are of several sessions."""
    return bool(paired["session"].nunique() > 1)


def tabulate_sessions(paired: pd.DataFrame, column: str = "log_ratio") -> NDArray[np.float64]:
    """Give the mean over the repeats of each session in each cell.

    Args:
        paired: pairs as `match_pairs` gives them, at least one.
        column: of what.

    Returns:
        Shape (sessions, cells), both sorted; NaN where a session lacks a cell.
    """
    known = paired.loc[paired[column].notna()]
    sessions, row = np.unique(known["session"].to_numpy(), return_inverse=True)
    cells = divide_by_cell(known)
    place = np.empty(len(known), dtype=np.intp)
    for number, (_, rows) in enumerate(cells):
        place[rows] = row[rows] * len(cells) + number
    amounts = np.bincount(place, minlength=sessions.size * len(cells))
    sums = np.bincount(place, known[column].to_numpy(dtype=np.float64), minlength=amounts.size)
    means = np.full(amounts.size, np.nan)
    np.divide(sums, amounts, out=means, where=amounts > 0)
    return means.reshape(sessions.size, len(cells))


def estimate_over_grid(paired: pd.DataFrame) -> Estimate:
    """Estimate the geometric mean ratio over the cells.

    Args:
        paired: pairs as `match_pairs` gives them.

    Returns:
        Of several sessions the mean of their mean logarithms, with a t interval: it covers sessions like these. Of one
        session the mean over the cells of their medians, with a bootstrap of the pairs inside each cell.
    """
    return estimate_mean(paired).exp()


def estimate_mean(paired: pd.DataFrame, column: str = "log_ratio") -> Estimate:
    """Estimate the mean over the cells of a column of pairs, as `estimate_over_grid` does."""
    if paired.empty:
        return UNKNOWN
    if has_sessions(paired):
        return mean_of_sessions(balanced_means(tabulate_sessions(paired, column)), len(paired))
    return mean_of_medians(_by_cell(paired, column))


def estimate_over_sampled_cells(paired: pd.DataFrame) -> Estimate:
    """Estimate the same mean as one over all cells there could be.

    Args:
        paired: pairs as `match_pairs` gives them.

    Returns:
        The mean with an interval that holds the differences between cells too: of one session from a hierarchical
        bootstrap, cells first, then pairs inside each cell. Where cells differ, no number of repeats makes it narrow.
    """
    if paired.empty:
        return UNKNOWN
    if has_sessions(paired):
        return mean_of_sampled_cells(tabulate_sessions(paired)).exp()
    return mean_of_sampled_groups(_by_cell(paired)).exp()


def find_p_value(paired: pd.DataFrame) -> float:
    """Test whether the ratios of pairs differ from 1: a paired t test of their logarithms against 0.

    Args:
        paired: pairs as `match_pairs` gives them.

    Returns:
        The p-value: over the sessions' means, or over the pairs inside the cells of one session, each cell with a mean of
        its own. NaN if there are too few.
    """
    if paired.empty:
        return float("nan")
    if has_sessions(paired):
        return p_value_of_sessions(balanced_means(tabulate_sessions(paired)))
    return p_value_of_groups(_by_cell(paired))


def _by_cell(paired: pd.DataFrame, column: str = "log_ratio") -> list[NDArray[np.float64]]:
    values = paired[column].to_numpy()
    return [values[rows] for _, rows in divide_by_cell(paired)]
