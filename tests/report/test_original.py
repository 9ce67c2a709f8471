"""The Go original beside this project: what its stored runs give."""

from __future__ import annotations

import pytest

from pubsub_sim.report import original
from pubsub_sim.report.display import Absent, Picture, Table


def test_ratios_are_those_that_were_reported_with_the_runs() -> None:
    """Equal work in Go, and both networks here, as the report of the measurement gives them for the random messages."""
    expected = {
        "Go, equal work": [1.82, 2.02, 1.57, 1.39, 1.39],
        "here, TCP": [1.09, 1.09, 1.03, 1.02, 1.01],
        "here, in memory": [1.11, 1.10, 1.07, 1.04, 1.04],
    }
    found = original.list_sides()
    for label, ratios in expected.items():
        own = sorted((one for one in found if one.side.label == label), key=lambda one: one.cell)
        assert [one.cell for one in own] == [(5, 20), (5, 100), (10, 60), (20, 20), (20, 100)]
        assert [one.ratio.value for one in own] == pytest.approx(ratios, abs=0.011)
        assert all(one.ratio.low <= one.ratio.value <= one.ratio.high for one in own)


def test_runs_that_did_not_end_well_are_in_no_ratio() -> None:
    """The original as published hung in some blocks at 20 hosts."""
    runs = original.read_runs()
    amounts = runs.loc[runs["hosts"] == 20].groupby("arm").size()
    assert amounts["go-origin"] == 40
    assert amounts["go-origin-tcpfull"] == 52
    assert "go-states" in set(runs["arm"])


def test_every_side_says_what_it_pays_for() -> None:
    """In the caption of the figure, where the absolute times are; the table has a row for each cell and side."""
    shown = original.draw("published-2024")
    assert isinstance(shown, Picture)
    for side in original.SIDES:
        assert side.pays in shown.caption
    table = original.tabulate("published-2024")
    assert isinstance(table, Table)
    assert len(table.rows) == 5 * len(original.SIDES)
    assert len(original.summarise("published-2024")) == 5 * len(original.SIDES)


def test_report_without_published_figures_leaves_it_out() -> None:
    """Nothing of others was asked for."""
    assert isinstance(original.draw(""), Absent)
    assert isinstance(original.tabulate(""), Absent)
    assert original.summarise("") == []
