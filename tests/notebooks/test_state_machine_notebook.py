"""The notebook that introduces the library, executed in a kernel's own running loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.execution import Executed, as_text, stored
from tests.notebooks.in_process import execute_here

pytestmark = pytest.mark.xdist_group("kernels")


def told(cells: dict[str, list[Any]]) -> dict[str, str]:
    """Give what each cell shows, as Markdown or text."""
    return {name: as_text(outputs, "text/markdown") for name, outputs in cells.items()}


def told_by(**parameters: Any) -> dict[str, str]:
    """Run the notebook's cells and give what each shows."""
    return told(execute_here("1_state_machine", **parameters))


@pytest.fixture
def shown(executed: Callable[[str], Executed]) -> dict[str, str]:
    """What the notebook shows of a sweep that has the engine's file."""
    return told(executed("1_state_machine").outputs)


def test_notebook_is_short() -> None:
    """About a dozen cells of code."""
    assert sum(cell.cell_type == "code" for cell in stored("1_state_machine").cells) <= 14


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
    cells = told_by(sweep=str(tmp_path / "sweep"))
    assert "has no benchmark of the engine by itself" in cells["cost"]


def test_costs_can_be_measured_on_the_spot() -> None:
    """With rounds the notebook measures, here only two workloads, and shows them with their comparison."""
    cells = told_by(rounds=1, only="bare,hand-toggle")
    assert "Each workload was measured in 1 round" in cells["cost"]
    assert "| a state on and off, no callbacks | hand-written | a flag |" in cells["cost-table"]
