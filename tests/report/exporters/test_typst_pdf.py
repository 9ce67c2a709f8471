"""What typst promises."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from nbconvert.exporters import get_exporter
from nbformat import NotebookNode, v4

from pubsub_sim.packages import MissingPackageError
from pubsub_sim.report.errors import DuplicateFigureNameError, TypesettingError
from pubsub_sim.report.exporters.typst_pdf import (
    Page,
    TypstPDFExporter,
    find_pandoc,
    find_typst,
    to_pdf,
    to_typst,
)

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def typst_source(markdown: str, folder: Path) -> str:
    return to_typst(markdown, folder=folder, images=folder, pandoc=find_pandoc())[0]


def test_the_stress_notebook_becomes_a_pdf_with_its_title(stress: Path) -> None:
    """The first heading names the document, not the file name."""
    pdf, resources = get_exporter("typst")().from_filename(str(stress))
    assert pdf.startswith(b"%PDF")
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert document.docinfo["/Title"] == 'Stress: code in the title & "quotes", x^2'
    assert resources["outputs"] == {}
    assert resources["output_extension"] == ".pdf"


def test_the_date_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SOURCE_DATE_EPOCH the document is from 1970, on every machine."""
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# T")])
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert created(notebook).startswith("D:19700101")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert created(notebook).startswith("D:20231114")


def created(notebook: NotebookNode) -> str:
    pdf, _ = TypstPDFExporter().from_notebook_node(notebook)
    with pikepdf.open(io.BytesIO(pdf)) as document:
        return str(document.docinfo["/CreationDate"])


@pytest.mark.parametrize("module", ["pikepdf", "pypandoc", "typst"])
def test_a_missing_program_is_named_with_the_extra_that_has_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who installed no PDF extra is told which command installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"{module}.*pip install 'pubsub-sim\[pdf\]'"):
        TypstPDFExporter().from_notebook_node(v4.new_notebook())


def test_a_name_for_two_figures_is_an_error(stress: Path) -> None:
    """All reports of a notebook refuse the same mistakes."""
    data = {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"}
    outputs = [v4.new_output("display_data", data=data, metadata={"filename": "same"}) for _ in range(2)]
    with pytest.raises(DuplicateFigureNameError):
        TypstPDFExporter().from_notebook_node(v4.new_notebook(cells=[v4.new_code_cell(outputs=outputs)]))


def test_a_caption_makes_a_numbered_figure(stress: Path, tmp_path: Path) -> None:
    """A figure with a caption is referred to by number; one without stands in the middle."""
    assert re.search(r"#figure\(.*caption: \[\s*A caption", typst_source("![A caption](near.png)", tmp_path), re.DOTALL)
    assert "#align(center)[" in typst_source("![](near.png)", tmp_path)


def test_no_figure_is_wider_than_the_page(stress: Path, tmp_path: Path) -> None:
    """A width asked for in pixels may be more than paper has."""
    assert re.search(r'image\("media/\S+", width: 100.0%\)', typst_source("![](near.png){width=2000px}", tmp_path))
    assert re.search(r'image\("media/\S+", width: 3.125in\)', typst_source("![](near.png){width=300px}", tmp_path))


def test_what_cannot_be_fetched_does_not_stop_the_report(tmp_path: Path) -> None:
    """Remote images become links, missing ones and missing anchors become text."""
    source = typst_source("![badge](https://example.org/b.svg) ![m](nowhere.png) [gone](#Nope)", tmp_path)
    assert '#link("https://example.org/b.svg")[badge]' in source
    assert "image not found: nowhere.png" in source
    assert "#link(<" not in source
    assert "image(" not in source


def test_anchors_find_their_heading_whatever_its_case(tmp_path: Path) -> None:
    """Jupyter's anchors keep case, Typst's labels do not."""
    assert "#link(<some-heading>)" in typst_source("# T\n\n## Some heading\n\n[x](#Some-heading)", tmp_path)


def test_a_long_table_repeats_its_header_on_each_page(tmp_path: Path) -> None:
    """Somebody who looks at page 3 sees what the columns are."""
    rows = "".join(f"| {number} | x |\n" for number in range(150))
    source = typst_source(f"# T\n\n| HEADING | b |\n|---|---|\n{rows}", tmp_path)
    assert "table.header(" in source
    pdf = to_pdf(source, folder=tmp_path, page=Page(title="T"), compiler=find_typst())
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert len(document.pages) == 3


def test_a_table_knows_how_narrow_it_can_be(tmp_path: Path) -> None:
    """A table is scaled by what has to stand side by side, so that columns never overlap."""
    source = typst_source("| ab_cde | x |\n|---|---|\n| 1234567 | two words |", tmp_path)
    assert f"#fitting({len('1234567') + len('words')}, 2, 2)[" in source


def test_what_names_the_next_block_stays_with_it(tmp_path: Path) -> None:
    """A paragraph that is all strong is no orphan at the end of a page."""
    source = typst_source("**`states`: host**\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\nwords **strong**\n", tmp_path)
    assert source.count("#block(sticky: true)[\n#strong[") == 1


def test_long_words_may_break(tmp_path: Path) -> None:
    """An address of 200 characters stays on the page, in a sentence and in printed text."""
    assert "x" * 50 not in typst_source("x" * 200, tmp_path)
    assert "x" * 100 not in typst_source(f"```\n{'x' * 200}\n```", tmp_path)
    assert "y" * 40 in typst_source("y" * 40, tmp_path)


def test_html_tables_become_tables(tmp_path: Path) -> None:
    """A DataFrame is set as a table, its numbers on the right."""
    html = "<table><thead><tr><th>a_b</th></tr></thead><tbody><tr><td>1.5</td></tr></tbody></table>"
    source = typst_source(f"```{{=html}}\n{html}\n```", tmp_path)
    assert "#table(" in source
    assert "right" in source


def test_what_typst_says_is_in_the_error(tmp_path: Path) -> None:
    """A document that cannot be set names its fault."""
    with pytest.raises(TypesettingError, match=r"Typst could not typeset the report: .*unknown variable: nonsense"):
        to_pdf("#nonsense", folder=tmp_path, page=Page(title="T"), compiler=find_typst())


def test_a_notebook_without_a_folder_finds_its_figures() -> None:
    """The exporter works on a notebook that was never written to disk."""
    output: Any = v4.new_output("display_data", data={"image/png": PIXEL})
    pdf, _ = TypstPDFExporter().from_notebook_node(v4.new_notebook(cells=[v4.new_code_cell(outputs=[output])]))
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert len(document.pages[0].Resources.XObject) == 1


def test_the_document_is_packed_and_the_same_every_time(tmp_path: Path) -> None:
    """A tagged document has thousands of small objects: packed, it is less than half as large, and byte-stable."""
    cells = ", ".join(f"[{number}]" for number in range(600))
    source = f"= Title\n#table(columns: 6, table.header([a], [b], [c], [d], [e], [f]), {cells})\n"
    (tmp_path / "plain.typ").write_text(source)
    plain = bytes(find_typst()(tmp_path / "plain.typ", timestamp=0))
    first, second = (to_pdf(source, folder=tmp_path, page=Page(title="T"), compiler=find_typst()) for _ in range(2))
    assert first == second
    assert len(first) < len(plain) / 2
    with pikepdf.open(io.BytesIO(first)) as packed, pikepdf.open(io.BytesIO(plain)) as document:
        assert len(packed.pages) == len(document.pages)
        assert packed.Root.MarkInfo.Marked
