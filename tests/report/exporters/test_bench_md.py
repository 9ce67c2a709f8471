"""What bench-md promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from nbconvert.exporters import get_exporter
from nbformat import v4

from pubsub_sim.report.errors import DuplicateFigureNameError
from pubsub_sim.report.exporters.bench_md import BenchMarkdownExporter

SVG = {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"}


@pytest.fixture
def exported(stress: Path) -> tuple[str, dict[str, bytes]]:
    resources: dict[str, Any] = {"output_files_dir": "bench_files", "unique_key": "bench"}
    body, found = get_exporter("bench-md")().from_filename(str(stress), resources)
    return body, found["outputs"]


def named(*names: str, **metadata: Any) -> Any:
    outputs = [v4.new_output("display_data", data=SVG, metadata={"filename": name, **metadata}) for name in names]
    return v4.new_notebook(cells=[v4.new_code_cell(outputs=[output]) for output in outputs])


def test_figures_are_named_as_asked(exported: tuple[str, dict[str, bytes]]) -> None:
    """A cell inserted above a figure does not rename its file."""
    body, files = exported
    assert {"bench_files/median-by-hosts.svg", "bench_files/huge.svg", "bench_files/figure-1.svg"} <= files.keys()
    assert "(bench_files/median-by-hosts.svg)" in body


def test_only_svg_figures_are_extracted(exported: tuple[str, dict[str, bytes]]) -> None:
    """One format is committed; a figure without it says so."""
    body, files = exported
    assert {name for name in files if "image" not in name} == {name for name in files if name.endswith(".svg")}
    assert "*Left out: a figure that has no SVG.*" in body


def test_the_caption_is_the_alternative_text() -> None:
    """Readers who do not see a figure read its caption, whatever brackets are in it."""
    body, _ = BenchMarkdownExporter().from_notebook_node(named("a", caption="Time [s) and\nmore"))
    assert "![Time \\[s) and more](a.svg)" in body


def test_a_name_for_two_figures_is_an_error_that_names_both_cells() -> None:
    """One figure would overwrite the other."""
    with pytest.raises(DuplicateFigureNameError, match="'same', in cell 1 and in cell 3"):
        BenchMarkdownExporter().from_notebook_node(named("same", "other", "same"))


def test_a_counted_name_never_meets_a_given_one() -> None:
    """Somebody may call a figure figure-1."""
    _, found = BenchMarkdownExporter().from_notebook_node(named("", "figure-1", ""))
    assert set(found["outputs"]) == {"figure-1.svg", "figure-2.svg", "figure-3.svg"}


def test_svg_files_carry_no_metadata(exported: tuple[str, dict[str, bytes]]) -> None:
    """The day of drawing is no difference between two figures."""
    drawing = exported[1]["bench_files/median-by-hosts.svg"]
    assert b"<metadata" not in drawing
    assert b" \n" not in drawing
    assert drawing.endswith(b"</svg>\n")


def test_markdown_tables_come_before_html(exported: tuple[str, dict[str, bytes]]) -> None:
    """A diff of a Markdown table shows numbers, one of HTML shows tags."""
    assert "| 5 | 1,234.50 |" in exported[0]
    assert "HTML OF THE TABLE" not in exported[0]


def test_styles_and_scripts_of_outputs_are_left_out(exported: tuple[str, dict[str, bytes]]) -> None:
    """A Git host would print or drop them."""
    assert "<style" not in exported[0]
    assert "<script" not in exported[0]


def test_no_trailing_blanks_and_at_most_one_blank_line(exported: tuple[str, dict[str, bytes]]) -> None:
    """Whitespace never shows in a diff."""
    assert not re.search(r"[ \t]+$|\n\n\n|\x1b", exported[0], re.MULTILINE)
    assert exported[0].endswith("\n")
    assert not exported[0].endswith("\n\n")


def test_a_line_break_survives_without_trailing_blanks(exported: tuple[str, dict[str, bytes]]) -> None:
    """What looked like two lines in the notebook looks so in the report."""
    assert "line 1\\\nline 2" in exported[0]


def test_printed_text_is_fenced_whatever_is_in_it(exported: tuple[str, dict[str, bytes]]) -> None:
    """A fence in printed text does not end the block around it."""
    assert "`````text\n~~~~~~~~\n```\n````\n#set text\n$ dollars * _ @ref <l>\n`````" in exported[0]


def test_progress_is_shown_as_it_ended(exported: tuple[str, dict[str, bytes]]) -> None:
    """A progress bar overwrites itself."""
    assert "```text\ndone\ngreen\n```" in exported[0]


def test_headings_have_anchors_that_the_contents_list_names() -> None:
    """A viewer that makes no ids of headings still follows the links."""
    cells = [v4.new_markdown_cell(text) for text in ("# T", "## A b\n\ntext", "## C", "## D")]
    body, _ = BenchMarkdownExporter().from_notebook_node(v4.new_notebook(cells=cells))
    assert "- [A b](#a-b)" in body
    assert '<a id="a-b"></a>\n\n## A b\n\ntext' in body
