"""Tables and prose in all their forms."""

from __future__ import annotations

from pubsub_sim.report.display import Prose, Several, Table

TABLE = Table(["name", "value"], [["a|b `c`", "1"], ["<d>", "2"]])


def test_table_in_markdown_escapes_the_bar() -> None:
    """A bar in a cell does not become a border, and numbers are set to the right."""
    assert TABLE.markdown().splitlines() == [
        "| name | value |",
        "| :--- | ---: |",
        "| a\\|b `c` | 1 |",
        "| <d> | 2 |",
    ]


def test_table_in_html_escapes_markup() -> None:
    """Cells are text; only code and strong text are marked up."""
    assert '<td style="text-align: left">a|b <code>c</code></td>' in TABLE.html()
    assert "&lt;d&gt;" in TABLE.html()


def test_table_as_text_is_aligned() -> None:
    """In a terminal the columns stand under each other."""
    assert TABLE.text().splitlines() == ["name   value", "a|b c      1", "<d>        2"]


def test_table_offers_three_forms() -> None:
    """Markdown for bench.md and PDF, HTML for JupyterLab, text for terminals."""
    assert TABLE._repr_mimebundle_().keys() == {"text/markdown", "text/html", "text/plain"}


def test_several_parts_are_one_after_the_other() -> None:
    """Parts are joined by a blank line, so that a table after a sentence stays a table."""
    bundle = Several([Prose("**Two** things"), TABLE])._repr_mimebundle_()
    assert bundle["text/markdown"].startswith("**Two** things\n\n| name | value |")
    assert bundle["text/plain"].startswith("Two things\n\nname   value")
