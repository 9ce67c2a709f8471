"""Sequence diagrams of anything: arrows, notes, the order of lifelines, and room for words."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from asyncmachine.export.looks import width_points
from asyncmachine.export.sequence import Row, sequence_diagram

SVG = "{http://www.w3.org/2000/svg}"
ROWS = (
    Row("a", "starts", colour="#56B4E9"),
    Row("a", "a message that is rather long", "b"),
    Row("b", "its answer", "a"),
    Row("b", "failed", colour="#D55E00", is_dark=True),
)


def test_lifelines_stand_in_the_order_that_was_asked_for() -> None:
    """Others follow as they come up; one that nothing happens at is drawn too."""
    lines = sequence_diagram(ROWS, "mermaid", lifelines=("c", "b")).splitlines()
    assert [line.split(" as ")[1] for line in lines if " as " in line] == ["c", "b", "a"]


def test_words_of_an_arrow_fit_between_two_lifelines() -> None:
    """The neighbour is as far away as the words are long."""
    root = ElementTree.fromstring(sequence_diagram(ROWS))
    first, second = (float(path.attrib["d"][1:].split(",")[0]) for path in root.findall(f"{SVG}path")[:2])
    assert second - first > 0.75 * width_points(ROWS[1].words)


def test_the_picture_has_its_title_and_its_colours() -> None:
    """The title is read out; words in a dark note are white."""
    root = ElementTree.fromstring(sequence_diagram(ROWS, title="a & b"))
    assert root.findtext(f"{SVG}title") == "a & b"
    white = [one.text for one in root.iter(f"{SVG}text") if one.get("fill") == "white"]
    assert white == ["failed"]


def test_text_numbers_the_rows() -> None:
    """An arrow ends with the name it points to."""
    assert sequence_diagram(ROWS, "text").splitlines()[1] == "2  a  a message that is rather long b"


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    """DOT draws no sequences."""
    with pytest.raises(ValueError, match=r"^format must be one of 'svg', 'mermaid', 'text', got 'dot'$"):
        sequence_diagram(ROWS, "dot")
