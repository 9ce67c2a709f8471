"""The script of a timeline's page, run by node: it reads the data, leaves nothing out of what it draws, and tells what happened."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from asyncmachine.export.timeline import timeline
from asyncmachine.record import Record
from tests.asyncmachine.export.timelines import Page, opened, play

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no node command on the PATH")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, dict[str, Any]]:
    """A page's content, and what the script says about it."""
    folder = tmp_path_factory.mktemp("script")
    play(folder / "run.sqlite", children=14)
    with Record.open(folder / "run.sqlite") as record:
        shown = timeline(record)
    (folder / "data").write_text(shown.data.packed())
    script = folder / "timeline.js"
    script.write_text(resources.files("asyncmachine.export.timeline").joinpath("timeline.js").read_text())
    checks = Path(__file__).with_name("timeline_checks.js")
    assert NODE is not None
    done = subprocess.run(
        [NODE, str(checks), str(script), str(folder / "data")], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return opened(shown.html), json.loads(done.stdout)


def test_the_script_reads_the_columns_as_they_were_written(checked: tuple[Page, dict[str, Any]]) -> None:
    """Every number of every column."""
    page, said = checked
    assert said["columns"] == page.columns


def test_zoomed_in_every_bar_and_mark_is_drawn_by_itself(checked: tuple[Page, dict[str, Any]]) -> None:
    """Where nothing is under a pixel, nothing is merged."""
    page, said = checked
    for lane, drawn in enumerate(said["lanes"]):
        first, last = page.columns["bar_from"][lane], page.columns["bar_from"][lane + 1]
        assert drawn["fine"] == [[bar, 1] for bar in range(first, last)]
        assert drawn["marks"] == page.marks(lane)


def test_zoomed_out_the_counts_add_up(checked: tuple[Page, dict[str, Any]]) -> None:
    """Merged bars and marks say how many they stand for, and some are merged."""
    page, said = checked
    for lane, drawn in enumerate(said["lanes"]):
        assert sum(drawn["coarse"]) == len(page.bars(lane))
        assert sum(drawn["merged"]) == len(page.marks(lane))
        assert drawn["none"] == 0
    assert any(amount > 1 for drawn in said["lanes"] for amount in drawn["coarse"])
    assert any(amount > 1 for drawn in said["lanes"] for amount in drawn["merged"])


def test_only_bars_in_sight_are_drawn_and_all_of_them(checked: tuple[Page, dict[str, Any]]) -> None:
    """Those that reach into the range, wherever they begin and end."""
    page, said = checked
    xs = [place / 1000 for place in page.columns["event_place"]]
    low, high = said["middle"]
    for lane, drawn in enumerate(said["lanes"]):
        first = page.columns["bar_from"][lane]
        reaching = [
            first + place
            for place, (begin, end, _) in enumerate(page.bars(lane))
            if xs[begin] <= high and xs[end] >= low
        ]
        assert drawn["seen"] == reaching


def test_a_mark_is_found_where_it_is(checked: tuple[Page, dict[str, Any]]) -> None:
    """A pointer next to a mark hits it and no other."""
    assert all(checked[1]["found"])


def test_details_say_what_a_transition_did_and_why(checked: tuple[Page, dict[str, Any]]) -> None:
    """Outcome, states, steps, handlers, cause and effects, in words."""
    page, said = checked
    by_title = {one["title"]: {part["title"]: part["lines"] for part in one["sections"]} for one in said["described"]}
    pressed = by_title["lamp-2 [add] Pressed"]
    assert pressed["What it did"][:2] == ["executed", "activated Pressed"]
    assert "by: lamp" in pressed["Arguments"]
    assert pressed["Steps"][0] == "called Pressed"
    assert any(line.startswith("PressedState of ") for line in pressed["Handlers"])
    effects = [page.columns["event_ref"][line["event"]] for line in pressed["Caused"]]
    assert [page.header["changes"][page.columns["tx_change"][one]]["label"] for one in effects] == [
        "[add] Warm",
        "[add] On",
    ]
    refusals = [parts for parts in by_title.values() if parts["What it did"][0] == "refused by BrightEnter"]
    assert refusals
    on = [parts for title, parts in by_title.items() if title.endswith("[add] On") and title.startswith("lamp-")]
    assert any("Cause" in parts for parts in on)


def test_details_of_a_point_lead_to_what_it_followed(checked: tuple[Page, dict[str, Any]]) -> None:
    """And back from there."""
    page, said = checked
    sent, received = ({part["title"]: part["lines"] for part in one["sections"]} for one in said["points"][:2])
    events = page.columns["point_event"]
    assert sent["Was followed by"] == [{"event": events[1]}]
    assert received["Followed"] == [{"event": events[0]}]
    assert "text: lamp" in sent["Facts"]
