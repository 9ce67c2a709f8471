"""What a notebook can show in every format: tables, pictures and prose that bring all their forms along."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ABSENT = "absent"
"""Key in the metadata of an output that stands in place of what is not there."""

_CODE = re.compile(r"`([^`]*)`")
_STRONG = re.compile(r"\*\*([^*]*)\*\*")


@dataclass(frozen=True)
class Table:
    """A small table of words.

    Attributes:
        columns: headings; Markdown's `code` and **strong** may be used here and in the cells.
        rows: cells, one per column.
        words: how many columns from the left hold words; the others hold numbers and are set to the right.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1

    def markdown(self) -> str:
        """Give the table in Markdown, `|` in cells escaped."""
        rule = [":---" if number < self.words else "---:" for number in range(len(self.columns))]
        cells = [[_escaped(cell) for cell in row] for row in (self.columns, *self.rows)]
        lines = [f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:])]
        return "\n".join(lines)

    def html(self) -> str:
        """Give the table in HTML, which JupyterLab prefers."""
        head = "".join(f'<th style="text-align: {self._side(n)}">{_html(c)}</th>' for n, c in enumerate(self.columns))
        body = "\n".join(
            "<tr>"
            + "".join(f'<td style="text-align: {self._side(n)}">{_html(c)}</td>' for n, c in enumerate(row))
            + "</tr>"
            for row in self.rows
        )
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"

    def text(self) -> str:
        """Give the table in aligned columns."""
        plain = [[_plain(cell) for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
        lines = []
        for row in plain:
            cells = [
                c.ljust(w) if n < self.words else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def _side(self, number: int) -> str:
        return "left" if number < self.words else "right"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/markdown": self.markdown(), "text/html": self.html(), "text/plain": self.text()}


@dataclass(frozen=True)
class Prose:
    """Sentences in Markdown.

    Attributes:
        markdown: the text.
    """

    markdown: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/markdown": self.markdown, "text/plain": _plain(self.markdown)}


@dataclass(frozen=True)
class Absent(Prose):
    """A sentence in place of what a sweep does not have. A report leaves out a section that holds nothing else."""

    def _repr_mimebundle_(self, **_: Any) -> Any:
        return super()._repr_mimebundle_(), {ABSENT: True}


@dataclass(frozen=True)
class Picture:
    """A figure as SVG.

    Attributes:
        name: its file name without ending, unique in a notebook.
        caption: one or two sentences that say what is seen, and how.
        svg: the drawing.
    """

    name: str
    caption: str
    svg: str

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, str]]:
        data = {"image/svg+xml": self.svg, "text/plain": self.caption}
        return data, {"filename": self.name, "caption": self.caption}


@dataclass(frozen=True)
class Several:
    """Parts shown one after the other, as one.

    Attributes:
        parts: tables and sentences.
    """

    parts: Sequence[Table | Prose]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        bundles = [part._repr_mimebundle_() for part in self.parts]
        return {form: "\n\n".join(bundle[form] for bundle in bundles) for form in ("text/markdown", "text/plain")}


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _html(cell: str) -> str:
    return _STRONG.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", html.escape(cell)))


def _plain(text: str) -> str:
    return _STRONG.sub(r"\1", _CODE.sub(r"\1", text))
