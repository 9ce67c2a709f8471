"""What a report is called."""

from __future__ import annotations

import pytest
from nbformat import v4

from pubsub_sim.report.exporters.headings import report_title


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
    assert report_title(v4.new_notebook(cells=[v4.new_markdown_cell(markdown)])) == title


def test_the_metadata_name_a_notebook_without_heading() -> None:
    """A notebook may carry a title of its own."""
    assert report_title(v4.new_notebook(metadata={"title": "Given"})) == "Given"
