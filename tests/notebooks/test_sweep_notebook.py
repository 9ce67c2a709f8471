"""The sweep notebook, executed with tiny parameters."""

import ast
import subprocess
import sys
import warnings
from dataclasses import fields
from pathlib import Path
from shutil import rmtree
from typing import Any

import nbformat
import pytest

import pubsub_sim
from pubsub_sim.bench.grid import SweepOptions
from pubsub_sim.results import Store, wide

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import papermill
    from traitlets.config import Config

ROOT = Path(pubsub_sim.__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "3_sweep.ipynb"
TINY: dict[str, Any] = {
    "versions": "baseline",
    "hosts": [2, 3],
    "messages": 1,
    "repeats": 1,
    "control": True,
    "progress": "lines",
}


def execute(output: Path, **parameters: Any) -> str:
    """Run the notebook and give all that its cells show, as text."""
    quiet = Config(KernelManager={"transport_encryption": "auto"})
    nb = papermill.execute_notebook(
        NOTEBOOK, output, parameters=TINY | parameters, cwd=output.parent, progress_bar=False, config=quiet
    )
    parts = [part for cell in nb.cells for part in cell.get("outputs", ())]
    return "\n".join(part.get("text", "") + part.get("data", {}).get("text/plain", "") for part in parts)


def parameters_cell() -> dict[str, Any]:
    (cell,) = (one for one in nbformat.read(NOTEBOOK, 4).cells if "parameters" in one.metadata.get("tags", ()))
    found = {}
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.AnnAssign)
        assert isinstance(statement.target, ast.Name)
        assert statement.value is not None
        found[statement.target.id] = ast.literal_eval(statement.value)
    return found


def test_parameters_cell_is_the_options_of_a_sweep() -> None:
    """The parameters cell names every option once, with the option's own default."""
    assert parameters_cell().keys() == {entry.name for entry in fields(SweepOptions)}
    assert SweepOptions.from_parameters(parameters_cell()) == SweepOptions()


def test_notebook_is_stored_without_outputs() -> None:
    """The stored notebook has no outputs, no counts and no kernel's version."""
    nb = nbformat.read(NOTEBOOK, 4)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in nb.cells if cell.cell_type == "code")
    assert "papermill" not in nb.metadata
    assert nb.metadata.language_info == {"name": "python"}


def test_executed_notebook_measures_stores_and_shows(tmp_path: Path) -> None:
    """Executed with a tiny grid, the notebook stores the runs and shows counts, medians and failures."""
    shown = execute(tmp_path / "out.ipynb", out=str(tmp_path / "runs"))
    assert len(wide(Store(tmp_path / "runs").load())) == 4
    assert "4 runs (4 ok): 4 measured now, 0 kept" in shown
    assert "wall_without_waits_ms" in shown
    assert "0 of 4 runs failed" in shown


def test_second_execution_keeps_the_runs_and_can_only_show(tmp_path: Path) -> None:
    """A second execution measures nothing again, and with measure=False it only shows."""
    execute(tmp_path / "out.ipynb", out=str(tmp_path / "runs"))
    assert "0 measured now, 4 kept" in execute(tmp_path / "out.ipynb", out=str(tmp_path / "runs"))
    assert "0 measured now, 4 kept" in execute(tmp_path / "out.ipynb", out=str(tmp_path / "runs"), measure=False)


def test_progress_is_one_updating_line(tmp_path: Path) -> None:
    """By default the notebook shows one line that is updated in place and ends complete."""
    shown = execute(tmp_path / "out.ipynb", out=str(tmp_path / "runs"), progress="auto")
    assert f"[{'#' * 30}] 4 of 4 runs, no failures" in shown
    assert shown.count("of 4 runs, no failures") == 1


def test_failed_runs_are_shown_and_do_not_stop_the_notebook(tmp_path: Path) -> None:
    """Runs over their limit end up in the table of failures with their sentence."""
    shown = execute(tmp_path / "out.ipynb", out=str(tmp_path / "runs"), messages=1_000_000, limit_s=0.2)
    assert "4 of 4 runs failed" in shown
    assert "the run was stopped at its limit" in shown


def test_relative_folder_lies_in_data_raw_wherever_papermill_started(tmp_path: Path) -> None:
    """A relative folder is the repository's data/raw/<folder>, also when papermill starts somewhere else."""
    name = "local-test-of-the-notebook"
    try:
        execute(tmp_path / "out.ipynb", out=name, hosts=2)
        assert len(Store(ROOT / "data" / "raw" / name).files()) == 2
    finally:
        rmtree(ROOT / "data" / "raw" / name, ignore_errors=True)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("host", "5", "host: there is no such parameter, did you mean 'hosts'?"),
        ("hosts", "many", "hosts: expected a whole number of at least 2, got 'many'"),
        ("out", "/proc/nowhere", "cannot write results to /proc/nowhere"),
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
