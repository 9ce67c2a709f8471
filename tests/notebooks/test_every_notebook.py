"""What all notebooks have in common: their parameters, how they are stored, how they refuse, and that they repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelspec import get_kernel_dict

from pubsub_sim.bench.load_options import LoadOptions
from pubsub_sim.bench.options import SweepOptions
from pubsub_sim.bench.simulation_options import LookOptions
from pubsub_sim.notebook import NotebookError
from pubsub_sim.recording.inside import InsideOptions
from pubsub_sim.report.options import ReportOptions
from pubsub_sim.scenarios.one_message import OneMessage
from tests.notebooks.execution import FOLDER, Executed, declared, last_words, stored
from tests.notebooks.in_process import execute_here

pytestmark = pytest.mark.xdist_group("kernels")

OPTIONS: dict[str, Any] = {
    "2_one_message": OneMessage,
    "3_sweep": SweepOptions,
    "4_findings": ReportOptions,
    "5_inside_a_run": InsideOptions,
    "6_simulator": LookOptions,
    "7_under_load": LoadOptions,
}
WITHOUT_PARAMETERS = "1_state_machine"
NAMES = (WITHOUT_PARAMETERS, *OPTIONS)


def test_every_notebook_is_checked_here() -> None:
    """A new notebook has to keep these promises too."""
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", OPTIONS)
def test_parameters_cell_is_the_options_and_their_defaults(name: str) -> None:
    """The parameters cell names every option once, annotated, with its own default; two versions are the point of 2."""
    expected = {entry.name: entry.default for entry in fields(OPTIONS[name])}
    if name == "2_one_message":
        del expected["version"]
    found = {key: tuple(value) if isinstance(value, list) else value for key, value in declared(name).items()}
    assert found == expected


@pytest.mark.parametrize("name", OPTIONS)
def test_papermill_knows_every_parameter(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """It reads the parameters cell line by line, and warns of a line that it does not understand."""
    found = papermill.inspect_notebook(str(FOLDER / f"{name}.ipynb"))
    assert set(found) == set(declared(name))
    assert caplog.text == ""


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_stored_stripped(name: str) -> None:
    """No outputs, no counts, and ids of its own."""
    notebook = stored(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert "papermill" not in notebook.metadata


@pytest.mark.parametrize("name", NAMES)
def test_opening_a_notebook_changes_nothing(name: str) -> None:
    """JupyterLab writes these entries from the kernel when it opens a notebook; they are there, in the form it saves."""
    notebook = stored(name)
    assert notebook.metadata.kernelspec == {
        "display_name": get_kernel_dict()["display_name"],
        "language": "python",
        "name": "python3",
    }
    info = {**IPythonKernel.language_info, "version": notebook.metadata.language_info.version}
    assert notebook.metadata.language_info == info
    assert notebook.nbformat_minor >= 5
    assert nbformat.writes(notebook) + "\n" == (FOLDER / f"{name}.ipynb").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_each_heading_has_content(name: str) -> None:
    """A heading stands above text, a deeper heading or a cell of code."""
    cells = stored(name).cells
    for cell, following in pairwise([*cells, None]):
        last = cell.source.rstrip().splitlines()[-1]
        if cell.cell_type == "markdown" and last.startswith("#"):
            assert following is not None
            assert following.cell_type == "code" or following.source.startswith(f"{last.split()[0]}#"), last


REFUSED = [
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
    ("6_simulator", "seed", "1", "seed: there is no such parameter, did you mean 'seeds'?"),
    ("6_simulator", "moment", "x", "moment: expected a whole number of at least 0"),
    ("7_under_load", "rate", "100", "rate: there is no such parameter, did you mean 'rates'?"),
    ("7_under_load", "in_flight", "5", "in_flight: there is no such parameter, did you mean 'most_in_flight'?"),
    ("7_under_load", "loads", "none", "loads: expected a whole number of at least 1, got 'none'"),
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


def test_refusal_ends_papermill(tmp_path: Path) -> None:
    """Papermill only warns of names it does not know; a notebook refuses, with a status and one sentence at the end.

    Every notebook ends with the same error, as the test above shows, so one process states what papermill makes of it.
    """
    name, option, value, sentence = REFUSED[0]
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
