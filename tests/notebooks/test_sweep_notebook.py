"""The sweep notebook, executed with tiny parameters."""

from __future__ import annotations

import re
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from pubsub_sim.results import Store, wide
from tests.notebooks.execution import FOLDER, as_text, execute
from tests.notebooks.in_process import execute_here

pytestmark = pytest.mark.xdist_group("kernels")

TINY: dict[str, Any] = {
    "versions": "baseline",
    "hosts": [2, 3],
    "messages": 1,
    "repeats": 1,
    "control": True,
    "progress": "lines",
    "share": True,
}


def texts(cells: dict[str, list[Any]]) -> str:
    """Give all that cells show, as text."""
    return "\n".join(map(as_text, cells.values()))


def shown(**parameters: Any) -> str:
    """Run the notebook's cells and give all that they show, as text."""
    return texts(execute_here("3_sweep", **TINY | parameters))


class Measured(NamedTuple):
    """The folder of runs that the notebook made, and what its cells put out."""

    runs: Path
    cells: dict[str, list[Any]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A tiny grid, measured by the notebook in a kernel, with its usual progress; whoever changes the folder takes a copy."""
    place = tmp_path_factory.mktemp("measured")
    parameters = TINY | {"progress": "auto", "out": str(place / "runs")}
    return Measured(place / "runs", execute("3_sweep", place / "out.ipynb", **parameters))


def without_times(table: str) -> list[list[str | None]]:
    """Give the rows of an HTML table without the columns of times, which are the last two."""
    (body,) = ElementTree.fromstring(table[table.index("<table") : table.index("</div>")]).iter("tbody")
    return [[cell.text for cell in row][:-2] for row in body]


def test_two_measurements_show_the_same_but_for_times(measured: Measured, tmp_path: Path) -> None:
    """Measured twice, in two folders: the same sentence, the same cells with the same counts, the same failures."""
    one = measured.cells
    two = execute_here("3_sweep", **TINY, out=str(tmp_path / "runs 2"))
    sentences = [
        re.findall(r"\d+ runs \([^)]*\): \d+ measured now, \d+ kept", as_text(cells["measure"])) for cells in (one, two)
    ]
    assert sentences[0] == sentences[1] == ["4 runs (4 ok): 4 measured now, 0 kept"]
    assert one["failures"] == two["failures"]
    rows = [without_times(as_text(cells["overview"], "text/html")) for cells in (one, two)]
    assert rows[0] == rows[1]
    assert [row[-4:] for row in rows[0]] == [
        ["baseline", "control", "1", "0"],
        ["timing", "1", "0"],
        ["baseline", "control", "1", "0"],
        ["timing", "1", "0"],
    ]


def test_executed_notebook_measures_stores_and_shows(measured: Measured) -> None:
    """Executed with a tiny grid, the notebook stores the runs and shows counts, medians and failures."""
    text = texts(measured.cells)
    assert len(wide(Store(measured.runs).load())) == 4
    assert "4 runs (4 ok): 4 measured now, 0 kept" in text
    assert "wall_without_waits_ms" in text
    assert "0 of 4 runs failed" in text


def test_the_notebook_ends_in_a_plot(measured: Measured) -> None:
    """Of the runs that were measured, in its last cell."""
    *_, last = measured.cells
    assert last == "plot"
    assert "<svg" in as_text(measured.cells[last], "image/svg+xml")


def test_second_execution_keeps_the_runs_and_can_only_show(measured: Measured, tmp_path: Path) -> None:
    """A second execution measures nothing again, and with measure=False it only shows."""
    copytree(measured.runs, tmp_path / "runs")
    assert "0 measured now, 4 kept" in shown(out=str(tmp_path / "runs"))
    assert "0 measured now, 4 kept" in shown(out=str(tmp_path / "runs"), measure=False)


def test_progress_is_a_bar_that_ends_complete(measured: Measured) -> None:
    """By default the notebook shows tqdm's bar, whose last state counts every run and names the failures."""
    bars = re.findall(r"[^\r\n]*\[.*no failures.*\]", as_text(measured.cells["measure"]))
    assert "4/4" in bars[-1]


def test_failed_runs_are_shown_and_do_not_stop_the_notebook(tmp_path: Path) -> None:
    """Runs over their limit end up in the table of failures with their sentence."""
    text = shown(out=str(tmp_path / "runs"), messages=1_000_000, limit_s=0.2)
    assert "4 of 4 runs failed" in text
    assert "the run was stopped at its limit" in text


def test_relative_folder_lies_in_data_raw_wherever_the_notebook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative folder is the repository's data/raw/<folder>, also when a kernel was started somewhere else."""
    monkeypatch.chdir(tmp_path)
    name = "local-test-of-the-notebook"
    try:
        shown(out=name, hosts=2)
        assert len(Store(FOLDER.parent / "data" / "raw" / name).files()) == 2
    finally:
        rmtree(FOLDER.parent / "data" / "raw" / name, ignore_errors=True)
    assert not (tmp_path / name).exists()
