"""The findings notebook, executed on tiny sweeps."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import nbformat
import pytest

import pubsub_sim
from pubsub_sim.report.options import ReportOptions
from tests.report.runs import write_sweep

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import papermill
    from traitlets.config import Config

NOTEBOOK = Path(pubsub_sim.__file__).resolve().parents[1] / "notebooks" / "4_findings.ipynb"
FAILING = [(version, 5, 20, 1) for version in ("baseline", "states")]


def execute(output: Path, **parameters: Any) -> str:
    """Run the notebook and give all that its cells show, as Markdown or text."""
    quiet = Config(KernelManager={"transport_encryption": "auto"})
    nb = papermill.execute_notebook(
        NOTEBOOK, output, parameters=parameters, cwd=output.parent, progress_bar=False, config=quiet
    )
    data = [part.get("data", {}) for cell in nb.cells for part in cell.get("outputs", ())]
    return "\n".join(part.get("text/markdown", part.get("text/plain", "")) for part in data)


def test_parameters_cell_is_the_options_of_a_report() -> None:
    """The parameters cell names every option once, annotated, with the option's own default."""
    (cell,) = (one for one in nbformat.read(NOTEBOOK, 4).cells if "parameters" in one.metadata.get("tags", ()))
    found = {}
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.AnnAssign)
        assert isinstance(statement.target, ast.Name)
        assert statement.value is not None
        found[statement.target.id] = ast.literal_eval(statement.value)
    assert found == {entry.name: entry.default for entry in fields(ReportOptions)}


def test_notebook_is_stored_stripped_and_thin() -> None:
    """No outputs, no counts, ids of its own, and no cell that does more than call and show."""
    nb = nbformat.read(NOTEBOOK, 4)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert len({cell.id for cell in nb.cells}) == len(nb.cells)
    assert nb.metadata.language_info == {"name": "python"}
    assert all(len(cell.source.splitlines()) <= 8 for cell in code)


def test_no_number_stands_in_the_text() -> None:
    """What the text says in figures comes from the data; only names and commands hold digits."""
    text = "\n".join(cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "markdown")
    words = re.sub(r"```.*?```|`[^`]*`|\[[^\]]*\]\([^)]*\)", "", text, flags=re.DOTALL)
    assert re.findall(r".*\d.*", words) == []


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ({"repeats": 2}, "`states` takes **1.12 times** the duration without fixed waits"),
        ({"repeats": 2, "hosts": (5,), "messages": (20,)}, "in its only cell"),
        ({"costs": {"baseline": 1.0}}, "This sweep holds only `baseline`"),
        (
            {"hosts": (5,), "messages": (20,), "repeats": 1, "control": False, "failing": FAILING},
            "No run of this sweep ended well",
        ),
        (
            {"without": [("states", 10, 60)], "failing": [("states", 5, 20, 1)]},
            "1 combination of version, hosts and messages was not run",
        ),
    ],
    ids=["whole", "one cell", "one version", "all failed", "holes"],
)
def test_notebook_reads_to_its_end(tmp_path: Path, shape: dict[str, Any], says: str) -> None:
    """Whatever a sweep holds, every cell runs, and what is missing is said in words."""
    shown = execute(tmp_path / "out.ipynb", sweep=str(write_sweep(tmp_path / "runs", **shape)))
    assert says in shown
    assert "nan" not in shown.lower().replace("provenance", "")
    assert "| commit | 0123456789ab |" in shown
    assert "has no benchmark of the engine by itself" in shown


def test_reference_can_be_left_out(tmp_path: Path) -> None:
    """An empty reference leaves the comparison out and says so."""
    folder = write_sweep(tmp_path / "runs", repeats=1)
    assert "No published figures were asked for." in execute(tmp_path / "out.ipynb", sweep=str(folder), reference="")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("sweeps", "x", "sweeps: there is no such parameter, did you mean 'sweep'?"),
        ("sweep", "there-is-none", "sweep: expected a sweep in data/raw (there "),
        ("sweep", "5", "sweep: expected a name, got 5"),
    ],
)
def test_bad_parameter_ends_papermill_with_one_sentence(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    """A parameter that is unknown or cannot be used ends papermill with a status and one sentence after its banner."""
    done = subprocess.run(
        [sys.executable, "-m", "papermill", str(NOTEBOOK), str(tmp_path / "out.ipynb"), "-p", name, value],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    last = [line for line in done.stderr.splitlines() if line.strip()][-2:]
    assert last[0].startswith("Exception encountered at")
    assert last[1].startswith(sentence)
