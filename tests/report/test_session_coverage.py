"""Coverage of t intervals over sessions, with simulated sweeps in which chance decides about whole sessions; planted faults."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pubsub_sim.report import control, sessions
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import estimate_over_grid, match_pairs, pair_version
from pubsub_sim.report.sweep import Sweep
from pubsub_sim.results import PAIR, Store
from pubsub_sim.results.intervals import (
    balanced_means,
    mean_of_medians,
    mean_of_sampled_cells,
    t_intervals,
    t_quantile,
    t_tail,
)
from tests.report.runs import a_run, write_sweep

SWEEPS, SESSIONS, CELLS, REPEATS = 2_000, 10, 12, 2
TRUTH = math.log(1.1)
CPU = QUANTITIES["cpu"]


def simulate(
    rng: np.random.Generator, *, layout: float, noise: float = 0.05, heavy: bool = False
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Give the logarithms of paired ratios of many sweeps, shape (sweeps, sessions, cells, repeats), about TRUTH.

    Args:
        rng: source of chance.
        layout: standard deviation of what chance adds to all pairs of a session.
        noise: the same for each pair.
        heavy: whether the noise has the tails of a t distribution of three degrees of freedom.
    """
    shape = (SWEEPS, SESSIONS, CELLS, REPEATS)
    of_cells = rng.normal(0.0, 0.1, CELLS)
    of_cells -= of_cells.mean()
    each = rng.standard_t(3, shape) / math.sqrt(3) if heavy else rng.normal(0.0, 1.0, shape)
    of_sessions = rng.normal(0.0, layout, (SWEEPS, SESSIONS, 1, 1))
    return TRUTH + of_cells[:, None] + of_sessions + noise * each


@pytest.mark.parametrize("layout", [0.0, 0.01, 0.03, 0.1])
@pytest.mark.parametrize("heavy", [False, True])
def test_interval_over_sessions_holds_the_truth(layout: float, *, heavy: bool) -> None:
    """Of 2,000 simulated sweeps at least 93 in 100 hold the true ratio, however much chance decides about a session."""
    found = simulate(np.random.default_rng(0), layout=layout, heavy=heavy)
    _, low, high = t_intervals(balanced_means(found.mean(axis=-1)))
    assert 0.93 <= float(((low <= TRUTH) & (high >= TRUTH)).mean()) <= 0.97


def test_interval_holds_the_truth_where_runs_failed() -> None:
    """A tenth of the cells of each session missing costs width and no coverage."""
    rng = np.random.default_rng(0)
    found = simulate(rng, layout=0.02).mean(axis=-1)
    found[rng.random(found.shape) < 0.1] = np.nan
    _, low, high = t_intervals(balanced_means(found))
    assert float(((low <= TRUTH) & (high >= TRUTH)).mean()) >= 0.93


def test_interval_of_one_session_misses_what_its_layout_decides() -> None:
    """Why there are sessions: where layouts differ by 3 %, a bootstrap over the pairs of one misses the truth mostly."""
    found = simulate(np.random.default_rng(0), layout=0.03)[:100, 0]
    intervals = [mean_of_medians(list(cells)) for cells in found]
    assert sum(one.low <= TRUTH <= one.high for one in intervals) < 60


def test_interval_over_sampled_cells_is_the_wider_one() -> None:
    """It holds the differences between cells too, and the same mean."""
    found = simulate(np.random.default_rng(0), layout=0.02)[0].mean(axis=-1)
    cells, these = mean_of_sampled_cells(found), t_intervals(balanced_means(found))
    assert cells.value == pytest.approx(float(these[0]))
    assert cells.high - cells.low > float(these[2] - these[1])


def test_simulated_sweep_is_estimated_as_stored_ones_are(tmp_path: Path) -> None:
    """What the simulation computes at once is what a report computes of its pairs."""
    sweep = Sweep.load(write_sweep(tmp_path, sessions=4, repeats=2, layouts={1: 1.05, 3: 0.98}))
    paired = pair_version(sweep, "states", CPU)
    table = paired.pivot_table(index="session", columns=["hosts", "messages"], values="log_ratio")
    mean, low, high = (math.exp(float(end)) for end in t_intervals(balanced_means(table.to_numpy())))
    found = estimate_over_grid(paired)
    assert (found.value, found.low, found.high) == pytest.approx((mean, low, high))


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423), (200, 1.9719)],
)
def test_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    """Two-sided, 95 %; and the tail at a quantile is the other 5 %."""
    assert t_quantile(degrees) == pytest.approx(quantile, abs=5e-5)
    assert t_tail(quantile, degrees) == pytest.approx(0.05, abs=1e-5)


def test_planted_slow_session_is_found_and_moves_no_ratio(tmp_path: Path) -> None:
    """A session in which everything takes twice as long is named; its ratios are those of the others."""
    plain = Sweep.load(write_sweep(tmp_path / "plain", sessions=5, repeats=2))
    slow = Sweep.load(write_sweep(tmp_path / "slow", sessions=5, repeats=2, slow={4: 2.0}))
    assert [one.session for one in sessions.list_sessions(slow, "states") if one.is_slow] == [4]
    assert not [one for one in sessions.list_sessions(plain, "states") if one.is_slow]
    assert "session 4" in sessions.describe(slow).markdown
    one, other = (estimate_over_grid(pair_version(sweep, "states", CPU)) for sweep in (plain, slow))
    assert one.value == pytest.approx(other.value, rel=1e-3)


def test_planted_layout_bias_widens_the_interval_and_is_told(tmp_path: Path) -> None:
    """Sessions whose layout favours one version or the other: a wider interval, and a spread beyond that of the repeats."""
    bias = {1: 1.06, 2: 0.95, 3: 1.04, 4: 0.96, 5: 1.05, 6: 0.94}
    plain = Sweep.load(write_sweep(tmp_path / "plain", sessions=6, repeats=2))
    biased = Sweep.load(write_sweep(tmp_path / "biased", sessions=6, repeats=2, layouts=bias))
    widths = [
        found.high - found.low
        for found in (estimate_over_grid(pair_version(sweep, "states", CPU)) for sweep in (plain, biased))
    ]
    assert widths[1] > 2 * widths[0]
    spread = sessions.estimate_spread(pair_version(biased, "states", CPU))
    assert spread.between == pytest.approx(float(np.std(np.log(list(bias.values())), ddof=1)), rel=0.2)
    assert sessions.estimate_spread(pair_version(plain, "states", CPU)).between < 0.01


def test_planted_unpaired_run_is_in_no_ratio_and_counted(tmp_path: Path) -> None:
    """A run that was measured alone, on a machine three times as slow, moves nothing; the sweep tells of it."""
    folder = write_sweep(tmp_path, sessions=2, repeats=2)
    before = estimate_over_grid(pair_version(Sweep.load(folder), "states", CPU))
    alone = a_run("states", 5, 20, 1, cost=3.6, session=2)
    Store(folder).write(replace(alone, provenance={**alone.provenance, PAIR: "another"}))
    sweep = Sweep.load(folder)
    assert sweep.apart() == 1
    assert len(pair_version(sweep, "states", CPU)) == 15
    assert estimate_over_grid(pair_version(sweep, "states", CPU)).value == pytest.approx(before.value, rel=0.01)
    assert len(match_pairs(sweep.of("baseline"), sweep.of("states"), CPU)) == 15


def test_paired_test_is_over_sessions(tmp_path: Path) -> None:
    """A difference that only one session has is none; one that all have is."""
    once = Sweep.load(
        write_sweep(tmp_path / "once", costs={"baseline": 1.0, "states": 1.0}, sessions=5, layouts={2: 1.5})
    )
    always = Sweep.load(write_sweep(tmp_path / "always", costs={"baseline": 1.0, "states": 1.05}, sessions=5))
    for sweep, is_apart in ((once, False), (always, True)):
        (entry,) = (one for one in control.compare_with_control(sweep) if one.quantity.name == "cpu")
        assert entry.ratio.is_apart is is_apart
        assert entry.has_sessions
