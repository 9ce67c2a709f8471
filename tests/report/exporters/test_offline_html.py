"""What offline-html promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from nbconvert.exporters import get_exporter
from nbformat import v4

from pubsub_sim.report.exporters.inline_html import inline_html
from pubsub_sim.report.exporters.offline_html import OfflineHTMLExporter


@pytest.fixture
def page(stress: Path) -> BeautifulSoup:
    body, _ = get_exporter("offline-html")().from_filename(str(stress))
    return BeautifulSoup(body, features="html.parser")


def exported(markdown: str) -> str:
    body, _ = OfflineHTMLExporter().from_notebook_node(v4.new_notebook(cells=[v4.new_markdown_cell(markdown)]))
    return body


def test_nothing_is_loaded_from_elsewhere(page: BeautifulSoup) -> None:
    """The page shows everything without a network."""
    assert page.find_all(["script", "link", "iframe"]) == []
    assert all(str(image["src"]).startswith("data:") for image in page.find_all("img"))
    assert not re.search(r"@import|url\((?!['\"]?(data:|#))", "".join(style.get_text() for style in page("style")))
    assert not re.search(r"cdn|unpkg|jsdelivr", str(page))


def test_the_browser_is_told_to_refuse_what_is_not_in_the_page(page: BeautifulSoup) -> None:
    """An output that slips through cannot load anything either."""
    policy: Any = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'")


def test_the_title_is_the_first_heading(page: BeautifulSoup) -> None:
    """Not the file name, which papermill chooses."""
    assert page.title is not None
    assert page.title.get_text() == 'Stress: code in the title & "quotes", x^2'


def test_cells_are_numbered(page: BeautifulSoup) -> None:
    """Random cell ids would change the bytes."""
    ids = [str(cell["id"]) for cell in page.select("section")]
    assert all(re.fullmatch(r"cell-\d+", name) for name in ids)


def test_figures_are_in_the_page_with_their_captions(page: BeautifulSoup) -> None:
    """One file is the whole report."""
    figure = page.select_one("figure#figure-median-by-hosts")
    assert figure is not None
    assert figure.img is not None
    assert str(figure.img["src"]).startswith("data:image/svg+xml,<")
    assert figure.figcaption is not None
    assert figure.figcaption.get_text(strip=True) == "Median time byhosts,states[dashed] and baseline"


def test_local_pictures_are_in_the_page(page: BeautifulSoup) -> None:
    """The folder of the notebook need not travel with the report."""
    assert {image.get("alt") for image in page.select("section.text img")} == {"Near"}


def test_a_remote_image_becomes_a_link(page: BeautifulSoup) -> None:
    """A reader may follow it, the browser does not fetch it."""
    assert page.select_one('a[href="https://example.org/badge.svg"]') is not None


def test_headings_have_the_ids_that_the_contents_list_names() -> None:
    """The links of the list lead to the sections, whatever the case of their words."""
    cells = [v4.new_markdown_cell(text) for text in ("# T", "## A b", "## A b", "## D")]
    body, _ = OfflineHTMLExporter().from_notebook_node(v4.new_notebook(cells=cells))
    soup = BeautifulSoup(body, features="html.parser")
    assert [heading["id"] for heading in soup.select("h1, h2")] == ["t", "a-b", "a-b-1", "d"]
    assert [str(link["href"]) for link in soup.select("li a")] == ["#a-b", "#a-b-1", "#d"]


def test_the_page_brings_only_the_style_of_the_report() -> None:
    """No style sheet of JupyterLab: an empty page is a few kilobytes."""
    assert len(exported("words")) < 6_000


def test_printed_text_is_text(page: BeautifulSoup) -> None:
    """Signs that HTML knows, and colours of terminals, are neither markup nor noise."""
    shown = [block.get_text() for block in page.select("pre.printed")]
    assert any("#set text\n$ dollars * _ @ref <l>" in text for text in shown)
    assert not any("\x1b" in text for text in shown)


@pytest.mark.parametrize(
    "html",
    [
        '<img src="//host/x.png">',
        '<img srcset="https://host/x.png 2x">',
        '<iframe src="https://host/"></iframe>',
        '<object data="https://host/x.svg"></object>',
        '<video poster="https://host/x.png"></video>',
        '<p style="background: url(https://host/x.png)">x</p>',
        '<link rel="stylesheet" href="https://host/x.css">',
        '<base href="https://host/">',
        '<meta http-equiv="Refresh" content="0; url=https://host/">',
        "<style>@import 'https://host/x.css'; #a { background: url(\"https://host/x.png\") }</style>",
    ],
)
def test_an_address_is_at_most_a_link(html: str) -> None:
    """Each way by which a page loads something is closed."""
    soup = BeautifulSoup(inline_html(f"<html><body>{html}</body></html>"), features="html.parser")
    for link in soup.find_all("a"):
        link.decompose()
    assert "host" not in str(soup)


def test_styles_of_an_output_do_not_restyle_the_report() -> None:
    """Rules for one element by id stay, rules for any cell of any table go."""
    page = inline_html("<body><style>td {color: red}</style><style>#T_1 td {color: blue}</style></body>")
    assert "red" not in page
    assert "blue" in page


def with_frame(scripts: bool) -> tuple[str, str]:
    """Export a notebook with a page in an iframe; give the page around it and the one inside."""
    inside = '<p class="a">if (1 &lt; 2 && "x") {}</p>  \n<script src="https://nowhere.example/a.js"></script>'
    quoted = inside.replace("&", "&amp;").replace('"', "&quot;")
    output = v4.new_output("display_data", data={"text/html": f'<iframe height="5" srcdoc="{quoted}"></iframe>'})
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell("", outputs=[output]), v4.new_markdown_cell("page-in-a-frame-7")]
    )
    body, _ = OfflineHTMLExporter(scripts=scripts).from_notebook_node(notebook)
    frame = BeautifulSoup(body, features="html.parser").find("iframe")
    assert frame is not None
    assert "page-in-a-frame-7" in body
    return body, str(frame["srcdoc"])


@pytest.mark.parametrize("scripts", [True, False])
def test_pages_in_frames_run_their_scripts_only_if_asked_for(scripts: bool) -> None:
    """The page around says so to the browser, has no script itself, and allows no address in either case."""
    body, _ = with_frame(scripts)
    soup = BeautifulSoup(body, features="html.parser")
    policy: Any = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'")
    assert ("script-src 'unsafe-inline' 'unsafe-eval'" in policy["content"]) is scripts
    assert "http" not in policy["content"]
    assert soup.find_all("script") == []


def test_pages_in_frames_are_left_as_they_are() -> None:
    """Blanks at line ends may matter to a script."""
    _, inside = with_frame(scripts=True)
    assert '"x") {}</p>  \n<script' in inside
