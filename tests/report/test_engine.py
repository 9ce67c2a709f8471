"""The engine's part of the report: costs, others beside it, the contract; and a sweep that has none of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asyncmachine.benchmark.contract import CONTRACT
from asyncmachine.benchmark.figures import costs as shown_costs
from asyncmachine.benchmark.figures import figure_of, judged, times_ours
from asyncmachine.benchmark.rounds import run
from asyncmachine.benchmark.timing import Effort
from pubsub_sim.report import engine as report
from pubsub_sim.report import summary
from pubsub_sim.report.build import build_report
from pubsub_sim.report.display import Absent, Picture, Table
from pubsub_sim.report.engine import compare_with_ours as reported_times
from pubsub_sim.report.engine import estimate_cost, find_workload, judge
from pubsub_sim.report.sweep import Sweep
from pubsub_sim.results import EngineFileError, EngineRecord, load_engine, write_engine
from tests.report.runs import write_sweep
from tests.results.engine_runs import COSTS, an_engine

ABSENT = {"theirs": ("absent", "transitions is not installed")}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep without the engine's file."""
    return Sweep.load(write_sweep(tmp_path_factory.mktemp("sweeps") / "bare", repeats=1))


def clause(engine: EngineRecord, operation: str) -> tuple[float, float, str]:
    found = judge(engine, next(entry for entry in engine.contract if entry.operation == operation))
    return found.figure.value, found.bar, found.verdict


def test_costs_are_medians_over_rounds_per_event() -> None:
    """Amount over count, whatever the number of iterations was."""
    found = estimate_cost(an_engine(), "bare")
    assert (found.value, found.observations) == (110.0, 3)
    assert (found.low, found.high) == (100.0, 120.0)
    assert estimate_cost(an_engine(), "bytes").value == 1000.0


def test_ratios_are_taken_inside_rounds() -> None:
    """Rounds that are slower for everybody leave a ratio without any spread."""
    found = reported_times(an_engine(), find_workload(an_engine(), "theirs"))
    assert (found.value, found.low, found.high) == (60.0, 60.0, 60.0)
    assert reported_times(an_engine(), find_workload(an_engine(), "by-hand")).value == 0.5


def test_clauses_are_judged_by_their_kind() -> None:
    """As many events, times by iteration, a value, a difference, and the noise as a bar."""
    engine = an_engine()
    assert clause(engine, "add, then remove") == (60.0, 20.0, "pass")
    assert clause(engine, "a pulse") == (2.2, 1.5, "fail")
    assert clause(engine, "memory") == (1000.0, 2048.0, "pass")
    assert clause(engine, "two handlers more") == (440.0, 500.0, "pass")
    assert clause(engine, "the same as itself") == (1.0, pytest.approx(1.01), "pass")


def test_a_bar_inside_the_interval_is_undecided() -> None:
    """Neither kept nor broken; so is a promise that was measured in one round and has no interval."""
    engine = an_engine(COSTS | {"theirs": (3900, 4600, 6000)})
    assert clause(engine, "add, then remove") == (pytest.approx(41.8, abs=0.1), 20.0, "pass")
    engine = an_engine(COSTS | {"theirs": (1900, 2300, 3000)})
    assert clause(engine, "add, then remove")[2] == "undecided"
    rows = {row[0]: row for row in report.tabulate_contract(engine).rows}
    assert rows["add, then remove"][-1] == "undecided"
    said = report.describe("bare", engine).markdown
    assert "3 pass, 1 fail and 1 are undecided" in said
    once = replace(engine, samples=tuple(sample for sample in engine.samples if sample.round == 1))
    assert {judge(once, entry).verdict for entry in once.contract} == {"undecided"}


def test_tables_hold_costs_others_and_verdicts() -> None:
    """Every workload but those that only support others, which library did the work in which version, pass and fail."""
    features, tasks, contract = (
        report.show_features(an_engine()),
        report.show_tasks(an_engine()),
        report.show_contract(an_engine()),
    )
    assert isinstance(features, Table)
    assert isinstance(tasks, Table)
    assert isinstance(contract, Table)
    assert ["add and remove", "mutation", "110 (100\N{EN DASH}120)", "ns"] in features.rows
    theirs = ["a state on and off", "transitions 0.9.3", "Machine", "6,600 (6,000\N{EN DASH}7,200)", "60.0"]
    assert theirs in tasks.rows
    assert ["a pulse", "2.20 (2.00\N{EN DASH}2.40)", "at most 1.5", "**fail**"] in contract.rows
    assert ["memory", "1,000 bytes", "at most 2,048 bytes", "pass"] in contract.rows
    assert not any("two handlers again" in cell for row in features.rows for cell in row)


def test_an_absent_library_is_a_row_that_says_so() -> None:
    """No number, no verdict, the reason in both tables."""
    engine = an_engine(failing=ABSENT)
    missing = "transitions is not installed"
    dash = "\N{EN DASH}"
    assert ["a state on and off", "transitions 0.9.3", "Machine", missing, dash] in report.tabulate_tasks(engine).rows
    assert ["add, then remove", dash, "at least 20", missing] in report.tabulate_contract(engine).rows
    said = report.describe("bare", engine).markdown
    assert "Of the 5 promises" in said
    assert "3 pass, 1 fail and 1 were not measured" in said


def test_summary_sentence_says_where_it_was_measured() -> None:
    """Promises, rounds, interpreter, processor, commit and load."""
    said = report.describe("bare", an_engine()).markdown
    for fact in ("5 promises", "4 pass", "3 rounds", "Python 3.11.7", "A Processor", "commit 0123456789ab", "0.25"):
        assert fact in said


def test_others_stand_in_one_sentence_with_the_range_of_their_ratios() -> None:
    """A library that could not be measured is not named."""
    said = report.describe_others(an_engine()).markdown
    assert "transitions 60.0 times (in 1 task)" in said
    assert "transitions" not in report.describe_others(an_engine(failing=ABSENT)).markdown


def test_a_sweep_without_the_file_says_so(bare: Sweep) -> None:
    """Plain sentences, and the command that measures it."""
    said = report.describe(bare.name, bare.engine)
    assert isinstance(said, Absent)
    assert "python -m pubsub_sim engine --out bare" in said.markdown
    for show in (
        report.show_features,
        report.show_tasks,
        report.show_contract,
        report.draw_costs,
        report.describe_others,
    ):
        assert isinstance(show(bare.engine), Absent)
    assert summary.summarise(bare)["engine"] is None


def test_figure_shows_every_task_and_is_the_same_each_time() -> None:
    """Equal data, equal bytes; a library that is absent is left out."""
    one, two = report.draw_costs(an_engine()), report.draw_costs(an_engine())
    assert isinstance(one, Picture)
    assert one == two
    assert report.draw_costs(an_engine(failing=ABSENT)) != one


def test_summary_file_has_units_and_intervals(bare: Sweep) -> None:
    """Another program finds each cost, ratio and verdict; nothing of it is NaN."""
    found = json.loads(summary.write_summary(replace(bare, engine=an_engine(failing=ABSENT))))["engine"]
    (bytes_of_one,) = [entry for entry in found["costs"] if entry["workload"] == "bytes"]
    assert (bytes_of_one["unit"], bytes_of_one["value"], bytes_of_one["interval"]) == (
        "bytes",
        1000.0,
        [1000.0, 1000.0],
    )
    by_hand = next(entry for entry in found["beside"] if entry["workload"] == "by-hand")
    assert (by_hand["unit"], by_hand["value"], by_hand["observations"]) == ("1", 0.5, 3)
    assert [entry["verdict"] for entry in found["contract"]] == [None, "fail", "pass", "pass", "pass"]
    assert found["contract"][1]["bar"] == 1.5
    theirs = next(entry for entry in found["costs"] if entry["workload"] == "theirs")
    assert (theirs["value"], theirs["error"]) == (None, "transitions is not installed")


def test_summary_is_stale_when_the_engine_was_measured_again(tmp_path: Path) -> None:
    """The engine's file belongs to the runs that the report stands for."""
    folder = write_sweep(tmp_path / "raw" / "mine", repeats=1)
    write_engine(folder, an_engine())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / summary.FILE).write_text(summary.write_summary(Sweep.load(folder)))
    assert not summary.is_stale(tmp_path / "out", tmp_path / "raw")
    write_engine(folder, an_engine(COSTS | {"bare": (400, 440, 480)}))
    assert summary.is_stale(tmp_path / "out", tmp_path / "raw")


def test_a_broken_file_ends_the_report_with_one_sentence(tmp_path: Path) -> None:
    """It is not passed over as if there were none."""
    folder = write_sweep(tmp_path / "mine", repeats=1)
    write_engine(folder, an_engine()).write_text("{")
    with pytest.raises(EngineFileError, match="does not hold a benchmark of the engine"):
        build_report(str(folder), tmp_path / "out")


def test_report_and_terminal_agree(tmp_path: Path) -> None:
    """What the benchmark prints and what the report computes from its file are the same medians and verdicts."""
    names = ("bare", "unrelated-wait", "hand-toggle", "construct-bytes", "states-20", "states-200", "recorder")
    names += ("transitions-toggle",)
    results = run(names, rounds=2, effort=Effort(batch_s=0.0005, batches=1))
    path = tmp_path / "out.json"
    path.write_text(json.dumps(results.to_dict()))
    engine = load_engine(path, {})
    for name in names:
        told = figure_of(list(shown_costs(results, name).values()))
        assert told is not None
        assert estimate_cost(engine, name).value == told.middle
    times = times_ours(results, "hand-toggle")
    assert times is not None
    assert reported_times(engine, find_workload(engine, "hand-toggle")).value == times.middle
    told_clauses = [entry for entry in CONTRACT if set(entry.workloads()) <= set(names)]
    assert [entry.operation for entry in told_clauses] == [entry.operation for entry in engine.contract]
    assert len(told_clauses) == 5
    for entry, stored in zip(told_clauses, engine.contract, strict=True):
        found = judge(engine, stored)
        if found.verdict != "undecided":
            assert judged(results, entry).passes == (found.verdict == "pass")
