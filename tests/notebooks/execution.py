"""The notebooks, executed: what each cell puts out, what its parameters are, and how it refuses."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

import pubsub_sim

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import papermill
    from traitlets.config import Config

FOLDER = Path(pubsub_sim.__file__).resolve().parents[1] / "notebooks"


class Executed(NamedTuple):
    """With which parameters a notebook was executed, and the outputs of each of its cells of code by the cell's id."""

    parameters: dict[str, Any]
    outputs: dict[str, list[Any]]


def stored(name: str) -> nbformat.NotebookNode:
    """Read a notebook as it is committed."""
    return nbformat.read(FOLDER / f"{name}.ipynb", 4)


def declared(name: str) -> dict[str, Any]:
    """Give what the one cell of parameters declares, each annotated: name to its default."""
    (cell,) = (one for one in stored(name).cells if "parameters" in one.metadata.get("tags", ()))
    found = {}
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.AnnAssign)
        assert isinstance(statement.target, ast.Name)
        assert statement.value is not None
        found[statement.target.id] = ast.literal_eval(statement.value)
    return found


def execute(name: str, output: Path, **parameters: Any) -> dict[str, list[Any]]:
    """Run a notebook in the folder of its output, and give the outputs of each of its own cells of code by the cell's id."""
    quiet = Config(KernelManager={"transport_encryption": "auto"})
    done = papermill.execute_notebook(
        FOLDER / f"{name}.ipynb", output, parameters=parameters, cwd=output.parent, progress_bar=False, config=quiet
    )
    own = {cell.id for cell in stored(name).cells if cell.cell_type == "code"}
    return {cell.id: _joined(cell.outputs) for cell in done.cells if cell.id in own}


def _joined(outputs: list[Any]) -> list[Any]:
    """Join what was printed in one go, which a kernel cuts as the machine is busy, and leave out the numbers of cells."""
    found: list[Any] = []
    for one in outputs:
        if one.output_type == "stream" and found and found[-1].get("name") == one.name:
            found[-1].text += one.text
        else:
            found.append(one)
            one.pop("execution_count", None)
    return found


def as_text(outputs: list[Any], kind: str = "text/plain") -> str:
    """Give outputs as one text: what was printed, and of what was shown the kind asked for, or else its plain text."""
    shown = [one.get("data", {"text/plain": one.get("text", "")}) for one in outputs]
    return "\n".join(data.get(kind, data.get("text/plain", "")) for data in shown)


def last_words(name: str, output: Path, option: str, value: str) -> list[str]:
    """Start a notebook by the command line with a parameter that ends it, and give the last two lines on stderr."""
    command = [sys.executable, "-m", "papermill", str(FOLDER / f"{name}.ipynb"), str(output), "-p", option, value]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=output.parent)
    assert done.returncode != 0
    return [line for line in done.stderr.splitlines() if line.strip()][-2:]
