"""The field: ratios to yardsticks."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubsub_sim.report import field, origins, summary
from pubsub_sim.report.show import Prose, Table
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Two versions, a floor of half the cost, and somebody else's implementation of ten times."""
    return Sweep.load(write_sweep(tmp_path / "mine", field={"floor": 0.5, "another": 10.0}))


def test_everybody_stands_beside_the_floor(sweep: Sweep) -> None:
    """A row per condition: the floor's time per RPC, then ratios with intervals, our own versions first."""
    table = field.beside(sweep, "floor")
    assert isinstance(table, Table)
    assert list(table.columns[4:]) == ["`floor`, µs per RPC", "`baseline`", "`states`", "`another`"]
    assert [row[2:4] for row in table.rows] == [
        ["asyncio", "none"],
        ["asyncio", "strict"],
        ["uvloop", "none"],
        ["uvloop", "strict"],
    ]
    low_high = "({0}\N{EN DASH}{0})"
    assert table.rows[0][5:] == [f"{r} {low_high.format(r)}" for r in ("2.00", "2.40", "20.00")]
    assert table.rows[0][4].startswith("0.25")


def test_field_mixes_with_nothing_else(sweep: Sweep) -> None:
    """Other loops and signings are no mixed conditions, and neither versions nor medians of the sweep know of the field."""
    assert sweep.versions == ("baseline", "states")
    assert len(sweep.runs) == 24
    assert len(sweep.field) == 4 * 4 * 3
    assert sweep.conditions()["loop"] == "uvloop"
    assert dict(tuple(row) for row in origins.provenance(sweep).rows)["runs"].endswith(", 48 beside yardsticks")


def test_summary_holds_the_field(sweep: Sweep) -> None:
    """Another program finds each condition's time per RPC with its unit, and the ratio to the floor."""
    found = [entry for entry in summary.summarise(sweep)["field"] if entry["version"] == "another"]
    assert len(found) == 4
    assert all(entry["over_floor"]["value"] == pytest.approx(20) for entry in found)
    assert {(entry["unit"], entry["hosts"], entry["messages"]) for entry in found} == {("µs", 5, 20)}


def test_sweep_without_a_field_says_so(tmp_path: Path, sweep: Sweep) -> None:
    """No empty table; the same for a yardstick that was not run."""
    without = Sweep.load(write_sweep(tmp_path / "without"))
    assert field.beside(without, "floor") == Prose("This sweep has no runs of `floor`.")
    assert field.beside(sweep, "direct") == Prose("This sweep has no runs of `direct`.")
    assert field.failures(without) == Prose("This sweep has no runs beside yardsticks.")
    text = field.failures(sweep).markdown
    assert text.startswith("0 of the 48 runs of the field failed.")
    assert "- `another`: the another one." in text
