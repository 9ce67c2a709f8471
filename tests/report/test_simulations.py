"""What a sweep of simulations shows: tables, figures with intervals, and the report that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pubsub_sim.bench.simulation_options import SimSweepOptions
from pubsub_sim.bench.simulations import sweep_simulations
from pubsub_sim.errors import OptionError
from pubsub_sim.report.display import Absent, Picture, Table
from pubsub_sim.report.simulation_report import SimulationReportOptions, build_simulation_report
from pubsub_sim.report.simulations import Simulations, _binned, _interval
from pubsub_sim.results import NoRunsError

pytestmark = pytest.mark.xdist_group("kernels")

SMALL: dict[str, Any] = {"duration": "20s", "peers": 5, "topics": 2, "seeds": (1, 2)}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> SimSweepOptions:
    """A sweep that was played."""
    found = SimSweepOptions(**SMALL, out=str(tmp_path_factory.mktemp("runs")), progress="none")
    assert not sweep_simulations(found).failures
    return found


def test_the_tables_tell_each_run_and_the_estimates_over_seeds(options: SimSweepOptions) -> None:
    """A row of the account per run, a row of estimates per version, with intervals; what is missed is told by reason."""
    runs = Simulations.load(options.folder, options.names())
    assert "their digests are equal" in runs.describe().markdown
    account = runs.account()
    assert [row[:2] for row in account.rows] == [
        ["`states`", "1"],
        ["`baseline`", "1"],
        ["`states`", "2"],
        ["`baseline`", "2"],
    ]
    assert all(row[-2] == "yes" for row in account.rows)
    estimates, reasons = runs.estimates(), runs.reasons()
    assert isinstance(estimates, Table)
    assert isinstance(reasons, Table)
    ours, theirs = estimates.rows
    assert ours[1:-1] == theirs[1:-1]  # all but the processor time
    assert "(" in ours[3]
    assert isinstance(runs.failures(), Absent)


def test_varied_options_are_cells(options: SimSweepOptions) -> None:
    """Where an option has several values each cell has its own estimates, and its name stands in the tables."""
    more = SimSweepOptions(
        **{**SMALL, "seeds": 1, "loss": (0.0, 0.2)}, out=options.out, progress="none", versions="states"
    )
    assert sweep_simulations(more).measured == 1
    runs = Simulations.load(more.folder, more.names())
    assert runs.varied == ["loss"]
    assert runs.account().columns[1] == "loss"
    assert [row[1] for row in runs.account().rows] == ["0.0", "0.2"]
    picture = runs.over_time("peers", "peers")
    assert isinstance(picture, Picture)
    assert "of one seed" in picture.caption


def test_a_figure_has_the_same_bytes_each_time(options: SimSweepOptions) -> None:
    """Nothing is left to chance: intervals are drawn with a seed."""
    runs = Simulations.load(options.folder, options.names())
    first, second = (runs.over_time("x", "delivered_new", "hops") for _ in range(2))
    assert first == second
    assert isinstance(first, Picture)
    assert "95 % bootstrap intervals" in first.caption


def test_stretches_are_means_and_gaps_stay_gaps() -> None:
    """A long series has at most about a hundred points; where nothing was measured there is none."""
    import pandas as pd

    frame = pd.DataFrame({"time_s": np.arange(400.0), "hops": [1.0, 3.0] * 100 + [None] * 200})
    times, values = _binned([frame], "hops")
    assert len(times) == 100
    assert (values[0, :50] == 2.0).all()
    assert np.isnan(values[0, 50:]).all()
    mean, low, high = _interval(np.array([[1.0], [3.0]]))
    assert (low[0], mean[0], high[0]) == (1.0, 2.0, 3.0)


def test_an_empty_folder_has_no_runs(tmp_path: Path, options: SimSweepOptions) -> None:
    """Said in one sentence."""
    with pytest.raises(NoRunsError):
        Simulations.load(tmp_path, options.names())


def test_a_sweep_of_failed_runs_shows_why(tmp_path: Path) -> None:
    """Nothing else of it is shown, and nothing breaks."""
    found = SimSweepOptions(
        **{**SMALL, "seeds": 1, "versions": "states"}, out=str(tmp_path), limit_s=0.01, progress="none"
    )
    sweep_simulations(found)
    runs = Simulations.load(found.folder, found.names())
    failures = runs.failures()
    assert isinstance(failures, Table)
    assert "limit of 0.01 s" in failures.rows[0][-1]
    assert isinstance(runs.estimates(), Absent)
    assert isinstance(runs.over_time("x", "peers"), Absent)
    assert runs.account().rows[0][-1] == "timeout"
    assert runs.networks() == {}


@pytest.mark.parametrize("text", ["[1]", "{1: 2}", "{", "words"])
def test_parameters_that_are_no_names_are_refused(text: str) -> None:
    """Before the notebook is started."""
    with pytest.raises(OptionError) as refused:
        SimulationReportOptions(parameters=text)
    assert "names with values" in str(refused.value)


def test_the_report_has_three_forms_and_the_same_bytes_twice(options: SimSweepOptions, tmp_path: Path) -> None:
    """Markdown with the still picture, a PDF, and an HTML page whose slider needs no kernel."""
    parameters = {**SMALL, "seeds": [1, 2], "out": options.out, "moment": 10}
    first = {path.name: path.read_bytes() for path in build_simulation_report(parameters, tmp_path / "report")}
    second = {path.name: path.read_bytes() for path in build_simulation_report(parameters, tmp_path / "report")}
    assert first == second
    assert {"simulation.md", "simulation.pdf", "simulation.html", "network.svg"} <= set(first)
    assert b"](simulation_files/network.svg)" in first["simulation.md"]
    assert b"measured now" not in first["simulation.md"]
    assert b"record of one run" not in first["simulation.md"]
    assert first["simulation.html"].count(b"Bokeh.embed.embed_item") >= 1
