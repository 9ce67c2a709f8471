"""The notebook that introduces the library, executed in a kernel's own running loop."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import nbformat
import pytest

import pubsub_sim
from pubsub_sim.bench.engine import EngineChoice
from pubsub_sim.results import write_engine
from tests.results.engine_runs import an_engine

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import papermill
    from traitlets.config import Config

NOTEBOOK = Path(pubsub_sim.__file__).resolve().parents[1] / "notebooks" / "1_state_machine.ipynb"


def execute(output: Path, **parameters: Any) -> dict[str, str]:
    """Run the notebook and give what each cell shows, as Markdown or text."""
    quiet = Config(KernelManager={"transport_encryption": "auto"})
    nb = papermill.execute_notebook(
        NOTEBOOK, output, parameters=parameters, cwd=output.parent, progress_bar=False, config=quiet
    )
    shown = {}
    for cell in nb.cells:
        data = [part.get("data", {"text/plain": part.get("text", "")}) for part in cell.get("outputs", ())]
        shown[cell.id] = "\n".join(part.get("text/markdown", part.get("text/plain", "")) for part in data)
    return shown


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the notebook shows of a sweep that has the engine's file."""
    place = tmp_path_factory.mktemp("notebook")
    write_engine(place / "sweep", an_engine())
    return execute(place / "out.ipynb", sweep=str(place / "sweep"))


def test_parameters_cell_is_the_choice_of_costs() -> None:
    """The parameters cell names every option once, annotated, with the option's own default."""
    (cell,) = (one for one in nbformat.read(NOTEBOOK, 4).cells if "parameters" in one.metadata.get("tags", ()))
    found = {}
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.AnnAssign)
        assert isinstance(statement.target, ast.Name)
        assert statement.value is not None
        found[statement.target.id] = ast.literal_eval(statement.value)
    assert found == {entry.name: entry.default for entry in fields(EngineChoice)}


def test_notebook_is_stored_stripped_and_short() -> None:
    """No outputs, no counts, ids of its own, and about a dozen cells of code."""
    nb = nbformat.read(NOTEBOOK, 4)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert len({cell.id for cell in nb.cells}) == len(nb.cells)
    assert nb.metadata.language_info == {"name": "python"}
    assert len(code) <= 14


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("flags", "executed (Plugged:1) [Exception:0 On:2 Warm:0]"),
        ("relations", "   add Loading canceled  ()"),
        ("relations", "   add Paused  executed  (Online:1 Paused:1)"),
        ("negotiation", "canceled canceled (Online:1)\n  loading 5 MB\nexecuted (Online:1 Loading:1)"),
        ("auto", "(Start:1 Connecting:3) - and it connects again"),
        ("multi", "['hello', 'world'] () [Exception:0 Message:4]"),
        ("contexts", "the work has ended; active now: ()"),
        ("waiting", "now with b"),
        ("errors", "  handled: OSError('disk full')\ncanceled (Exception:1 Online:1) OSError('disk full')"),
        ("cost", "4 of the 5 promises of its contract are kept"),
        ("cost-table", "| add and remove | mutation | 110 (100\N{EN DASH}120) | ns |"),
    ],
)
def test_each_cell_shows_what_its_text_says(shown: dict[str, str], cell: str, says: str) -> None:
    """What a newcomer reads beside a cell is what the cell prints."""
    assert says in shown[cell]


def test_a_sweep_without_the_engine_is_told(tmp_path: Path) -> None:
    """The rest of the notebook runs, and the end says how to measure."""
    (tmp_path / "sweep").mkdir()
    told = execute(tmp_path / "out.ipynb", sweep=str(tmp_path / "sweep"))
    assert "has no benchmark of the engine by itself" in told["cost"]


def test_costs_can_be_measured_on_the_spot(tmp_path: Path) -> None:
    """With rounds the notebook measures, here only two workloads, and shows them with their comparison."""
    told = execute(tmp_path / "out.ipynb", rounds=1, only="bare,hand-toggle")
    assert "Each workload was measured in 1 round" in told["cost"]
    assert "| a state on and off, no callbacks | hand-written | a flag |" in told["cost-table"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("swep", "x", "swep: there is no such parameter, did you mean 'sweep'?"),
        ("sweep", "there-is-none", "sweep: expected a folder in data/raw, or an absolute one, got 'there-is-none'"),
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
