"""Where the engine differs from asyncmachine-go 0.19 on purpose: one test or more per row of `asyncmachine.differences`."""

from __future__ import annotations

import re
from pathlib import Path

import asyncmachine.differences


def test_every_numbered_difference_has_a_test() -> None:
    """The table names exactly the quirks that are tested in this folder."""
    described = set(re.findall(r"^(Q-\d\d)", asyncmachine.differences.__doc__ or "", re.MULTILINE))
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    tested = {f"Q-{digits}" for text in texts for digits in re.findall(r"^def test_q(\d\d)_", text, re.MULTILINE)}
    assert described == tested
