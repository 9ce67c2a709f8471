"""The summary: its numbers, and whether it still agrees with its runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pubsub_sim.report import summary
from pubsub_sim.report.sweep import Sweep
from pubsub_sim.results import Store
from tests.report.runs import a_run, failed, write_sweep

pytestmark = pytest.mark.xdist_group("summary")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two versions, two by two cells, three repeats and a control."""
    return Sweep.load(write_sweep(tmp_path_factory.mktemp("sweeps") / "mine"))


@pytest.fixture(scope="module")
def text(sweep: Sweep) -> str:
    """The summary of that sweep."""
    return summary.write_summary(sweep)


@pytest.fixture
def raw(tmp_path: Path, text: str) -> Path:
    """A folder of sweeps that holds that one, named `mine`, and its summary in `out`."""
    write_sweep(tmp_path / "raw" / "mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / summary.FILE).write_text(text)
    return tmp_path / "raw"


def test_summary_names_its_sweep_and_gives_units_and_intervals(text: str) -> None:
    """Another program finds the sweep, each number's unit and its interval."""
    found = json.loads(text)
    assert found["sweep"] == "mine"
    mean = next(e for e in found["geometric_means"] if e["quantity"] == "cpu" and e["version"] == "states")
    assert mean["value"] == pytest.approx(1.2, rel=0.01)
    assert mean["interval"][0] <= mean["value"] <= mean["interval"][1]
    assert (mean["unit"], mean["over"], mean["cells"], mean["observations"]) == ("1", "baseline", 4, 12)
    middle = next(e for e in found["medians"] if e["quantity"] == "memory")
    assert (middle["unit"], middle["value"]) == ("MiB", 35.0)


_ELSEWHERE = """
import sys
from pathlib import Path
from pubsub_sim.report import summary
from pubsub_sim.report.sweep import Sweep
sys.stdout.write(summary.write_summary(Sweep.load(Path(sys.argv[1]))))
"""


def test_summary_is_the_same_on_another_processor(sweep: Sweep, text: str, tmp_path: Path) -> None:
    """Arithmetic with other instructions, which adds up in another order, gives the same bytes.

    A sum that should be zero is 2e-16 on one processor and -5e-17 on another.
    """
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    older = {"NPY_DISABLE_CPU_FEATURES": " ".join(found), "OPENBLAS_CORETYPE": "Prescott"}
    told = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, write_sweep(tmp_path / "mine")],
        env={**os.environ, **older},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert told.stdout == text


def test_summary_holds_the_control(text: str) -> None:
    """The ratio of a version to itself is there under its own name."""
    found = json.loads(text)
    assert any(entry["version"] == entry["over"] == "baseline" for entry in found["geometric_means"])
    assert found["control"]["version"] == "baseline"
    assert found["control"].keys() == {"version", *found["headline"]}
    assert found["control"]["cpu"]["interval"][0] <= found["control"]["cpu"]["value"]


def test_summary_says_that_there_is_no_control(tmp_path: Path) -> None:
    """A program that reads the summary need not guess: null stands where the control would."""
    assert summary.summarise(Sweep.load(write_sweep(tmp_path, control=False)))["control"] is None


def test_summary_counts_failures(tmp_path: Path) -> None:
    """Runs and failed runs per version."""
    sweep = Sweep.load(write_sweep(tmp_path, failing=[("states", 5, 20, 1)]))
    found = summary.summarise(sweep)
    assert found["runs"] == {"baseline": 12, "states": 12}
    assert found["failed"] == {"baseline": 0, "states": 1}


def test_fresh_summary_is_not_stale(raw: Path) -> None:
    """Computed again from the same runs, the numbers are the same."""
    assert not summary.is_stale(raw.parent / "out", raw)


def test_packed_sweep_gives_the_same_summary(raw: Path) -> None:
    """The committed form of a sweep stands for its single files."""
    Store(raw / "mine").pack(raw.parent / "packed" / "mine")
    assert not summary.is_stale(raw.parent / "out", raw.parent / "packed")


def test_summary_is_stale_when_the_runs_change(raw: Path) -> None:
    """One run measured again, or one that failed, makes other numbers."""
    Store(raw / "mine").write(failed(a_run("states", 5, 20, 1)))
    assert summary.is_stale(raw.parent / "out", raw)


def test_summary_is_stale_when_a_number_changes_that_it_does_not_show(raw: Path) -> None:
    """One more involuntary switch in one run moves no median, and is found all the same."""
    store = Store(raw / "mine")
    run = a_run("states", 5, 20, 1, cost=1.2)
    rows = tuple(row._replace(value=row.value + (row.metric == "involuntary_switches")) for row in run.rows)
    store.write(replace(run, rows=rows))
    assert summary.is_stale(raw.parent / "out", raw)
    store.write(run)
    assert not summary.is_stale(raw.parent / "out", raw)


def test_summary_without_its_sweep_is_stale(raw: Path, tmp_path: Path) -> None:
    """What cannot be computed again is not vouched for; neither is a summary that is not there."""
    assert summary.is_stale(raw.parent / "out", tmp_path / "elsewhere")
    assert summary.is_stale(tmp_path / "elsewhere", raw)


def test_summary_holds_what_stands_beside_the_runs(sweep: Sweep, text: str) -> None:
    """Published ratios and failures of the reference by its name, growth, phases and the times per message."""
    found = summary.summarise(sweep, "published-2024")
    assert found["reference"] == "published-2024"
    assert found["published_failures"]["states"] == {"failed": 3, "runs": 300}
    assert {entry["metric"] for entry in found["published"]} >= {"duration", "allocated", "final_tasks"}
    assert {entry["axis"] for entry in found["scaling"]} == {"hosts", "messages"}
    assert {entry["phase"] for entry in found["phases"]} == {"init", "rand msgs"}
    ratio = next(entry for entry in found["ratios"] if entry["quantity"] == "cpu")
    assert ratio["difference_per_message"]["value"] == pytest.approx(5, rel=0.05)
    assert json.loads(text)["published"] == []
