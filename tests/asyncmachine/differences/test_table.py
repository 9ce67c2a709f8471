"""Where the engine differs from asyncmachine-go 0.19 on purpose: one test or more per numbered row of the guide's tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_numbered_difference_has_a_test() -> None:
    """The guide names exactly the quirks that are tested in this folder."""
    section = (ROOT / "asyncmachine" / "README.md").read_text().partition("\n## Differences from asyncmachine-go\n")[2]
    described = [number for row in re.findall(r"^\| (Q-[^|]+) \|", section, re.MULTILINE) for number in row.split(", ")]
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    tested = {f"Q-{digits}" for text in texts for digits in re.findall(r"^def test_q(\d\d)_", text, re.MULTILINE)}
    assert sorted(described) == sorted(tested)
