"""What is computed of samples: costs, ratios inside rounds, and the contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asyncmachine.benchmark.__main__ import main
from asyncmachine.benchmark.contract import CONTRACT, PACE_NS, Clause
from asyncmachine.benchmark.figures import Figure, costs, judged, times_ours
from asyncmachine.benchmark.rounds import Results, one_sample, run
from asyncmachine.benchmark.text import number, shown
from asyncmachine.benchmark.timing import Effort

QUICK = Effort(batch_s=0.0005, batches=1)
BY_OWN = {clause.own + clause.over: clause for clause in CONTRACT}


def results(**rounds: list[tuple[int, int] | str]) -> Results:
    """Make results of name to (amount, count) per round, or to the sentence of a failure."""
    samples: list[dict[str, Any]] = []
    for name, entries in rounds.items():
        for at, entry in enumerate(entries, start=1):
            outcome, error = ("failed", entry) if isinstance(entry, str) else ("ok", "")
            amount, count = (0, 0) if isinstance(entry, str) else entry
            samples.append(
                {
                    "round": at,
                    "order": len(samples),
                    "workload": name.replace("_", "-"),
                    "outcome": outcome,
                    "error": error,
                    "amount": amount,
                    "count": count,
                }
            )
    names = tuple(dict.fromkeys(entry["workload"] for entry in samples))
    return Results(rounds=3, effort=Effort(), names=names, samples=tuple(samples), environment={})


def clause(own: str, over: str = "") -> Clause:
    return BY_OWN[own + over]


def test_costs_are_per_event_and_round() -> None:
    """Amount over count, only of what was measured."""
    found = results(bare=[(200, 2), "it broke", (900, 3)])
    assert costs(found, "bare") == {1: 100.0, 3: 300.0}


def test_ratios_are_taken_inside_rounds() -> None:
    """A slow round slows both sides and leaves the ratio alone; a round with one side only does not count."""
    found = results(
        bare=[(100, 1), (1000, 1), (100, 1)], transitions_toggle=[(3000, 1), (30_000, 1), "it was not there"]
    )
    verdict = judged(found, clause("bare", "transitions-toggle"))
    assert verdict.figure == Figure(30.0, 30.0, 30.0)
    assert (verdict.bar, verdict.passes, verdict.is_clear) == (20, True, True)
    assert times_ours(found, "transitions-toggle") == Figure(30.0, 30.0, 30.0)


@pytest.mark.parametrize(
    ("theirs", "passes", "is_clear"), [(2100, True, True), (1999, False, False), (1500, False, True)]
)
def test_a_bar_from_below_is_judged_by_the_median(theirs: int, passes: bool, is_clear: bool) -> None:
    """The median decides; whether every round says the same is told beside it."""
    found = results(bare=[(100, 1)] * 3, transitions_toggle=[(theirs, 1), (theirs - 1, 1), (theirs + 1, 1)])
    verdict = judged(found, clause("bare", "transitions-toggle"))
    assert (verdict.passes, verdict.is_clear) == (passes, is_clear)


def test_times_are_compared_by_iteration() -> None:
    """A pulse is one event of one iteration, the pair two: the bar is on whole iterations."""
    found = results(pulse=[(240, 1)] * 3, enter_and_state=[(200, 2)] * 3)
    verdict = judged(found, clause("pulse", "enter-and-state"))
    assert verdict.figure is not None
    assert verdict.figure.middle == pytest.approx(1.2)
    assert verdict.passes


def test_values_and_differences_have_a_unit() -> None:
    """Bytes of a machine, and nanoseconds that a tracer adds."""
    found = results(construct_bytes=[(3_000_000, 1000)] * 3, recorder=[(1800, 2)] * 3, bare=[(300, 2)] * 3)
    assert judged(found, clause("construct-bytes")).figure == Figure(3000, 3000, 3000)
    assert judged(found, clause("construct-bytes")).passes is False
    plain = replace(clause("recorder", "bare"), pace="", pace_ns=0.0)
    assert judged(found, plain).figure == Figure(750, 750, 750)
    assert judged(found, plain).passes


@pytest.mark.parametrize("slower", [1, 3])
def test_a_bar_in_nanoseconds_is_the_same_bar_on_a_slow_machine(slower: int) -> None:
    """Figures are converted by the speed of a workload that everybody has; one without it is not judged."""
    amounts = {"recorder": [(1800 * slower, 2)], "bare": [(300 * slower, 2)], "construct": [(9_000 * slower, 1)]}
    found = results(**amounts, transitions_toggle=[(round(PACE_NS * 1000) * slower, 1000)])
    for name, over, expected in (("recorder", "bare", 750), ("construct", "", 9_000)):
        verdict = judged(found, clause(name, over))
        assert verdict.figure is not None
        assert verdict.figure.middle == pytest.approx(expected, rel=1e-6)
        assert verdict.passes
        assert judged(results(**amounts), clause(name, over)).passes is None


@pytest.mark.parametrize(("without", "passes"), [(100, True), (96, True), (90, False)])
def test_noise_is_the_bar_of_what_may_cost_nothing(without: int, passes: bool) -> None:
    """The engine with hooks may lie as far from the one without as it lies from itself, in either direction."""
    found = results(
        enter_and_state=[(200, 2)] * 3, again=[(190, 2), (200, 2), (196, 2)], without_hooks=[(2 * without, 2)] * 3
    )
    verdict = judged(found, clause("enter-and-state", "without-hooks"))
    assert verdict.bar == pytest.approx(200 / 190)
    assert verdict.passes is passes


def test_in_a_noisy_run_the_noise_is_no_excuse() -> None:
    """The bar that is the noise is never further than a tenth."""
    found = results(enter_and_state=[(200, 2)] * 3, again=[(200, 2), (400, 2), (210, 2)], without_hooks=[(150, 2)] * 3)
    verdict = judged(found, clause("enter-and-state", "without-hooks"))
    assert (verdict.bar, verdict.passes) == (1.1, False)


def test_a_clause_without_its_peer_is_neither_kept_nor_broken() -> None:
    """Nothing is said about a ratio with one side, and the reason stands in its row."""
    found = results(bare=[(100, 1)] * 3, transitions_toggle=["transitions is not installed"] * 3)
    verdict = judged(found, clause("bare", "transitions-toggle"))
    assert (verdict.figure, verdict.passes) == (None, None)
    (row,) = [line for line in shown(found).splitlines() if line.startswith("add, then remove of one state")]
    assert row.endswith("transitions is not installed")


def test_tables_show_cost_and_verdict() -> None:
    """A cost with its span and unit, how many times ours, the verdict."""
    text = shown(results(bare=[(200, 2), (220, 2), (240, 2)], transitions_toggle=[(2310, 1)] * 3))
    assert "add and remove, nothing else  mutation  110 ns (100 to 120)" in text
    assert "21 (19.2 to 23.1)" in text
    assert "at least 20" in text
    assert "pass, not in every round" in text


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.2904, "0.29"), (12.345, "12.3"), (12345.6, "12,300")])
def test_numbers_have_three_figures(value: float, text: str) -> None:
    """What noise supports."""
    assert number(value) == text


def test_a_run_interleaves_its_workloads() -> None:
    """Each round holds each workload once, in an order of its own, and says where each sample stood."""
    names = ("bare", "eval", "hand-toggle", "queue-actor")
    found = run(names, rounds=3, effort=QUICK)
    orders = [tuple(e["workload"] for e in found.samples if e["round"] == number) for number in (1, 2, 3)]
    assert all(sorted(order) == sorted(names) for order in orders)
    assert len(set(orders)) > 1
    assert [entry["order"] for entry in found.samples] == list(range(12))
    assert {entry["outcome"] for entry in found.samples} == {"ok"}


def test_compared_workloads_are_measured_one_after_the_other() -> None:
    """What a clause of the contract compares has the same machine, in whatever order the groups come."""
    names = ("async-handler", "bare", "states-20", "bare-task", "eval", "states-200")
    found = run(names, rounds=2, effort=QUICK)
    at = {(e["round"], e["workload"]): e["order"] for e in found.samples}
    for turn in (1, 2):
        for one, other in (("async-handler", "bare-task"), ("states-20", "states-200")):
            assert abs(at[turn, one] - at[turn, other]) == 1


def test_a_process_that_takes_too_long_is_a_failed_sample() -> None:
    """It is stopped, and the row says so."""
    assert one_sample("bare", QUICK, limit_s=0.001)["error"] == "the process was stopped after 0.001 s"


def test_a_process_that_says_nothing_is_a_failed_sample() -> None:
    """An unknown name breaks the process; what it said last is the reason."""
    found = one_sample("there-is-none", QUICK)
    assert found["outcome"] == "failed"
    assert found["error"] == "the process ended with status 1: KeyError: 'there-is-none'"


def test_results_are_plain_data_with_their_words() -> None:
    """Another program finds the words, units and clauses beside the samples, and only those clauses it has samples for."""
    found = results(recorder=[(1800, 2)] * 3, bare=[(300, 2)] * 3, transitions_toggle=[(9000, 1)] * 3)
    data = json.loads(json.dumps(found.to_dict()))
    assert (data["form"], data["schema"]) == ("asyncmachine-benchmark", 1)
    assert [entry["name"] for entry in data["workloads"]] == ["recorder", "bare", "transitions-toggle"]
    assert [entry["own"] for entry in data["contract"]] == ["bare", "recorder"]
    assert data["samples"][0] == results(recorder=[(1800, 2)]).samples[0]


def test_command_measures_shows_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table on stdout, the progress on stderr, everything in the file and nothing half-written beside it."""
    words = ["--rounds=2", "--only=bare,hand-toggle", "--batch-s=0.0005", f"--out={tmp_path / 'out.json'}"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "a state on and off, no callbacks  hand-written" in said.out
    assert said.err.splitlines() == ["round 1 of 2: 2 workloads", "round 2 of 2: 2 workloads"]
    assert len(json.loads((tmp_path / "out.json").read_text())["samples"]) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rounds=0"], "argument --rounds: expected a whole number of at least 1, got '0'; --help lists the flags"),
        (["--only=baer"], "there is no workload 'baer', did you mean 'bare'?"),
        (["--batch-s=-1"], "batch_s: expected a time above 0"),
        (
            ["--only=bare", "--rounds=1", "--batch-s=0.001", "--out=/proc/nowhere.json"],
            "cannot write /proc/nowhere.json",
        ),
    ],
)
def test_command_refuses_in_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, and a sentence that names the value and what was expected."""
    assert main(words) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert sentence in last


def test_a_run_ends_with_whoever_asked_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A run whose parent is gone measures nothing any more."""
    assert main(["--only=bare", "--rounds=1", f"--parent={os.getppid() + 1}"]) == 130
    assert "nothing is stored" in capsys.readouterr().err


def test_importing_the_engine_loads_no_benchmark() -> None:
    """The room stays outside until it is asked for."""
    program = "import sys, asyncmachine; sys.exit(any('benchmark' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_effort_is_kept_with_the_results() -> None:
    """A reader sees how much was done."""
    found = replace(results(bare=[(1, 1)]), effort=QUICK)
    assert found.to_dict()["effort"] == {"batch_s": 0.0005, "batches": 1}
