"""Runs without time slices, as a check of those with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubsub_sim.report import summary, whole_runs
from pubsub_sim.report.display import Absent, Several
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep


def test_slices_that_favour_a_version_are_found(tmp_path: Path) -> None:
    """In time slices `states` costs 20 % more and without them 32 %: a tenth more, with an interval."""
    sweep = Sweep.load(write_sweep(tmp_path, sessions=3, repeats=2, control=False, whole=1.32))
    cpu = next(one for one in whole_runs.check(sweep) if one.quantity.name == "cpu")
    assert (cpu.cells, cpu.pairs) == (1, 6)
    assert (cpu.sliced.value, cpu.whole.value) == pytest.approx((1.2, 1.32), rel=1e-3)
    assert cpu.quotient.value == pytest.approx(1.1, rel=1e-3)
    assert cpu.quotient.low > 1
    shown = whole_runs.show(sweep)
    assert isinstance(shown, Several)
    assert "6 pairs" in shown._repr_mimebundle_()["text/markdown"]
    assert len(summary.summarise(sweep)["whole_runs"]) == 2


def test_whole_runs_are_in_no_other_number(tmp_path: Path) -> None:
    """They are compared with each other only."""
    with_them = Sweep.load(write_sweep(tmp_path / "with", sessions=2, repeats=1, whole=5.0))
    without = Sweep.load(write_sweep(tmp_path / "without", sessions=2, repeats=1))
    assert len(with_them.runs) == len(without.runs)
    one, other = (summary.summarise(sweep)["geometric_means"] for sweep in (with_them, without))
    assert one == other


def test_sweep_without_them_says_so(tmp_path: Path) -> None:
    """The section is left out."""
    sweep = Sweep.load(write_sweep(tmp_path, repeats=1))
    assert whole_runs.check(sweep) == []
    assert isinstance(whole_runs.show(sweep), Absent)
