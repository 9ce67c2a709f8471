"""Interval estimates: medians with bootstrap intervals from a fixed seed for one session, means with t intervals for several.

Repeats of one session share whatever chance decided at its start, such as where code lies in memory. So they tell the noise of
that session and nothing about the next one. Over several sessions each session is one observation: its mean. Knows
numbers only: neither runs nor versions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

RESAMPLES = 4000
"""Bootstrap samples per interval."""

LEVEL = 95
"""Nominal coverage of the intervals in percent."""

_SEED = 1
_PERCENTILES = ((100 - LEVEL) / 2, (100 + LEVEL) / 2)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: the estimate, NaN if nothing was observed.
        low: lower end of the interval, NaN with fewer than two observations.
        high: upper end, likewise.
        observations: number of observations.
    """

    value: float
    low: float
    high: float
    observations: int

    @property
    def is_known(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    @property
    def has_interval(self) -> bool:
        """Whether the spread could be estimated."""
        return not math.isnan(self.low)

    def exp(self) -> Estimate:
        """Return the exponential of an estimated logarithm, on the scale of the ratio."""
        return Estimate(math.exp(self.value), math.exp(self.low), math.exp(self.high), self.observations)


UNKNOWN = Estimate(math.nan, math.nan, math.nan, 0)
"""The estimate without observations."""


def median(values: ArrayLike) -> Estimate:
    """Estimate the median; NaN values are ignored.

    Args:
        values: independent observations.

    Returns:
        The sample median and its percentile bootstrap interval. For few observations that is at most their range, which
        contains the true median with a probability of 1 - 2**(1 - n): 75 % for 3 observations, 94 % for 5.
    """
    known = _known(values)
    if known.size == 0:
        return UNKNOWN
    if known.size == 1:
        return Estimate(float(known[0]), math.nan, math.nan, 1)
    return percentiles(float(np.median(known)), np.median(known[_draws(known.size)], axis=1), known.size)


@lru_cache(maxsize=16)  # a sweep has cells of a few sizes, and thousands of them
def _draws(size: int) -> NDArray[np.int64]:
    """Draw so many observations of so many with replacement: a row of their places per bootstrap sample."""
    found = np.random.default_rng(_SEED).integers(0, size, (RESAMPLES, size))
    found.flags.writeable = False
    return found


def t_tail(t: float, degrees: int) -> float:
    """Give the chance that a t variable lies further from 0 than a value, on either side.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4: exact for whole degrees of freedom.

    Args:
        t: the value; only its distance from 0 counts.
        degrees: degrees of freedom, at least 1.
    """
    angle = math.atan(abs(t) / math.sqrt(degrees))
    cosine, total = math.cos(angle), 0.0
    term = cosine if degrees % 2 else 1.0
    for number in range(2 + degrees % 2, degrees + 1, 2):
        total += term
        term *= cosine**2 * (number - 1) / number
    inside = math.sin(angle) * total
    return 1 - (2 / math.pi * (angle + inside) if degrees % 2 else inside)


@lru_cache(maxsize=1024)  # a report asks for a few degrees of freedom, thousands of times
def t_quantile(degrees: int) -> float:
    """Give the number of standard errors on either side of a mean that make a 95 % interval.

    Args:
        degrees: degrees of freedom, at least 1.
    """
    low, high, wanted = 0.0, 13.0, 1 - LEVEL / 100  # of one degree it is 12.7
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, degrees) > wanted else (low, middle)
    return (low + high) / 2


def t_intervals(observations: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Estimate means with t intervals: they hold the true mean 95 times in 100 if observations are about normal.

    Args:
        observations: independent ones along the last axis, at least 2; shape (..., n).

    Returns:
        Means, lower and upper ends; shape (...).
    """
    values = np.asarray(observations, dtype=np.float64)
    amount = values.shape[-1]
    means = values.mean(axis=-1)
    half = t_quantile(amount - 1) * values.std(axis=-1, ddof=1) / math.sqrt(amount)
    return means, means - half, means + half


def balanced_means(values: ArrayLike) -> NDArray[np.float64]:
    """Give the mean of each session over all cells, as if none were missing in any.

    A session that lacks a cell would be compared by other cells than the rest. So what a cell differs from the mean over all
    cells is taken out first.

    Args:
        values: sessions along the last axis but one, cells along the last; NaN where a session lacks a cell. Each
            session and each cell has at least one value. Shape (..., sessions, cells).

    Returns:
        Shape (..., sessions).
    """
    means: NDArray[np.float64] = fill_balanced(values).mean(axis=-1)
    return means


def fill_balanced(values: ArrayLike) -> NDArray[np.float64]:
    """Fill in what sessions lack: the cell's mean over the others, moved by what the session differs in its other cells.

    Args:
        values: as for `balanced_means`.

    Returns:
        The same shape, without NaN.
    """
    table = np.asarray(values, dtype=np.float64)
    if not np.isnan(table).any():
        return table
    of_cells = np.nanmean(table, axis=-2, keepdims=True)
    shifts = np.nanmean(table - of_cells, axis=-1, keepdims=True)
    return np.where(np.isnan(table), of_cells + shifts, table)


def mean_of_sessions(observations: ArrayLike, amount: int | None = None) -> Estimate:
    """Estimate the mean over all sessions there could be, of which these are a sample.

    Args:
        observations: one number per session, NaN ones are left out.
        amount: how many numbers they rest on; by default as many as there are sessions.

    Returns:
        The mean with its t interval; without one if there is one session only.
    """
    known = _known(observations)
    if known.size == 0:
        return UNKNOWN
    amount = int(known.size) if amount is None else amount
    if known.size == 1:
        return Estimate(float(known[0]), math.nan, math.nan, amount)
    value, low, high = (float(end) for end in t_intervals(known))
    return Estimate(value, low, high, amount)


def estimate_center(values: ArrayLike, sessions: ArrayLike) -> Estimate:
    """Estimate where numbers lie: the mean over the sessions of their means, or the median if they are of one session.

    Args:
        values: observations; NaN values are left out.
        sessions: number of the session of each.

    Returns:
        The estimate: with a t interval over sessions, or with the bootstrap interval of `median`, which covers that session.
    """
    array = np.asarray(values, dtype=np.float64)
    is_known = ~np.isnan(array)
    known = array[is_known]
    numbers, places = np.unique(np.asarray(sessions)[is_known], return_inverse=True)
    if numbers.size < 2:
        return median(known)
    return mean_of_sessions(np.bincount(places, known) / np.bincount(places), known.size)


def difference_of_means(one: ArrayLike, other: ArrayLike) -> Estimate:
    """Estimate by how much the mean of other observations exceeds that of some, which are independent of them.

    The interval is Welch's: the two may spread differently.

    Args:
        one: observations; NaN ones are left out.
        other: others.

    Returns:
        The difference; without an interval if one side has fewer than two observations.
    """
    ones, others = _known(one), _known(other)
    if not (ones.size and others.size):
        return UNKNOWN
    value, amount = float(others.mean() - ones.mean()), int(ones.size + others.size)
    if min(ones.size, others.size) < 2:
        return Estimate(value, math.nan, math.nan, amount)
    parts = [float(values.var(ddof=1)) / values.size for values in (ones, others)]
    weights = sum(part**2 / (values.size - 1) for part, values in zip(parts, (ones, others), strict=True))
    degrees = max(1, int(sum(parts) ** 2 / weights)) if weights else 1
    half = t_quantile(degrees) * math.sqrt(sum(parts))
    return Estimate(value, value - half, value + half, amount)


def quotient_of_means(one: ArrayLike, other: ArrayLike) -> Estimate:
    """Estimate the mean of other observations as a multiple of that of some, which are independent of them.

    The interval is Fieller's, with the degrees of freedom of the smaller side.

    Args:
        one: observations of what is divided by; NaN ones are left out.
        other: observations of what is divided.

    Returns:
        The quotient; without an interval if one side has fewer than two observations, or if the interval of what is divided
        by holds 0: then any quotient could be.
    """
    ones, others = _known(one), _known(other)
    if not (ones.size and others.size) or not ones.mean():
        return UNKNOWN
    below, above, amount = float(ones.mean()), float(others.mean()), int(ones.size + others.size)
    unknown = Estimate(above / below, math.nan, math.nan, amount)
    if min(ones.size, others.size) < 2:
        return unknown
    squared = t_quantile(min(ones.size, others.size) - 1) ** 2
    of_below, of_above = (float(values.var(ddof=1)) / values.size * squared for values in (ones, others))
    lead = below**2 - of_below
    if lead <= 0:
        return unknown
    root = math.sqrt((above * below) ** 2 - lead * (above**2 - of_above))
    return Estimate(above / below, (above * below - root) / lead, (above * below + root) / lead, amount)


def mean_of_sampled_cells(values: ArrayLike) -> Estimate:
    """Estimate the mean over all sessions and all cells there could be, of which these are samples; the value is the same.

    The variance is that of the sessions' means and that of the cells' means, added. The noise of single runs counts in both,
    so the interval is rather too wide than too narrow.

    Args:
        values: shape (sessions, cells); NaN where a session lacks a cell.
    """
    table = np.asarray(values, dtype=np.float64)
    means = balanced_means(table)
    sessions, cells = table.shape
    if sessions < 2 or cells < 2:
        return mean_of_sessions(means, int((~np.isnan(table)).sum()))
    variance = means.var(ddof=1) / sessions + np.nanmean(table, axis=0).var(ddof=1) / cells
    half = t_quantile(min(sessions, cells) - 1) * math.sqrt(variance)
    value = float(means.mean())
    return Estimate(value, value - half, value + half, int((~np.isnan(table)).sum()))


def p_value_of_sessions(means: ArrayLike) -> float:
    """Give the chance of means as far from 0 as these, or farther, if the true one is 0: the p-value of a t test.

    Args:
        means: one number per session; NaN for fewer than two.
    """
    known = _known(means)
    if known.size < 2:
        return math.nan
    return _p_value(float(known.mean()), float(known.var(ddof=1)) / known.size, known.size - 1)


def p_value_of_groups(groups: Sequence[ArrayLike]) -> float:
    """Give the p-value of a t test of the mean of groups against 0, each group with a true mean of its own.

    Args:
        groups: observations of each group; those of fewer than two are left out. NaN if none is left.
    """
    known = [group for group in map(_known, groups) if group.size > 1]
    if not known:
        return math.nan
    mean = float(np.mean([group.mean() for group in known]))
    variance = float(sum(group.var(ddof=1) / group.size for group in known)) / len(known) ** 2
    return _p_value(mean, variance, sum(group.size - 1 for group in known))


def _p_value(mean: float, variance: float, degrees: int) -> float:
    if variance <= 0:
        return float(mean == 0)
    return t_tail(mean / math.sqrt(variance), degrees)


def mean_of_medians(groups: Sequence[ArrayLike]) -> Estimate:
    """Estimate the mean over these groups of their medians; for logarithms of ratios it is a geometric mean.

    The bootstrap draws observations inside each group: the interval reflects the noise of the observations, and more of
    them make it narrower. Its coverage of the true mean of these groups is 96 to 99 % (4 to 20 groups of 5 or 15, normal
    and heavy-tailed noise), as the bootstrap median of few observations varies slightly too much. It does not cover other
    groups: see `mean_of_sampled_groups`.

    Args:
        groups: observations of each group; NaN values and empty groups are ignored.

    Returns:
        The mean and its percentile interval; without an interval if no group has a second observation.
    """
    known, mean = _mean(groups)
    if mean.observations == len(known):
        return mean
    return percentiles(mean.value, drawn_medians(known).mean(axis=1), mean.observations)


def mean_of_sampled_groups(groups: Sequence[ArrayLike]) -> Estimate:
    """Estimate the mean over the population from which these groups are a sample; the value is the same.

    The bootstrap is hierarchical: groups are drawn first, then observations inside each drawn group, so that the interval
    reflects both the differences between groups and the noise within them. If groups differ about as much as their medians
    are noisy, its coverage is 92 to 98 % (12 groups of 5 and 20 of 15 with normal noise). For equal groups it is too wide,
    by up to the factor 1.4, as their noise counts in both draws; for fewer than five differing groups it is too narrow.

    Args:
        groups: observations of each group; NaN values and empty groups are ignored.

    Returns:
        The mean and its percentile interval; without an interval if all groups together have one observation.
    """
    known, mean = _mean(groups)
    if mean.observations <= 1:
        return mean
    rng = np.random.default_rng(_SEED)
    drawn = rng.integers(0, len(known), (RESAMPLES, len(known)))
    medians = np.empty(drawn.shape)
    for number, group in enumerate(known):
        at = drawn == number
        draws = rng.integers(0, group.size, (int(at.sum()), group.size))
        medians[at] = np.median(group[draws], axis=1)
    return percentiles(mean.value, medians.mean(axis=1), mean.observations)


def _mean(groups: Sequence[ArrayLike]) -> tuple[list[NDArray[np.float64]], Estimate]:
    """Return the non-empty groups and the mean of their medians, without an interval."""
    known = [group for group in map(_known, groups) if group.size]
    if not known:
        return [], UNKNOWN
    value = float(np.mean([np.median(group) for group in known]))
    return known, Estimate(value, math.nan, math.nan, sum(group.size for group in known))


def drawn_medians(groups: Sequence[NDArray[np.float64]], seed: int = _SEED) -> NDArray[np.float64]:
    """Resample the observations of each group: return a row of medians per bootstrap sample, a column per group.

    Args:
        groups: observations of each group, none of them NaN.
        seed: seed; different seeds give independent samples.
    """
    rng = np.random.default_rng(seed)
    columns = [np.median(values[rng.integers(0, values.size, (RESAMPLES, values.size))], axis=1) for values in groups]
    return np.stack(columns, axis=1)


def percentiles(value: float, draws: NDArray[np.float64], observations: int) -> Estimate:
    """Return an estimate with the percentile interval of its bootstrap samples.

    Args:
        value: the estimate from the observations.
        draws: the estimate from each bootstrap sample.
        observations: number of observations.
    """
    low, high = np.percentile(draws, _PERCENTILES)
    return Estimate(value, float(low), float(high), observations)


def _known(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[~np.isnan(array)]
