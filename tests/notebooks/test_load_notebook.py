"""The notebook under load, executed with tiny parameters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.execution import as_text, execute
from tests.notebooks.in_process import execute_here

pytestmark = pytest.mark.xdist_group("kernels")

TINY: dict[str, Any] = {
    "versions": ["baseline", "states"],
    "hosts": 2,
    "loads": [30, 60],
    "most_in_flight": 1,
    "sessions": 1,
    "duration_s": 0.2,
    "warmup_s": 0.0,
    "sign": "none",
    "loop": "asyncio",
    "progress": "lines",
    "share": True,
}


def test_executed_notebook_measures_stores_and_shows(tmp_path: Path) -> None:
    """In a kernel, by papermill: a search and two open loops per version, a table, a curve, no failure; then all is kept."""
    folder = tmp_path / "runs"
    cells = execute("7_under_load", tmp_path / "out.ipynb", **TINY, out=str(folder))
    assert "6 runs (6 ok): 6 measured now, 0 kept" in as_text(cells["measure"])
    assert "`states` at " in as_text(cells["describe"], "text/markdown")
    assert re.search(r"^\| `baseline` \| [\d,]+", as_text(cells["table"], "text/markdown"), re.MULTILINE)
    assert "<svg" in as_text(cells["curve"], "image/svg+xml")
    assert "No run under load failed." in as_text(cells["failures"], "text/markdown")
    again = execute_here("7_under_load", **TINY | {"measure": False}, out=str(folder))
    assert "6 runs (6 ok): 0 measured now, 6 kept" in as_text(again["measure"])
    assert as_text(again["table"], "text/markdown") == as_text(cells["table"], "text/markdown")


def test_the_rate_is_a_parameter(tmp_path: Path) -> None:
    """Open loops at given rates, without a search."""
    rates: dict[str, Any] = TINY | {"loads": [], "rates": [200, 400], "versions": ["floor"]}
    cells = execute_here("7_under_load", **rates, out=str(tmp_path))
    assert "2 runs (2 ok)" in as_text(cells["measure"])
    assert "p50 / p99 at 200 messages/s, ms" in as_text(cells["table"], "text/markdown")


def test_a_folder_without_runs_is_told(tmp_path: Path) -> None:
    """Every cell runs all the same."""
    cells = execute_here("7_under_load", **TINY | {"measure": False}, out=str(tmp_path / "none"))
    assert "There are no runs under load that ended well." in as_text(cells["describe"], "text/markdown")
