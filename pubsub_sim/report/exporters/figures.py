"""File names and bytes of the figures that are written beside a report or into a page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from nbconvert.exporters import Exporter
from nbconvert.preprocessors import ExtractOutputPreprocessor
from nbformat import NotebookNode

from pubsub_sim.report.exporters.errors import DuplicateFigureNameError

SVG = "image/svg+xml"

_METADATA = re.compile(r"\s*<metadata\b.*?</metadata>", re.DOTALL)
_BRACKET = re.compile(r"(?<!\\)[\[\]]")
_FIGURE = re.compile(r"src='data:image/svg\+xml,[^']*'")
_LINE_END = re.compile(r"[ \t\r]+$", re.MULTILINE)


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
                    data[SVG] = tidy_svg(data[SVG])
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


def caption_line(caption: str) -> str:
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


def tidy_svg(text: str) -> str:
    """Remove what differs between two drawings of one figure: who drew it and when.

    Args:
        text: an SVG document.

    Returns:
        The document without its metadata and without blanks at line ends.
    """
    return _LINE_END.sub("", _METADATA.sub("", text)).strip() + "\n"


def as_quoted_text(text: str) -> str:
    """What follows `data:image/svg+xml` in an HTML attribute within single quotes: a quarter shorter than base64.

    Args:
        text: an SVG document.
    """
    for sign, quoted in (("%", "%25"), ("#", "%23"), ("'", "%27"), ("\n", " "), ("&", "&amp;")):
        text = text.replace(sign, quoted)
    return f",{text}"


def with_plain_figures(html: str) -> str:
    """Write figures in a page with plain angle brackets, which need no quoting inside an attribute: shorter by a tenth.

    Args:
        html: a page whose figures are addresses within single quotes.
    """
    return _FIGURE.sub(lambda found: found[0].replace("&lt;", "<").replace("&gt;", ">"), html)
