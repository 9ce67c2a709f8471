"""Exponents: those of runs that follow a rule, their intervals, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pubsub_sim.report import scaling
from pubsub_sim.report.display import Prose, Table
from pubsub_sim.report.formatting import format_exponent
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep

pytestmark = pytest.mark.xdist_group("scaling")

CPU = QUANTITIES["cpu"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Processor time is hosts squared by messages, give or take 2 %."""
    folder = tmp_path_factory.mktemp("whole")
    return Sweep.load(write_sweep(folder, hosts=(5, 10, 20), messages=(20, 40, 80), repeats=5))


@pytest.mark.parametrize(("axis", "power"), [("hosts", 2), ("messages", 1)])
@pytest.mark.parametrize("version", ["baseline", "states"])
def test_exponent_is_that_of_the_rule(whole: Sweep, axis: str, power: int, version: str) -> None:
    """A cost of hosts squared has the exponent 2; its interval is around it and narrow."""
    found = scaling.fit_growth(whole, version, CPU, axis)
    assert found.exponent.value == pytest.approx(power, abs=0.03)
    assert found.exponent.low <= found.exponent.value <= found.exponent.high
    assert found.exponent.high - found.exponent.low < 0.1
    assert 1 <= found.worst < 1.03


def test_levels_are_the_cost_at_one(whole: Sweep) -> None:
    """With 20 messages a run of h hosts takes 0.02 h² ms, so the level is 0.02."""
    found = scaling.fit_growth(whole, "baseline", CPU, "hosts")
    assert found.levels.keys() == {20, 40, 80}
    assert found.levels[20] == pytest.approx(0.02, rel=0.1)


def test_exponent_of_a_ratio_is_nothing_where_both_grow_alike(whole: Sweep) -> None:
    """20 % more in every cell is the same exponent."""
    found = scaling.compare_growth(whole, "states", CPU, "hosts")
    assert found.value == pytest.approx(0, abs=1e-6)
    assert found.low < 0 < found.high


def test_slope_is_that_of_least_squares(whole: Sweep) -> None:
    """The weights give what a fit with a level for each number of messages gives."""
    found = scaling.fit_growth(whole, "baseline", CPU, "hosts").exponent.value
    medians = {
        cell: float(np.log(np.median(CPU.of(whole.of("baseline", cell)))))
        for cell in ((h, m) for h in (5, 10, 20) for m in (20, 40, 80))
    }
    design = np.array([[np.log(h), *(m == level for level in (20, 40, 80))] for h, m in medians], dtype=float)
    fitted = np.linalg.lstsq(design, np.array(list(medians.values())), rcond=None)[0]
    assert found == pytest.approx(float(fitted[0]))


def test_table_has_the_work_first_and_the_ratio_last(whole: Sweep) -> None:
    """Exponents of costs stand beside that of the RPCs, and the ratio's after those of its versions."""
    shown = scaling.tabulate(whole)
    assert isinstance(shown, Table)
    assert shown.rows[0][:2] == ["RPCs in `rand msgs`", "every version"]
    assert [row[1] for row in shown.rows if row[0] == CPU.title] == ["`baseline`", "`states`", "`states` / `baseline`"]


def test_final_tasks_do_not_grow_with_messages(whole: Sweep) -> None:
    """Runs that agree leave no interval to show."""
    shown = scaling.tabulate(whole)
    assert isinstance(shown, Table)
    row = next(row for row in shown.rows if row[:2] == ["Final tasks", "`baseline`"])
    assert row[4:] == ["0.00", "0.0 %"]


def test_one_run_per_cell_has_no_interval(tmp_path: Path) -> None:
    """There is nothing to draw anew, so nothing is claimed about the noise."""
    found = scaling.fit_growth(Sweep.load(write_sweep(tmp_path, repeats=1)), "baseline", CPU, "hosts")
    assert found.exponent.is_known
    assert not found.exponent.has_interval


def test_axis_of_one_value_has_no_exponent(tmp_path: Path) -> None:
    """One number of hosts says nothing about growth; the other axis still does."""
    sweep = Sweep.load(write_sweep(tmp_path / "row", hosts=(5,)))
    assert not scaling.fit_growth(sweep, "baseline", CPU, "hosts").exponent.is_known
    assert scaling.fit_growth(sweep, "baseline", CPU, "messages").exponent.is_known
    one = Sweep.load(write_sweep(tmp_path / "cell", hosts=(5,), messages=(20,)))
    assert isinstance(scaling.tabulate(one), Prose)
    assert scaling.summarise(one) == []


def test_summary_has_every_exponent_of_the_table(whole: Sweep) -> None:
    """Each with its interval, those of ratios under the version and what it is over."""
    found = scaling.summarise(whole)
    one = next(e for e in found if (e["quantity"], e["axis"], e["version"]) == ("cpu", "hosts", "states"))
    assert one["interval"][0] <= one["value"] <= one["interval"][1]
    assert one["unit"] == "1"
    assert [e["over"] for e in found if e["quantity"] == "cpu" and "over" in e] == ["baseline", "baseline"]
    shown = scaling.tabulate(whole)
    assert isinstance(shown, Table)
    values = {format_exponent(scaling.fit_growth(whole, "states", CPU, axis).exponent) for axis in scaling.AXES}
    assert values <= {cell for row in shown.rows for cell in row}
