"""What the exporters share: cells and outputs that are shown, headings and contents, printed text, figure files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from nbconvert.exporters import Exporter
from nbconvert.filters import strip_ansi
from nbconvert.preprocessors import ExtractOutputPreprocessor
from nbformat import NotebookNode, v4
from traitlets.config import Config

from pubsub_sim.report.errors import DuplicateFigureNameError

SVG = "image/svg+xml"

TEMPLATES = Path(__file__).parent / "templates"
"""Template folders of the exporters, one per exporter."""

LEFT_OUT_TAGS = frozenset({"remove-cell", "parameters", "injected-parameters"})
"""Cells with one of these tags are for whoever runs the notebook, not for whoever reads the report."""

UNTITLED = "Report"
"""Title of a notebook without a heading. The file name is no title: the bytes would depend on it."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"</?[A-Za-z][^>]*>")
_ESCAPE = re.compile(r"\\([^\w\s])")
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3})(\S(?:.*?\S)?)\1(?!\w)")
_NOT_IN_A_SLUG = re.compile(r"[^\w\- ]")
_LONGEST_FENCE = re.compile(r"`{3,}")
_METADATA = re.compile(r"\s*<metadata\b.*?</metadata>", re.DOTALL)
_BRACKET = re.compile(r"(?<!\\)[\[\]]")
_LINE_END = re.compile(r"[ \t\r]+$", re.MULTILINE)


class Heading(NamedTuple):
    """A heading of a notebook.

    Attributes:
        level: 1 to 6.
        text: plain text, without Markdown.
        slug: its anchor, as Git hosts make it: unique in the notebook.
        cell: position of its cell, from 0.
        line: position of its line in the cell, from 0.
    """

    level: int
    text: str
    slug: str
    cell: int
    line: int


def report_config(base: Config, *, shown: Iterable[str]) -> Config:
    """Say what nbconvert shall keep of a notebook.

    Args:
        base: default configuration of the exporter that is extended.
        shown: MIME types, best first; of each output the first one it has is shown.

    Returns:
        A new configuration; `base` stays as it was.
    """
    config = Config()
    config.merge(base)
    config.merge(
        Config(
            {
                "NbConvertBase": {"display_data_priority": list(shown)},
                "TagRemovePreprocessor": {
                    "enabled": True,
                    "remove_cell_tags": set(LEFT_OUT_TAGS),
                    "remove_input_tags": {"hide-input", "remove-input"},
                    "remove_all_outputs_tags": {"remove-output"},
                },
            }
        )
    )
    return config


def find_headings(notebook: NotebookNode) -> list[Heading]:
    """List the headings of a notebook's Markdown cells, in their order.

    Args:
        notebook: any notebook; it is only read.
    """
    found: list[Heading] = []
    taken: dict[str, int] = {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for line, level, text in _parse_headings(cell.source):
                plain = _strip_markdown(text)
                slug = _NOT_IN_A_SLUG.sub("", plain.lower()).replace(" ", "-")
                taken[slug] = taken.get(slug, -1) + 1
                unique = f"{slug}-{taken[slug]}" if taken[slug] else slug
                found.append(Heading(level, plain, unique, number, line))
    return found


def find_title(notebook: NotebookNode) -> str:
    """Take the title from the first level-1 heading, else from the metadata.

    Args:
        notebook: any notebook; it is only read.

    Returns:
        One line of plain text, without Markdown.
    """
    titles = (heading.text for heading in find_headings(notebook) if heading.level == 1)
    return next(titles, None) or str(notebook.metadata.get("title") or UNTITLED)


def insert_contents(notebook: NotebookNode) -> NotebookNode:
    """Insert a list of the sections before the first level-2 heading; nothing for fewer than three sections.

    Args:
        notebook: changed in place.

    Returns:
        The notebook.
    """
    sections = [heading for heading in find_headings(notebook) if heading.level in {2, 3}]
    if sum(heading.level == 2 for heading in sections) < 3:
        return notebook
    lines = [f"{'  ' * (one.level - 2)}- [{one.text}](#{one.slug})" for one in sections]
    contents = v4.new_markdown_cell("\n".join(["**Contents**", "", *lines]))  # type: ignore[no-untyped-call]
    notebook.cells.insert(next(one.cell for one in sections if one.level == 2), contents)
    return notebook


def _parse_headings(markdown: str) -> Iterator[tuple[int, int, str]]:
    """Give line, level and text of each heading outside code blocks."""
    fence = ""
    above = ""
    for number, line in enumerate(markdown.splitlines()):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence):
                fence = ""
            continue
        if mark:
            fence = mark[1]
        elif heading := _HEADING.match(line):
            yield number, len(heading[1]), heading[2]
        elif above and re.fullmatch(r" {0,3}=+[ \t]*", line):
            yield number - 1, 1, above
        above = line.strip()


def _strip_markdown(heading: str) -> str:
    text = _LINK.sub(r"\1", heading)
    text = _TAG.sub("", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = text.replace("`", "").replace("$", "")
    return " ".join(_ESCAPE.sub(r"\1", text).split())


def clean_printed(text: str) -> str:
    """Give the text as a terminal leaves it: no colours, no overwritten progress, no blanks at line ends.

    Args:
        text: what a cell printed.

    Returns:
        Lines of plain text without blank lines around them.
    """
    plain: str = strip_ansi(text)  # type: ignore[no-untyped-call]
    lines = (line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in plain.split("\n"))
    return "\n".join(lines).strip("\n")


def fence(text: str, info: str = "text") -> str:
    """Put text into a code block whose fence is longer than any fence in it.

    Args:
        text: what a cell printed.
        info: what stands behind the opening fence, a language or pandoc attributes.

    Returns:
        A Markdown code block, or nothing if the text is blank.
    """
    body = clean_printed(text)
    if not body.strip():
        return ""
    marks = "`" * max(3, 1 + max((len(run) for run in _LONGEST_FENCE.findall(body)), default=0))
    return f"{marks}{info}\n{body}\n{marks}"


def register_named_figures(exporter: Exporter, formats: Iterable[str]) -> None:
    """Let an exporter write figures to files, after it has removed the cells that are left out.

    Args:
        exporter: gets one more preprocessor.
        formats: MIME types of figures.
    """
    figures = NamedFigures(parent=exporter, enabled=True, extract_output_types=set(formats))  # type: ignore[no-untyped-call]
    exporter.register_preprocessor(figures, enabled=True)  # type: ignore[no-untyped-call]


class NamedFigures(ExtractOutputPreprocessor):
    """Writes figures to files of their own, named by the `filename` in the output's metadata.

    A figure without a name is counted, `figure-1`, so that cells without figures may come and go.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Name each figure, then extract all of them.

        Args:
            nb: the notebook; names are added to its outputs.
            resources: nbconvert's resources; the files go to `outputs`.

        Returns:
            Both arguments.

        Raises:
            DuplicateFigureNameError: if two outputs ask for one name.
        """
        taken: dict[str, int] = {}
        unnamed: list[NotebookNode] = []
        for number, cell in enumerate(nb.cells, start=1):
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                if self.extract_output_types.isdisjoint(data):
                    continue
                if SVG in data:
                    data[SVG] = clean_svg(data[SVG])
                name = PurePath(output.metadata.get("filename", "")).name.removesuffix(".svg")
                if not name:
                    unnamed.append(output)
                elif name in taken:
                    raise DuplicateFigureNameError(name, (taken[name], number))
                else:
                    taken[name] = number
        free = (f"figure-{count}" for count in range(1, 1 + len(unnamed) + len(taken)))
        free_names = (name for name in free if name not in taken)
        for output, name in zip(unnamed, free_names, strict=False):
            output.metadata["filename"] = name
        result: tuple[NotebookNode, dict[str, Any]] = super().preprocess(nb, resources)  # type: ignore[no-untyped-call]
        return result


def escape_caption(caption: str) -> str:
    """Make a caption fit between the brackets of a Markdown image.

    Args:
        caption: Markdown, of any number of lines.

    Returns:
        One line, with brackets escaped if they would end the caption early.
    """
    line = " ".join(caption.split())
    depth = 0
    for mark in _BRACKET.findall(line):
        depth += 1 if mark == "[" else -1
        if depth < 0:
            break
    return line if depth == 0 else _BRACKET.sub(r"\\\g<0>", line)


def clean_svg(text: str) -> str:
    """Remove what differs between two drawings of one figure: who drew it and when.

    Args:
        text: an SVG document.

    Returns:
        The document without its metadata and without blanks at line ends.
    """
    return _LINE_END.sub("", _METADATA.sub("", text)).strip() + "\n"
