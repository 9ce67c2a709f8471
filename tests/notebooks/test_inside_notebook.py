"""The notebook about the inside of a run, executed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.asyncmachine.export.timelines import framed, opened
from tests.notebooks.execution import Executed, as_text

pytestmark = pytest.mark.xdist_group("kernels")


def test_the_run_is_shown_in_frames_and_as_pictures(executed: Callable[[str], Executed]) -> None:
    """Each interactive picture has a still one beside it, in a cell of its own."""
    found = executed("5_inside_a_run").outputs
    for cell, picture in (("timeline", "picture"), ("message", "message-picture"), ("both", "both-picture")):
        assert as_text(found[cell], "text/html").startswith("<iframe ")
        assert "<script" not in as_text(found[cell], "text/html").partition("srcdoc=")[0]
        assert as_text(found[picture], "image/svg+xml").lstrip().startswith("<?xml")


def test_the_pages_show_the_run(executed: Callable[[str], Executed]) -> None:
    """Machines of all hosts, the message on both of them, and both versions."""
    found = executed("5_inside_a_run").outputs
    whole, path, both = (
        opened(framed({"text/html": as_text(found[cell], "text/html")})) for cell in ("timeline", "message", "both")
    )
    assert {"ps-0", "ps-1"} <= {machine["id"] for machine in whole.header["machines"]}
    assert [path.label(lane) for lane in path.lanes("span")] == ["host:0", "host:1"]
    assert {"publish_msg", "deliver_msg"} <= set(path.header["names"])
    assert [track["title"] for track in both.header["tracks"]] == ["states", "baseline"]


def test_questions_are_answered(executed: Callable[[str], Executed]) -> None:
    """A chain of causes; and both versions decide the same on the virtual clock."""
    found = executed("5_inside_a_run").outputs
    assert "[add]" in as_text(found["why"])
    assert "decide the same, in the same order" in as_text(found["alike"])
