"""The page of a timeline in a real browser, opened from disk with everything outside cut off. Opt-in: `pytest -m viewers`.

Chromium is the one on the PATH; playwright is the installed one, else that of the interpreter which the variable
PLAYWRIGHT_PYTHON names. The page is driven in a process of its own, as a browser is.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asyncmachine.export.timeline import timeline
from asyncmachine.record import Record
from tests.asyncmachine.export.timelines import EVIL, play

pytestmark = [pytest.mark.viewers, pytest.mark.xdist_group("chromium")]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PYTHON = os.environ.get("PLAYWRIGHT_PYTHON") or (sys.executable if importlib.util.find_spec("playwright") else None)
DRIVER = Path(__file__).with_name("drive_timeline.py")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser shows of a page with evil names, while it is pointed at, clicked, zoomed and opened."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the PATH")
    if PYTHON is None:
        pytest.skip("playwright is not installed, and PLAYWRIGHT_PYTHON names no interpreter that has it")
    folder = tmp_path_factory.mktemp("page")
    play(folder / "run.sqlite", name=EVIL)
    with Record.open(folder / "run.sqlite") as record:
        shown = timeline(record, title=EVIL)
    shown.save(folder / "page.html")
    frame = shown._repr_mimebundle_()["text/html"]
    (folder / "framed.html").write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{frame}</body>")
    command = [PYTHON, str(DRIVER), CHROMIUM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_nothing_is_asked_for_and_nothing_fails(seen: dict[str, Any]) -> None:
    """No request leaves the page, no script fails, and no dialog opens: what a record holds is never run."""
    assert seen["requests"] == []
    assert seen["errors"] == []
    assert seen["dialogs"] == 0


def test_lanes_are_drawn(seen: dict[str, Any]) -> None:
    """The names of lanes stand there as text, and the plot has bars and marks."""
    assert EVIL in seen["names"]
    assert "Pressed" in seen["names"]
    assert seen["bars"] > 0
    assert seen["marks"] > 0
    assert seen["colours"] > 10


def test_pointing_at_a_mark_tells_what_it_is(seen: dict[str, Any]) -> None:
    """The tooltip has the transition's name; beside all marks there is none."""
    assert f"{EVIL}-2 [add] Pressed" in seen["tip"]
    assert seen["tip beside"] == ""


def test_a_click_shows_steps_cause_and_effects(seen: dict[str, Any]) -> None:
    """The details are there without a kernel, and lead to what it caused and back."""
    for words in ("What it did", "activated Pressed", "Steps", "called Pressed", "Handlers", "PressedState", "Caused"):
        assert words in seen["details"]
    assert f"{EVIL}-3 [add] On" in seen["effect"]
    assert "Cause" in seen["effect"]


def test_zoom_narrows_the_range_and_stays_within_the_run(seen: dict[str, Any]) -> None:
    """By the wheel and by the buttons; zooming out ends at the whole run."""
    (start, end), (from_, to), (first, last) = seen["range"], seen["zoomed"], seen["out"]
    assert start < from_ < to < end
    assert (to - from_) < 0.5 * (end - start)
    assert (first, last) == (pytest.approx(start), pytest.approx(end))


def test_names_open_and_close_lanes(seen: dict[str, Any]) -> None:
    """A click on a machine's name hides its states, and another one shows them again."""
    assert "Pressed" not in seen["closed"]
    assert seen["reopened"] == seen["names"]


def test_both_axes_show_the_run(seen: dict[str, Any]) -> None:
    """The axis of order has whole steps for places, the one of time seconds."""
    assert seen["order"][1] - seen["order"][0] > 10
    assert seen["time"][1] - seen["time"][0] < 10


def test_the_page_lives_in_a_frame(seen: dict[str, Any]) -> None:
    """As notebooks show it."""
    assert seen["framed"] == "yes"
