"""Coverage of 95 % confidence intervals, measured with synthetic sweeps whose true ratio is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pubsub_sim.report.quantities import Quantity
from pubsub_sim.report.ratios import estimate_cells, estimate_over_grid, match_pairs
from pubsub_sim.results.intervals import Estimate, mean_of_medians, mean_of_sampled_groups

QUANTITY = Quantity(name="x", title="x", unit="ms", column="x", meaning="")
HOSTS, MESSAGES, REPEATS = (5, 10, 15, 20), (20, 60, 100), 5
TRUTH = 1.1
CELLS = len(HOSTS) * len(MESSAGES)
SWEEPS = 150


def synthetic(rng: np.random.Generator, *, between: float, noise: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the runs of two versions, the second of which is TRUTH times as slow on the geometric mean of all cells.

    Args:
        rng: source of chance.
        between: standard deviation of the logarithm of the ratio from cell to cell.
        noise: the same from pair to pair of a cell. The machine itself moves by a factor of up to 3 from pair to pair.
    """
    cells = pd.MultiIndex.from_product([HOSTS, MESSAGES, range(1, REPEATS + 1)], names=["hosts", "messages", "repeat"])
    frame = cells.to_frame(index=False).assign(session=1)
    machine = 3.0 ** rng.uniform(0.0, 1.0, len(frame))
    of_cell = rng.normal(math.log(TRUTH), between, CELLS).repeat(REPEATS)
    logs = of_cell + rng.normal(0.0, noise, len(frame))
    base = frame.assign(x=machine * frame["hosts"] ** 2 * frame["messages"], outcome="ok")
    return base, base.assign(x=base["x"] * np.exp(logs))


@pytest.mark.parametrize(
    ("between", "noise", "least", "most"),
    [
        (0.05, 0.05, 0.92, 0.98),  # cells differ about as much as their medians are noisy: what real sweeps look like
        (0.00, 0.05, 0.95, 1.00),  # equal cells, as in a control: the noise counts in both draws, so wide, never narrow
    ],
)
def test_interval_over_sampled_cells_holds_the_truth_of_all_cells(
    between: float, noise: float, least: float, most: float
) -> None:
    """Of 150 synthetic sweeps about 95 in 100 have the mean ratio of all cells there could be inside that interval."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(SWEEPS):
        of_cell = rng.normal(math.log(TRUTH), between, (CELLS, 1))
        found = mean_of_sampled_groups(list(of_cell + rng.normal(0.0, noise, (CELLS, REPEATS)))).exp()
        held += found.low <= TRUTH <= found.high
    assert least <= held / SWEEPS <= most


@pytest.mark.parametrize(("repeats", "width"), [(5, 0.036), (15, 0.020)])
def test_interval_over_the_grid_holds_the_truth_of_its_cells(repeats: int, width: float) -> None:
    """However much cells differ: their own mean is inside nearly always."""
    rng = np.random.default_rng(0)
    held, widths = 0, []
    for _ in range(SWEEPS):
        of_cell = rng.normal(math.log(TRUTH), 0.5, (CELLS, 1))
        found = mean_of_medians(list(of_cell + rng.normal(0.0, 0.05, (CELLS, repeats))))
        held += found.low <= of_cell.mean() <= found.high
        widths.append(found.high - found.low)
    assert 0.94 <= held / SWEEPS <= 1.0
    assert np.mean(widths) == pytest.approx(width, rel=0.1)


def test_interval_over_the_grid_does_not_grow_with_the_difference_of_cells() -> None:
    """Moving each cell by an amount of its own moves the mean and both ends by the mean amount."""
    rng = np.random.default_rng(0)
    noise, shift = rng.normal(0.0, 0.05, (CELLS, REPEATS)), rng.normal(0.0, 0.5, (CELLS, 1))
    equal, apart = mean_of_medians(list(noise)), mean_of_medians(list(noise + shift))
    moved = [end + shift.mean() for end in (equal.value, equal.low, equal.high)]
    assert [apart.value, apart.low, apart.high] == pytest.approx(moved)


def test_interval_does_not_depend_on_the_order_of_the_runs() -> None:
    """Shuffled runs give the same estimate to the last bit: over the grid, and in each cell."""
    rng = np.random.default_rng(1)
    base, other = synthetic(rng, between=0.05, noise=0.05)
    found = [
        match_pairs(base.sample(frac=1, random_state=seed), other.sample(frac=1, random_state=seed + 1), QUANTITY)
        for seed in (1, 7)
    ]
    assert (
        estimate_over_grid(found[0])
        == estimate_over_grid(found[1])
        == estimate_over_grid(match_pairs(base, other, QUANTITY))
    )
    assert estimate_cells(found[0]) == estimate_cells(found[1])


def test_a_slow_minute_of_the_machine_does_not_widen_a_paired_interval() -> None:
    """The machine moves by a factor of 3 and both runs of a pair with it: the interval has the width of the pairs' noise."""
    found = estimate_over_grid(match_pairs(*synthetic(np.random.default_rng(2), between=0.0, noise=0.0), QUANTITY))
    assert found == Estimate(*[pytest.approx(TRUTH)] * 3, CELLS * REPEATS)
