"""The title of a report: its first level-1 heading, else the notebook's metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nbformat import NotebookNode

UNTITLED = "Report"
"""Title of a notebook that names itself nowhere. The file name is none: it would make the bytes depend on it."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"^ {0,3}#[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"</?[A-Za-z][^>]*>")
_ESCAPE = re.compile(r"\\([^\w\s])")
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3})(\S(?:.*?\S)?)\1(?!\w)")


def report_title(notebook: NotebookNode) -> str:
    """Take the title from the first level-1 heading, else from the metadata.

    Args:
        notebook: any notebook; it is only read.

    Returns:
        One line of plain text, without Markdown.
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for heading in _level_1_headings(cell.source):
                return _plain(heading)
    return str(notebook.metadata.get("title") or UNTITLED)


def _level_1_headings(markdown: str) -> Iterator[str]:
    fence = ""
    above = ""
    for line in markdown.splitlines():
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence):
                fence = ""
            continue
        if mark:
            fence = mark[1]
        elif heading := _HEADING.match(line):
            yield heading[1]
        elif above and re.fullmatch(r" {0,3}=+[ \t]*", line):
            yield above
        above = line.strip()


def _plain(heading: str) -> str:
    text = _LINK.sub(r"\1", heading)
    text = _TAG.sub("", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = text.replace("`", "").replace("$", "")
    return " ".join(_ESCAPE.sub(r"\1", text).split())
