"""The examples run as they stand, and print what they should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PRINTED = {
    "retrying_client.py": ["no answer, 3 tries left", "no answer, 2 tries left", "answer: 42"],
    "supervisor.py": [
        "anna says 9",
        "bert failed: invalid literal for int() with base 10: 'four'",
        "anna says 25",
        "bert says 36",
    ],
    "editor_modes.py": [
        "typed x",
        "(Open:1 Typing:1 Modified:1)",
        "toolbar appears",
        "(Open:1 Selecting:1 Modified:1 Toolbar:1)",
        "quit: refused",
        "toolbar disappears",
        "quit: done",
        "() [Exception:0 Open:2 Reading:2 Typing:2 Selecting:2 Modified:2 Saved:2 Toolbar:2]",
    ],
}


def test_every_example_is_run() -> None:
    """None is forgotten here."""
    assert {path.name for path in HERE.glob("*.py")} - {"test_examples.py"} == PRINTED.keys()


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_what_it_should(name: str) -> None:
    """In a fresh interpreter, with warnings as errors, in under 60 lines."""
    assert len((HERE / name).read_text().splitlines()) < 60
    done = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / name)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == PRINTED[name]
