"""Ratios of paired runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pubsub_sim.report.quantities import QUANTITIES, Quantity
from pubsub_sim.report.ratios import (
    divide_by_cell,
    estimate_cell_median,
    estimate_cells,
    estimate_over_grid,
    match_pairs,
    pair_control,
    pair_version,
    tabulate_sessions,
)
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep

QUANTITY = Quantity(name="x", title="x", unit="ms", column="x", meaning="")


def side(values: dict[tuple[int, int, int], float], failed: tuple[int, int, int] | None = None) -> pd.DataFrame:
    rows = [
        {
            "hosts": h,
            "messages": m,
            "session": 1,
            "repeat": r,
            "x": value,
            "outcome": "timeout" if (h, m, r) == failed else "ok",
        }
        for (h, m, r), value in values.items()
    ]
    return pd.DataFrame(rows)


def test_geometric_mean_over_the_grid_by_hand() -> None:
    """Cells of ratio 2 and 8 have the mean 4, whatever their absolute values are."""
    base = side({(5, 20, 1): 1.0, (10, 20, 1): 100.0})
    other = side({(5, 20, 1): 2.0, (10, 20, 1): 800.0})
    assert estimate_over_grid(match_pairs(base, other, QUANTITY)).value == pytest.approx(4.0)


def test_ratio_of_a_cell_is_the_median_over_its_pairs() -> None:
    """Ratios 1, 2 and 4 have the median 2, although the ratio of the medians is another."""
    base = side({(5, 20, 1): 1.0, (5, 20, 2): 10.0, (5, 20, 3): 100.0})
    other = side({(5, 20, 1): 4.0, (5, 20, 2): 10.0, (5, 20, 3): 200.0})
    (cell,) = estimate_cells(match_pairs(base, other, QUANTITY))
    assert cell.ratio.value == pytest.approx(2.0)
    assert cell.difference.value == 3.0


def test_rows_are_divided_by_cell_in_their_order() -> None:
    """Cells come by hosts, then messages; a frame without rows has none."""
    frame = side({(10, 20, 1): 1.0, (5, 60, 2): 2.0, (5, 20, 1): 3.0, (5, 60, 1): 4.0})
    found = [(cell, frame["x"].iloc[rows].tolist()) for cell, rows in divide_by_cell(frame)]
    assert found == [((5, 20), [3.0]), ((5, 60), [2.0, 4.0]), ((10, 20), [1.0])]
    assert divide_by_cell(frame.iloc[:0]) == []


def test_sessions_are_rows_of_means_over_repeats() -> None:
    """One column per cell; a session that lacks a cell, or knows no value of it, has none there."""
    values = {(5, 20, 1): 1.0, (5, 20, 2): 3.0, (10, 20, 1): 5.0, (10, 20, 2): np.nan}
    frame = pd.concat([side(values), side({(5, 20, 1): 7.0, (10, 20, 1): np.nan}).assign(session=4)])
    np.testing.assert_array_equal(tabulate_sessions(frame, "x"), [[2.0, 5.0], [7.0, np.nan]])


def test_runs_are_paired_by_cell_and_repeat_in_any_order() -> None:
    """The order of the rows says nothing about who belongs together."""
    base = side({(5, 20, 1): 1.0, (5, 20, 2): 10.0})
    other = side({(5, 20, 2): 30.0, (5, 20, 1): 3.0})
    assert estimate_over_grid(match_pairs(base, other, QUANTITY)).low == pytest.approx(3.0)


def test_pair_with_a_failed_run_does_not_count() -> None:
    """Only pairs in which both runs are ok are compared."""
    base = side({(5, 20, 1): 1.0, (5, 20, 2): 1.0})
    other = side({(5, 20, 1): 2.0, (5, 20, 2): 50.0}, failed=(5, 20, 2))
    found = match_pairs(base, other, QUANTITY)
    assert list(found["repeat"]) == [1]
    assert estimate_over_grid(found).value == pytest.approx(2.0)


def test_run_without_a_partner_does_not_count() -> None:
    """A cell that only one version has is in no ratio."""
    found = match_pairs(side({(5, 20, 1): 1.0, (10, 20, 1): 1.0}), side({(5, 20, 1): 2.0}), QUANTITY)
    assert [cell.hosts for cell in estimate_cells(found)] == [5]


def test_runs_of_the_same_place_are_refused() -> None:
    """Which of them would be paired is nobody's guess."""
    twice = pd.concat([side({(5, 20, 1): 1.0}), side({(5, 20, 1): 2.0})])
    with pytest.raises(ValueError, match=r"^runs: expected one of each hosts, messages, session, repeat, got 1 more$"):
        match_pairs(side({(5, 20, 1): 1.0}), twice, QUANTITY)


def test_a_sweep_computes_a_thing_once(tmp_path: Path) -> None:
    """Tables, figures and the summary get the same pairs and medians; another sweep gets its own."""
    one, other = (Sweep.load(write_sweep(tmp_path / name, repeats=1)) for name in ("one", "other"))
    cpu = QUANTITIES["cpu"]
    assert pair_version(one, "states", cpu) is pair_version(one, "states", cpu)
    assert pair_version(one, "states", cpu) is not pair_version(other, "states", cpu)
    assert estimate_cell_median(one, "states", (5, 20), cpu) is estimate_cell_median(one, "states", (5, 20), cpu)
    assert estimate_cell_median(one, "states", (5, 20), cpu) != estimate_cell_median(one, "states", (10, 20), cpu)


def test_zero_is_in_no_ratio() -> None:
    """What cannot be divided is left out instead of becoming infinite."""
    assert match_pairs(side({(5, 20, 1): 0.0}), side({(5, 20, 1): 2.0}), QUANTITY).empty


def test_cost_of_a_version_is_found_again(tmp_path: Path) -> None:
    """A version made 1.2 times as costly has the ratio 1.2, with the noise of the pairs cancelled."""
    sweep = Sweep.load(write_sweep(tmp_path / "runs", control=False))
    found = estimate_over_grid(pair_version(sweep, "states", QUANTITIES["cpu"]))
    assert found.value == pytest.approx(1.2, abs=1e-6)


def test_both_runs_of_the_base_count() -> None:
    """Of a base that took 1 and 4 in a pair the middle is 2 on the logarithmic scale, and 2.5 for a difference."""
    first, again = side({(5, 20, 1): 1.0}), side({(5, 20, 1): 4.0})
    other = side({(5, 20, 1): 6.0})
    found = match_pairs(first, other, QUANTITY, again)
    assert np.exp(found["log_ratio"]).tolist() == pytest.approx([3.0])
    assert found["difference"].tolist() == [3.5]


def test_a_base_that_failed_once_is_the_run_that_did_not() -> None:
    """Either of its two runs makes a pair."""
    first, again = side({(5, 20, 1): 1.0}, failed=(5, 20, 1)), side({(5, 20, 1): 4.0})
    for base, second in ((first, again), (again, first)):
        assert match_pairs(base, side({(5, 20, 1): 6.0}), QUANTITY, second)["difference"].tolist() == [2.0]


def test_control_compares_a_version_with_itself(tmp_path: Path) -> None:
    """The second runs over the first ones give a ratio near 1 whose interval is not empty."""
    sweep = Sweep.load(write_sweep(tmp_path / "runs"))
    found = estimate_over_grid(pair_control(sweep, QUANTITIES["cpu"]))
    assert found.value == pytest.approx(1.0, abs=0.05)
    assert found.low < found.high


def test_sweep_without_controls_has_no_control_pairs(tmp_path: Path) -> None:
    """No controls, no ratio of a version to itself."""
    sweep = Sweep.load(write_sweep(tmp_path / "runs", control=False))
    assert not estimate_over_grid(pair_control(sweep, QUANTITIES["cpu"])).is_known
