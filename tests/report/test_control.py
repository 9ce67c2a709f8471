"""A version against itself: which ratios stand apart from the noise."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubsub_sim.report import control, summary
from pubsub_sim.report.display import Absent, Several, Table
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep

pytestmark = pytest.mark.xdist_group("control")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """`states` costs 20 % more; the noise is a few percent."""
    return Sweep.load(write_sweep(tmp_path_factory.mktemp("whole"), repeats=6))


def test_every_cell_has_the_ratio_and_the_control_beside_it(whole: Sweep) -> None:
    """Both headline quantities, cell by cell, and the means over the grid in the last row."""
    shown = control.show_cells(whole)
    assert isinstance(shown, Several)
    tables = [part for part in shown.parts if isinstance(part, Table)]
    assert [len(table.rows) for table in tables] == [5, 5]
    assert all(table.rows[-1][:2] == ["all", "all"] for table in tables)
    cpu = next(entry for entry in control.compare_with_control(whole) if entry.quantity.name == "cpu")
    assert list(cpu.cells) == whole.cells
    assert cpu.ratio.ratio.value == pytest.approx(1.2, rel=0.01)
    assert cpu.ratio.is_apart
    assert not cpu.control.is_apart
    assert cpu.apart == cpu.judged == 4
    assert cpu.control_apart == 0
    assert f"differs in {cpu.apart} of 4 cells" in control.describe(whole).markdown


def test_version_that_costs_as_much_is_not_apart(tmp_path: Path) -> None:
    """A ratio within the noise is called that."""
    sweep = Sweep.load(write_sweep(tmp_path, costs={"baseline": 1.0, "states": 1.0}, repeats=6))
    assert all(entry.apart == 0 for entry in control.compare_with_control(sweep))
    assert "differs in 0 of 4 cells" in control.describe(sweep).markdown


def test_sweep_without_control_says_so(tmp_path: Path) -> None:
    """No table of dashes."""
    sweep = Sweep.load(write_sweep(tmp_path, control=False))
    assert control.compare_with_control(sweep) == []
    assert isinstance(control.show_cells(sweep), Absent)
    assert isinstance(control.describe(sweep), Absent)


def test_cell_without_a_ratio_is_a_dash(tmp_path: Path) -> None:
    """A cell that one version did not run is not judged."""
    sweep = Sweep.load(write_sweep(tmp_path, without=[("states", 10, 60)]))
    assert all(entry.judged == 3 for entry in control.compare_with_control(sweep))
    shown = control.show_cells(sweep)
    assert isinstance(shown, Several)
    row = next(row for part in shown.parts if isinstance(part, Table) for row in part.rows if row[:2] == ["10", "60"])
    assert row[3:] == ["\N{EN DASH}", "too few pairs"]


def test_summary_has_the_cells_and_the_counts(whole: Sweep) -> None:
    """What the page shows can be read by a program."""
    found = summary.summarise(whole)["beside_control"]
    assert [entry["quantity"] for entry in found] == ["duration-net", "cpu"]
    assert all(len(entry["cells"]) == 4 for entry in found)
    assert found[1]["cells_apart"] == 4
    assert found[1]["cells"][0]["itself"]["interval"][0] <= found[1]["cells"][0]["itself"]["value"]
