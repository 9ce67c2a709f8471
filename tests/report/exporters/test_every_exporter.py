"""What holds for all three exporters."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert.exporters import get_exporter
from nbformat import v4

EXPORTERS = ("bench-md", "typst", "offline-html")
CODE = "hidden_in_reports = 1"


def export(name: str, path: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    body, resources = get_exporter(name)(**options).from_filename(str(path))
    return body, dict(resources)


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_same_notebook_gives_the_same_bytes(name: str, stress: Path) -> None:
    """A report changes only when its outputs change: papermill gives new ids and other names to the same notebook."""
    first = export(name, stress)
    notebook = nbformat.read(stress, 4)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"other-{number}"
    other = stress.with_name("other.ipynb")
    nbformat.write(notebook, other)
    for again in (export(name, stress), export(name, other)):
        assert again[0] == first[0]
        assert again[1].get("outputs") == first[1].get("outputs")


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_notebook_stays_as_it_is(name: str, stress: Path) -> None:
    """One notebook is exported three times, so no exporter may change it."""
    notebook = nbformat.read(stress, 4)
    before = copy.deepcopy(notebook)
    get_exporter(name)().from_notebook_node(notebook, {"metadata": {"path": str(stress.parent)}})
    assert notebook == before


@pytest.mark.parametrize("name", ["bench-md", "offline-html"])
def test_cells_for_the_person_who_runs_the_notebook_are_left_out(name: str, stress: Path) -> None:
    """Parameters and removed cells are no part of a report."""
    body, _ = export(name, stress, exclude_input=False)
    assert not re.search("SECRET_PARAMETER|INJECTED|REMOVED", body)


@pytest.mark.parametrize("name", EXPORTERS)
def test_code_is_left_out_unless_asked_for(name: str) -> None:
    """A reader of the report sees results; --no-input is the default."""
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# T"), v4.new_code_cell(CODE)])
    without, _ = get_exporter(name)().from_notebook_node(notebook)
    with_code, _ = get_exporter(name)(exclude_input=False).from_notebook_node(notebook)
    assert len(with_code) > len(without)
    if isinstance(without, str):
        assert "hidden_in_reports" not in without
        assert "hidden_in_reports" in with_code


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_empty_notebook_can_be_exported(name: str) -> None:
    """Nothing to say is no error."""
    body, _ = get_exporter(name)().from_notebook_node(v4.new_notebook())
    assert body
