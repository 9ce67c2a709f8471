"""What the README shows works as shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[f"snippet {i}" for i in range(len(SNIPPETS))])
def test_a_python_snippet_runs(snippet: str, tmp_path: Path) -> None:
    """In a fresh interpreter and an empty folder, with warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"# (\(.*\))$", snippet, flags=re.MULTILINE)
    for line in shown + re.findall(r"^# prints (.*)$", snippet, flags=re.MULTILINE):
        assert line in done.stdout


def test_a_linked_file_exists() -> None:
    """Links within the repository lead somewhere."""
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert "://" in target or (ROOT / target).exists(), target


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "examples").glob("[!t]*.py")), ids=lambda path: path.name)
def test_an_example_is_shown_as_it_is(path: Path) -> None:
    """Line for line, under its name; and it stays short."""
    assert f"<code>tests/examples/{path.name}</code>" in TEXT
    assert f"```python\n{path.read_text()}```" in TEXT
    assert len(path.read_text().splitlines()) < 60
