"""What the report says of whole, broken and tiny sweeps: sentences and tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pubsub_sim.report import provenance_tables, published, tables, text
from pubsub_sim.report.display import Absent, Prose, Table
from pubsub_sim.report.formatting import format_ratio_value
from pubsub_sim.report.options import reference_file
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import estimate_over_grid, pair_version
from pubsub_sim.report.sweep import Sweep
from tests.report.runs import write_sweep

pytestmark = pytest.mark.xdist_group("sentences")

REFERENCE = reference_file("published-2024")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two versions, two by two cells, three repeats and a control."""
    return Sweep.load(write_sweep(tmp_path_factory.mktemp("whole") / "whole"))


def test_headline_holds_ratios_intervals_and_the_control(whole: Sweep) -> None:
    """Both ratios, each with its interval, the conditions, and a version against itself."""
    said = text.describe_headline(whole).markdown
    for name in HEADLINE:
        ratio = estimate_over_grid(pair_version(whole, "states", QUANTITIES[name]))
        assert f"**{format_ratio_value(ratio.value)} times** the" in said
    assert said.count("95 % interval") == 2
    assert "4 cells" in said
    for condition in ("floodsub", "in-memory", "uvloop", "every message signed"):
        assert condition in said
    assert "against itself gives 1.01 (" in said


def test_the_way_of_estimating_is_told_with_its_numbers(whole: Sweep) -> None:
    """How sure an interval is, of how many samples, and to how many figures; no placeholder is left standing."""
    said = text.describe_estimation(whole).markdown
    for fact in ("95 %", "4,000", "3 significant figures", "one session"):
        assert fact in said
    assert "{" not in said


def test_intervals_over_sessions_say_what_they_cover(tmp_path: Path) -> None:
    """Other sessions, and no other machine; a sweep of one session covers only that."""
    sweep = Sweep.load(write_sweep(tmp_path / "several", sessions=3, repeats=1, hosts=(5,)))
    assert "over the means of 3 sessions" in text.describe_headline(sweep).markdown
    assert "3 sessions" in text.describe_estimation(sweep).markdown
    one = Sweep.load(write_sweep(tmp_path / "one", hosts=(5,)))
    assert "this one session only" in text.describe_headline(one).markdown


def test_headline_without_a_control_says_so(tmp_path: Path) -> None:
    """A ratio that nothing stands beside is not left to look as if something did."""
    said = text.describe_headline(Sweep.load(write_sweep(tmp_path, control=False))).markdown
    assert "no control" in said
    assert "against itself gives" not in said


def test_headline_has_the_count_beside_the_times(tmp_path: Path) -> None:
    """Calls of instrumented runs, with their interval."""
    said = text.describe_headline(Sweep.load(write_sweep(tmp_path, watched=True))).markdown
    assert "1.20 times the calls" in said
    assert said.endswith("(95 % interval 1.20\N{EN DASH}1.20).")


def test_instrumented_runs_are_told_apart_from_timed_ones(tmp_path: Path) -> None:
    """Runs that were slowed down are in no median of a time; their quantities have tables of their own."""
    sweep = Sweep.load(write_sweep(tmp_path, watched=True))
    assert len(sweep.runs) == 24
    assert len(sweep.watched) == 3 * 24
    assert dict(tuple(row) for row in provenance_tables.tabulate_provenance(sweep).rows)["runs"] == (
        "24 runs compared, 12 control runs, 24 for calls, 24 for turns of the event loop, 24 for memory"
    )
    table = tables.tabulate_medians(sweep, "calls")
    assert table.rows[0] == ["5", "20", "10,000", "12,000", "1.20 (1.20\N{EN DASH}1.20)", "+2,000"]
    assert tables.tabulate_medians(sweep, "lag").columns[-1] == "from paired differences, ms"
    shown = tables.tabulate_instrumented(sweep, "allocated", "freed")._repr_mimebundle_()["text/markdown"]
    assert "**Allocated memory, traced**: " in shown
    assert "**Freed memory, traced**: " in shown
    said = text.describe_failures(sweep).markdown
    for fact in ("24 compared runs", "0 of the 12 control runs", "0 of the 72 instrumented runs"):
        assert fact in said


def test_sweep_without_watched_runs_says_so(whole: Sweep) -> None:
    """No table of dashes."""
    assert isinstance(tables.tabulate_instrumented(whole, "calls"), Absent)


def test_time_per_rpc_is_derived(whole: Sweep) -> None:
    """500 µs of processor time for 1,000 RPCs are half a microsecond each; its ratio is that of the time, and not told twice."""
    assert tables.tabulate_medians(whole, "cpu-per-rpc").rows[0][2].startswith("0.500 (")
    ratios = tables.tabulate_grid_ratios(whole)
    assert isinstance(ratios, Table)
    assert not any("per RPC" in row[0] for row in ratios.rows)


def test_headline_of_one_version_compares_nothing(tmp_path: Path) -> None:
    """A sweep of one version is described, and nothing is called a ratio."""
    sweep = Sweep.load(write_sweep(tmp_path, costs={"baseline": 1.0}))
    said = text.describe_headline(sweep).markdown
    assert "only `baseline`" in said
    assert "1.50 (1.50\N{EN DASH}1.51) ms with 5 hosts and 20 messages" in said
    assert "times" not in said


def test_headline_of_one_cell_names_the_cell(tmp_path: Path) -> None:
    """There is no mean over one cell."""
    sweep = Sweep.load(write_sweep(tmp_path, hosts=(5,), messages=(20,), repeats=2))
    said = text.describe_headline(sweep).markdown
    assert "in its only cell, 5 hosts \N{MULTIPLICATION SIGN} 20 messages" in said
    assert "mean" not in said


def test_headline_of_a_single_pair_has_no_interval(tmp_path: Path) -> None:
    """One pair says nothing about the spread, so nothing is claimed about it."""
    sweep = Sweep.load(write_sweep(tmp_path, hosts=(5,), messages=(20,), repeats=1))
    said = text.describe_headline(sweep).markdown
    assert "interval" not in said
    assert "nan" not in said


def test_sweep_of_failures_says_so(tmp_path: Path) -> None:
    """When every run failed there is a sentence and no number."""
    failing = [(version, 5, 20, 1) for version in ("baseline", "states")]
    sweep = Sweep.load(write_sweep(tmp_path, hosts=(5,), messages=(20,), repeats=1, control=False, failing=failing))
    assert "nothing to compare" in text.describe_headline(sweep).markdown
    said = text.describe_failures(sweep).markdown
    assert "1 of 1 run of `baseline` and 1 of 1 run of `states` failed" in said
    assert isinstance(tables.tabulate_grid_ratios(sweep), Prose)
    assert isinstance(tables.tabulate_phases(sweep), Prose)
    assert not any(letter.isdigit() for letter in text.describe_fixed_waits(sweep).markdown)


def test_missing_cells_are_dashes_and_are_counted(tmp_path: Path) -> None:
    """A cell that one version was not run in stays in the table, without a ratio."""
    sweep = Sweep.load(write_sweep(tmp_path, without=[("states", 10, 60)]))
    row = tables.tabulate_medians(sweep, "cpu").rows[-1]
    dash = "\N{EN DASH}"
    assert list(row[:2]) == ["10", "60"]
    assert list(row[3:]) == [dash, dash, dash]
    assert "1 combination of version, hosts and messages was not run" in text.describe_sweep(sweep).markdown


def test_failed_runs_are_listed_by_cell_and_reason(tmp_path: Path) -> None:
    """Failures of one cell that ended in the same way are one row: n of m."""
    sweep = Sweep.load(write_sweep(tmp_path, failing=[("states", 10, 60, 1), ("states", 10, 60, 2)]))
    (row,) = tables.tabulate_failures(sweep).rows
    assert row == ["`states`", "timeout", "the run was stopped at its limit", "10", "60", "2 of 3"]
    assert tables.tabulate_endings(sweep).rows == [["`baseline`", "12", "12", "0"], ["`states`", "12", "10", "2"]]


def test_medians_carry_intervals_ratios_and_differences_per_message(tmp_path: Path) -> None:
    """5 hosts and 20 messages take 25 µs a message at cost 1, so the difference at cost 1.2 is 5 µs."""
    table = tables.tabulate_medians(Sweep.load(write_sweep(tmp_path, control=False)), "cpu")
    assert list(table.columns) == [
        "hosts",
        "messages",
        "`baseline`, ms",
        "`states`, ms",
        "from paired ratios, `states` / `baseline`",
        "from paired differences, µs per message",
    ]
    assert table.rows[0][2:] == [
        "0.500 (0.495\N{EN DASH}0.510)",
        "0.600 (0.594\N{EN DASH}0.612)",
        "1.20 (1.20\N{EN DASH}1.20)",
        "+5.00",
    ]


def test_counts_are_exact(whole: Sweep) -> None:
    """Tasks are counted, not estimated."""
    assert tables.tabulate_medians(whole, "tasks-created").rows[0][2] == "70"


def test_machines_are_those_the_version_described(whole: Sweep) -> None:
    """States, flags and relations come from the footers of the runs, bars in names escaped."""
    shown = provenance_tables.show_machines(whole)._repr_mimebundle_()["text/markdown"]
    assert "**`states`: pubsub host, 2 states**" in shown
    assert "| Ready | auto, multi | requires Start; adds A\\|B |" in shown
    assert provenance_tables.tabulate_versions(whole).rows[0] == ["`baseline`", "the baseline one", "none"]


def test_machines_are_drawn_as_the_version_described_them(whole: Sweep) -> None:
    """One picture per version, each machine under its name; who draws is given the description as it is."""
    drawn = '<svg width="40pt" height="20pt" viewBox="0 0 40 20"><title>{}</title></svg>'
    (picture,) = provenance_tables.draw_machines(whole, lambda machine: drawn.format(machine["name"]))
    assert picture.name == "machines-states"
    assert "pubsub host, 2 states" in picture.caption
    root = ElementTree.fromstring(picture.svg)
    ((inner,), (name,)) = (root.findall(f"{{*}}{tag}") for tag in ("svg", "text"))
    assert (inner.get("width"), inner.get("height"), inner.get("viewBox")) == ("40", "20", "0 0 40 20")
    assert name.text == "pubsub host, 2 states"


def test_provenance_is_shown_without_the_place_of_the_files(whole: Sweep) -> None:
    """Commit, machine and versions are there; a folder of this machine is not."""
    rows = dict(tuple(row) for row in provenance_tables.tabulate_provenance(whole).rows)
    assert rows["sweep"] == "whole"
    assert rows["commit"] == "0123456789ab"
    assert rows["runs"] == "24 runs compared, 12 control runs"
    assert not any("/" in value for value in rows.values())
    few = dict(tuple(row) for row in provenance_tables.tabulate_provenance(whole, "commit").rows)
    assert few == {name: rows[name] for name in ("sweep", "runs", "commit")}
    assert set(provenance_tables.MAIN_FACTS) < set(provenance_tables.FACTS)


def test_layouts_are_in_the_order_of_the_sessions(whole: Sweep) -> None:
    """As numbers, so that session 10 comes last; without stored layouts there is no table."""
    layouts = [{"session": number, "hash_seed": 7, "padding_bytes": 90} for number in (10, 2, 1)]
    table = provenance_tables.tabulate_layouts(replace(whole, provenance={**whole.provenance, "layout": layouts}))
    assert isinstance(table, Table)
    assert list(table.columns) == ["session", "hash seed", "padding (bytes)"]
    assert table.rows == [[number, "7", "90"] for number in ("1", "2", "10")]
    assert isinstance(provenance_tables.tabulate_layouts(replace(whole, provenance={})), Absent)


def test_phases_are_in_the_order_of_the_run(whole: Sweep) -> None:
    """The table follows the data, not the alphabet."""
    assert [row[0] for row in provenance_tables.tabulate_phases(whole).rows] == ["init", "rand msgs"]


def test_published_figures_are_ratios_only(whole: Sweep) -> None:
    """Beside ours stand ratios around one, and no time or size of another machine."""
    shown = published.tabulate(whole, REFERENCE)
    assert isinstance(shown, Table)
    durations = [row for row in shown.rows if row[0].startswith("duration")]
    assert [row[1] for row in durations] == ["5", "10", "15", "20"]
    assert all(0.5 < float(row[2]) < 2.5 for row in shown.rows)
    assert durations[-1][-1] == "\N{EN DASH}"


def test_published_ratio_by_hand() -> None:
    """At 20 hosts and 20 messages the published durations are 379 and 453 ms."""
    table = published.read_ratios(REFERENCE)
    cell = table.loc[(table["metric"] == "duration") & (table["hosts"] == 20) & (table["messages"] == 20)]
    assert cell["ratio"].item() == pytest.approx(453 / 379)


def test_without_published_figures_there_is_a_sentence(whole: Sweep) -> None:
    """No reference, no table."""
    assert isinstance(published.tabulate(whole, None), Absent)
    assert isinstance(published.describe_failures(None), Absent)


def test_published_failures_are_counted() -> None:
    """Three of the states' runs failed there, none of the others."""
    said = published.describe_failures(REFERENCE).markdown
    assert "0 of 300 runs of `origin` and 3 of 300 runs of `states` failed" in said


def test_published_figures_name_their_source() -> None:
    """The dataset can be read without another file."""
    assert "# machines" in REFERENCE.read_text()
    assert "Source: https://github.com/pancsta/go-libp2p-pubsub-benchmark" in REFERENCE.read_text()
