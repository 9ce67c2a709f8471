"""What the report says of whole, broken and tiny sweeps: sentences and tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubsub_sim.report import origins, prose, published, tables
from pubsub_sim.report.options import reference_file
from pubsub_sim.report.show import Absent, Prose, Table
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep

pytestmark = pytest.mark.xdist_group("sentences")

REFERENCE = reference_file("published-2024")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two versions, two by two cells, three repeats and a control."""
    return Sweep.load(write_sweep(tmp_path_factory.mktemp("whole") / "whole"))


def test_headline_names_both_ratios_their_intervals_and_the_control(whole: Sweep) -> None:
    """Duration without fixed waits, CPU of the messages, 95 % intervals, a version against itself; then cells as a sample."""
    text = prose.headline(whole).markdown
    assert text.startswith("`states` takes **1.12 times** the duration without fixed waits (95 % interval ")
    assert "**1.20 times** the CPU time of `rand msgs` (95 % interval 1.20\N{EN DASH}1.20) of `baseline`" in text
    assert "geometric means over 4 cells" in text
    assert "`baseline` against itself gives 1.01 (" in text
    first, second = text.split(". ")
    assert "as a sample" not in first
    assert second.startswith(
        "With the cells taken for a sample of possible ones the intervals are 1.08\N{EN DASH}1.16 in "
    )


def test_the_way_of_estimating_is_told_with_its_numbers() -> None:
    """How sure an interval is, of how many samples, and to how many figures; no placeholder is left standing."""
    text = prose.estimating().markdown
    assert "95 % bootstrap intervals of 4,000 samples" in text
    assert "rounded to 3 figures" in text
    assert "{" not in text


def test_headline_without_a_control_says_so(tmp_path: Path) -> None:
    """A ratio that nothing stands beside is not left to look as if something did."""
    text = prose.headline(Sweep.load(write_sweep(tmp_path, control=False))).markdown
    assert "; this sweep has no control, a version against itself, to hold that against." in text
    assert "against itself gives" not in text


def test_headline_has_the_count_beside_the_times(tmp_path: Path) -> None:
    """Calls are named as what they are: counted, not timed."""
    text = prose.headline(Sweep.load(write_sweep(tmp_path, watched=True))).markdown
    assert text.endswith(
        " Counted instead of timed, it makes 1.20 times the calls of functions in `rand msgs` "
        "(95 % interval 1.20\N{EN DASH}1.20)."
    )


def test_watched_runs_are_told_apart_from_timed_ones(tmp_path: Path) -> None:
    """Runs that were slowed down are in no median of a time; their quantities have tables of their own."""
    sweep = Sweep.load(write_sweep(tmp_path, watched=True))
    assert len(sweep.runs) == 24
    assert len(sweep.watched) == 3 * 24
    assert dict(tuple(row) for row in origins.provenance(sweep).rows)["runs"] == (
        "24 runs compared, 12 control runs, 24 for calls, 24 for turns of the event loop, 24 for memory"
    )
    table = tables.medians(sweep, "calls")
    assert table.rows[0] == ["5", "20", "10,000", "12,000", "1.20 (1.20\N{EN DASH}1.20)", "+2,000"]
    assert tables.medians(sweep, "lag").columns[-1] == "difference, ms"
    shown = tables.watched(sweep, "allocated", "freed")._repr_mimebundle_()["text/markdown"]
    assert "**Allocated memory, traced**: " in shown
    assert "**Freed memory, traced**: " in shown
    assert prose.failures(sweep).markdown == (
        "None of the 24 runs failed. Besides, 0 of the 12 control runs and 0 of the 72 runs that were watched failed."
    )


def test_sweep_without_watched_runs_says_so(whole: Sweep) -> None:
    """No table of dashes."""
    assert tables.watched(whole, "calls") == Absent("This sweep has no runs that tell.")


def test_time_per_rpc_is_derived(whole: Sweep) -> None:
    """500 µs of processor time for 1,000 RPCs are half a microsecond each; its ratio is that of the time, and not told twice."""
    assert tables.medians(whole, "cpu-per-rpc").rows[0][2].startswith("0.500 (")
    ratios = tables.grid_ratios(whole)
    assert isinstance(ratios, Table)
    assert not any("per RPC" in row[0] for row in ratios.rows)


def test_headline_of_one_version_compares_nothing(tmp_path: Path) -> None:
    """A sweep of one version is described, and nothing is called a ratio."""
    sweep = Sweep.load(write_sweep(tmp_path, costs={"baseline": 1.0}))
    text = prose.headline(sweep).markdown
    assert text.startswith("This sweep holds only `baseline`, so nothing is compared: its median duration")
    assert "1.50 ms with 5 hosts and 20 messages" in text
    assert "times" not in text


def test_headline_of_one_cell_names_the_cell(tmp_path: Path) -> None:
    """There is no mean over one cell."""
    sweep = Sweep.load(write_sweep(tmp_path, hosts=(5,), messages=(20,), repeats=2))
    assert "in its only cell, 5 hosts \N{MULTIPLICATION SIGN} 20 messages" in prose.headline(sweep).markdown


def test_headline_of_a_single_pair_has_no_interval(tmp_path: Path) -> None:
    """One pair says nothing about the spread, so nothing is claimed about it."""
    sweep = Sweep.load(write_sweep(tmp_path, hosts=(5,), messages=(20,), repeats=1))
    text = prose.headline(sweep).markdown
    assert "interval" not in text
    assert "nan" not in text


def test_sweep_of_failures_says_so(tmp_path: Path) -> None:
    """When no run ended well there is a sentence and no number."""
    failing = [(version, 5, 20, 1) for version in ("baseline", "states")]
    sweep = Sweep.load(write_sweep(tmp_path, hosts=(5,), messages=(20,), repeats=1, control=False, failing=failing))
    assert prose.headline(sweep).markdown == "No run of this sweep ended well, so there is nothing to compare."
    assert prose.failures(sweep).markdown.startswith("1 of 1 run of `baseline` and 1 of 1 run of `states` failed")
    assert isinstance(tables.grid_ratios(sweep), Prose)
    assert isinstance(tables.phase_medians(sweep), Prose)
    assert prose.waits(sweep).markdown == "No run tells how long its fixed waits were."


def test_missing_cells_are_dashes_and_are_counted(tmp_path: Path) -> None:
    """A cell that one version was not run in stays in the table, without a ratio."""
    sweep = Sweep.load(write_sweep(tmp_path, without=[("states", 10, 60)]))
    row = tables.medians(sweep, "cpu").rows[-1]
    dash = "\N{EN DASH}"
    assert list(row[:2]) == ["10", "60"]
    assert list(row[3:]) == [dash, dash, dash]
    assert "1 combination of version, hosts and messages was not run" in prose.grid(sweep).markdown


def test_failed_runs_are_listed_by_cell_and_reason(tmp_path: Path) -> None:
    """Failures of one cell that ended in the same way are one row: n of m."""
    sweep = Sweep.load(write_sweep(tmp_path, failing=[("states", 10, 60, 1), ("states", 10, 60, 2)]))
    (row,) = tables.failures(sweep).rows
    assert row == ["`states`", "timeout", "the run was stopped at its limit", "10", "60", "2 of 3"]
    assert tables.endings(sweep).rows == [["`baseline`", "12", "12", "0"], ["`states`", "12", "10", "2"]]


def test_medians_carry_intervals_ratios_and_differences_per_message(whole: Sweep) -> None:
    """5 hosts and 20 messages take 25 µs a message at cost 1, so the difference at cost 1.2 is 5 µs."""
    table = tables.medians(whole, "cpu")
    assert list(table.columns) == [
        "hosts",
        "messages",
        "`baseline`, ms",
        "`states`, ms",
        "`states` / `baseline`",
        "difference per message, µs",
    ]
    assert table.rows[0][2:] == [
        "0.500 (0.495\N{EN DASH}0.510)",
        "0.600 (0.594\N{EN DASH}0.612)",
        "1.20 (1.20\N{EN DASH}1.20)",
        "+5.00",
    ]


def test_counts_are_exact(whole: Sweep) -> None:
    """Tasks are counted, not estimated."""
    assert tables.medians(whole, "tasks-created").rows[0][2] == "70"


def test_machines_are_those_the_version_described(whole: Sweep) -> None:
    """States, flags and relations come from the footers of the runs, bars in names escaped."""
    shown = origins.show_machines(whole)._repr_mimebundle_()["text/markdown"]
    assert "**`states`: pubsub host, 2 states**" in shown
    assert "| Ready | auto, multi | requires Start; adds A\\|B |" in shown
    assert origins.versions(whole).rows[0] == ["`baseline`", "the baseline one", "none"]


def test_a_picture_of_each_machine_is_drawn_of_what_the_version_described(whole: Sweep) -> None:
    """Each with a file name of its own and a caption; who draws is given the description as it is."""
    (picture,) = origins.machine_pictures(whole, lambda machine: f"<svg>{machine['id']}</svg>")
    assert picture.name == "machine-1-pubsub-host"
    assert picture.caption == "`states`: pubsub host, 2 states, with their relations."
    assert picture.svg == "<svg>ps-<n></svg>"


def test_provenance_is_shown_without_the_place_of_the_files(whole: Sweep) -> None:
    """Commit, machine and versions are there; a folder of this machine is not."""
    rows = dict(tuple(row) for row in origins.provenance(whole).rows)
    assert rows["sweep"] == "whole"
    assert rows["commit"] == "0123456789ab"
    assert rows["runs"] == "24 runs compared, 12 control runs"
    assert not any("/" in value for value in rows.values())


def test_phases_are_in_the_order_of_the_run(whole: Sweep) -> None:
    """The table follows the data, not the alphabet."""
    assert [row[0] for row in origins.phases(whole).rows] == ["init", "rand msgs"]


def test_published_figures_are_ratios_only(whole: Sweep) -> None:
    """Beside ours stand ratios around one, and no time or size of another machine."""
    shown = published.comparison(whole, REFERENCE)
    assert isinstance(shown, Table)
    durations = [row for row in shown.rows if row[0].startswith("duration")]
    assert [row[1] for row in durations] == ["5", "10", "15", "20"]
    assert all(0.5 < float(row[2]) < 2.5 for row in shown.rows)
    assert durations[-1][-1] == "\N{EN DASH}"


def test_published_ratio_by_hand() -> None:
    """At 20 hosts and 20 messages the published durations are 379 and 453 ms."""
    table = published.ratios(REFERENCE)
    cell = table.loc[(table["metric"] == "duration") & (table["hosts"] == 20) & (table["messages"] == 20)]
    assert cell["ratio"].item() == pytest.approx(453 / 379)


def test_without_published_figures_there_is_a_sentence(whole: Sweep) -> None:
    """No reference, no table."""
    assert published.comparison(whole, None) == Prose("No published figures were asked for.")


def test_published_failures_are_counted() -> None:
    """Three of the states' runs failed there, none of the others."""
    text = published.failures(REFERENCE).markdown
    assert (
        text == "Of the original's runs, as published, 0 of 300 runs of `origin` and 3 of 300 runs of `states` failed."
    )


def test_published_figures_name_their_source() -> None:
    """The dataset can be read without another file."""
    assert "# machines" in REFERENCE.read_text()
    assert "Source: https://github.com/pancsta/go-libp2p-pubsub-benchmark" in REFERENCE.read_text()
