"""A linear cost model with one coefficient each for publishes, deliveries and RPCs, fitted to runs with few and many hosts.

Within one message phase the three counts are proportional, so a single run cannot separate the coefficients. Different
numbers of hosts can. Among N hosts that are all connected a message is 1 publish, N deliveries and (N - 1)**2 RPCs. With
few hosts the first two are half of the work; with a hundred hosts nothing but the RPCs counts. Residuals are relative to
each time, so that small times weigh as much as large ones. A coefficient is never negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from pubsub_sim.errors import OptionError
from pubsub_sim.results.intervals import percentiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

RESAMPLES = 1000
"""Bootstrap samples per interval."""

_SEED = 1
_FLAT_FROM = 20


@dataclass(frozen=True)
class Sample:
    """A message phase.

    Attributes:
        publishes: messages published.
        deliveries: messages given to subscriptions.
        rpcs: RPCs sent.
        cpu_ns: processor time, without the collector's.
    """

    publishes: int
    deliveries: int
    rpcs: int
    cpu_ns: int


@dataclass(frozen=True)
class Costs:
    """What things cost.

    Attributes:
        publish_ns: processor time of a publish (a).
        delivery_ns: of a delivery, with what a host does once per message (b).
        rpc_ns: of an RPC, sent, carried, read and looked into (c).
        rpc_ns_at: what is left for an RPC at each number of hosts, the other two as fitted.
        rpc_ns_between: what an RPC costs of those that one number of hosts has more than the next smaller one.
    """

    publish_ns: float
    delivery_ns: float
    rpc_ns: float
    rpc_ns_at: Mapping[int, float]
    rpc_ns_between: Mapping[tuple[int, int], float]

    @property
    def departure(self) -> float:
        """By how much an RPC is dearer or cheaper, at a number of hosts from 20 on, than the fit has it; 0 if it is flat."""
        return max((abs(value / self.rpc_ns - 1) for value in self._flat()), default=0.0)

    @property
    def unevenness(self) -> float:
        """By how much an RPC is dearer at one number of hosts from 20 on than at another; 0 if the cost is flat."""
        values = self._flat()
        return max(values) / min(values) - 1 if values else 0.0

    def _flat(self) -> list[float]:
        return [value for hosts, value in self.rpc_ns_at.items() if hosts >= _FLAT_FROM]


def fitted(cells: Mapping[int, Sequence[Sample]]) -> Costs:
    """Fit the costs to the median of each number of hosts.

    Args:
        cells: for each number of hosts its samples, of equal counts.

    Raises:
        OptionError: fewer than three numbers of hosts, or one without a sample.
    """
    if len(cells) < 3 or not all(cells.values()):
        raise OptionError("hosts", tuple(cells), "at least three numbers of hosts with a sample each, for three costs")
    numbers = sorted(cells)
    counts = np.array([_per_message(cells[hosts][0]) for hosts in numbers])
    times_ns = np.array([np.median([one.cpu_ns / one.publishes for one in cells[hosts]]) for hosts in numbers])
    costs = _least_squares(counts / times_ns[:, None], np.ones(len(numbers)))
    left_ns = times_ns - counts[:, :2] @ costs[:2]
    rpcs = counts[:, 2]
    between = np.diff(left_ns) / np.diff(rpcs)
    return Costs(
        publish_ns=float(costs[0]),
        delivery_ns=float(costs[1]),
        rpc_ns=float(costs[2]),
        rpc_ns_at={hosts: float(value) for hosts, value in zip(numbers, left_ns / rpcs, strict=True)},
        rpc_ns_between={pair: float(value) for pair, value in zip(pairwise(numbers), between, strict=True)},
    )


def resampled(rounds: Sequence[Mapping[int, Sample]]) -> list[Costs]:
    """Fit the costs to rounds drawn again and again, as many as there are.

    Args:
        rounds: each a sample for each number of hosts.
    """
    drawn = np.random.default_rng(_SEED).integers(0, len(rounds), (RESAMPLES, len(rounds)))
    return [fitted({hosts: [rounds[place][hosts] for place in places] for hosts in rounds[0]}) for places in drawn]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    found = percentiles(math.nan, np.array(values), len(values))
    return found.low, found.high


def _per_message(sample: Sample) -> tuple[float, float, float]:
    return 1.0, sample.deliveries / sample.publishes, sample.rpcs / sample.publishes


def _least_squares(matrix: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best coefficients of which none is negative: the best fit of all choices of columns that has none."""
    columns = range(matrix.shape[1])
    best, least = np.zeros(len(columns)), float(wanted @ wanted)
    for size in range(1, len(columns) + 1):
        for chosen in map(list, combinations(columns, size)):
            part = np.linalg.lstsq(matrix[:, chosen], wanted, rcond=None)[0]
            error = float(np.square(matrix[:, chosen] @ part - wanted).sum())
            if (part >= 0).all() and error < least:
                best, least = np.zeros(len(columns)), error
                best[chosen] = part
    return best
