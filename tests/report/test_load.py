"""The part of the report under load: what planted runs give, and what is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pubsub_sim.report import load, summary
from pubsub_sim.report.display import Absent, Picture, Prose, Several, Table
from pubsub_sim.report.loaded import (
    Loaded,
    Step,
    compare_saturation,
    estimate_latency,
    estimate_saturation,
    group,
)
from pubsub_sim.report.summary import is_stale, write_summary
from pubsub_sim.report.sweep import Sweep
from pubsub_sim.results.load import LoadRecord, LoadStore
from tests.report.runs import write_sweep
from tests.results.load_runs import COSTS, a_load, an_open_loop, write_load

pytestmark = pytest.mark.xdist_group("load report")


def loaded(records: list[LoadRecord], version: str) -> Loaded:
    return next(one for one in group(records) if one.version == version)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with runs under load; whoever changes it makes another."""
    return write_load(write_sweep(tmp_path_factory.mktemp("sweeps") / "loaded", repeats=1))


def test_saturation_is_the_mean_over_sessions_of_what_each_found() -> None:
    """The plateau of each search, with a t interval; the ratio is taken within sessions, so shared drift is no part of it."""
    base, states = loaded(a_load(), "baseline"), loaded(a_load(), "states")
    found = estimate_saturation(base)
    assert found.value == pytest.approx(1000.0, abs=0.1)
    assert found.observations == 3
    assert found.value / found.low == pytest.approx(found.high / found.value)
    assert 0 < found.high - found.value < 30
    ratio = compare_saturation(states, base)
    assert ratio.value == pytest.approx(1 / 1.6, abs=0.01)
    assert ratio.high - ratio.low < 0.02
    assert {one.in_flight for one in base.saturations().values()} == {2}


def test_one_session_has_no_interval() -> None:
    """There is nothing to estimate the spread from."""
    found = estimate_saturation(loaded(a_load(sessions=1), "states"))
    assert found.is_known
    assert not found.has_interval


def test_latency_at_a_load_is_the_geometric_mean_of_the_sessions_quantiles() -> None:
    """In ms, of the runs with that load; its interval holds no latency below 0, however far sessions are apart."""
    own = loaded(a_load(), "states").of(Step(0, 75, 0.0))
    assert len(own) == 3
    assert estimate_latency(own, "p50_ns").value == pytest.approx(1.6 / 0.25, rel=1e-3)
    apart = [replace(one, numbers={"p50_ns": 10 ** (5 + number)}) for number, one in enumerate(own)]
    found = estimate_latency(apart, "p50_ns")
    assert found.value == pytest.approx(1.0)
    assert 0 < found.low < 0.1 < 10 < found.high


def test_the_table_has_a_row_per_version_in_a_fixed_order() -> None:
    """Base first and the lower bound last; saturation, latencies, fairness, queue, drops, memory."""
    table = load.tabulate([*a_load()[::-1], an_open_loop("states", 4, 90, dropped=12)])
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["`baseline`", "`states`", "`direct`", "`lower-bound`"]
    assert [row[-2] for row in table.rows] == ["0", "12", "0", "0"]
    assert table.rows[0][2:] == [
        "2",
        "1.33 / 13.3",
        "2.00 / 20.0",
        "4.00 / 40.0",
        "10.0 / 100",
        "1.000",
        "3 / 9",
        "0",
        "42.0",
    ]


def test_fairness_is_that_at_saturation() -> None:
    """One publisher with half of what the others have, in every session."""
    records = [
        replace(one, completed_by=(one.completed_by[0] // 2, *one.completed_by[1:])) if one.run.in_flight else one
        for one in a_load()
    ]
    table = load.tabulate(records)
    assert isinstance(table, Table)
    assert [float(row[7]) for row in table.rows] == [pytest.approx(4.5**2 / (5 * 4.25), abs=0.001)] * 4


def test_the_appendix_has_every_load_with_intervals() -> None:
    """A table per version, so that a page can end between two: four closed loops and four open ones in each."""
    shown = load.show_steps(a_load())
    assert isinstance(shown, Several)
    words, tables = shown.parts[::2], shown.parts[1::2]
    assert [str(one.markdown).split(",")[0] for one in words if isinstance(one, Prose)] == [
        f"`{name}`" for name in COSTS
    ]
    assert len(tables) == len(COSTS)
    table = tables[0]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == [
        *(f"{step} in flight each" for step in (1, 2, 4, 8)),
        *(f"{percent} %" for percent in (25, 50, 75, 90)),
    ]
    assert table.rows[7][3] == "10.0 (9.8\N{EN DASH}10.3)"
    assert table.rows[7][-2] == "0 / 0"


def test_the_figure_labels_every_line_and_says_what_is_drawn() -> None:
    """A panel for each of two quantiles; text is outlines, so the caption is read."""
    picture = load.draw(a_load())
    assert isinstance(picture, Picture)
    assert picture.name == "load"
    assert "5 hosts, 5 publishers, unsigned" in picture.caption
    assert "Dotted lines: throughput at saturation." in picture.caption
    assert picture == load.draw(a_load()[::-1])


def test_two_conditions_are_told_apart() -> None:
    """Each has rows of its own, and a row of panels; the one with more runs comes first."""
    signed = [
        replace(one, run=replace(one.run, sign="strict")) for one in a_load(sessions=1, versions=("baseline", "states"))
    ]
    table = load.tabulate([*signed, *a_load()])
    assert isinstance(table, Table)
    assert [row[0].split(", ")[2] for row in table.rows] == ["unsigned"] * 4 + ["signed"] * 2
    picture = load.draw([*signed, *a_load()])
    assert isinstance(picture, Picture)
    assert "unsigned" in picture.caption
    assert "; 5 hosts, 5 publishers, signed" in picture.caption
    assert "Signed" not in load.describe([*signed, *a_load()]).markdown.split("5 hosts")[0]


def test_given_rates_need_no_saturation() -> None:
    """Runs at given rates are told and drawn; what was not searched for is a dash."""
    runs = [one for one in a_load() if one.run.percent]
    records = [replace(one, run=replace(one.run, percent=0, rate=float(10 * one.run.percent))) for one in runs]
    table = load.tabulate(records)
    assert isinstance(table, Table)
    assert table.columns[3] == "p50 / p99 at 250 messages/s, ms"
    assert table.rows[0][1:3] == ["\N{EN DASH}", "\N{EN DASH}"]
    assert "open loops at given rates" in load.describe(records).markdown
    picture = load.draw(records)
    assert isinstance(picture, Picture)
    assert "Dotted lines" not in picture.caption


def test_failed_runs_are_counted_and_in_no_estimate() -> None:
    """With their sentences in the appendix."""
    failed = LoadRecord(run=replace(a_load()[0].run, session=9), outcome="crashed", error="it was killed by SIGKILL")
    records = [*a_load(), failed]
    assert estimate_saturation(loaded(records, "baseline")).observations == 3
    assert "of which 1 failed" in load.describe(records).markdown
    table = load.tabulate_failures(records)
    assert isinstance(table, Table)
    assert table.rows == [["`baseline`", "1 in flight each", "9", "crashed", "it was killed by SIGKILL"]]


@pytest.mark.parametrize("records", [[], [LoadRecord(run=a_load()[0].run, outcome="failed", error="no")]])
def test_without_runs_everything_is_left_out(records: list[LoadRecord]) -> None:
    """A report has no section then."""
    shown = [load.describe(records), load.tabulate(records), load.show_steps(records), load.draw(records)]
    assert all(isinstance(one, Absent) for one in shown)
    assert isinstance(load.tabulate_failures([]), Absent)


def test_the_summary_has_every_number(sweep: Path) -> None:
    """Of each version and load; it is JSON, and there only for a sweep that has runs under load."""
    runs = Sweep.load(sweep)
    told = json.loads(write_summary(runs))["load"]
    assert (told["runs"], told["failed"], told["sessions"], told["growth"]["value"]) == (96, 0, 3, 5)
    states = next(one for one in told["versions"] if one["version"] == "states")
    assert states["saturation"]["value"] == pytest.approx(1000 / 1.6, rel=0.01)
    assert states["saturation_ratio"]["interval"][1] < 0.7
    assert states["over"] == "baseline"
    at_90 = next(step for step in states["steps"] if step["percent"] == 90)
    assert at_90["p99"] | {"value": 160, "interval": []} == {
        "unit": "ms",
        "value": 160,
        "interval": [],
        "observations": 3,
    }
    assert at_90["p99"]["value"] == pytest.approx(160, rel=1e-3)
    assert "load" not in summary.summarise(replace(runs, under_load=()))


def test_a_changed_number_makes_the_report_stale(tmp_path: Path) -> None:
    """Be it one that no table shows."""
    sweep = write_load(write_sweep(tmp_path / "raw" / "loaded", repeats=1))
    out = tmp_path / "report"
    out.mkdir()
    (out / summary.FILE).write_text(write_summary(Sweep.load(sweep)), encoding="utf-8")
    assert not is_stale(out, tmp_path / "raw")
    one = a_load()[0]
    LoadStore(sweep).write(replace(one, numbers=one.numbers | {"sent": one.numbers["sent"] + 1}))
    assert is_stale(out, tmp_path / "raw")
