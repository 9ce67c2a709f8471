"""Exporter of a notebook to one HTML file that shows everything without a network."""

from __future__ import annotations

import copy
from typing import Any

from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from traitlets import Bool, default
from traitlets.config import Config

from pubsub_sim.report.exporters.content import (
    SVG,
    TEMPLATES,
    clean_printed,
    clean_svg,
    find_headings,
    find_title,
    insert_contents,
    report_config,
)
from pubsub_sim.report.exporters.inline_html import inline_html, quote_svg


class OfflineHTMLExporter(HTMLExporter):
    """Exports a report as one HTML file: figures inside, no scripts unless asked for, nothing loaded from elsewhere.

    The same outputs give the same bytes: cells are numbered, and the title is the first heading.
    """

    export_from_notebook = "Report as offline HTML"

    exclude_input = Bool(True, help="Leave the code out (as --no-input does).").tag(config=True)
    exclude_input_prompt = Bool(True, help="Leave out In[ ].").tag(config=True)
    exclude_output_prompt = Bool(True, help="Leave out Out[ ].").tag(config=True)
    exclude_anchor_links = Bool(True, help="Leave out the signs behind headings.").tag(config=True)
    scripts = Bool(
        False, help="Let pages in iframes of outputs run their scripts; nothing is loaded from elsewhere all the same."
    ).tag(config=True)
    embed_images = Bool(True, help="Put local images of Markdown cells into the file.").tag(config=True)

    @default("template_name")
    def _template_name_default(self) -> str:
        return "offline"

    @default("template_extension")
    def _template_extension_default(self) -> str:
        return ".html.j2"

    @default("extra_template_basedirs")
    def _default_extra_template_basedirs(self) -> list[str]:
        return [str(TEMPLATES)]

    @property
    def default_config(self) -> Config:
        """Static representations only: widgets and scripts would need a network or a kernel."""
        shown = ["text/html", "text/markdown", SVG, "image/png", "image/jpeg", "text/plain"]
        return report_config(super().default_config, shown=shown)

    def default_filters(self) -> Any:
        """Add the filters that the template uses."""
        yield from super().default_filters()  # type: ignore[no-untyped-call]
        yield "clean_svg", clean_svg
        yield "quote_svg", quote_svg
        yield "clean_printed", clean_printed

    def from_notebook_node(  # type: ignore[override]  # nbconvert says NotebookNode where it means text
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Export one notebook.

        Args:
            nb: an executed notebook; it stays as it is.
            resources: nbconvert's resources; local images are looked for in the folder they name.
            **kw: passed on.

        Returns:
            The HTML, and nbconvert's resources.
        """
        notebook = insert_contents(copy.deepcopy(nb))
        notebook.metadata["title"] = find_title(nb)
        notebook.metadata.pop("widgets", None)
        for number, cell in enumerate(notebook.cells, start=1):
            cell["id"] = f"cell-{number}"
        html, resources = super().from_notebook_node(notebook, {**(resources or {}), "scripts": self.scripts}, **kw)
        anchors = [(heading.text, heading.slug) for heading in find_headings(notebook)]
        return inline_html(html, anchors, keep_frames=self.scripts), resources
