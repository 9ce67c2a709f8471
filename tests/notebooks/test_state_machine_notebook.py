"""The notebook that introduces the library, executed in a kernel's own running loop."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.notebooks.execution import Executed, as_text, stored

pytestmark = pytest.mark.xdist_group("kernels")


def told(cells: dict[str, list[Any]]) -> dict[str, str]:
    """Give what each cell shows, as Markdown or text."""
    return {name: as_text(outputs, "text/markdown") for name, outputs in cells.items()}


@pytest.fixture
def shown(executed: Callable[[str], Executed]) -> dict[str, str]:
    """What the notebook shows."""
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
    ],
)
def test_each_cell_shows_what_its_text_says(shown: dict[str, str], cell: str, says: str) -> None:
    """What a newcomer reads beside a cell is what the cell prints."""
    assert says in shown[cell]


@pytest.mark.parametrize("cell", ["flags", "relations", "auto", "steps"])
def test_machines_and_steps_are_shown_as_pictures(executed: Callable[[str], Executed], cell: str) -> None:
    """As SVG, which every viewer of notebooks shows."""
    assert as_text(executed("1_state_machine").outputs[cell], "image/svg+xml").rstrip().endswith("</svg>")


def test_notebook_needs_the_library_alone() -> None:
    """Of what it imports, only asyncmachine is no part of Python; the simulator need not be installed."""
    imported = set()
    for cell in stored("1_state_machine").cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add(str(node.module).split(".")[0])
    assert imported - sys.stdlib_module_names == {"asyncmachine"}
