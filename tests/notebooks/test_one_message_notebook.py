"""The notebook that follows one message, executed."""

from __future__ import annotations

import ast
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import nbformat
import pytest

import pubsub_sim
from pubsub_sim.scenarios.one_message import OneMessage

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import papermill
    from traitlets.config import Config

NOTEBOOK = Path(pubsub_sim.__file__).resolve().parents[1] / "notebooks" / "2_one_message.ipynb"


def execute(output: Path, **parameters: Any) -> list[Any]:
    """Run the notebook and give what each cell shows."""
    quiet = Config(KernelManager={"transport_encryption": "auto"})
    nb = papermill.execute_notebook(
        NOTEBOOK, output, parameters=parameters, cwd=output.parent, progress_bar=False, config=quiet
    )
    return [part["data"] for cell in nb.cells for part in cell.get("outputs", ()) if "data" in part]


def test_parameters_cell_is_the_options_of_one_message() -> None:
    """The parameters cell names every option but the version once, annotated, with its own default."""
    (cell,) = (one for one in nbformat.read(NOTEBOOK, 4).cells if "parameters" in one.metadata.get("tags", ()))
    found = {}
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.AnnAssign)
        assert isinstance(statement.target, ast.Name)
        assert statement.value is not None
        found[statement.target.id] = ast.literal_eval(statement.value)
    assert found == {entry.name: entry.default for entry in fields(OneMessage) if entry.name != "version"}


def test_two_executions_show_the_same(tmp_path: Path) -> None:
    """Time is virtual, and nothing in the output is left to chance."""
    first, second = (execute(tmp_path / f"{n}.ipynb", hosts=2, ready=False) for n in (1, 2))
    assert first == second
    table = first[0]["text/html"]
    assert "ps-1: add PublishMessage" in table
    assert "RPC to host 1: message b&#x27;hello&#x27;" in table or "RPC to host 1: message b'hello'" in table
    assert "-bf-" not in table


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"hots": 3}, "hots: there is no such parameter, did you mean 'hosts'?"),
        ({"hosts": 1}, "hosts: expected a whole number of at least 2, got 1"),
    ],
)
def test_a_bad_parameter_ends_it_with_one_sentence(parameters: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    """Papermill only warns of names it does not know; the notebook refuses them."""
    with pytest.raises(papermill.PapermillExecutionError) as failure:
        execute(tmp_path / "out.ipynb", **parameters)
    assert failure.value.evalue == sentence
