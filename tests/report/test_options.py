"""Which sweeps and datasets can be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pubsub_sim.errors import OptionError
from pubsub_sim.report import options
from pubsub_sim.report.errors import MixedConditionsError
from pubsub_sim.report.options import ReportOptions, references
from pubsub_sim.report.sweep import Sweep
from pubsub_sim.results import RunParameters, Store
from tests.report.runs import a_run, write_sweep


def test_absolute_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    """A sweep may lie anywhere."""
    folder = write_sweep(tmp_path / "runs")
    assert ReportOptions(sweep=str(folder)).folder == folder


def test_no_name_is_the_sweep_measured_here_or_else_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook opened in a fresh clone shows what was published, and later what was measured there."""
    monkeypatch.setattr(options, "sweeps_folder", lambda: tmp_path)
    published = write_sweep(tmp_path / "published")
    assert ReportOptions(reference="").folder == published
    mine = write_sweep(tmp_path / "local-default")
    assert ReportOptions(reference="").folder == mine


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"sweeep": "x"}, "sweeep: there is no such parameter, did you mean 'sweep'?"),
        ({"sweep": 3}, "sweep: expected a name, got 3"),
        ({"sweep": "nowhere"}, "sweep: expected a sweep in data/raw (there "),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(given: dict[str, Any], sentence: str) -> None:
    """The sentence names the parameter and what would have been right."""
    with pytest.raises(OptionError) as caught:
        ReportOptions.from_parameters(given)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_unknown_dataset_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    """The sentence lists the datasets; none at all is asked for by an empty name."""
    folder = str(write_sweep(tmp_path / "runs"))
    with pytest.raises(OptionError, match=r"there are .*published-2024"):
        ReportOptions(sweep=folder, reference="published-1999")
    assert ReportOptions(sweep=folder, reference="").reference_file is None
    assert "published-2024" in references()


def test_folder_without_runs_is_no_sweep(tmp_path: Path) -> None:
    """An empty folder is refused before anything is read."""
    with pytest.raises(OptionError, match="sweep: expected a sweep"):
        ReportOptions(sweep=str(tmp_path))


def test_sweep_under_mixed_conditions_is_refused(tmp_path: Path) -> None:
    """Runs with and without a warm-up are not averaged; the sentence says what to do."""
    from dataclasses import replace

    store = Store(tmp_path)
    run = a_run()
    store.write(run)
    other: RunParameters = replace(run.parameters, warmup=False)
    store.write(replace(run, parameters=other))
    with pytest.raises(MixedConditionsError, match="mixes runs with warmup False and True; measure each into"):
        Sweep.load(tmp_path)


def test_baseline_comes_first_and_foreign_versions_last(tmp_path: Path) -> None:
    """The project's own versions keep their places whoever is compared with them."""
    sweep = Sweep.load(write_sweep(tmp_path, costs={"baseline": 1.0, "states": 1.2, "a-third": 2.0}))
    assert sweep.versions == ("baseline", "states", "a-third")
