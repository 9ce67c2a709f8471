"""The steps of a transition as a sequence: text, Mermaid and SVG."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from asyncmachine.export.drawing import Svg
from asyncmachine.export.looks import printable
from asyncmachine.export.steps import steps_diagram
from asyncmachine.record.format import Step
from tests.asyncmachine.export.schemas_drawn import ODD_NAMES
from tests.asyncmachine.export.test_mermaid import shown

STEPS = (
    Step("called", "Connected"),
    Step("relation", "Connected", "Connecting", "remove"),
    Step("relation", "Connected", "Start", "require"),
    Step("relation", "Start", "Start", "add"),
    Step("relation", "Start", "Connected", "unheard-of"),
    Step("handler", "Connecting", handler="ConnectingExit"),
    Step("handler", "", handler="AnyEnter"),
    Step("deactivate", "Connecting"),
    Step("activate", "Connected"),
    Step("missing", "Start"),
    Step("new kind", "Start"),
    Step("cancel", "Connected"),
    Step("cancel", "Connected", handler="ConnectedEnter"),
)
TEXT = """\
 1  Connected   called
 2  Connected   removes Connecting
 3  Connected   requires Start
 4  Start       adds Start
 5  Start       unheard-of Connected
 6  Connecting  ConnectingExit
 7  machine     AnyEnter
 8  Connecting  deactivated
 9  Connected   activated
10  Start       stays inactive
11  Start       new kind
12  Connected   refused
13  Connected   refused by ConnectedEnter
"""


def words(document: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(document).iter("{http://www.w3.org/2000/svg}text")]


def test_text_is_a_line_per_step() -> None:
    """Number, state, and what happened; of no steps one line that says so."""
    assert steps_diagram(STEPS, "text") == TEXT
    assert steps_diagram((), "text") == "no steps\n"


def test_mermaid_is_a_sequence() -> None:
    """States take part in the order in which they come up; relations are messages, the rest are notes."""
    assert steps_diagram(STEPS[:3], "mermaid").splitlines() == [
        "sequenceDiagram",
        "  participant s0 as Connected",
        "  participant s1 as Connecting",
        "  participant s2 as Start",
        "  Note over s0: called",
        "  s0->>s1: removes",
        "  s0->>s2: requires",
    ]


def test_the_picture_shows_every_step_in_order() -> None:
    """Below a head for each state; a string that a notebook shows, of the same bytes each time, drawn by no program."""
    picture = steps_diagram(STEPS)
    assert isinstance(picture, Svg)
    assert picture._repr_svg_() == picture
    assert picture == steps_diagram(STEPS)
    said = [
        "called",
        "removes",
        "requires",
        "adds",
        "unheard-of",
        "ConnectingExit",
        "AnyEnter",
        "deactivated",
        "activated",
    ]
    said += ["stays inactive", "new kind", "refused", "refused by ConnectedEnter"]
    assert words(picture) == ["Connected", "Connecting", "Start", "machine", *said]
    assert words(steps_diagram(())) == []


def test_names_that_need_quoting_are_shown_as_they_are() -> None:
    """In Mermaid and in the picture."""
    steps = [Step("relation", one, other, "add") for one, other in pairwise(ODD_NAMES)]
    names = [printable(name) for name in ODD_NAMES]
    lines = steps_diagram(steps, "mermaid").splitlines()
    assert [shown(line.split(" as ", 1)[1]) for line in lines if " as " in line] == names
    assert "  participant s2 as #101;nd" in lines, "a bare end would end a block"
    assert words(steps_diagram(steps))[: len(names)] == names


def test_boxes_do_not_overlap_and_lie_in_the_picture() -> None:
    """Neighbours have room for the widest thing that stands at each."""
    root = ElementTree.fromstring(steps_diagram(STEPS))
    width = float(root.attrib["width"].removesuffix("pt"))
    boxes = [
        (float(one.get("x", 0)), float(one.get("y", 0)), float(one.attrib["width"]))
        for one in root.iter("{http://www.w3.org/2000/svg}rect")
    ][1:]
    assert all(x >= 0 and x + wide <= width for x, _, wide in boxes)
    heads = sorted(box for box in boxes if box[1] == 8)
    assert all(left + wide < right for (left, _, wide), (right, _, _) in pairwise(heads))


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    """DOT draws no sequences."""
    with pytest.raises(ValueError, match=r"^format must be one of 'svg', 'mermaid', 'text', got 'dot'$"):
        steps_diagram(STEPS, "dot")
