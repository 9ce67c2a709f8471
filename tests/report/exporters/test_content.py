"""The title, the headings and the contents list of a report."""

from __future__ import annotations

import pytest
from nbformat import v4

from pubsub_sim.report.exporters.content import find_headings, find_title, insert_contents


@pytest.mark.parametrize(
    ("markdown", "title"),
    [
        ("# Plain", "Plain"),
        ("text\n\n# After text #", "After text"),
        ("## Not this\n# This", "This"),
        ("```\n# a comment\n```\n# Real", "Real"),
        ("~~~~\n```\n# a comment\n~~~~\n# Real", "Real"),
        ("Underlined\n==========", "Underlined"),
        (
            "# `code`, *soft*, **strong**, snake_case_name and [a link](x)",
            "code, soft, strong, snake_case_name and a link",
        ),
        ("# An <b>HTML</b> tag \\* $x$", "An HTML tag * x"),
        ("no heading", "Report"),
    ],
)
def test_the_title_is_the_first_heading_without_markdown(markdown: str, title: str) -> None:
    """Window titles and document properties show plain text."""
    assert find_title(v4.new_notebook(cells=[v4.new_markdown_cell(markdown)])) == title


def test_the_metadata_name_a_notebook_without_heading() -> None:
    """A notebook may carry a title of its own."""
    assert find_title(v4.new_notebook(metadata={"title": "Given"})) == "Given"


def test_headings_have_unique_anchors() -> None:
    """Two headings of one text have different anchors, as Git hosts make them; code blocks hold no headings."""
    cells = [
        v4.new_markdown_cell("# The `title`\n\n```\n# code\n```\n\n## Ratio, grid"),
        v4.new_markdown_cell("## Ratio, grid"),
    ]
    found = find_headings(v4.new_notebook(cells=cells))
    assert [(one.level, one.text, one.slug) for one in found] == [
        (1, "The title", "the-title"),
        (2, "Ratio, grid", "ratio-grid"),
        (2, "Ratio, grid", "ratio-grid-1"),
    ]
    assert (found[1].cell, found[1].line, found[2].cell) == (0, 6, 1)


def test_contents_come_before_the_first_section() -> None:
    """A link per section; a page of two sections needs no list."""
    cells = [v4.new_markdown_cell(text) for text in ("# T", "## A", "### B", "## C", "## D")]
    listed = insert_contents(v4.new_notebook(cells=cells)).cells
    assert [cell.source for cell in listed[:1] + listed[2:]] == ["# T", "## A", "### B", "## C", "## D"]
    assert listed[1].source.splitlines()[2:] == ["- [A](#a)", "  - [B](#b)", "- [C](#c)", "- [D](#d)"]
    assert len(insert_contents(v4.new_notebook(cells=cells[:2])).cells) == 2
