"""The stop rule: it looks at widths, adds repeats where they are needed, and decides the same when it starts again."""

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pubsub_sim.bench.grid import one_more
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.stopping import half_width, stops
from pubsub_sim.bench.sweep import sweep
from pubsub_sim.results import RUN, Row, RunParameters, RunRecord, Store, wide

VERSIONS = ("baseline", "states")
OPTIONS = SweepOptions(hosts=(5, 10), messages=20, repeats=3, half_width=0.02, max_repeats=6, out="/nowhere")


def a_run(version: str, repeat: int, cost: float, *, hosts: int = 5, outcome: str = "ok") -> RunRecord:
    cost_ns = int(cost * 1e9)
    rows = [Row(RUN, "wall_ns", cost_ns), Row(RUN, "fixed_wait_ns", 0), Row("rand msgs", "cpu_ns", cost_ns)]
    is_ok = outcome == "ok"
    return RunRecord(
        parameters=RunParameters(version=version, hosts=hosts, messages=20, repeat=repeat),
        outcome=outcome,
        error="" if is_ok else "it broke",
        rows=(Row(RUN, "failures", int(not is_ok)), *(rows if is_ok else ())),
    )


def cell(*ratios: float, hosts: int = 5) -> list[RunRecord]:
    """Give pairs of runs with these ratios."""
    pairs = enumerate(ratios, start=1)
    return [a_run(v, n, c, hosts=hosts) for n, ratio in pairs for v, c in (("baseline", 1.0), ("states", ratio))]


def test_width_is_that_of_the_interval_of_the_ratio() -> None:
    """Two pairs with the ratios 1 and e: the interval of the median goes from 0 to 1 on the logarithmic scale."""
    assert half_width(cell(1.0, math.e), VERSIONS) == pytest.approx(0.5)
    assert half_width(cell(1.5, 1.5, 1.5), VERSIONS) == pytest.approx(0.0)
    assert half_width(cell(1.5), VERSIONS) == math.inf
    assert math.isnan(half_width([], VERSIONS))


def test_what_a_program_does_not_tell_decides_nothing() -> None:
    """A program may leave its duration out, or say 0: the width is that of what it tells."""
    told = (Row(RUN, "failures", 0), Row("rand msgs", "cpu_ns", 10**9))
    nothing = (Row(RUN, "failures", 0), Row("rand msgs", "cpu_ns", 0))
    records = cell(1.0, math.e)
    quiet = [replace(one, rows=told) if one.parameters.version == "states" else one for one in records]
    assert half_width(quiet, VERSIONS) == pytest.approx(0.0)
    mute = [replace(one, rows=nothing) if one.parameters.version == "states" else one for one in records]
    assert math.isnan(half_width(mute, VERSIONS))


def test_width_does_not_depend_on_the_order_of_the_records() -> None:
    """Whoever made the runs, and in which order they are read back: the decision is the same to the last bit."""
    chance = random.Random(5)
    records = cell(*(chance.lognormvariate(0.1, 0.1) for _ in range(20)))
    widths = {half_width(random.Random(seed).sample(records, len(records)), VERSIONS) for seed in range(4)}
    assert widths == {half_width(records, VERSIONS)}


def test_decisions_do_not_depend_on_what_the_ratios_say() -> None:
    """A cell of ratios around 1 and one of ratios around 3 with the same spread are decided alike."""
    spread = (1.0, 1.1, 1.0, 1.1)
    found = stops(OPTIONS, [*cell(*spread), *cell(*(3 * ratio for ratio in spread), hosts=10)])
    assert [stop.reason for stop in found] == ["", ""]
    assert found[0].half_width == pytest.approx(found[1].half_width, abs=1e-6)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (cell(1.2, 1.2), ""),  # narrow by luck: fewer than the least repeats
        (cell(1.2, 1.2, 1.2), "narrow"),
        (cell(1.0, 1.5, 1.2), ""),
        (cell(1.0, 1.5, 1.2, 1.0, 1.5, 1.2), "most repeats"),
        ([a_run(v, n, 1.0, outcome="failed") for n in (1, 2, 3) for v in VERSIONS], "no pair"),
    ],
)
def test_reasons(records: list[RunRecord], reason: str) -> None:
    """At least the least repeats, at most the most; in between the width decides, and nothing is hoped of failures."""
    assert stops(OPTIONS, records)[0].reason == reason


def test_only_open_cells_are_run_again() -> None:
    """One more pair for each cell that is not narrow, with the next repeat and its seed, after all runs before."""
    records = [*cell(1.2, 1.2, 1.2), *cell(1.0, 1.5, 1.2, hosts=10)]
    (pair,) = one_more(replace(OPTIONS, control=True), stops(OPTIONS, records), first=18)
    assert pair.first == 18
    assert {(run.hosts, run.repeat, run.seed) for run in pair.runs} == {(10, 4, 4)}
    assert sorted(run.kind for run in pair.runs) == ["control", "timing", "timing"]


def test_sweep_runs_on_until_it_must_stop_and_resumes_where_it_was(tmp_path: Path) -> None:
    """A width that no run reaches: every cell ends at the most repeats; a second sweep finds all of them done."""
    more: dict[str, Any] = {"hosts": 2, "messages": 1, "progress": "none", "out": str(tmp_path), "share": True}
    options = SweepOptions(repeats=2, half_width=1e-9, max_repeats=4, **more)
    assert (sweep(options).planned, sweep(options).measured) == (8, 0)
    assert sorted(wide(Store(tmp_path).load())["repeat"].unique()) == [1, 2, 3, 4]
    assert sweep(replace(options, measure=False)).kept == 8
    assert sweep(replace(options, max_repeats=5)).measured == 2


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("half_width", -0.1, "half_width: expected a share such as 0.02, or 0, got -0.1"),
        ("half_width", "2 %", "half_width: expected a share such as 0.02, or 0, got '2 %'"),
        ("max_repeats", 2, "max_repeats=2 cannot be used with repeats=3"),
    ],
)
def test_bad_rule_is_one_sentence(name: str, value: Any, sentence: str) -> None:
    """A rule that cannot be followed is refused before anything is run."""
    with pytest.raises(Exception, match=sentence):
        replace(OPTIONS, **{name: value})
