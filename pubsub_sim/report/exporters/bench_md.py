"""Exporter of a notebook to Markdown: a report that is committed and whose diffs show numbers only."""

from __future__ import annotations

import copy
import re
from typing import Any

from nbconvert.exporters import MarkdownExporter
from nbformat import NotebookNode
from traitlets import Bool, default
from traitlets.config import Config

from pubsub_sim.report.exporters.content import (
    SVG,
    TEMPLATES,
    escape_caption,
    fence,
    find_headings,
    insert_contents,
    register_named_figures,
    report_config,
)

_HARD_BREAK = re.compile(r"(?<=\S) {2,}\n(?=[ \t]*\S)")
_LINE_END = re.compile(r"[ \t]+$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
_STYLE = re.compile(r"<(style|script)\b.*?</\1>", re.DOTALL | re.IGNORECASE)


class BenchMarkdownExporter(MarkdownExporter):
    """Exports a report for reading on a Git host: Markdown tables, SVG figures, no code.

    The same outputs give the same bytes, wherever and whenever they are exported.
    """

    export_from_notebook = "Report as Markdown"

    exclude_input = Bool(True, help="Leave the code out (as --no-input does).").tag(config=True)

    @default("template_name")
    def _template_name_default(self) -> str:
        return "benchmd"

    @default("template_extension")
    def _template_extension_default(self) -> str:
        return ".md.j2"

    @default("extra_template_basedirs")
    def _default_extra_template_basedirs(self) -> list[str]:
        return [str(TEMPLATES)]

    @property
    def default_config(self) -> Config:
        """Markdown before HTML, and no figure but SVG."""
        shown = ["text/markdown", SVG, "image/png", "image/jpeg", "text/html", "text/plain"]
        config = report_config(super().default_config, shown=shown)
        config.merge(Config({"ExtractOutputPreprocessor": {"enabled": False}}))
        return config

    def _init_preprocessors(self) -> None:
        super()._init_preprocessors()  # type: ignore[no-untyped-call]
        register_named_figures(self, {SVG})

    def default_filters(self) -> Any:
        """Add the filters that the template uses."""
        yield from super().default_filters()  # type: ignore[no-untyped-call]
        yield "fence", fence
        yield "remove_style", remove_style
        yield "escape_caption", escape_caption
        yield "show_breaks", show_breaks

    def from_notebook_node(  # type: ignore[override]  # nbconvert says NotebookNode where it means text
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Export one notebook.

        Args:
            nb: an executed notebook; it stays as it is.
            resources: nbconvert's resources.
            **kw: passed on.

        Returns:
            The Markdown, and resources whose `outputs` are the SVG files.
        """
        notebook = _anchor_headings(insert_contents(copy.deepcopy(nb)))
        text, resources = super().from_notebook_node(notebook, resources, **kw)
        text = _BLANK_LINES.sub("\n\n", _LINE_END.sub("", text)).strip() + "\n"
        return text, resources


def _anchor_headings(notebook: NotebookNode) -> NotebookNode:
    """Put an anchor above each heading: not every Markdown viewer makes one of the heading's text."""
    for heading in reversed(find_headings(notebook)):
        cell = notebook.cells[heading.cell]
        lines = cell.source.splitlines()
        lines[heading.line : heading.line] = [f'<a id="{heading.slug}"></a>', ""]
        cell.source = "\n".join(lines)
    return notebook


def remove_style(html: str) -> str:
    """Leave styles and scripts out of an HTML output; a Git host would show or drop them."""
    lines = _STYLE.sub("", html).splitlines()
    return "\n".join(line for line in lines if line.strip())


def show_breaks(markdown: str) -> str:
    """Write hard line breaks as backslashes, since blanks at line ends are removed."""
    return _HARD_BREAK.sub(r"\\\n", markdown)
