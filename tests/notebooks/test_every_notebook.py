"""What all notebooks have in common: their parameters, how they are stored, how they refuse, and that they repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pubsub_sim.bench.engine import EngineChoice
from pubsub_sim.bench.grid import SweepOptions
from pubsub_sim.parameters import NotebookError
from pubsub_sim.recording.inside import InsideOptions
from pubsub_sim.report.options import ReportOptions
from pubsub_sim.scenarios.one_message import OneMessage
from tests.notebooks.execution import FOLDER, Executed, declared, last_words, stored
from tests.notebooks.in_process import execute_here

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


REFUSED = [
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
]
"""Notebook, parameter, a value that cannot be used, and how the refusal begins; first of each notebook, a name it does not know."""


@pytest.mark.parametrize(("name", "option", "value", "sentence"), REFUSED)
def test_bad_parameter_is_refused_in_one_sentence(name: str, option: str, value: str, sentence: str) -> None:
    """Names that a notebook does not know, and values that it cannot use."""
    with pytest.raises(NotebookError) as caught:
        execute_here(name, **{option: int(value) if value.isdigit() else value})
    assert caught.value.sentence.startswith(sentence)
    assert "\n" not in caught.value.sentence


@pytest.mark.parametrize(
    ("name", "option", "value", "sentence"), [next(row for row in REFUSED if row[0] == name) for name in OPTIONS]
)
def test_refusal_ends_papermill(tmp_path: Path, name: str, option: str, value: str, sentence: str) -> None:
    """Papermill only warns of names it does not know; the notebook refuses, with a status and one sentence at the end."""
    last = last_words(name, tmp_path / "out.ipynb", option, value)
    assert last[0].startswith("Exception encountered at")
    assert last[1].startswith(sentence)


@pytest.mark.parametrize("name", ["1_state_machine", "2_one_message", "5_inside_a_run"])
def test_two_executions_put_out_the_same(executed: Callable[[str], Executed], name: str) -> None:
    """Of the same data every cell shows the same, figures included: nothing is left to chance, clock or object ids.

    Once in a kernel, started by papermill, and once in this process, which is another one with other ids. Of the findings
    `tests/report/test_build.py` holds it.
    """
    parameters, first = executed(name)
    assert execute_here(name, **parameters) == first
    assert sum(map(len, first.values())) > 1
