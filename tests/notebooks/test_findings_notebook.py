"""The findings notebook, its cells run on tiny sweeps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.execution import as_text, stored
from tests.notebooks.in_process import execute_here
from tests.report.runs import write_sweep

FAILING = [(version, 5, 20, 1) for version in ("baseline", "states")]


def shown(**parameters: Any) -> str:
    """Run the notebook and give all that its cells show, as Markdown or text."""
    return "\n".join(as_text(cell, "text/markdown") for cell in execute_here("4_findings", **parameters).values())


def test_notebook_is_thin() -> None:
    """No cell does more than call and show."""
    assert all(len(cell.source.splitlines()) <= 8 for cell in stored("4_findings").cells if cell.cell_type == "code")


def test_no_number_stands_in_the_text() -> None:
    """What the text says in figures comes from the data; only names and commands hold digits."""
    text = "\n".join(cell.source for cell in stored("4_findings").cells if cell.cell_type == "markdown")
    words = re.sub(r"```.*?```|`[^`]*`|\[[^\]]*\]\([^)]*\)", "", text, flags=re.DOTALL)
    assert re.findall(r".*\d.*", words) == []


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ({"repeats": 2}, "**1.13 times** the duration without fixed waits"),
        ({"repeats": 2, "hosts": (5,), "messages": (20,)}, "in its only cell"),
        ({"costs": {"baseline": 1.0}}, "only `baseline`"),
        (
            {"hosts": (5,), "messages": (20,), "repeats": 1, "control": False, "failing": FAILING},
            "nothing to compare",
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
    text = shown(sweep=str(write_sweep(tmp_path / "runs", **shape)))
    assert says in text
    assert "nan" not in text.lower().replace("provenance", "")
    assert "| commit | 0123456789ab |" in text
    assert "has no benchmark of the engine" in text


def test_reference_can_be_left_out(tmp_path: Path) -> None:
    """An empty reference leaves the comparison out and says so."""
    folder = write_sweep(tmp_path / "runs", hosts=(5,), messages=(20,), repeats=1)
    assert "No published figures were requested." in shown(sweep=str(folder), reference="")
