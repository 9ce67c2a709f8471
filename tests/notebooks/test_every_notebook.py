"""What all notebooks have in common: their parameters, how they are stored, how they refuse, and that they repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pubsub_sim.bench.engine import EngineChoice
from pubsub_sim.bench.grid import SweepOptions
from pubsub_sim.recording.inside import InsideOptions
from pubsub_sim.report.options import ReportOptions
from pubsub_sim.scenarios.one_message import OneMessage
from tests.notebooks.execution import FOLDER, Executed, declared, execute, last_words, stored

pytestmark = pytest.mark.xdist_group("kernels")

OPTIONS: dict[str, Any] = {
    "1_state_machine": EngineChoice,
    "2_one_message": OneMessage,
    "3_sweep": SweepOptions,
    "4_findings": ReportOptions,
    "5_inside_a_run": InsideOptions,
}


def test_every_notebook_is_checked_here() -> None:
    """A new notebook has to keep these promises too."""
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == OPTIONS.keys()


@pytest.mark.parametrize("name", OPTIONS)
def test_parameters_cell_is_the_options_and_their_defaults(name: str) -> None:
    """The parameters cell names every option once, annotated, with its own default; two versions are the point of 2."""
    expected = {entry.name: entry.default for entry in fields(OPTIONS[name])}
    if name == "2_one_message":
        del expected["version"]
    found = {key: tuple(value) if isinstance(value, list) else value for key, value in declared(name).items()}
    assert found == expected


@pytest.mark.parametrize("name", OPTIONS)
def test_notebook_is_stored_stripped(name: str) -> None:
    """No outputs, no counts, no version of a kernel, and ids of its own."""
    notebook = stored(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert "papermill" not in notebook.metadata
    assert notebook.metadata.language_info == {"name": "python"}


@pytest.mark.parametrize(
    ("name", "option", "value", "sentence"),
    [
        ("1_state_machine", "swep", "x", "swep: there is no such parameter, did you mean 'sweep'?"),
        (
            "1_state_machine",
            "sweep",
            "there-is-none",
            "sweep: expected a folder in data/raw, or an absolute one, got 'th",
        ),
        ("2_one_message", "hots", "3", "hots: there is no such parameter, did you mean 'hosts'?"),
        ("2_one_message", "hosts", "1", "hosts: expected a whole number of at least 2, got 1"),
        ("3_sweep", "host", "5", "host: there is no such parameter, did you mean 'hosts'?"),
        ("3_sweep", "hosts", "many", "hosts: expected a whole number of at least 2, got 'many'"),
        ("3_sweep", "out", "/proc/nowhere", "cannot write results to /proc/nowhere"),
        ("4_findings", "sweeps", "x", "sweeps: there is no such parameter, did you mean 'sweep'?"),
        ("4_findings", "sweep", "there-is-none", "sweep: expected a sweep in data/raw (there "),
        ("4_findings", "sweep", "5", "sweep: expected a name, got 5"),
        ("5_inside_a_run", "recrd", "x", "recrd: there is no such parameter, did you mean 'record'?"),
        ("5_inside_a_run", "record", "there-is-none", "record: expected a record; "),
        ("5_inside_a_run", "beside", "stats", "beside: expected one of "),
    ],
)
def test_bad_parameter_ends_papermill_with_one_sentence(
    tmp_path: Path, name: str, option: str, value: str, sentence: str
) -> None:
    """Papermill only warns of names it does not know; the notebook refuses, with a status and one sentence at the end."""
    last = last_words(name, tmp_path / "out.ipynb", option, value)
    assert last[0].startswith("Exception encountered at")
    assert last[1].startswith(sentence)


@pytest.mark.parametrize("name", ["1_state_machine", "2_one_message", "4_findings", "5_inside_a_run"])
def test_two_executions_put_out_the_same(executed: Callable[[str], Executed], tmp_path: Path, name: str) -> None:
    """Of the same data every cell shows the same, figures included: nothing is left to chance, clock or object ids."""
    parameters, first = executed(name)
    assert execute(name, tmp_path / "again.ipynb", **parameters) == first
    assert sum(map(len, first.values())) > 1
